// What kinds of requests can be answered with, beside what all can: lists for the tables of routes.

export const KEY_PROBLEMS = ["malformed-key", "key-too-long", "unexpected-query", "malformed-namespace"] as const;
export const SHARD_PROBLEMS = ["unavailable", "overloaded", "refused-by-replica"] as const;
export const BOOKMARK_PROBLEMS = ["malformed-bookmark", "foreign-bookmark"] as const;
export const READ_PROBLEMS = [
  ...KEY_PROBLEMS,
  ...BOOKMARK_PROBLEMS,
  ...SHARD_PROBLEMS,
  "malformed-consistency",
  "malformed-balance",
  "malformed-condition",
  "malformed-ttl",
  "malformed-fill",
  "malformed-idempotency-key",
  "not-found",
  "precondition-failed",
  "range-not-satisfiable",
] as const;
export const CHANGE_PROBLEMS = [
  ...BOOKMARK_PROBLEMS,
  ...SHARD_PROBLEMS,
  "malformed-idempotency-key",
  "idempotency-conflict",
  "unknown-outcome",
  "table-full",
  "storage-full",
] as const;
export const WRITE_PROBLEMS = [
  ...KEY_PROBLEMS,
  ...CHANGE_PROBLEMS,
  "malformed-condition",
  "precondition-failed",
] as const;
export const BODY_PROBLEMS = ["malformed-body", "body-too-large", "incomplete-body"] as const;
export const CHANGED_SHAPE_PROBLEMS = [
  "malformed-query",
  "unavailable",
  "epoch-conflict",
  "moves-pending",
  "move-finished",
  "nothing-to-change",
  "invalid-change",
] as const;
export const MANY_PROBLEMS = ["malformed-namespace", "malformed-query", ...SHARD_PROBLEMS] as const;
export const LOCK_PROBLEMS = [...KEY_PROBLEMS, ...CHANGE_PROBLEMS] as const;
