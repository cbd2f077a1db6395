// Pure. What an entry or a record weighs, for budgets: the clean cache, the unwritten changes, a snapshot chunk.
// Estimates of memory, deliberately on the high side; nothing that replicas must agree on depends on them.

import type { Entry, IdempotencyRecord } from "./entry.ts";

/** Object header, map slot, ArrayBuffer and its backing store, as V8 keeps them: about 250 bytes, rounded up. */
const ENTRY_OVERHEAD_BYTES = 256;
const RECORD_OVERHEAD_BYTES = 256;
/** V8 keeps a string that is not Latin-1 with two bytes a unit. */
const BYTES_PER_UNIT = 2;

export function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + entry.value.byteLength + BYTES_PER_UNIT * (entry.key.length + entry.contentType.length);
}

export function idempotencyRecordBytes(record: IdempotencyRecord): number {
  return RECORD_OVERHEAD_BYTES + BYTES_PER_UNIT * (record.key.length + record.id.length + record.fingerprint.length);
}

/** What remembering a removal costs until the next checkpoint. */
export function removalBytes(key: string): number {
  return RECORD_OVERHEAD_BYTES + BYTES_PER_UNIT * key.length;
}
