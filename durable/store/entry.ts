// Pure. What the state machine holds, and the port through which it reads what was checkpointed earlier.

import type { Outcome } from "./command.ts";

/** One live value. Times are milliseconds since the Unix epoch on the shard's stamped clock. */
export interface Entry {
  readonly slot: number;
  readonly key: string;
  /** The store's revision when this value was written: unique and increasing within the shard. */
  readonly version: number;
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly createdMs: number;
  readonly modifiedMs: number;
  /** First millisecond at which the entry no longer exists; absent: it never expires. */
  readonly expiresMs?: number | undefined;
}

/** The remembered outcome of a mutation that carried an idempotency key. */
export interface IdempotencyRecord {
  readonly slot: number;
  readonly key: string;
  readonly id: string;
  readonly fingerprint: string;
  readonly outcome: Outcome;
  /** First millisecond of the stamped clock at which the record no longer counts; never less than an older record's. */
  readonly expiresMs: number;
  /** The shard's how-manieth record this is, from 1: only the newest IDEMPOTENCY_RECORDS_MAX count. */
  readonly sequence: number;
}

/** The counters of the state machine, persisted with each checkpoint. */
export interface StoreState {
  /** Mutations that changed something so far; the next change gets `revision + 1` as its version. */
  readonly revision: number;
  /** Highest stamp applied so far. */
  readonly clockMs: number;
  /** Entries present, expired ones included until they are overwritten or deleted by a mutation. */
  readonly keys: number;
  /** `sequence` of the newest idempotency record; 0 before the first. */
  readonly idempotencySequence: number;
}

/** The state as of the last checkpoint, read synchronously (SQLite in the object, a map in tests). */
export interface CheckpointReader {
  entry(slot: number, key: string): Entry | undefined;
  idempotency(slot: number, key: string, id: string): IdempotencyRecord | undefined;
}

/**
 * Everything that changed since the last checkpoint. To be written in one transaction. Upserts replace by (slot, key) and
 * by (slot, key, id). Expired entries stay in the table until a mutation removes them: `keys` counts what the log says.
 */
export interface CheckpointDelta {
  readonly state: StoreState;
  readonly upserts: readonly Entry[];
  readonly removals: readonly { readonly slot: number; readonly key: string }[];
  readonly idempotencyUpserts: readonly IdempotencyRecord[];
  /** Idempotency records that expire at or before this time can be deleted. */
  readonly idempotencyExpiredMs: number;
  /** Idempotency records up to this sequence no longer count either and can be deleted; 0 or less: none. */
  readonly idempotencyEvictedSequence: number;
}
