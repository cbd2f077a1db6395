// Pure. The messages between the edge and the replicas: plain data that survives structured clone.
// Expected outcomes are values, never thrown errors. Every request carries `v`; fields are only ever added, and an
// unknown field is ignored, because during a rolling deploy the edge and the replicas of one group run different code.

import type { Topology } from "../routing/topology.ts";
import type { HotKey } from "./hot-keys.ts";
import type {
  GetOperation,
  ImportMutation,
  KeyMutation,
  LogPlace,
  MoveMutation,
  Outcome,
  PurgeScope,
} from "./store/command.ts";
import type { EntryExtras, RowPosition } from "./store/entry.ts";
import type { HistogramReading } from "./telemetry/histogram.ts";

export const PROTOCOL_VERSION = 1;

/** Consistency of a read, strongest first. Every level is also met by any level before it. */
export type ConsistencyLevel = "strong" | "session" | "bounded" | "eventual";

/** A position in one shard's log: everything up to `index`, which was committed in `term`, is visible there. */
export interface LogPosition {
  readonly term: number;
  readonly index: number;
}

/** Of a request that does not say how urgent it is: 0 (first) to 7 (last), RFC 9218 section 4.1. */
export const DEFAULT_URGENCY = 3;

/** What every request says about itself: whom it is for and which topology its sender routed by. */
export interface ShardHeader {
  readonly v: number;
  /** Name of the addressed replica (`replicaName()`): an object reached across processes cannot read its own name. */
  readonly to: string;
  /** Epoch of the topology that the sender routed by. */
  readonly epoch: number;
  /** Less urgent ones are shed first; absent: `DEFAULT_URGENCY`. */
  readonly urgency?: number | undefined;
  /** `traceparent` of a trace that is recorded, with the sender as the parent; absent: there is none. */
  readonly trace?: string | undefined;
}

export interface RequestHeader extends ShardHeader {
  /** Slot of the key, `slotOf(key)`. */
  readonly slot: number;
}

/** How fresh an answer has to be. */
export interface Freshness {
  readonly level: ConsistencyLevel;
  /** `session`: the reply must see at least this position. */
  readonly after?: LogPosition | undefined;
  /** The sender itself was told by a leader that what stands at `after` is committed; absent: it has a client's word for it. */
  readonly isAcknowledged?: boolean | undefined;
  /** `bounded`: the reply must not be staler than this many milliseconds. */
  readonly boundMs?: number | undefined;
}

export interface ReadRequest extends RequestHeader, Freshness {
  readonly key: string;
  /** Leave the value out of the reply (HEAD, or a version that the client already holds). */
  readonly omitValue?: boolean | undefined;
  /** A value that is so many milliseconds stale will do; absent: only within its own windows. */
  readonly maxStaleMs?: number | undefined;
  /** Leave the value out of the reply when the entry has one of these versions (`If-None-Match`). */
  readonly omitValueOfVersions?: readonly number[] | undefined;
  /**
   * The sender can keep the answer if the key is hot, and wants to be told; it has answered so many reads of the key by itself
   * since it asked last. Absent: it cannot.
   */
  readonly alsoFor?: number | undefined;
}

export interface WriteRequest extends RequestHeader {
  readonly mutation: KeyMutation;
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
  /**
   * Places in the logs of other shards that the answer reflects too, because slots came from there: a session that goes on keeps
   * them, so that no follower there that lags behind answers for what it has given away. Absent: who routes by the request's epoch knows.
   */
  readonly past?: readonly LogPlace[] | undefined;
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
  readonly extras?: EntryExtras | undefined;
  /** It is stale, and shown within its window for that, or because the request takes such values. */
  readonly stale?: "revalidate" | "accepted" | undefined;
  /** Its lifetime slides, and this access is to be written down. */
  readonly isAccessDue?: boolean | undefined;
}

/** The key of a read is hot: the reply is to be kept for a while, where it can be. */
export interface HotHint {
  /** Every write that was acknowledged so many milliseconds before the reply was made is in it; absent: it is not known. */
  readonly staleMs?: number | undefined;
  /** After so many milliseconds the entry expires or goes stale; absent: never. */
  readonly sameForMs?: number | undefined;
}

/** What the log of the refusing shard says of a slot that it has given away. */
export interface MovedSlot {
  readonly slot: number;
  /** Its owner now, unless that one has passed it on. */
  readonly shard: number;
  /** Epoch of the move: of two that are known of a slot, the later counts. */
  readonly epoch: number;
}

/** Refusals that both reads and writes can meet. Nothing was changed by a request that got one. */
export type Refusal =
  /** The caller should go to `leader` (replica number) if known; otherwise try another replica a little later. */
  | { readonly status: "not_leader"; readonly leader?: number | undefined; readonly term: number }
  /**
   * The slot belongs to another shard, or the replicas are others. `topology` is newer than the caller's, unless `moved` says
   * where the slot has gone before the document does.
   */
  | { readonly status: "wrong_owner"; readonly topology: Topology; readonly moved?: MovedSlot | undefined }
  /** Not able to meet the level or to accept the write now (no quorum, still recovering, too stale). */
  | {
      readonly status: "unavailable";
      readonly reason: string;
      readonly leader?: number | undefined;
      readonly term: number;
    }
  /**
   * Shed by admission control before anything was done. `shedFrom`: requests of this urgency and less urgent ones are shed
   * whatever they want; absent: this one was, for what it wants.
   */
  | { readonly status: "overloaded"; readonly retryAfterMs: number; readonly shedFrom?: number | undefined }
  /** No room for what the write would add, and none is being made: a namespace's quota, or the shard's budget. */
  | { readonly status: "full"; readonly reason: string }
  /** The request itself is wrong (speaks to another replica, has an unknown protocol version, is oversized). */
  | { readonly status: "invalid"; readonly reason: string; readonly code?: InvalidCode | undefined };

/**
 * `misfounded`: not the request, but the deployment's variables are not acceptable; `value_too_large`: for its namespace. Absent:
 * anything else.
 */
export type InvalidCode = "misfounded" | "value_too_large";

export interface ReadOk {
  readonly status: "ok";
  /** Absent: there is no such entry, or it has expired. */
  readonly entry?: ReadEntry | undefined;
  /** Level that was really met: never weaker than asked, except that `eventual` may be met by anything. */
  readonly level: ConsistencyLevel;
  /** The shard's stamped clock when the answer was made, to derive `Age` and the remaining TTL from. */
  readonly clockMs: number;
  readonly from: Provenance;
  /** Only where the request can do something with it (`alsoFor`). */
  readonly hot?: HotHint | undefined;
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
  /** The replica is to find out where it runs, if it may, and to say so from then on. Absent: that is not worth a request. */
  readonly wantsColo?: true | undefined;
  /** What its state comes to: to see whether the replicas of a shard hold the same. */
  readonly wantsStates?: true | undefined;
}

/** What a replica's state comes to at an index, to be compared with others' at the same index and made in the same `way`. */
export interface StateSummary {
  readonly index: number;
  readonly hash: number;
  readonly way: number;
  /** By range of slots (`slot % RANGES`): where two hashes differ, this says where. */
  readonly ranges: readonly number[];
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
  /** Of all rows, as budgets count them. Absent from older replicas. */
  readonly bytes?: number | undefined;
  /** Code of the data centre that it runs in; absent: it does not know. */
  readonly colo?: string | undefined;
  readonly logBytes: number;
  /** Entries, removals and outcomes that are not in the tables yet, a row each. Absent from older replicas. */
  readonly dirtyKeys?: number | undefined;
  /** Member ids (`<replica>.<generation>`) by the newest entry of its log, committed or not. */
  readonly voters?: readonly string[] | undefined;
  /** Members that receive the log and do not count yet. */
  readonly learners?: readonly string[] | undefined;
  /** Whether those are, committed, what the topology of `epoch` lists. */
  readonly isSettled?: boolean | undefined;
  /** Leader only: how far each other member is (`match`: highest index known to be stored there). */
  readonly members: readonly { readonly id: string; readonly match: number; readonly state: string }[];
  /** Since `startedMs`. */
  readonly counters: Readonly<Record<string, number>>;
  /** When this instance of the object began to count; by its own clock. Absent from older replicas, as all below. */
  readonly startedMs?: number | undefined;
  /** By its own clock. */
  readonly nowMs?: number | undefined;
  /** Bytes that the entries take in the store, as quotas count them. */
  readonly storeBytes?: number | undefined;
  /** Bytes of the object's database. */
  readonly storedBytes?: number | undefined;
  readonly histograms?: Readonly<Record<string, HistogramReading>> | undefined;
  /**
   * Only where asked for, the newest first: as of now, and at the last indexes at which all replicas take one. None where it is
   * not known: the replica is being made anew, or still has rows from before there were hashes.
   */
  readonly states?: readonly StateSummary[] | undefined;
  /** As stored, the hottest first; absent from older replicas. */
  readonly hotKeys?: readonly HotKey[] | undefined;
  /** Leader only. Absent from older replicas. */
  readonly moves?: MoveStatus | undefined;
}

/** Slots that a shard is to give away. */
export interface MoveStatus {
  /** Moves that are wanted or called off, and not settled. */
  readonly pending: number;
  /** The longest time for which writes to a slot had to wait, from the freeze until the new owner said so; milliseconds. */
  readonly longestPauseMs: number;
  /** Moves that wait for their targets to have room, the first few of them. */
  readonly waiting?: readonly WaitingMove[] | undefined;
  readonly waitingSlots?: number | undefined;
}

export interface WaitingMove {
  readonly slot: number;
  readonly to: number;
  readonly reason: string;
}

// --- many keys, fills, parts ---

export type BatchMutation = Extract<KeyMutation, { kind: "put" | "delete" | "touch" | "increment" | "append" }>;

/** Operations on keys of one shard. Mutations are applied in their order, each on its own; reads come after them. */
export interface BatchRequest extends ShardHeader, Freshness {
  readonly operations: readonly (GetOperation | BatchMutation)[];
  readonly deadlineMs: number;
  /** Values beyond so many bytes are left out of the reply; absent: as many as fit into one. */
  readonly replyBytesMax?: number | undefined;
  /** Entries without their values. Older replicas send them all the same. */
  readonly omitValues?: true | undefined;
}

export type BatchItem =
  /** Absent: there is no such entry. */
  | { readonly kind: "entry"; readonly entry?: ReadEntry | undefined }
  /** The reply as a whole would be larger than one reply may be. */
  | { readonly kind: "left_out"; readonly size: number }
  | { readonly kind: "outcome"; readonly outcome: Outcome }
  | { readonly kind: "unknown" | "full"; readonly reason: string }
  | { readonly kind: "invalid"; readonly reason: string; readonly code?: InvalidCode | undefined }
  /**
   * `moved`: the key's slot was given away while the rest of the batch was done here; where to, as far as the log says. Whoever asks
   * the new owner asks again for this item alone.
   */
  | { readonly kind: "not_done"; readonly reason: string; readonly moved?: MovedSlot | "elsewhere" | undefined };

export interface BatchOk {
  readonly status: "ok";
  /** One for each operation, in order. */
  readonly items: readonly BatchItem[];
  readonly level: ConsistencyLevel;
  readonly clockMs: number;
  readonly from: Provenance;
}

export type BatchReply = BatchOk | Refusal;

/** Reads a key and, where it is missing or stale, asks for the right to load it, or waits for whoever has it. */
export interface FillRequest extends RequestHeader {
  readonly key: string;
  readonly leaseMs: number;
  readonly waitMs: number;
  /** Also where the value is fresh. */
  readonly isEarly: boolean;
  /** Who asks, so that the same request sent again gets the same right. Absent from older edges. */
  readonly holder?: string | undefined;
}

export interface FillOk extends ReadOk {
  /** Absent: the entry is fresh, nothing is to be loaded. */
  readonly fill?: FillState | undefined;
}

export type FillState =
  | { readonly state: "granted"; readonly token: number; readonly untilMs: number }
  | { readonly state: "held"; readonly untilMs: number };

export type FillReply = FillOk | Refusal;

/** Rows of one shard in order of slot and key, of those that start with `prefix`. */
export interface ScanRequest extends ShardHeader, Freshness {
  /** Or `ALL_NAMESPACES`, which older replicas refuse. */
  readonly namespace: string;
  readonly prefix: string;
  /**
   * A bit a slot, the lowest bit of the first byte for slot 0: the slots that the sender takes the shard to own, from that of
   * `start` on. The answer covers these and no others, or is `wrong_owner`. Absent: those of the topology of `epoch`.
   */
  readonly slots?: Uint8Array | undefined;
  /** Rows after this one; absent: from the start. */
  readonly start?: RowPosition | undefined;
  readonly limit: number;
  /** `count` answers with a number instead of items, whatever the limit. */
  readonly what: "keys" | "values" | "count";
  /** The page ends before it has more bytes of values than this, unless it would be empty; absent: the replica's own limit. */
  readonly valueBytesMax?: number | undefined;
}

export interface ScanItem extends Omit<ReadEntry, "value"> {
  readonly slot: number;
  readonly key: string;
  /** Only where the request asked for values, and the value is not in parts. */
  readonly value?: Uint8Array | undefined;
}

export interface ScanOk {
  readonly status: "ok";
  readonly items: readonly ScanItem[];
  /** Entries seen, in `items` or not. */
  readonly count: number;
  /** Everything up to here was looked at; absent: that was all. */
  readonly next?: RowPosition | undefined;
  readonly level: ConsistencyLevel;
  readonly clockMs: number;
  readonly from: Provenance;
}

export type ScanReply = ScanOk | Refusal;

export interface PurgeRequest extends ShardHeader {
  readonly scopes: readonly PurgeScope[];
  readonly isSoft: boolean;
  readonly deadlineMs: number;
}

export type PurgeReply =
  | { readonly status: "ok"; readonly outcomes: readonly Outcome[]; readonly from: Provenance }
  | Extract<WriteReply, { status: "unknown" }>
  | Refusal;

/** One part of a value that a read has found in parts. Any replica that has the value has them. */
export interface PartRequest extends ShardHeader {
  readonly slot: number;
  readonly key: string;
  readonly upload: string;
  readonly part: number;
}

export type PartReply =
  /** No bytes: the value was replaced and its parts are gone. */
  { readonly status: "ok"; readonly bytes?: Uint8Array | undefined; readonly from: Provenance } | Refusal;

// --- moves of slots ---

/** From the leader of a slot's source to the leader of its target: the next step there, or rows. */
export interface MoveRequest extends ShardHeader, TargetStep {
  readonly deadlineMs: number;
  /** Of other slots, at most MORE_STEPS_MAX. Older targets do not look at them, and answer with no `replies`. */
  readonly more?: readonly TargetStep[] | undefined;
}

export interface TargetStep {
  readonly mutation: ImportMutation | MoveMutation;
  /** Goes into the log behind `mutation`. Older targets do not look at it, and answer with no `taken`. */
  readonly followedBy?: ImportMutation | MoveMutation | undefined;
  /** With the step `import`: what is about to come. Absent from older sources. */
  readonly size?: ArrivalSize | undefined;
}

/** One call carries no more steps besides the first. */
export const MORE_STEPS_MAX = 15;

/** Of the rows of a slot, as budgets count them. */
export interface ArrivalSize {
  readonly bytes: number;
  /** Of these, what no eviction may take. */
  readonly keptBytes: number;
}

export type MoveReply =
  | StepReply
  /** Where there were more steps than one: one for each, in order. */
  | { readonly status: "each"; readonly replies: readonly StepReply[] };

export type StepReply =
  /** `outcome`: of the last mutation that was taken. `taken`: how many; absent from older targets, which take one. */
  | { readonly status: "ok"; readonly outcome: Outcome; readonly taken?: number | undefined }
  | Extract<WriteReply, { status: "unknown" }>
  | Refusal;
