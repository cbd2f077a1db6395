// Pure. A snapshot as a sequence of chunks: the state's counters with a part of its entries and idempotency records each.
// Every chunk stands alone and says the same state, so that a receiver can check that they belong together.
// Which rows go into which chunk and how they travel is the sender's business; reading them is an adapter's.

import { outcomeFromWire, outcomeToWire } from "./codec.ts";
import type { Entry, IdempotencyRecord, StoreState } from "./entry.ts";
import {
  asArray,
  asBytesCopy,
  asCount,
  asKey,
  asOptionalCount,
  asString,
  decodeFrame,
  encodeFrame,
  keyToWire,
  MalformedBytesError,
  refuseNewerFields,
} from "./framing.ts";

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
}

/** Throws RangeError where the chunk is larger than a receiver accepts. */
export function encodeSnapshotChunk(chunk: SnapshotChunk): Uint8Array {
  const { revision, clockMs, keys, idempotencySequence } = chunk.state;
  const bytes = encodeFrame(SNAPSHOT_CODEC_VERSION, [
    [revision, clockMs, keys, idempotencySequence],
    chunk.entries.map(entryToWire),
    chunk.idempotency.map(recordToWire),
  ]);
  if (bytes.byteLength > SNAPSHOT_CHUNK_BYTES_MAX) throw new RangeError(oversized(bytes));
  return bytes;
}

/** Throws UnknownCodecVersionError or MalformedBytesError. Nothing in the result refers to `bytes`. */
export function decodeSnapshotChunk(bytes: Uint8Array): SnapshotChunk {
  if (bytes.byteLength > SNAPSHOT_CHUNK_BYTES_MAX) throw new MalformedBytesError(oversized(bytes));
  const wire = decodeFrame("snapshot chunk", SNAPSHOT_CODEC_VERSION, bytes);
  refuseNewerFields("snapshot chunk", wire, 3);
  return {
    state: stateFromWire(asArray("state", wire[0])),
    entries: asArray("entries", wire[1]).map(entryFromWire),
    idempotency: asArray("idempotency records", wire[2]).map(recordFromWire),
  };
}

function oversized(bytes: Uint8Array): string {
  return `snapshot chunk: expected at most ${SNAPSHOT_CHUNK_BYTES_MAX} bytes, got ${bytes.byteLength}`;
}

function stateFromWire(row: readonly unknown[]): StoreState {
  refuseNewerFields("state", row, 4);
  return {
    revision: asCount("revision", row[0]),
    clockMs: asCount("clockMs", row[1]),
    keys: asCount("keys", row[2]),
    idempotencySequence: asCount("idempotencySequence", row[3]),
  };
}

function entryToWire(entry: Entry): readonly unknown[] {
  const { slot, version, value, contentType, createdMs, modifiedMs, expiresMs } = entry;
  const wire: unknown[] = [slot, keyToWire(entry.key), version, value, contentType, createdMs, modifiedMs];
  if (expiresMs !== undefined) wire.push(expiresMs);
  return wire;
}

function entryFromWire(wire: unknown): Entry {
  const row = asArray("entry", wire);
  refuseNewerFields("entry", row, 8);
  return {
    slot: asCount("slot", row[0]),
    key: asKey("key", row[1]),
    version: asCount("version", row[2]),
    value: asBytesCopy("value", row[3]),
    contentType: asString("contentType", row[4]),
    createdMs: asCount("createdMs", row[5]),
    modifiedMs: asCount("modifiedMs", row[6]),
    expiresMs: asOptionalCount("expiresMs", row[7]),
  };
}

function recordToWire(record: IdempotencyRecord): readonly unknown[] {
  const { slot, id, fingerprint, outcome, expiresMs, sequence } = record;
  return [slot, keyToWire(record.key), id, fingerprint, outcomeToWire(outcome), expiresMs, sequence];
}

function recordFromWire(wire: unknown): IdempotencyRecord {
  const row = asArray("idempotency record", wire);
  refuseNewerFields("idempotency record", row, 7);
  return {
    slot: asCount("slot", row[0]),
    key: asKey("key", row[1]),
    id: asString("id", row[2]),
    fingerprint: asString("fingerprint", row[3]),
    outcome: outcomeFromWire(asArray("outcome", row[4])),
    expiresMs: asCount("expiresMs", row[5]),
    sequence: asCount("sequence", row[6]),
  };
}
