// What this isolate has learned about one shard: who leads it, whose circuit breaker is open, and when the other replicas
// were last told that the leader does not answer. Hints only: every one of them may be wrong, and costs a hop when it is.

import { type LogPosition, PROTOCOL_VERSION } from "../../durable/protocol.ts";
import { CircuitBreaker, type FailureKind } from "../../routing/circuit-breaker.ts";
import { LatencyQuantile } from "../../routing/latency-quantile.ts";
import { ReplicaHealth } from "../../routing/replica-health.ts";
import { preferredLeader } from "../../routing/topology.ts";
import type { ShardView } from "../../routing/topology-view.ts";
import type { ReplicaAddress, ReplicaPort } from "./ports.ts";

/**
 * For so long a leader that did not answer is not believed to lead the same term, whoever says so: an election takes less,
 * and a leader that only this edge cannot reach is asked again afterwards.
 */
export const SUSPICION_MS = 1_000;
/** One report in this time is evidence enough; the followers confirm it among themselves. */
export const REPORT_EVERY_MS = 100;

/** One read in twenty is slower: as many as the budget for hedges allows. */
const HEDGE_QUANTILE = 0.95;
/** A hedge that is sent sooner mostly finds that the answer was already on its way. */
export const HEDGE_AFTER_MS_MIN = 10;

/** Pings to replicas that nothing speaks against, while there are requests: what they cost is in docs/cost.md. */
export const PING_EVERY_MS = 10_000;
/** Pings to those that something speaks against. */
export const PING_DOUBTED_MS = 1_000;

export interface GroupMember {
  readonly address: ReplicaAddress;
  readonly breaker: CircuitBreaker;
  /** It sheds requests of this urgency and less urgent ones until then: most of those are not sent. */
  shedUntilMs: number;
  shedFrom: number;
  /** What others are told; decides nothing here. */
  readonly health: ReplicaHealth;
}

export interface FailedCall {
  readonly kind: FailureKind;
  readonly startedMs: number;
}

interface Suspicion {
  readonly replica: number;
  /** No hint of this term or an older one is believed. */
  readonly term: number;
  readonly untilMs: number;
}

export class ShardGroup {
  readonly view: ShardView;
  readonly epoch: number;
  readonly members: readonly GroupMember[];
  /** When the next request makes the isolate ping somebody of the group; when everybody. */
  pingDueMs = Number.NEGATIVE_INFINITY;
  pingAllDueMs = Number.NEGATIVE_INFINITY;
  /** How long reads below `strong` take here. */
  readonly #readTimes: LatencyQuantile;
  /** Undefined: nobody is believed to lead. The first one is a guess. */
  #leader: GroupMember | undefined;
  /** Term of the latest leader heard of, 0 while the leader is a guess; a hint from an older term is old news. */
  #leaderTerm = 0;
  /** When it was first heard of that whoever is believed to lead does. */
  #ledSinceMs = Number.NEGATIVE_INFINITY;
  #suspicion: Suspicion | undefined;
  /** The furthest place in the log of which a leader said here that it is committed. */
  #acknowledged: LogPosition | undefined;
  #lastReportMs = Number.NEGATIVE_INFINITY;

  /** `previous`: the same shard in an older epoch; what is known of the replicas that stay is kept. */
  constructor(view: ShardView, epoch: number, previous?: ShardGroup) {
    const { shard } = view;
    this.view = view;
    this.epoch = epoch;
    this.members = view.replicas.map(({ replica, generation, region, name }) => ({
      address: { shard, replica, generation, region, name },
      breaker: previous?.memberNamed(name)?.breaker ?? new CircuitBreaker(),
      shedUntilMs: previous?.memberNamed(name)?.shedUntilMs ?? Number.NEGATIVE_INFINITY,
      shedFrom: previous?.memberNamed(name)?.shedFrom ?? 0,
      health: previous?.memberNamed(name)?.health ?? new ReplicaHealth(),
    }));
    this.#readTimes = previous === undefined ? new LatencyQuantile() : previous.#readTimes;
    const known = previous?.leader === undefined ? undefined : this.memberNamed(previous.leader.address.name);
    this.#leader = known ?? this.member(preferredLeader(view));
    if (known !== undefined && previous !== undefined) this.#leaderTerm = previous.#leaderTerm;
    // Whoever was in the group before has its log: a shard of the same number that began anew has not.
    if (previous?.members.some(({ address }) => this.memberNamed(address.name) !== undefined) === true) {
      this.#acknowledged = previous.#acknowledged;
    }
  }

  get leader(): GroupMember | undefined {
    return this.#leader;
  }

  get leaderTerm(): number {
    return this.#leaderTerm;
  }

  noteReadTime(latencyMs: number): void {
    this.#readTimes.add(latencyMs);
  }

  /** After so long a read is slower than most; undefined while it is not known what most take. */
  get hedgeAfterMs(): number | undefined {
    const measuredMs = this.#readTimes.at(HEDGE_QUANTILE);
    return measuredMs === undefined ? undefined : Math.max(HEDGE_AFTER_MS_MIN, measuredMs);
  }

  /** A write was acknowledged, or refused for what is committed: at this place, in this term. */
  noteAcknowledged({ term, index }: LogPosition): void {
    const last = this.#acknowledged;
    const isNews = last === undefined || term > last.term || (term === last.term && index > last.index);
    if (isNews) this.#acknowledged = { term, index };
  }

  /**
   * Whether a leader has said here, and not only to whoever asks, that what it wrote at this place is committed. A log has one
   * entry of a term at a place, and what precedes a committed one is committed.
   */
  isAcknowledged({ term, index }: LogPosition): boolean {
    const last = this.#acknowledged;
    return last !== undefined && term === last.term && index <= last.index;
  }

  member(replica: number): GroupMember | undefined {
    return this.members.find(({ address }) => address.replica === replica);
  }

  memberNamed(name: string): GroupMember | undefined {
    return this.members.find(({ address }) => address.name === name);
  }

  /** Pings find out what is the matter with it. */
  isDoubted({ breaker, health }: GroupMember, nowMs: number): boolean {
    return breaker.state(nowMs) !== "closed" || health.state !== "alive";
  }

  /** Whether nothing speaks against the replica: it answers, as far as is known here. */
  isTrusted({ address, breaker }: GroupMember, nowMs: number): boolean {
    return breaker.state(nowMs) === "closed" && !this.#isSuspected(address.replica, nowMs);
  }

  /** Grows when a replica is heard from again, or a leader: whoever could not be served may be now. */
  countTrusted(nowMs: number): number {
    return this.members.filter((member) => this.isTrusted(member, nowMs)).length;
  }

  /** It has answered as the leader, and nothing has spoken against it since. */
  isConfirmed(member: GroupMember): boolean {
    return this.#leader === member && this.#leaderTerm > 0 && this.#suspicion === undefined;
  }

  /** A replica answered as the leader. A late answer of a deposed one does not displace its successor. */
  confirmLeader(member: GroupMember, term: number, nowMs: number): void {
    if (term < this.#leaderTerm && this.#leader !== undefined) return;
    if (this.#leader !== member || term > this.#leaderTerm) this.#ledSinceMs = nowMs;
    this.#leader = member;
    this.#leaderTerm = term;
    this.#suspicion = undefined;
  }

  /** `by` did not serve because it does not lead; `leader` is whom it follows in `term`, if anyone. */
  learnFromRefusal(by: GroupMember, leader: number | undefined, term: number, nowMs: number): void {
    if (this.#leader === by) this.#leader = undefined;
    const hinted = leader === undefined || leader === by.address.replica ? undefined : this.member(leader);
    if (hinted === undefined || term < this.#leaderTerm) return;
    if (this.#isSuspected(hinted.address.replica, nowMs) && term <= (this.#suspicion?.term ?? 0)) return;
    // Winning an election is a sign of life: whatever its breaker has seen was before.
    if (term > this.#leaderTerm && this.#leaderTerm > 0) hinted.breaker.close();
    // A hint to whoever is asked already is no news, and must not excuse its silence.
    if (this.#leader !== hinted || term > this.#leaderTerm) this.#ledSinceMs = nowMs;
    this.#leader = hinted;
    this.#leaderTerm = term;
  }

  /** Notes that a replica did not answer; when it was believed to lead, tells the others (at a limited rate). */
  onNoAnswer(member: GroupMember, call: FailedCall, nowMs: number, port: Pick<ReplicaPort, "suspect">): void {
    const { kind, startedMs } = call;
    member.breaker.onFailure(nowMs, kind, startedMs);
    if (this.isDoubted(member, nowMs)) this.pingDueMs = Math.min(this.pingDueMs, nowMs + PING_DOUBTED_MS);
    const { replica } = member.address;
    if (this.#leader !== member && this.#suspicion?.replica !== replica) return;
    // Race: it was a follower when it was asked, and the call has waited there for the election that it has won.
    if (kind === "silent" && this.#leader === member && startedMs < this.#ledSinceMs) return;
    // A guess can be at any term, so no hint to it is believed for a while.
    const term = this.#leaderTerm === 0 ? Number.POSITIVE_INFINITY : this.#leaderTerm;
    this.#suspicion = { replica, term, untilMs: nowMs + SUSPICION_MS };
    if (this.#leader === member) this.#leader = undefined;
    this.#report(replica, kind, nowMs, port);
  }

  #isSuspected(replica: number, nowMs: number): boolean {
    return this.#suspicion?.replica === replica && nowMs < this.#suspicion.untilMs;
  }

  #report(leader: number, evidence: FailureKind, nowMs: number, port: Pick<ReplicaPort, "suspect">): void {
    if (nowMs - this.#lastReportMs < REPORT_EVERY_MS) return;
    this.#lastReportMs = nowMs;
    for (const { address } of this.members) {
      if (address.replica === leader) continue;
      port.suspect(address, { v: PROTOCOL_VERSION, to: address.name, leader, evidence }).catch(ignore);
    }
  }
}

/** A report is a hint: when one is lost, the next failing request sends another. */
function ignore(): void {}
