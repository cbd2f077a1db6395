// Pure. What the log says: mutations of the cache, batched, stamped by the leader and applied in log order by every
// replica. The bytes start with a version, so that a replica refuses what it cannot read instead of guessing.
//
// All keys here are stored keys (keyspace.ts): the namespace is part of them.

import type { Entry, IdempotencyRecord } from "./entry.ts";
import type { SlotState } from "./slots.ts";

/** RFC 9110 section 13.1: `any` is `*`. Weak validators never match (section 8.8.3.2), so versions are plain numbers. */
export type VersionMatch = "any" | readonly number[];

export interface Conditions {
  /** Apply only if the entry exists and has one of these versions. */
  readonly ifMatch?: VersionMatch | undefined;
  /** Apply only if the entry does not exist (`any`) or has none of these versions. */
  readonly ifNoneMatch?: VersionMatch | undefined;
  /** Apply only if the entry exists and its value is exactly this. */
  readonly ifValue?: Uint8Array | undefined;
  /** The caller's own version of what it writes: apply only if the entry has none, or a lower one, and keep it. */
  readonly sourceVersion?: number | undefined;
}

/** Makes a retry safe: the first application's outcome is remembered under (key, id) and returned again. */
export interface Idempotency {
  readonly id: string;
  /** A hash of the request: the same id with another request is a conflict. */
  readonly fingerprint: string;
}

export interface MutationHeader extends Conditions {
  readonly slot: number;
  readonly key: string;
  readonly idempotency?: Idempotency | undefined;
}

/**
 * How long something written lives, counted from the batch's stamp. Without any field it lives for ever. RFC 5861's two
 * windows follow the fresh time: in them the entry exists and is stale.
 */
export interface Lifetime {
  /** Milliseconds of freshness. */
  readonly ttlMs?: number | undefined;
  /** The same as a point in time, milliseconds since the Unix epoch; `ttlMs` goes before it. */
  readonly expiresAtMs?: number | undefined;
  readonly staleWhileRevalidateMs?: number | undefined;
  readonly staleIfErrorMs?: number | undefined;
  /** Every read gives it this many milliseconds more; not together with the others. */
  readonly slidingMs?: number | undefined;
}

/** A value that was staged in parts. */
export interface Parts {
  readonly upload: string;
  readonly count: number;
  readonly bytes: number;
}

export interface PutMutation extends MutationHeader, Lifetime {
  readonly kind: "put";
  /** Empty where the value is in `parts`. */
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly parts?: Parts | undefined;
  /** The user's, opaque. */
  readonly metadata?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** The lease under which the value was loaded; the put is refused if it is not in force any more. */
  readonly fillToken?: number | undefined;
  readonly returnPrevious?: boolean | undefined;
}

export interface DeleteMutation extends MutationHeader {
  readonly kind: "delete";
  readonly returnPrevious?: boolean | undefined;
}

/**
 * Gives an entry another lifetime, without any time for ever; value and version stay, and with the version the purges that
 * concern it: what was purged softly stays stale. Its `sourceVersion` is a condition and is not kept, as the value is not new.
 */
export interface TouchMutation extends MutationHeader, Lifetime {
  readonly kind: "touch";
  /** Read access to an entry with a sliding lifetime, which it gets again: does nothing to any other. No time beside it. */
  readonly isAccess?: boolean | undefined;
  /** A soft purge of this key: stale from now on, its lifetime as it was, and a fill under way is refused. No time beside it. */
  readonly softens?: boolean | undefined;
}

/** Adds to the decimal number that the value is; the lifetime counts only where the entry is created. */
export interface IncrementMutation extends MutationHeader, Lifetime {
  readonly kind: "increment";
  /** Decimal text: a 64-bit integer, or with `isFloat` any finite number. */
  readonly by: string;
  readonly isFloat?: boolean | undefined;
  /** What the number is taken to be where there is no entry; "0" where absent. */
  readonly initial?: string | undefined;
  readonly min?: string | undefined;
  readonly max?: string | undefined;
  /** Stop at the bound instead of refusing. */
  readonly clamps?: boolean | undefined;
}

export interface AppendMutation extends MutationHeader, Lifetime {
  readonly kind: "append";
  readonly value: Uint8Array;
  /** Where the entry is created. */
  readonly contentType: string;
}

/** One part of a large value, stored under a key of its own until a put names the upload. `key` is the value's. */
export interface StageMutation extends MutationHeader {
  readonly kind: "stage";
  readonly upload: string;
  readonly part: number;
  readonly value: Uint8Array;
}

/** Asks for the right to load a value that is missing or stale: one caller gets it, until the deadline. */
export interface BeginFillMutation extends MutationHeader {
  readonly kind: "begin_fill";
  readonly leaseMs: number;
  /** Also where the entry is fresh: an early refresh. */
  readonly isEarly?: boolean | undefined;
  /** Who asks: while the lease lasts, the same one gets the same token again. Whoever says nothing has no second chance. */
  readonly holder?: string | undefined;
}

/** Gives the right of a fill back before its time is over. */
export interface ReleaseFillMutation extends MutationHeader {
  readonly kind: "release_fill";
  readonly token: number;
}

export type LimitAlgorithm = "fixed_window" | "sliding_window";

/** Takes `cost` out of a budget of `limit` per window, if it is there. */
export interface LimitMutation extends MutationHeader {
  readonly kind: "limit";
  readonly limit: number;
  readonly windowMs: number;
  readonly cost: number;
  readonly algorithm: LimitAlgorithm;
}

export interface Comparison extends Conditions {
  readonly slot: number;
  readonly key: string;
}

export interface GetOperation {
  readonly kind: "get";
  readonly slot: number;
  readonly key: string;
}

export type TransactionOperation =
  | GetOperation
  | PutMutation
  | DeleteMutation
  | TouchMutation
  | IncrementMutation
  | AppendMutation;

/** All keys are in one slot. If all comparisons hold, `onSuccess` is done, otherwise `onFailure`; all of it, or none. */
export interface TransactionMutation extends MutationHeader {
  readonly kind: "transaction";
  readonly compare: readonly Comparison[];
  readonly onSuccess: readonly TransactionOperation[];
  readonly onFailure: readonly TransactionOperation[];
}

export type PurgeScope =
  | { readonly kind: "tag"; readonly namespace: string; readonly tag: string }
  /** A namespace is the empty prefix. */
  | { readonly kind: "prefix"; readonly namespace: string; readonly prefix: string };

/** Takes away (`soft`: makes stale) all that was written in this shard before and is in the scope. O(1) in the log. */
export interface PurgeMutation {
  readonly kind: "purge";
  readonly scope: PurgeScope;
  readonly isSoft: boolean;
  readonly idempotency?: undefined;
}

/**
 * Removes rows that a leader found dead, each only if it is still of that version and dead. Race: a touch that was on its
 * way while the leader looked gives the same version a longer life. Parts of an upload are dead while no entry names it.
 */
export interface ReclaimMutation {
  readonly kind: "reclaim";
  /** Removes living rows too: an eviction. Parts still go only without the entry that names them. */
  readonly evicts?: boolean | undefined;
  /** Removes nothing, but writes into rows that were purged softly that they were: no purge is remembered for them any more. */
  readonly softens?: boolean | undefined;
  readonly rows: readonly { readonly slot: number; readonly key: string; readonly version: number }[];
  readonly idempotency?: undefined;
}

/** No row from before this revision is left that a purge concerns: purges up to it need not be remembered. */
export interface ForgetPurgesMutation {
  readonly kind: "forget_purges";
  readonly revision: number;
  readonly idempotency?: undefined;
}

/** The slots that are this shard's before the first move in which it takes part; repeated: what was said first counts. */
export interface FoundSlotsMutation {
  readonly kind: "found_slots";
  /** A bitmap: see slots.ts. */
  readonly slots: Uint8Array;
  readonly idempotency?: undefined;
}

/** Which attempt at which move of a slot. */
export interface MoveId {
  readonly slot: number;
  /** Epoch of the topology that planned the move. */
  readonly move: number;
  /** Numbered by the source's log. */
  readonly attempt: number;
}

/** A place in the log of another shard. */
export interface LogPlace {
  readonly shard: number;
  readonly index: number;
}

/** One step of a move, in the log of the shard that it is taken in. What it may do is decided when it is applied: slots.ts. */
export type MoveStep =
  /** Source: begins, or begins anew. The outcome says the attempt's number. */
  | { readonly step: "begin"; readonly slot: number; readonly move: number; readonly to: number }
  /** Source: from here on nothing changes in the slot. */
  | ({ readonly step: "freeze" } & MoveId)
  /** Source: goes on as the owner, and may begin again. */
  | ({ readonly step: "thaw" } & MoveId)
  /** Source: the decision. The slot is not this shard's any more. */
  | ({ readonly step: "out" } & MoveId)
  /** Source: this move will never be made, unless it has been. */
  | { readonly step: "call_off"; readonly slot: number; readonly move: number }
  /** Target: what it holds of the slot counts for nothing; rows may come. */
  | ({ readonly step: "import"; readonly from: number } & MoveId)
  /** Target: these are all chunks, and all rows. Refused if those that came are others. */
  | ({ readonly step: "seal"; readonly chunks: number; readonly rows: number; readonly digest: number } & MoveId)
  /**
   * Target: the slot is this shard's. Versions go on from the source's; time does not, or what was here before would expire early.
   * `past`: where it stood in the logs of those who had it before (absent from older sources).
   */
  | ({ readonly step: "own"; readonly revision: number; readonly past?: readonly LogPlace[] | undefined } & MoveId)
  /** Target: nothing of this move is wanted, now or later. */
  | { readonly step: "drop"; readonly slot: number; readonly move: number };

export type MoveMutation = MoveStep & { readonly kind: "move"; readonly idempotency?: undefined };

/** Rows of a slot on their way to this shard, as their source shows them; and what it remembers of their retries. */
export interface ImportMutation extends MoveId {
  readonly kind: "import";
  /** 1, 2, …: the chunks of an attempt are applied in order, and each once. */
  readonly chunk: number;
  readonly rows: readonly Entry[];
  /** Keys of rows that came and are gone. */
  readonly removals: readonly string[];
  readonly records: readonly IdempotencyRecord[];
  readonly idempotency?: undefined;
}

/** What a client's request can become. */
export type KeyMutation =
  | PutMutation
  | DeleteMutation
  | TouchMutation
  | IncrementMutation
  | AppendMutation
  | StageMutation
  | BeginFillMutation
  | ReleaseFillMutation
  | LimitMutation
  | TransactionMutation;

/** What moves slots. */
export type SlotMutation = FoundSlotsMutation | MoveMutation | ImportMutation;

export type Mutation = KeyMutation | PurgeMutation | ReclaimMutation | ForgetPurgesMutation | SlotMutation;

/** A value as an outcome returns it. */
export interface ReturnedValue {
  readonly version: number;
  readonly value: Uint8Array;
  readonly contentType: string;
}

/** What applying one mutation did; the same on every replica. From `value` on nothing was changed. */
export type Outcome =
  | {
      readonly kind: "stored";
      readonly version: number;
      readonly created: boolean;
      readonly expiresMs?: number | undefined;
      readonly previous?: ReturnedValue | undefined;
    }
  | { readonly kind: "deleted"; readonly existed: boolean; readonly previous?: ReturnedValue | undefined }
  | { readonly kind: "touched"; readonly version: number; readonly expiresMs?: number | undefined }
  | {
      readonly kind: "number";
      readonly value: string;
      readonly version: number;
      readonly created: boolean;
      readonly expiresMs?: number | undefined;
    }
  | { readonly kind: "fill_granted"; readonly token: number; readonly untilMs: number }
  /** `existed`: the right was in force until now. */
  | { readonly kind: "fill_released"; readonly existed: boolean }
  /** `isAllowed` false changed nothing. */
  | {
      readonly kind: "limited";
      readonly isAllowed: boolean;
      readonly remaining: number;
      /** When the budget is whole again; of a refused cost that can ever fit: when it would. */
      readonly resetMs: number;
    }
  | { readonly kind: "transaction"; readonly succeeded: boolean; readonly results: readonly Outcome[] }
  /** Everything in the scope of an earlier version is gone, or stale. */
  | { readonly kind: "purged"; readonly revision: number }
  | { readonly kind: "slots_founded" }
  /** The slot after the step; not `isDone`: it was refused, and changed nothing. No state: nothing is known of the slot. */
  | {
      readonly kind: "move";
      readonly isDone: boolean;
      readonly state?: SlotState | undefined;
      readonly move: number;
      readonly attempt: number;
    }
  | { readonly kind: "staged" }
  /** So many rows were removed, or softened. */
  | { readonly kind: "reclaimed"; readonly rows: number }
  | { readonly kind: "value"; readonly found?: ReturnedValue | undefined }
  /** `version`, `sourceVersion` are the current ones; absent: there is no entry. */
  | {
      readonly kind: "precondition_failed";
      readonly version?: number | undefined;
      readonly sourceVersion?: number | undefined;
    }
  | { readonly kind: "idempotency_conflict" }
  /** The slot is about to go to another shard. Whoever asked may wait for that, and ask there. */
  | { readonly kind: "moving" }
  /** The slot is another shard's. */
  | { readonly kind: "moved" }
  | { readonly kind: "not_found" }
  | { readonly kind: "not_a_number"; readonly version: number }
  /** The result would pass a bound or 64 bits; `value` is the number as it stays. */
  | { readonly kind: "out_of_range"; readonly value: string }
  /** The value would become, or is, larger than the operation can handle. */
  | { readonly kind: "too_large"; readonly bytes: number }
  | { readonly kind: "fill_held"; readonly untilMs: number }
  | { readonly kind: "fill_unneeded"; readonly version: number }
  /** The fill's lease has ended, or what it loaded was written or purged meanwhile. */
  | { readonly kind: "fill_refused"; readonly version?: number | undefined }
  /** More of its kind than a shard remembers. */
  | { readonly kind: "table_full" }
  /** A named part of the upload is missing. */
  | { readonly kind: "incomplete_upload" }
  /** The operation at position `at` could not be done, so none was. */
  | { readonly kind: "transaction_failed"; readonly at: number; readonly outcome: Outcome };

/** One log entry: what arrived at the leader while the previous batch was in flight. */
export interface Batch {
  /** The leader's clock in milliseconds since the Unix epoch; never less than an earlier batch's. */
  readonly stampMs: number;
  readonly mutations: readonly Mutation[];
}
