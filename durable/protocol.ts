// Pure. The messages between the edge and the replicas: plain data that survives structured clone.
// Expected outcomes are values, never thrown errors. Every request carries `v`; fields are only ever added, and an
// unknown field is ignored, because during a rolling deploy the edge and the replicas of one group run different code.

import type { Topology } from "../routing/topology.ts";
import type { Mutation, Outcome } from "./store/command.ts";

export const PROTOCOL_VERSION = 1;

/** Consistency of a read, strongest first. Every level is also met by any level before it. */
export type ConsistencyLevel = "strong" | "session" | "bounded" | "eventual";

/** A position in one shard's log: everything up to `index`, which was committed in `term`, is visible there. */
export interface LogPosition {
  readonly term: number;
  readonly index: number;
}

/** What every request says about itself: whom it is for and which topology its sender routed by. */
export interface RequestHeader {
  readonly v: number;
  /** Name of the addressed replica (`replicaName()`): an object reached across processes cannot read its own name. */
  readonly to: string;
  /** Epoch of the topology that the sender routed by. */
  readonly epoch: number;
  /** Slot of the key, `slotOf(key)`. */
  readonly slot: number;
}

export interface ReadRequest extends RequestHeader {
  readonly key: string;
  readonly level: ConsistencyLevel;
  /** `session`: the reply must see at least this position. */
  readonly after?: LogPosition | undefined;
  /** `bounded`: the reply must not be staler than this many milliseconds. */
  readonly boundMs?: number | undefined;
  /** Leave the value out of the reply (HEAD, or a version that the client already holds). */
  readonly omitValue?: boolean | undefined;
  /** Leave the value out of the reply when the entry has one of these versions (`If-None-Match`). */
  readonly omitValueOfVersions?: readonly number[] | undefined;
}

export interface WriteRequest extends RequestHeader {
  readonly mutation: Mutation;
  /** Give up after this many milliseconds: `unavailable` if it was never proposed, `unknown` if its fate is open. */
  readonly deadlineMs: number;
}

export type ReplicaRole = "leader" | "follower" | "candidate" | "learner";

/** Who answered, and from where in the log. */
export interface Provenance {
  readonly shard: number;
  readonly replica: number;
  readonly role: ReplicaRole;
  readonly term: number;
  /** Applied index that the answer reflects. */
  readonly index: number;
}

/** A value as a read returns it; times are milliseconds since the Unix epoch on the shard's stamped clock. */
export interface ReadEntry {
  readonly version: number;
  readonly contentType: string;
  /** Absent where the request asked to leave it out. */
  readonly value?: Uint8Array | undefined;
  /** Bytes of the value, present or not. */
  readonly size: number;
  readonly modifiedMs: number;
  /** Absent where the entry never expires. */
  readonly expiresMs?: number | undefined;
}

/** Refusals that both reads and writes can meet. Nothing was changed by a request that got one. */
export type Refusal =
  /** The caller should go to `leader` (replica number) if known; otherwise try another replica a little later. */
  | { readonly status: "not_leader"; readonly leader?: number | undefined; readonly term: number }
  /** The slot belongs to another shard; `topology` is newer than the caller's. */
  | { readonly status: "wrong_owner"; readonly topology: Topology }
  /** Not able to meet the level or to accept the write now (no quorum, still recovering, too stale). */
  | {
      readonly status: "unavailable";
      readonly reason: string;
      readonly leader?: number | undefined;
      readonly term: number;
    }
  /** Shed by admission control before anything was done. */
  | { readonly status: "overloaded"; readonly retryAfterMs: number }
  /** The request itself is wrong (speaks to another replica, has an unknown protocol version, is oversized). */
  | { readonly status: "invalid"; readonly reason: string };

export interface ReadOk {
  readonly status: "ok";
  /** Absent: there is no such entry, or it has expired. */
  readonly entry?: ReadEntry | undefined;
  /** Level that was really met: never weaker than asked, except that `eventual` may be met by anything. */
  readonly level: ConsistencyLevel;
  /** The shard's stamped clock when the answer was made, to derive `Age` and the remaining TTL from. */
  readonly clockMs: number;
  readonly from: Provenance;
}

export type ReadReply = ReadOk | Refusal;

export type WriteReply =
  | { readonly status: "ok"; readonly outcome: Outcome; readonly from: Provenance; readonly clockMs: number }
  /** It may or may not be committed, now or later. */
  | { readonly status: "unknown"; readonly reason: string; readonly term: number; readonly leader?: number | undefined }
  | Refusal;

/** Sent to a follower by an edge whose calls to the leader fail: evidence, to be confirmed before anyone acts on it. */
export interface SuspectRequest {
  readonly v: number;
  readonly to: string;
  /** Replica number of the suspected leader. */
  readonly leader: number;
  /** `refused`: the connection broke or was refused; `silent`: a deadline passed without an answer. */
  readonly evidence: "refused" | "silent";
}

export interface StatusRequest {
  readonly v: number;
  readonly to: string;
}

/** What one replica says of itself; indexes are log indexes, sizes are bytes. */
export interface ReplicaStatus {
  readonly name: string;
  readonly shard: number;
  readonly replica: number;
  readonly generation: number;
  readonly region: string;
  readonly role: ReplicaRole;
  readonly term: number;
  /** Replica number of the leader that it follows, itself included; absent while there is none. */
  readonly leader?: number | undefined;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly checkpointIndex: number;
  /** Milliseconds for which the leader's lease still holds; 0 elsewhere. */
  readonly leaseRemainingMs: number;
  readonly quiesced: boolean;
  readonly epoch: number;
  readonly keys: number;
  readonly logBytes: number;
  /** Entries, removals and outcomes that the next checkpoint will write, a row each. Absent from older replicas. */
  readonly dirtyKeys?: number | undefined;
  /** Member ids (`<replica>.<generation>`) by the newest entry of its log, committed or not. */
  readonly voters?: readonly string[] | undefined;
  /** Members that receive the log and do not count yet. */
  readonly learners?: readonly string[] | undefined;
  /** Whether those are, committed, what the topology of `epoch` lists. */
  readonly isSettled?: boolean | undefined;
  /** Leader only: how far each other member is (`match`: highest index known to be stored there). */
  readonly members: readonly { readonly id: string; readonly match: number; readonly state: string }[];
  readonly counters: Readonly<Record<string, number>>;
}
