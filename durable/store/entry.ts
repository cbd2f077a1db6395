// Pure. What the state machine holds, and the port through which it reads what was checkpointed earlier.

import type { Outcome, Parts } from "./command.ts";
import type { KeyRange } from "./keyspace.ts";
import type { SlotState } from "./slots.ts";

/** What only some entries have; a plain one carries none of it. */
export interface EntryExtras {
  /** First millisecond at which the value is stale; absent: as fresh as it exists. */
  readonly staleMs?: number | undefined;
  /** RFC 5861: milliseconds after `staleMs` in which the stale value may be served while somebody loads a new one. */
  readonly staleWhileRevalidateMs?: number | undefined;
  readonly staleIfErrorMs?: number | undefined;
  /** Milliseconds that an access gives it. */
  readonly slidingMs?: number | undefined;
  readonly metadata?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly sourceVersion?: number | undefined;
  /** The value is not in the entry but in rows of its own. */
  readonly parts?: Parts | undefined;
  /** It was purged softly: `staleMs` is never later than this, whatever lifetime it is given. Only a new value ends it. */
  readonly purgedMs?: number | undefined;
  /**
   * Of a row that came from another shard: this shard's revision when it came. Purges compare with it, since the version, which
   * the row keeps, is of the other's sequence.
   */
  readonly purgeRevision?: number | undefined;
}

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
  readonly extras?: EntryExtras | undefined;
}

/** An entry without its value, as scans and sweeps see it. */
export interface EntryHead extends Omit<Entry, "value"> {
  /** Bytes of the value in the entry itself. */
  readonly size: number;
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

/** Rows and bytes of one namespace, dead rows included until they are reclaimed. */
export interface Usage {
  readonly namespace: string;
  readonly keys: number;
  readonly bytes: number;
}

/** The counters of the state machine, persisted with each checkpoint. */
export interface StoreState {
  /** Mutations that changed something so far; the next change gets `revision + 1` as its version. */
  readonly revision: number;
  /** Highest stamp applied so far. */
  readonly clockMs: number;
  /** Users' entries present, dead ones included until a mutation removes them. */
  readonly keys: number;
  /** Bytes of all rows by `accountedBytes`, own ones included. */
  readonly bytes: number;
  /** Rows that have an expiry. */
  readonly expiring: number;
  /** `sequence` of the newest idempotency record; 0 before the first. */
  readonly idempotencySequence: number;
  /** Sorted by name; namespaces without rows are left out. */
  readonly usage: readonly Usage[];
  /** See range-hashes.ts. Absent: not known. Not in snapshots: their receiver sums up what it gets. */
  readonly ranges?: readonly number[] | undefined;
}

export type PurgeKind = "tag" | "prefix" | "namespace";

/** Something that a shard keeps in memory whole, because every read may need it: see marks.ts. */
export type Mark =
  | {
      readonly kind: PurgeKind;
      /** Tag and prefix as `storedKey` writes them, or the namespace. */
      readonly name: string;
      /** Rows in scope of a lower version are gone; 0: none. */
      readonly hardRevision: number;
      /** Rows in scope of a lower version are stale since `softMs`; 0: none. */
      readonly softRevision: number;
      readonly softMs: number;
    }
  | {
      readonly kind: "fill";
      readonly slot: number;
      readonly name: string;
      readonly token: number;
      readonly untilMs: number;
      /** Who has it, if the caller said so. */
      readonly holder?: string | undefined;
    }
  /** The slots that were this shard's before any of its slots moved, as a bitmap. */
  | { readonly kind: "founding"; readonly name: string; readonly slots: Uint8Array }
  /** How far the log of another shard had come when something of it came here: see slots.ts. */
  | {
      readonly kind: "past";
      /** One of PAST_SHARDS_MAX numbers. */
      readonly name: string;
      readonly shard: number;
      readonly index: number;
      /** Epoch of the move that brought it. */
      readonly move: number;
    }
  /** What the log says of a slot that is not as it was founded: see slots.ts. */
  | {
      readonly kind: "slot";
      /** The slot in decimal. */
      readonly name: string;
      readonly slot: number;
      readonly state: SlotState;
      /** Epoch of the move by which the slot is, or last was, this shard's; 0: from the start. */
      readonly since: number;
      /** Epoch of the latest move that this log knows of; of an owned slot: the one that made it so, or that was called off. */
      readonly move: number;
      /** Of that move, numbered by the source's log. */
      readonly attempt: number;
      /** The shard at the other end. */
      readonly peer: number;
      /** Rows of a lower revision are left over and count for nothing. */
      readonly base: number;
      /** Chunks that came with the move, the rows that they have left, and the sum of these rows' digests. */
      readonly chunks: number;
      readonly rows: number;
      readonly digest: number;
      /** Of a moved slot: what its new owner goes on from, so that versions do not go back. */
      readonly revision: number;
    };

/** Position in the order of slots and, within a slot, of keys. */
export interface RowPosition {
  readonly slot: number;
  readonly key: string;
}

/** The state as of the last checkpoint, read synchronously (SQLite in the object, a map in tests). */
export interface CheckpointReader {
  entry(slot: number, key: string): Entry | undefined;
  idempotency(slot: number, key: string, id: string): IdempotencyRecord | undefined;
  /** At most `limit` records of one slot after (`key`, `id`), in order. */
  records(slot: number, after: Pick<IdempotencyRecord, "key" | "id">, limit: number): readonly IdempotencyRecord[];
  /** At most `limit` rows of one slot within `range`, in order of `compareKeys`. */
  heads(slot: number, range: KeyRange, limit: number): readonly EntryHead[];
  /** At most `limit` rows of any slot after `after`, in order. */
  headsAfter(after: RowPosition, limit: number): readonly EntryHead[];
  marks(): readonly Mark[];
}

/**
 * Everything that changed since the last checkpoint. To be written in one transaction. Upserts replace by (slot, key), by
 * (slot, key, id) and by (kind, name). Expired entries stay in the table until a mutation removes them: the counters say
 * what the log says.
 */
export interface CheckpointDelta extends CheckpointRows {
  readonly state: StoreState;
  /** Idempotency records that expire at or before this time can be deleted. */
  readonly idempotencyExpiredMs: number;
  /** Idempotency records up to this sequence no longer count either and can be deleted; 0 or less: none. */
  readonly idempotencyEvictedSequence: number;
  readonly markUpserts: readonly Mark[];
  readonly markRemovals: readonly Pick<Mark, "kind" | "name">[];
}

/** What a checkpoint may have very many of, in whole or in part. */
export interface CheckpointRows {
  readonly upserts: readonly Entry[];
  readonly removals: readonly RowPosition[];
  readonly idempotencyUpserts: readonly IdempotencyRecord[];
}
