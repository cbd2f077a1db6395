// Pure. Batches and outcomes as bytes: what one log entry carries, and what an idempotency record remembers.
//
// Compatibility, while replicas of one group run different code:
// - Old bytes stay readable: kind numbers are never reused, fields never move, new fields go to the end and are optional.
// - New bytes are refused by old code, not skipped: a mutation is an array of its own, so an unknown kind or an extra
//   field is seen as such, and throws. Code that writes a new kind or field (intents of cross-shard transactions)
//   therefore ships one release after the code that reads it.
// - CODEC_VERSION rises only when the frame itself changes.

import type { Batch, Mutation, Outcome } from "./command.ts";
import {
  asArray,
  asCount,
  decodeFrame,
  encodeFrame,
  refuseNewerFields,
  WIRE_ARRAY_LENGTH_MAX,
  type Wire,
} from "./framing.ts";
import { isSlotKind, slotMutationFromWire, slotMutationToWire } from "./move-codec.ts";
import { mutationFromWire, mutationToWire } from "./mutation-codec.ts";
import { outcomeFromWire, outcomeToWire } from "./outcome-codec.ts";

export { MalformedBytesError, UnknownCodecVersionError } from "./framing.ts";

/** First byte of every encoded batch and outcome. */
export const CODEC_VERSION = 1;

/** Of valid mutations only (`validateMutation`): a lone surrogate in a key would not survive UTF-8. */
export function encodeBatch(batch: Batch): Uint8Array {
  const { mutations } = batch;
  if (mutations.length > WIRE_ARRAY_LENGTH_MAX) {
    throw new RangeError(`batch: expected at most ${WIRE_ARRAY_LENGTH_MAX} mutations, got ${mutations.length}`);
  }
  return encodeFrame(CODEC_VERSION, [batch.stampMs, mutations.map(anyToWire)]);
}

/** Throws UnknownCodecVersionError or MalformedBytesError. Nothing in the result refers to `bytes`. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const wire = decodeFrame("batch", CODEC_VERSION, bytes);
  refuseNewerFields("batch", wire, 2);
  return { stampMs: asCount("stampMs", wire[0]), mutations: asArray("mutations", wire[1]).map(anyFromWire) };
}

function anyToWire(mutation: Mutation): Wire {
  switch (mutation.kind) {
    case "found_slots":
    case "move":
    case "import":
      return slotMutationToWire(mutation);
    default:
      return mutationToWire(mutation);
  }
}

function anyFromWire(wire: unknown): Mutation {
  const row = asArray("mutation", wire);
  return isSlotKind(row[0]) ? slotMutationFromWire(row) : mutationFromWire(row);
}

/** The bytes of `IdempotencyRecord.outcome` in a table. */
export function encodeOutcome(outcome: Outcome): Uint8Array {
  return encodeFrame(CODEC_VERSION, outcomeToWire(outcome));
}

/** Throws UnknownCodecVersionError or MalformedBytesError. */
export function decodeOutcome(bytes: Uint8Array): Outcome {
  return outcomeFromWire(decodeFrame("outcome", CODEC_VERSION, bytes));
}
