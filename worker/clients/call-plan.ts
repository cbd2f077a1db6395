// What a call to one shard is given (CallContext, CallPlan) and what it can end with. How it is carried out: shard-call.ts.

import type { MovedSlot, ReadOk, Refusal, WriteReply } from "../../durable/protocol.ts";
import type { BalancePolicy } from "../../routing/balance-policy.ts";
import type { ReplicaLoads } from "../../routing/replica-loads.ts";
import type { RequestBudget } from "../../routing/request-budget.ts";
import type { CallCounts } from "../telemetry/edge-metrics.ts";
import type { ReadAnswer, ReplicaAddress, ReplicaPort, Timers } from "./ports.ts";
import type { GroupMember, ShardGroup } from "./shard-group.ts";

/** The answers that a call follows by itself. */
export type Redirect = Extract<Refusal, { status: "not_leader" | "wrong_owner" }>;
/** The edge's own: nobody was asked. */
export interface Forbidden {
  readonly status: "forbidden";
  readonly reason: string;
}
export type FinalRefusal = Exclude<Refusal, Redirect> | Forbidden;
export type ReadResult<Answer extends ReadAnswer = ReadOk> = Answer | FinalRefusal;
export type WriteResult = Exclude<WriteReply, Redirect> | Forbidden;

/** All in milliseconds; the defaults and their reasons are in shard-client.ts. */
export interface CallTimes {
  readonly deadlineMs: number;
  readonly attemptMs: number;
  readonly silenceMs: number;
  readonly replyMarginMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** Told to clients when the platform sheds a call, which says nothing of when to come back. */
  readonly overloadedRetryAfterMs: number;
}

/** What all calls of one client share. */
export interface CallContext {
  readonly port: Pick<ReplicaPort, "suspect">;
  readonly timers: Timers;
  readonly times: CallTimes;
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** The group that owns the slot in the topology of this moment. */
  groupOf(slot: number): ShardGroup;
  /** Undefined: the topology of this moment has no such shard. */
  groupOfShard(shard: number): ShardGroup | undefined;
  maybeInstall(topology: unknown): boolean;
  /** The pings of the group are due; absent: nobody pings. */
  readonly pingDue?: ((group: ShardGroup, nowMs: number) => void) | undefined;
  /** In which order to ask who leads. */
  inTurn(members: readonly GroupMember[], nowMs: number, balance: BalancePolicy | undefined): readonly GroupMember[];
  readonly counts: CallCounts;
  /** For whatever is sent again because there was no answer, or nobody could serve. */
  readonly retries: RequestBudget;
  /** For reads below `strong` that are sent to one more replica. */
  readonly hedges: RequestBudget;
  /** A replica of shard `from` says that the slot has moved. */
  maybeMove(moved: MovedSlot): boolean;
  /** Every replica that is known of the shard was asked, and none could serve: others may have taken their place. */
  onStranded(): void;
}

/** What a call can end with: an answer of some kind, or that there is none. */
export type CallResult = ReadAnswer | FinalRefusal | Extract<WriteResult, { status: "unknown" }>;

/** What one request is. */
export interface CallPlan<Result extends CallResult> {
  /** Its owner is asked, and whoever that becomes meanwhile. */
  readonly slot: number;
  /** This shard is asked instead, whatever it owns. */
  readonly shard?: number | undefined;
  /** `remainingMs`: how long the answer will be waited for. */
  send(address: ReplicaAddress, epoch: number, remainingMs: number): Promise<Result | Redirect>;
  /** The replicas that may answer, the one to ask first at the head; undefined: only the leader can answer. */
  order(group: ShardGroup, nowMs: number): readonly GroupMember[] | undefined;
  /** The same request may be in two places at once, and sent again when an earlier one's fate is open. */
  readonly isRepeatable: boolean;
  /**
   * A repeatable request is sent to one more replica after so long without an answer; a metered one as soon as it is slower
   * than most, and this is for as long as that is not known.
   */
  readonly hedgeAfterMs: number;
  /** The request itself waits at the replica for up to so long: that is no silence. */
  readonly waitsMs?: number | undefined;
  /**
   * The request is about more than one slot, as a topology has them that is no longer the newest here: when it is refused for
   * that, whoever made the plan has to make another. Absent: the call finds the owner of its slot by itself.
   */
  isOutdated?(): boolean;
  /** Writes only: the answer for a write whose fate is open. */
  unknown?(reason: string, term: number): Result;
  /** Of several writes: the same answer, where one before may have done what this one says is refused. */
  doubted?(result: Result): Result;
  /** Where the attempts are counted and timed; absent: they are not. */
  readonly meter?: CallMeter | undefined;
  /** Absent: the usual. */
  readonly urgency?: number | undefined;
  /** The policy for whom to ask first while nobody is known to lead; absent: the client's. */
  readonly balance?: BalancePolicy | undefined;
}

/** Every attempt that has begun ends or is abandoned, once. */
export type CallMeter = Pick<ReplicaLoads, "begin" | "end" | "abandon">;
