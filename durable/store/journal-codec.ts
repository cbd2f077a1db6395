// Pure. Rows of a checkpoint on their way to the tables, as a replica keeps them meanwhile: one part, one row of its journal.

import type { CheckpointRows, RowPosition } from "./entry.ts";
import {
  asArray,
  asCount,
  asKey,
  decodeFrame,
  encodeFrame,
  keyToWire,
  refuseNewerFields,
  type Wire,
} from "./framing.ts";
import { entryFromWire, entryToWire, recordFromWire, recordToWire } from "./row-codec.ts";

/** First byte of every part. */
export const JOURNAL_CODEC_VERSION = 1;

export function encodeJournalPart({ upserts, removals, idempotencyUpserts }: CheckpointRows): Uint8Array {
  return encodeFrame(JOURNAL_CODEC_VERSION, [
    upserts.map(entryToWire),
    removals.map(positionToWire),
    idempotencyUpserts.map(recordToWire),
  ]);
}

/** Throws UnknownCodecVersionError or MalformedBytesError. Nothing in the result refers to `bytes`. */
export function decodeJournalPart(bytes: Uint8Array): CheckpointRows {
  const wire = decodeFrame("journal part", JOURNAL_CODEC_VERSION, bytes);
  refuseNewerFields("journal part", wire, 3);
  return {
    upserts: asArray("upserts", wire[0]).map(entryFromWire),
    removals: asArray("removals", wire[1]).map(positionFromWire),
    idempotencyUpserts: asArray("idempotency records", wire[2]).map(recordFromWire),
  };
}

function positionToWire({ slot, key }: RowPosition): Wire {
  return [slot, keyToWire(key)];
}

function positionFromWire(wire: unknown): RowPosition {
  const row = asArray("removal", wire);
  refuseNewerFields("removal", row, 2);
  return { slot: asCount("slot", row[0]), key: asKey("key", row[1]) };
}
