// Pure. What the log says: mutations of the cache, batched, stamped by the leader and applied in log order by every
// replica. The bytes start with a version, so that a replica refuses what it cannot read instead of guessing.

/** RFC 9110 section 13.1: `any` is `*`. Weak validators never match (section 8.8.3.2), so versions are plain numbers. */
export type VersionMatch = "any" | readonly number[];

export interface Conditions {
  /** Apply only if the entry exists and has one of these versions. */
  readonly ifMatch?: VersionMatch | undefined;
  /** Apply only if the entry does not exist (`any`) or has none of these versions. */
  readonly ifNoneMatch?: VersionMatch | undefined;
}

interface MutationHeader extends Conditions {
  readonly slot: number;
  readonly key: string;
  /**
   * Makes a retry safe: the first application's outcome is remembered under (key, idempotencyKey) and returned again.
   * `fingerprint` is a hash of the request: the same idempotency key with another request is a conflict.
   */
  readonly idempotency?: { readonly id: string; readonly fingerprint: string } | undefined;
}

export interface PutMutation extends MutationHeader {
  readonly kind: "put";
  readonly value: Uint8Array;
  readonly contentType: string;
  /** Milliseconds from the batch's stamp until the entry expires; absent: never. */
  readonly ttlMs?: number | undefined;
}

export interface DeleteMutation extends MutationHeader {
  readonly kind: "delete";
}

export type Mutation = PutMutation | DeleteMutation;

/** What applying one mutation did; the same on every replica. */
export type Outcome =
  | {
      readonly kind: "stored";
      readonly version: number;
      readonly created: boolean;
      readonly expiresMs?: number | undefined;
    }
  | { readonly kind: "deleted"; readonly existed: boolean }
  /** `version` is the current one; absent: there is no entry. */
  | { readonly kind: "precondition_failed"; readonly version?: number | undefined }
  | { readonly kind: "idempotency_conflict" };

/** One log entry: what arrived at the leader while the previous batch was in flight. */
export interface Batch {
  /** The leader's clock in milliseconds since the Unix epoch; never less than an earlier batch's. */
  readonly stampMs: number;
  readonly mutations: readonly Mutation[];
}
