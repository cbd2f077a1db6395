// Pure. Rows and idempotency records on the wire: in snapshots, and in the log of a shard that a slot moves to.

import type { Entry, IdempotencyRecord } from "./entry.ts";
import { extrasFromWire, extrasToWire } from "./entry-codec.ts";
import {
  asArray,
  asBytesCopy,
  asCount,
  asKey,
  asOptionalCount,
  asString,
  keyToWire,
  refuseNewerFields,
  trimmed,
  type Wire,
} from "./framing.ts";
import { outcomeFromWire, outcomeToWire } from "./outcome-codec.ts";

export function entryToWire(entry: Entry): Wire {
  const { slot, version, value, contentType, createdMs, modifiedMs, expiresMs, extras } = entry;
  const start = [slot, keyToWire(entry.key), version, value, contentType, createdMs, modifiedMs];
  return trimmed([...start, expiresMs, extras === undefined ? undefined : extrasToWire(extras)]);
}

export function entryFromWire(wire: unknown): Entry {
  const row = asArray("entry", wire);
  refuseNewerFields("entry", row, 9);
  const extras = row[8];
  return {
    slot: asCount("slot", row[0]),
    key: asKey("key", row[1]),
    version: asCount("version", row[2]),
    value: asBytesCopy("value", row[3]),
    contentType: asString("contentType", row[4]),
    createdMs: asCount("createdMs", row[5]),
    modifiedMs: asCount("modifiedMs", row[6]),
    expiresMs: asOptionalCount("expiresMs", row[7]),
    extras: extras === undefined || extras === null ? undefined : extrasFromWire(asArray("extras", extras)),
  };
}

export function recordToWire(record: IdempotencyRecord): Wire {
  const { slot, id, fingerprint, outcome, expiresMs, sequence } = record;
  return [slot, keyToWire(record.key), id, fingerprint, outcomeToWire(outcome), expiresMs, sequence];
}

export function recordFromWire(wire: unknown): IdempotencyRecord {
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
