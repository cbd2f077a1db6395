// Pure. Outcomes on the wire: what an idempotency record remembers. `[kind, …fields]`, as mutations are written.

import type { Outcome, ReturnedValue } from "./command.ts";
import { slotStateFromWire, slotStateToWire } from "./entry-codec.ts";
import {
  asArray,
  asBoolean,
  asBytesCopy,
  asCount,
  asOptionalCount,
  asString,
  MalformedBytesError,
  refuseNewerFields,
  trimmed,
  type Wire,
} from "./framing.ts";
import { unknownKind } from "./mutation-codec.ts";

/** Never reused. */
const KIND = {
  stored: 0,
  deleted: 1,
  precondition_failed: 2,
  idempotency_conflict: 3,
  touched: 4,
  number: 5,
  fill_granted: 6,
  limited: 7,
  transaction: 8,
  purged: 9,
  staged: 10,
  reclaimed: 11,
  value: 12,
  not_found: 13,
  not_a_number: 14,
  out_of_range: 15,
  too_large: 16,
  fill_held: 17,
  fill_unneeded: 18,
  fill_refused: 19,
  table_full: 20,
  incomplete_upload: 21,
  transaction_failed: 22,
  fill_released: 23,
  moving: 24,
  moved: 25,
  slots_founded: 26,
  move: 27,
} as const satisfies Record<Outcome["kind"], number>;

const KINDS = Object.entries(KIND) as readonly (readonly [Outcome["kind"], number])[];
const NAMES = new Map(KINDS.map(([name, number]) => [number, name]));

export function outcomeToWire(outcome: Outcome): Wire {
  return trimmed([KIND[outcome.kind], ...fieldsToWire(outcome)]);
}

function fieldsToWire(outcome: Outcome): Wire {
  switch (outcome.kind) {
    case "stored":
      return [outcome.version, outcome.created, outcome.expiresMs, valueToWire(outcome.previous)];
    case "deleted":
      return [outcome.existed, valueToWire(outcome.previous)];
    case "touched":
      return [outcome.version, outcome.expiresMs];
    case "number":
      return [outcome.value, outcome.version, outcome.created, outcome.expiresMs];
    case "fill_granted":
      return [outcome.token, outcome.untilMs];
    case "fill_released":
      return [outcome.existed];
    case "limited":
      return [outcome.isAllowed, outcome.remaining, outcome.resetMs];
    case "transaction":
      return [outcome.succeeded, outcome.results.map(outcomeToWire)];
    case "transaction_failed":
      return [outcome.at, outcomeToWire(outcome.outcome)];
    case "purged":
      return [outcome.revision];
    case "move": {
      const { isDone, state, move, attempt } = outcome;
      return [isDone, state === undefined ? undefined : slotStateToWire(state), move, attempt];
    }
    case "reclaimed":
      return [outcome.rows];
    case "value":
      return [valueToWire(outcome.found)];
    case "precondition_failed":
      return [outcome.version, outcome.sourceVersion];
    case "not_a_number":
    case "fill_unneeded":
    case "fill_refused":
      return [outcome.version];
    case "out_of_range":
      return [outcome.value];
    case "too_large":
      return [outcome.bytes];
    case "fill_held":
      return [outcome.untilMs];
    case "staged":
    case "idempotency_conflict":
    case "not_found":
    case "table_full":
    case "incomplete_upload":
    case "moving":
    case "moved":
    case "slots_founded":
      return [];
  }
}

/** Fields of each kind, the kind's own number not counted. */
const FIELDS: Readonly<Record<Outcome["kind"], number>> = {
  stored: 4,
  deleted: 2,
  touched: 2,
  number: 4,
  fill_granted: 2,
  fill_released: 1,
  limited: 3,
  transaction: 2,
  transaction_failed: 2,
  purged: 1,
  reclaimed: 1,
  value: 1,
  precondition_failed: 2,
  not_a_number: 1,
  fill_unneeded: 1,
  fill_refused: 1,
  out_of_range: 1,
  too_large: 1,
  fill_held: 1,
  staged: 0,
  idempotency_conflict: 0,
  not_found: 0,
  table_full: 0,
  incomplete_upload: 0,
  moving: 0,
  moved: 0,
  slots_founded: 0,
  move: 4,
};

export function outcomeFromWire(row: Wire): Outcome {
  const kind = typeof row[0] === "number" ? NAMES.get(row[0]) : undefined;
  if (kind === undefined) throw unknownKind("outcome", row[0]);
  refuseNewerFields(kind, row, 1 + FIELDS[kind]);
  switch (kind) {
    case "stored":
      return {
        kind,
        version: asCount("version", row[1]),
        created: asBoolean("created", row[2]),
        expiresMs: asOptionalCount("expiresMs", row[3]),
        previous: valueFromWire(row[4]),
      };
    case "deleted":
      return { kind, existed: asBoolean("existed", row[1]), previous: valueFromWire(row[2]) };
    case "touched":
      return { kind, version: asCount("version", row[1]), expiresMs: asOptionalCount("expiresMs", row[2]) };
    case "number":
      return {
        kind,
        value: asString("value", row[1]),
        version: asCount("version", row[2]),
        created: asBoolean("created", row[3]),
        expiresMs: asOptionalCount("expiresMs", row[4]),
      };
    case "fill_granted":
      return { kind, token: asCount("token", row[1]), untilMs: asCount("untilMs", row[2]) };
    case "limited":
      return {
        kind,
        isAllowed: asBoolean("isAllowed", row[1]),
        remaining: asCount("remaining", row[2]),
        resetMs: asCount("resetMs", row[3]),
      };
    case "transaction":
      return {
        kind,
        succeeded: asBoolean("succeeded", row[1]),
        results: asArray("results", row[2]).map(innerFromWire),
      };
    case "transaction_failed":
      return { kind, at: asCount("at", row[1]), outcome: innerFromWire(row[2]) };
    case "value":
      return { kind, found: valueFromWire(row[1]) };
    case "move":
      return {
        kind,
        isDone: asBoolean("isDone", row[1]),
        state: row[2] === undefined || row[2] === null ? undefined : slotStateFromWire(row[2]),
        move: asCount("move", row[3]),
        attempt: asCount("attempt", row[4]),
      };
    default:
      return plainOutcomeFromWire(kind, row);
  }
}

/** An outcome in that of a transaction, which is none itself: bytes that say otherwise would be read as deep as they say. */
function innerFromWire(wire: unknown): Outcome {
  const row = asArray("outcome", wire);
  if (row[0] !== KIND.transaction && row[0] !== KIND.transaction_failed) return outcomeFromWire(row);
  throw new MalformedBytesError("outcome: expected no transaction in a transaction");
}

/** The kinds with one field or none. */
function plainOutcomeFromWire(
  kind: Exclude<
    Outcome["kind"],
    | "stored"
    | "deleted"
    | "touched"
    | "number"
    | "fill_granted"
    | "limited"
    | "transaction"
    | "transaction_failed"
    | "value"
    | "move"
  >,
  row: Wire,
): Outcome {
  switch (kind) {
    case "purged":
      return { kind, revision: asCount("revision", row[1]) };
    case "reclaimed":
      return { kind, rows: asCount("rows", row[1]) };
    case "fill_released":
      return { kind, existed: asBoolean("existed", row[1]) };
    case "precondition_failed":
      return {
        kind,
        version: asOptionalCount("version", row[1]),
        sourceVersion: asOptionalCount("sourceVersion", row[2]),
      };
    case "not_a_number":
    case "fill_unneeded":
      return { kind, version: asCount("version", row[1]) };
    case "fill_refused":
      return { kind, version: asOptionalCount("version", row[1]) };
    case "out_of_range":
      return { kind, value: asString("value", row[1]) };
    case "too_large":
      return { kind, bytes: asCount("bytes", row[1]) };
    case "fill_held":
      return { kind, untilMs: asCount("untilMs", row[1]) };
    case "staged":
    case "idempotency_conflict":
    case "not_found":
    case "table_full":
    case "incomplete_upload":
    case "moving":
    case "moved":
    case "slots_founded":
      return { kind };
  }
}

function valueToWire(value: ReturnedValue | undefined): Wire | undefined {
  return value === undefined ? undefined : [value.version, value.value, value.contentType];
}

function valueFromWire(wire: unknown): ReturnedValue | undefined {
  if (wire === undefined || wire === null) return undefined;
  const row = asArray("value", wire);
  refuseNewerFields("value", row, 3);
  return {
    version: asCount("version", row[0]),
    value: asBytesCopy("value", row[1]),
    contentType: asString("contentType", row[2]),
  };
}
