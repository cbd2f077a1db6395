// Pure. A snapshot as a sequence of chunks: the state's counters with a part of its entries and idempotency records each.
// Every chunk stands alone and says the same state, so that a receiver can check that they belong together.
// Which rows go into which chunk and how they travel is the sender's business; reading them is an adapter's.

import type { Entry, IdempotencyRecord, Mark, StoreState, Usage } from "./entry.ts";
import { markFromWire, markToWire } from "./entry-codec.ts";
import {
  asArray,
  asCount,
  asString,
  decodeFrame,
  encodeFrame,
  MalformedBytesError,
  refuseNewerFields,
  type Wire,
} from "./framing.ts";
import { entryFromWire, entryToWire, recordFromWire, recordToWire } from "./row-codec.ts";

/** First byte of every chunk. */
export const SNAPSHOT_CODEC_VERSION = 1;

/**
 * A sender closes a chunk once `entryBytes` and `idempotencyRecordBytes` of its contents add up to this: big enough to
 * make few chunks, small enough not to hold up heartbeats. Those two never fall far short of the bytes on the wire;
 * counting less than they do (keys without ids, values without content types) can pass the largest size.
 */
export const SNAPSHOT_CHUNK_BYTES_TARGET = 512 * 1024;

/** The target plus one value of the largest size, and still below the platform's 2 MB a row, should chunks be stored. */
export const SNAPSHOT_CHUNK_BYTES_MAX = 1_900_000;

export interface SnapshotChunk {
  readonly state: StoreState;
  readonly entries: readonly Entry[];
  readonly idempotency: readonly IdempotencyRecord[];
  readonly marks: readonly Mark[];
}

/** Throws RangeError where the chunk is larger than a receiver accepts. */
export function encodeSnapshotChunk(chunk: SnapshotChunk): Uint8Array {
  const bytes = encodeFrame(SNAPSHOT_CODEC_VERSION, [
    stateToWire(chunk.state),
    chunk.entries.map(entryToWire),
    chunk.idempotency.map(recordToWire),
    chunk.marks.map(markToWire),
  ]);
  if (bytes.byteLength > SNAPSHOT_CHUNK_BYTES_MAX) throw new RangeError(oversized(bytes));
  return bytes;
}

/** Throws UnknownCodecVersionError or MalformedBytesError. Nothing in the result refers to `bytes`. */
export function decodeSnapshotChunk(bytes: Uint8Array): SnapshotChunk {
  if (bytes.byteLength > SNAPSHOT_CHUNK_BYTES_MAX) throw new MalformedBytesError(oversized(bytes));
  const wire = decodeFrame("snapshot chunk", SNAPSHOT_CODEC_VERSION, bytes);
  refuseNewerFields("snapshot chunk", wire, 4);
  return {
    state: stateFromWire(asArray("state", wire[0])),
    entries: asArray("entries", wire[1]).map(entryFromWire),
    idempotency: asArray("idempotency records", wire[2]).map(recordFromWire),
    marks: asArray("marks", wire[3]).map(markFromWire),
  };
}

function oversized(bytes: Uint8Array): string {
  return `snapshot chunk: expected at most ${SNAPSHOT_CHUNK_BYTES_MAX} bytes, got ${bytes.byteLength}`;
}

function stateToWire({ revision, clockMs, keys, bytes, expiring, idempotencySequence, usage }: StoreState): Wire {
  return [revision, clockMs, keys, bytes, expiring, idempotencySequence, usage.map(usageToWire)];
}

function stateFromWire(row: Wire): StoreState {
  refuseNewerFields("state", row, 7);
  return {
    revision: asCount("revision", row[0]),
    clockMs: asCount("clockMs", row[1]),
    keys: asCount("keys", row[2]),
    bytes: asCount("bytes", row[3]),
    expiring: asCount("expiring", row[4]),
    idempotencySequence: asCount("idempotencySequence", row[5]),
    usage: asArray("usage", row[6]).map(usageFromWire),
  };
}

function usageToWire({ namespace, keys, bytes }: Usage): Wire {
  return [namespace, keys, bytes];
}

function usageFromWire(wire: unknown): Usage {
  const row = asArray("usage", wire);
  refuseNewerFields("usage", row, 3);
  const [namespace, keys, bytes] = [row[0], row[1], row[2]];
  return { namespace: asString("namespace", namespace), keys: asCount("keys", keys), bytes: asCount("bytes", bytes) };
}
