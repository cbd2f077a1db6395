// Pure. What rows weigh. `accountedBytes` is part of the state machine: budgets, quotas and evictions follow from it, so all
// replicas must compute the same. The others estimate memory, deliberately on the high side, and decide nothing that
// replicas must agree on.

import type {
  Comparison,
  Conditions,
  ImportMutation,
  KeyMutation,
  Mutation,
  Outcome,
  TransactionOperation,
  VersionMatch,
} from "./command.ts";
import type { Entry, EntryExtras, EntryHead, IdempotencyRecord, Mark } from "./entry.ts";

/** Row header, version and times, as SQLite stores them, rounded up. Never changed: replicas would disagree. */
const ACCOUNTED_ROW_BYTES = 64;

export function accountedBytes({ key, value, contentType, extras }: Entry): number {
  const bytes = ACCOUNTED_ROW_BYTES + key.length + value.byteLength + contentType.length;
  return extras === undefined ? bytes : bytes + extrasLength(extras);
}

/** The same of a row whose value was not read. */
export function accountedHeadBytes({ key, size, contentType, extras }: EntryHead): number {
  const bytes = ACCOUNTED_ROW_BYTES + key.length + size + contentType.length;
  return extras === undefined ? bytes : bytes + extrasLength(extras);
}

function extrasLength({ metadata, tags }: EntryExtras): number {
  let length = metadata?.length ?? 0;
  if (tags !== undefined) for (const tag of tags) length += tag.length;
  return length;
}

/** Object header, map slot, ArrayBuffer and its backing store, as V8 keeps them: about 250 bytes, rounded up. */
const ENTRY_OVERHEAD_BYTES = 256;
const EXTRAS_OVERHEAD_BYTES = 128;
const RECORD_OVERHEAD_BYTES = 256;
/** V8 keeps a string that is not Latin-1 with two bytes a unit. */
const BYTES_PER_UNIT = 2;

export function entryBytes({ key, value, contentType, extras }: Entry): number {
  const bytes = ENTRY_OVERHEAD_BYTES + value.byteLength + BYTES_PER_UNIT * (key.length + contentType.length);
  if (extras === undefined) return bytes;
  const tags = extras.tags?.length ?? 0;
  return bytes + EXTRAS_OVERHEAD_BYTES + BYTES_PER_UNIT * (extrasLength(extras) + tags * BYTES_PER_UNIT);
}

export function idempotencyRecordBytes(record: IdempotencyRecord): number {
  const { key, id, fingerprint, outcome } = record;
  const units = key.length + id.length + fingerprint.length;
  return RECORD_OVERHEAD_BYTES + bytesReturned(outcome) + BYTES_PER_UNIT * units;
}

export function markBytes(mark: Mark): number {
  const holder = mark.kind === "fill" ? (mark.holder?.length ?? 0) : 0;
  return RECORD_OVERHEAD_BYTES + BYTES_PER_UNIT * (mark.name.length + holder);
}

/** Bytes of the values in an outcome. */
export function bytesReturned(outcome: Outcome): number {
  switch (outcome.kind) {
    case "stored":
    case "deleted":
      return outcome.previous?.value.byteLength ?? 0;
    case "value":
      return outcome.found?.value.byteLength ?? 0;
    case "transaction":
      return outcome.results.reduce((sum, result) => sum + bytesReturned(result), 0);
    default:
      return 0;
  }
}

/** What remembering a removal costs until the next checkpoint. */
export function removalBytes(key: string): number {
  return RECORD_OVERHEAD_BYTES + BYTES_PER_UNIT * key.length;
}

/** Fixed cost charged for a mutation on the wire beside what varies in it: a put with every field has about 100. */
const MUTATION_OVERHEAD_BYTES = 128;
/** Slot, version and the lengths in front, for each row reclaimed. */
const ROW_OVERHEAD_BYTES = 24;
/** A version in a condition is a number of at most this many bytes on the wire. */
const VERSION_BYTES = 9;
/** A string of n UTF-16 units has at most 3n bytes of UTF-8. */
const BYTES_PER_UNIT_MAX = 3;

/** An upper bound of its bytes in a log entry: a row holds 2 MB, and 1,024 mutations with long headers would pass it. */
export function mutationBytes(mutation: Mutation | TransactionOperation | Comparison): number {
  if ("kind" in mutation && mutation.kind === "import") return importBytes(mutation);
  if (!("key" in mutation)) return MUTATION_OVERHEAD_BYTES + unitsOfOwn(mutation) * BYTES_PER_UNIT_MAX;
  const target = MUTATION_OVERHEAD_BYTES + mutation.key.length * BYTES_PER_UNIT_MAX;
  if ("kind" in mutation && mutation.kind === "get") return target;
  const bytes = target + conditionBytes(mutation);
  if (!("kind" in mutation)) return bytes;
  const { idempotency } = mutation;
  const units = (idempotency?.id.length ?? 0) + (idempotency?.fingerprint.length ?? 0) + unitsOf(mutation);
  return bytes + units * BYTES_PER_UNIT_MAX + valueBytes(mutation);
}

/** What rows and records weigh in memory is never far below what they do on the wire. */
function importBytes({ rows, removals, records }: ImportMutation): number {
  let bytes = MUTATION_OVERHEAD_BYTES;
  for (const row of rows) bytes += entryBytes(row);
  for (const key of removals) bytes += removalBytes(key);
  for (const record of records) bytes += idempotencyRecordBytes(record);
  return bytes;
}

function conditionBytes({ ifMatch, ifNoneMatch, ifValue }: Conditions): number {
  return (versionCount(ifMatch) + versionCount(ifNoneMatch)) * VERSION_BYTES + (ifValue?.byteLength ?? 0);
}

function unitsOfOwn(mutation: Exclude<Mutation, KeyMutation | ImportMutation>): number {
  switch (mutation.kind) {
    case "purge": {
      const { scope } = mutation;
      return scope.namespace.length + (scope.kind === "tag" ? scope.tag : scope.prefix).length;
    }
    case "reclaim":
      return mutation.rows.reduce((sum, { key }) => sum + key.length + ROW_OVERHEAD_BYTES / BYTES_PER_UNIT_MAX, 0);
    case "found_slots":
      return mutation.slots.byteLength;
    case "forget_purges":
    case "move":
      return 0;
  }
}

function unitsOf(mutation: KeyMutation): number {
  switch (mutation.kind) {
    case "put": {
      const { contentType, parts, metadata, tags } = mutation;
      const units = contentType.length + (metadata?.length ?? 0) + (parts?.upload.length ?? 0);
      return units + (tags?.reduce((sum, tag) => sum + tag.length + 1, 0) ?? 0);
    }
    case "stage":
      return mutation.upload.length;
    case "append":
      return mutation.contentType.length;
    case "begin_fill":
      return mutation.holder?.length ?? 0;
    case "increment": {
      const { by, initial, min, max } = mutation;
      return by.length + (initial?.length ?? 0) + (min?.length ?? 0) + (max?.length ?? 0);
    }
    default:
      return 0;
  }
}

function valueBytes(mutation: KeyMutation): number {
  switch (mutation.kind) {
    case "put":
    case "append":
    case "stage":
      return mutation.value.byteLength;
    case "transaction": {
      const { compare, onSuccess, onFailure } = mutation;
      return [...compare, ...onSuccess, ...onFailure].reduce((sum, one) => sum + mutationBytes(one), 0);
    }
    default:
      return 0;
  }
}

function versionCount(match: VersionMatch | undefined): number {
  return match === undefined || match === "any" ? 0 : match.length;
}
