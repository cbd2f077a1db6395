// Pure. Batches and outcomes as bytes: what one log entry carries, and what an idempotency record remembers.
//
// Compatibility, while replicas of one group run different code:
// - Old bytes stay readable: kind numbers are never reused, fields never move, new fields go to the end and are optional.
// - New bytes are refused by old code, not skipped: a mutation is an array of its own, so an unknown kind or an extra
//   field is seen as such, and throws. Code that writes a new kind or field (increments, tags, intents of cross-shard
//   transactions) therefore ships one release after the code that reads it.
// - CODEC_VERSION rises only when the frame itself changes.

import type { Batch, Conditions, DeleteMutation, Mutation, Outcome, PutMutation, VersionMatch } from "./command.ts";
import {
  asArray,
  asBoolean,
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
  UnknownCodecVersionError,
  WIRE_ARRAY_LENGTH_MAX,
} from "./framing.ts";

export { MalformedBytesError, UnknownCodecVersionError } from "./framing.ts";

/** First byte of every encoded batch and outcome. */
export const CODEC_VERSION = 1;

// Mutation kinds on the wire.
//   put:    [0, slot, key, value, contentType, ttlMs?, ifMatch?, ifNoneMatch?, idempotencyId?, fingerprint?]
//   delete: [1, slot, key, ifMatch?, ifNoneMatch?, idempotencyId?, fingerprint?]
const WIRE_PUT = 0;
const WIRE_PUT_TTL = 5;
const WIRE_PUT_HEADER = 6;
const WIRE_DELETE = 1;
const WIRE_DELETE_HEADER = 3;
/** ifMatch, ifNoneMatch, idempotencyId, fingerprint. */
const WIRE_HEADER_FIELDS = 4;

// Outcome kinds on the wire.
//   stored: [0, version, created, expiresMs?]   deleted: [1, existed]   precondition_failed: [2, version?]   conflict: [3]
const WIRE_STORED = 0;
const WIRE_DELETED = 1;
const WIRE_PRECONDITION_FAILED = 2;
const WIRE_IDEMPOTENCY_CONFLICT = 3;

/** Of valid mutations only (`validateMutation`): a lone surrogate in a key would not survive UTF-8. */
export function encodeBatch(batch: Batch): Uint8Array {
  const { mutations } = batch;
  if (mutations.length > WIRE_ARRAY_LENGTH_MAX) {
    throw new RangeError(`batch: expected at most ${WIRE_ARRAY_LENGTH_MAX} mutations, got ${mutations.length}`);
  }
  return encodeFrame(CODEC_VERSION, [batch.stampMs, mutations.map(mutationToWire)]);
}

/** Throws UnknownCodecVersionError or MalformedBytesError. Nothing in the result refers to `bytes`. */
export function decodeBatch(bytes: Uint8Array): Batch {
  const wire = decodeFrame("batch", CODEC_VERSION, bytes);
  refuseNewerFields("batch", wire, 2);
  return { stampMs: asCount("stampMs", wire[0]), mutations: asArray("mutations", wire[1]).map(mutationFromWire) };
}

/** The bytes of `IdempotencyRecord.outcome` in a table. */
export function encodeOutcome(outcome: Outcome): Uint8Array {
  return encodeFrame(CODEC_VERSION, outcomeToWire(outcome));
}

/** Throws UnknownCodecVersionError or MalformedBytesError. */
export function decodeOutcome(bytes: Uint8Array): Outcome {
  return outcomeFromWire(decodeFrame("outcome", CODEC_VERSION, bytes));
}

function mutationToWire(mutation: Mutation): readonly unknown[] {
  if (mutation.kind === "delete") {
    const wire: unknown[] = [WIRE_DELETE, mutation.slot, keyToWire(mutation.key)];
    if (hasHeader(mutation)) pushHeader(wire, mutation);
    return wire;
  }
  const wire: unknown[] = [WIRE_PUT, mutation.slot, keyToWire(mutation.key), mutation.value, mutation.contentType];
  const conditional = hasHeader(mutation);
  if (conditional || mutation.ttlMs !== undefined) wire.push(mutation.ttlMs);
  if (conditional) pushHeader(wire, mutation);
  return wire;
}

function hasHeader(mutation: Mutation): boolean {
  return mutation.ifMatch !== undefined || mutation.ifNoneMatch !== undefined || mutation.idempotency !== undefined;
}

/** Trailing absent fields are left out, so that a row is never longer than what it says. */
function pushHeader(wire: unknown[], mutation: Mutation): void {
  const { idempotency } = mutation;
  wire.push(matchToWire(mutation.ifMatch));
  if (mutation.ifNoneMatch !== undefined || idempotency !== undefined) wire.push(matchToWire(mutation.ifNoneMatch));
  if (idempotency !== undefined) wire.push(idempotency.id, idempotency.fingerprint);
}

function matchToWire(match: VersionMatch | undefined): true | readonly number[] | undefined {
  return match === "any" ? true : match;
}

function mutationFromWire(wire: unknown): Mutation {
  const row = asArray("mutation", wire);
  switch (row[0]) {
    case WIRE_PUT:
      return putFromWire(row);
    case WIRE_DELETE:
      return deleteFromWire(row);
    default:
      throw unknownKind("mutation", row[0]);
  }
}

function putFromWire(row: readonly unknown[]): PutMutation {
  refuseNewerFields("put", row, WIRE_PUT_HEADER + WIRE_HEADER_FIELDS);
  return {
    kind: "put",
    slot: asCount("slot", row[1]),
    key: asKey("key", row[2]),
    value: asBytesCopy("value", row[3]),
    contentType: asString("contentType", row[4]),
    ttlMs: asOptionalCount("ttlMs", row[WIRE_PUT_TTL]),
    ifMatch: matchFromWire(row[WIRE_PUT_HEADER]),
    ifNoneMatch: matchFromWire(row[WIRE_PUT_HEADER + 1]),
    idempotency: idempotencyFromWire(row[WIRE_PUT_HEADER + 2], row[WIRE_PUT_HEADER + 3]),
  };
}

function deleteFromWire(row: readonly unknown[]): DeleteMutation {
  refuseNewerFields("delete", row, WIRE_DELETE_HEADER + WIRE_HEADER_FIELDS);
  return {
    kind: "delete",
    slot: asCount("slot", row[1]),
    key: asKey("key", row[2]),
    ifMatch: matchFromWire(row[WIRE_DELETE_HEADER]),
    ifNoneMatch: matchFromWire(row[WIRE_DELETE_HEADER + 1]),
    idempotency: idempotencyFromWire(row[WIRE_DELETE_HEADER + 2], row[WIRE_DELETE_HEADER + 3]),
  };
}

function matchFromWire(wire: unknown): Conditions["ifMatch"] {
  if (wire === undefined || wire === null) return undefined;
  if (wire === true) return "any";
  return asArray("versions", wire).map((version) => asCount("version", version));
}

function idempotencyFromWire(id: unknown, fingerprint: unknown): Mutation["idempotency"] {
  if (id === undefined || id === null) return undefined;
  return { id: asString("idempotency id", id), fingerprint: asString("fingerprint", fingerprint) };
}

export function outcomeToWire(outcome: Outcome): readonly unknown[] {
  switch (outcome.kind) {
    case "stored": {
      const { version, created, expiresMs } = outcome;
      return expiresMs === undefined ? [WIRE_STORED, version, created] : [WIRE_STORED, version, created, expiresMs];
    }
    case "deleted":
      return [WIRE_DELETED, outcome.existed];
    case "precondition_failed":
      return outcome.version === undefined ? [WIRE_PRECONDITION_FAILED] : [WIRE_PRECONDITION_FAILED, outcome.version];
    case "idempotency_conflict":
      return [WIRE_IDEMPOTENCY_CONFLICT];
  }
}

export function outcomeFromWire(row: readonly unknown[]): Outcome {
  switch (row[0]) {
    case WIRE_STORED:
      refuseNewerFields("stored", row, 4);
      return {
        kind: "stored",
        version: asCount("version", row[1]),
        created: asBoolean("created", row[2]),
        expiresMs: asOptionalCount("expiresMs", row[3]),
      };
    case WIRE_DELETED:
      refuseNewerFields("deleted", row, 2);
      return { kind: "deleted", existed: asBoolean("existed", row[1]) };
    case WIRE_PRECONDITION_FAILED:
      refuseNewerFields("precondition_failed", row, 2);
      return { kind: "precondition_failed", version: asOptionalCount("version", row[1]) };
    case WIRE_IDEMPOTENCY_CONFLICT:
      refuseNewerFields("idempotency_conflict", row, 1);
      return { kind: "idempotency_conflict" };
    default:
      throw unknownKind("outcome", row[0]);
  }
}

/** A kind that is a number was written by newer code; anything else was never written by any code. */
function unknownKind(what: string, kind: unknown): Error {
  if (typeof kind === "number") return new UnknownCodecVersionError(`${what}: unknown kind ${kind}`);
  return new MalformedBytesError(`${what}: expected a kind number`);
}
