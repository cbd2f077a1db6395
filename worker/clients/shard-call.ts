// One request to one shard, from the first attempt to the answer. Keeps at most one timer, armed for whatever comes next: a
// hedge, the moment at which silence counts as evidence, the end of an attempt or of a pause, the deadline.
//
// Reads may be asked anywhere and again. A write may be sent again only when the last attempt certainly did nothing, or
// when the store will recognise it (`isRepeatable`); otherwise its fate is `unknown`, which is said and never guessed.

import { DEFAULT_URGENCY, type Refusal } from "../../durable/protocol.ts";
import type { FailureKind } from "../../routing/circuit-breaker.ts";
import type { CallContext, CallPlan, CallResult, FinalRefusal, Redirect } from "./call-plan.ts";
import type { GroupMember, ShardGroup } from "./shard-group.ts";
import { classifyTransportError } from "./transport-errors.ts";

interface Attempt {
  readonly member: GroupMember;
  readonly startedMs: number;
  /** It has already been counted as silent. */
  isSilent: boolean;
}

/** Of what a replica would shed so many are sent, to notice when it does not any more. */
const SHED_TRICKLE = 0.1;

/** What tells whether somebody can serve now who could not before. */
interface Known {
  readonly leader: GroupMember | undefined;
  readonly term: number;
  readonly trusted: number;
}

function knownOf(group: ShardGroup, nowMs: number): Known {
  return { leader: group.leader, term: group.leaderTerm, trusted: group.countTrusted(nowMs) };
}

function isMoreKnown(before: Known | undefined, now: Known): boolean {
  if (before === undefined || now.trusted > before.trusted) return true;
  return now.leader !== undefined && (now.leader !== before.leader || now.term !== before.term);
}

const NEVER = Number.POSITIVE_INFINITY;

export class ShardCall<Result extends CallResult> {
  readonly #context: CallContext;
  readonly #plan: CallPlan<Result>;
  readonly #deadlineAtMs: number;
  readonly #resolve: (result: Result | FinalRefusal) => void;
  readonly #reject: (error: unknown) => void;
  #group: ShardGroup;
  /** In flight, and still wanted. */
  #attempts: Attempt[] = [];
  /** Asked in this round; each replica is asked once a round, which bounds the hops. */
  #asked: GroupMember[] = [];
  /** The plan's order for this round, once it was needed. */
  #order: readonly GroupMember[] | undefined;
  #rounds = 0;
  /** Why the next call is made, for those who count. */
  #cause: "first" | "hedge" | "retry" | "redirect" = "first";
  #hedgeAtMs = NEVER;
  #resumeAtMs = NEVER;
  /** An attempt of a write ended without telling what it did. */
  #isFateOpen = false;
  /** It has followed its slot to another owner once. */
  #hasMoved = false;
  #isDone = false;
  /** What was known of the group when the last pause began. */
  #before: Known | undefined;
  #lastReason = "no replica of the shard answered in time";
  #timerAtMs = NEVER;
  #timerNeedsCall = false;
  #cancelTimer: (() => void) | undefined;

  private constructor(
    context: CallContext,
    plan: CallPlan<Result>,
    nowMs: number,
    resolve: (result: Result | FinalRefusal) => void,
    reject: (error: unknown) => void,
  ) {
    this.#context = context;
    this.#plan = plan;
    this.#deadlineAtMs = nowMs + context.times.deadlineMs + (plan.waitsMs ?? 0);
    this.#resolve = resolve;
    this.#reject = reject;
    const group = this.#groupOfMoment();
    if (group === undefined) throw new Error(`halo: a call to shard ${plan.shard}, which the topology does not have`);
    this.#group = group;
  }

  /** Rejects only for a mistake in here or for a reply that breaks the protocol; everything else is a result. */
  static run<Result extends CallResult>(context: CallContext, plan: CallPlan<Result>): Promise<Result | FinalRefusal> {
    return new Promise((resolve, reject) => {
      const nowMs = context.now();
      context.retries.noteRequest();
      if (plan.hedgeAfterMs < context.times.silenceMs) context.hedges.noteRequest();
      const call = new ShardCall(context, plan, nowMs, resolve, reject);
      const group = call.#group;
      call.#proceed(nowMs);
      // The request goes first: a group that sleeps is woken by what somebody waits for.
      if (nowMs >= group.pingDueMs) context.pingDue?.(group, nowMs);
    });
  }

  /** Asks the next replica, or pauses when this round has asked everybody worth asking. */
  #proceed(nowMs: number): void {
    // A write that nobody will wait for would only end with its fate unknown.
    const { replyMarginMs } = this.#context.times;
    if (this.#plan.unknown !== undefined && nowMs > this.#deadlineAtMs - replyMarginMs) {
      this.#giveUp(this.#lastReason);
      return;
    }
    const next = this.#choose(nowMs);
    if (next !== undefined) this.#send(next, nowMs);
    else this.#pause(nowMs);
  }

  /**
   * Asks again because there was no answer. Without a budget for that it waits for what others find out: failing at once would
   * only hand the retry to the client, who has no budget.
   */
  #retry(nowMs: number): void {
    this.#cause = "retry";
    if (this.#context.retries.maybeSpend(nowMs)) this.#proceed(nowMs);
    else this.#pause(nowMs);
  }

  #pause(nowMs: number): void {
    const { backoffMinMs, backoffMaxMs } = this.#context.times;
    this.#context.onStranded();
    this.#before = knownOf(this.#group, nowMs);
    const backoffMs = Math.min(backoffMinMs * 2 ** this.#rounds, backoffMaxMs);
    // Half to the whole of it, so that requests that failed together do not come back together.
    this.#resumeAtMs = nowMs + backoffMs * (0.5 + this.#context.random() / 2);
    this.#arm(nowMs);
  }

  /** A new round after a pause, if it is paid for, or if another request has found somebody meanwhile who can serve. */
  #resume(nowMs: number): void {
    const group = this.#groupOfMoment() ?? this.#group;
    const isFound = group !== this.#group || isMoreKnown(this.#before, knownOf(group, nowMs));
    if (!isFound && !this.#context.retries.maybeSpend(nowMs)) {
      this.#pause(nowMs);
      return;
    }
    this.#rounds += 1;
    this.#cause = "retry";
    this.#order = undefined;
    this.#asked = this.#attempts.map(({ member }) => member);
    this.#group = group;
    this.#proceed(nowMs);
  }

  /** Whether an answer that is late may be asked of one more replica. */
  #mayHedge(nowMs: number): boolean {
    const { hedges, retries, times } = this.#context;
    // What waits for so long that it counts as silence is no hedge any more, but the search for a successor.
    const isHedge = this.#plan.hedgeAfterMs < times.silenceMs && this.#attempts.some(({ isSilent }) => !isSilent);
    return (isHedge ? hedges : retries).maybeSpend(nowMs);
  }

  #choose(nowMs: number): GroupMember | undefined {
    const group = this.#group;
    this.#order ??= this.#plan.order(group, nowMs);
    if (this.#order !== undefined) return this.#order.find((member) => !this.#asked.includes(member));
    const { leader, members } = group;
    if (leader !== undefined && !this.#asked.includes(leader) && leader.breaker.isAllowed(nowMs)) return leader;
    // Nobody is known to lead: the trusted ones will know. A doubtful replica is worth a call only if all are doubtful,
    // because a write that gets lost there ends with its fate unknown.
    const trusted = members.filter((member) => group.isTrusted(member, nowMs));
    const open = (trusted.length > 0 ? trusted : members).filter((member) => !this.#asked.includes(member));
    return this.#context.inTurn(open, nowMs, this.#plan.balance)[0];
  }

  #send(member: GroupMember, nowMs: number): void {
    if (nowMs < member.shedUntilMs && this.#isShed(member)) {
      this.#context.counts.keptBack++;
      this.#asked.push(member);
      this.#onOverloaded(member.shedUntilMs - nowMs);
      return;
    }
    this.#context.counts[this.#cause]++;
    this.#cause = "redirect";
    const attempt: Attempt = { member, startedMs: nowMs, isSilent: false };
    this.#attempts.push(attempt);
    this.#asked.push(member);
    this.#hedgeAtMs = this.#plan.isRepeatable ? nowMs + this.#hedgeAfterMs : NEVER;
    member.breaker.onAttempt(nowMs);
    this.#plan.meter?.begin(member.address.name, nowMs);
    this.#arm(nowMs);
    const remainingMs = Math.min(this.#attemptMs, this.#deadlineAtMs - nowMs);
    let reply: Promise<Result | Redirect>;
    try {
      reply = this.#plan.send(member.address, this.#group.epoch, remainingMs);
    } catch (error) {
      this.#onError(attempt, error);
      return;
    }
    reply
      .then(
        (received) => this.#onReply(attempt, received),
        (error) => this.#onError(attempt, error),
      )
      .catch((error) => this.#abort(error));
  }

  get #hedgeAfterMs(): number {
    const { meter, hedgeAfterMs } = this.#plan;
    // As late as a silence: that is no hedging at all.
    if (meter === undefined || hedgeAfterMs >= this.#context.times.silenceMs) return hedgeAfterMs;
    return this.#group.hedgeAfterMs ?? hedgeAfterMs;
  }

  /** The replica has said that it sheds such requests now. A few are sent all the same: it may have said so too early. */
  #isShed({ shedFrom }: GroupMember): boolean {
    return (this.#plan.urgency ?? DEFAULT_URGENCY) >= shedFrom && this.#context.random() >= SHED_TRICKLE;
  }

  #groupOfMoment(): ShardGroup | undefined {
    const { shard, slot } = this.#plan;
    return shard === undefined ? this.#context.groupOf(slot) : this.#context.groupOfShard(shard);
  }

  get #silenceMs(): number {
    return this.#context.times.silenceMs + (this.#plan.waitsMs ?? 0);
  }

  get #attemptMs(): number {
    return this.#context.times.attemptMs + (this.#plan.waitsMs ?? 0);
  }

  #onReply(attempt: Attempt, reply: Result | Redirect): void {
    const { member } = attempt;
    const { meter } = this.#plan;
    const answeredMs = meter === undefined ? 0 : this.#context.now();
    member.breaker.onSuccess(meter === undefined ? undefined : answeredMs - attempt.startedMs);
    if (reply.status === "ok" && this.#mayTellLeader(member) && reply.from.role === "leader") {
      this.#group.confirmLeader(member, reply.from.term, this.#context.now());
    }
    // Of a read it would cost more to know than it helps.
    if (reply.status === "ok" && this.#plan.unknown !== undefined) this.#group.noteAcknowledged(reply.from);
    if (!this.#isWanted(attempt)) return;
    if (meter !== undefined) {
      const latencyMs = answeredMs - attempt.startedMs;
      meter.end(member.address.name, attempt.startedMs, answeredMs, latencyMs);
      this.#group.noteReadTime(latencyMs);
    }
    switch (reply.status) {
      case "not_leader":
      case "unavailable":
        this.#onRefusal(member, reply);
        return;
      case "wrong_owner":
        this.#onWrongOwner(reply);
        return;
      case "overloaded":
        this.#context.counts.overloaded++;
        if (reply.shedFrom !== undefined) this.#noteShed(member, reply.retryAfterMs, reply.shedFrom);
        this.#onOverloaded(reply.retryAfterMs);
        return;
      case "unknown":
        this.#onFateOpen(reply.reason);
        return;
      case "invalid":
      case "full":
        // Race: an earlier attempt may have found room, whose answer is late or lost.
        this.#finish(this.#mayBeDone ? this.#fateUnknown(reply.reason) : reply);
        return;
      default:
        this.#finish(this.#mayBeDone ? (this.#plan.doubted?.(reply) ?? reply) : reply);
    }
  }

  /** A call without an order is for the leader alone: that the confirmed one has answered it is no news. */
  #mayTellLeader(member: GroupMember): boolean {
    return this.#order !== undefined || !this.#group.isConfirmed(member);
  }

  #onRefusal(by: GroupMember, reply: Extract<Refusal, { status: "not_leader" | "unavailable" }>): void {
    const nowMs = this.#context.now();
    if (reply.status === "unavailable") this.#lastReason = reply.reason;
    // A leader that is not ready yet is still the one to ask.
    const isLeaderItself = reply.status === "unavailable" && reply.leader === by.address.replica;
    if (!isLeaderItself) this.#group.learnFromRefusal(by, reply.leader, reply.term, nowMs);
    this.#proceed(nowMs);
  }

  /**
   * At most one extra hop at once: whoever is sent away twice meets a slot that is changing hands right now, which takes its
   * new owner a moment. A pause later the question is asked anew.
   */
  #onWrongOwner({ topology, moved }: Extract<Refusal, { status: "wrong_owner" }>): void {
    this.#context.maybeInstall(topology);
    if (moved !== undefined) this.#context.maybeMove(moved);
    this.#lastReason = "the edge and the replicas do not agree yet on who owns the key";
    if (this.#plan.isOutdated?.() === true) {
      this.#giveUp(this.#lastReason);
      return;
    }
    const nowMs = this.#context.now();
    const owner = this.#groupOfMoment() ?? this.#group;
    if (owner === this.#group) {
      this.#proceed(nowMs);
      return;
    }
    if (this.#hasMoved) {
      this.#pause(nowMs);
      return;
    }
    this.#hasMoved = true;
    // Race: what was asked of the old group at the same time may have been done there, and nobody listens to it any more.
    if (this.#plan.unknown !== undefined && this.#attempts.length > 0) this.#isFateOpen = true;
    this.#group = owner;
    this.#abandon(this.#attempts);
    this.#attempts = [];
    this.#asked = [];
    this.#order = undefined;
    this.#proceed(nowMs);
  }

  /** Never the same replica again. Another one can serve a read; for the rest there is only the leader. */
  #onOverloaded(retryAfterMs: number): void {
    const nowMs = this.#context.now();
    if (this.#order?.some((member) => !this.#asked.includes(member)) === true) this.#proceed(nowMs);
    else if (this.#attempts.length > 0 && this.#plan.isRepeatable) this.#arm(nowMs);
    else if (this.#isFateOpen) this.#finish(this.#fateUnknown("the retry was shed"));
    else this.#finish({ status: "overloaded", retryAfterMs });
  }

  #noteShed(member: GroupMember, forMs: number, shedFrom: number): void {
    member.shedUntilMs = this.#context.now() + forMs;
    member.shedFrom = shedFrom;
  }

  #onError(attempt: Attempt, error: unknown): void {
    const failure = classifyTransportError(error);
    const nowMs = this.#context.now();
    // The platform sheds whatever comes.
    if (failure.kind === "overloaded") {
      this.#context.counts.overloaded++;
      this.#noteShed(attempt.member, this.#context.times.overloadedRetryAfterMs, 0);
    } else this.#onNoAnswer(attempt, "refused", nowMs);
    if (!this.#isWanted(attempt)) return;
    this.#plan.meter?.end(attempt.member.address.name, attempt.startedMs, nowMs);
    if (failure.kind === "overloaded") this.#onOverloaded(this.#context.times.overloadedRetryAfterMs);
    else if (failure.maybeDelivered) this.#onFateOpen("the connection to the replica broke");
    else this.#retry(nowMs);
  }

  /** An attempt ended that may have done something: for a read that is nothing, for a write it decides. */
  #onFateOpen(reason: string): void {
    this.#lastReason = reason;
    if (this.#plan.unknown !== undefined) this.#isFateOpen = true;
    if (this.#plan.isRepeatable) this.#retry(this.#context.now());
    else this.#finish(this.#fateUnknown(reason));
  }

  #onNoAnswer({ member, startedMs }: Attempt, kind: FailureKind, nowMs: number): void {
    this.#context.counts[kind]++;
    this.#group.onNoAnswer(member, { kind, startedMs }, nowMs, this.#context.port);
  }

  #fireTimer(): void {
    try {
      this.#onTimer();
    } catch (error) {
      this.#abort(error);
    }
  }

  #onTimer(): void {
    // A timer may fire a little before the clock shows its time; what it was armed for is due all the same.
    const nowMs = Math.max(this.#context.now(), this.#timerAtMs);
    this.#cancelTimer = undefined;
    this.#timerAtMs = NEVER;
    if (nowMs >= this.#deadlineAtMs) {
      this.#giveUp(this.#lastReason);
      return;
    }
    const hasExpired = this.#expireAttempts(nowMs);
    if (hasExpired && !this.#plan.isRepeatable) {
      this.#finish(this.#fateUnknown("the leader did not answer in time"));
      return;
    }
    if (nowMs >= this.#resumeAtMs) {
      this.#resumeAtMs = NEVER;
      this.#resume(nowMs);
    } else if ((hasExpired || nowMs >= this.#hedgeAtMs) && !this.#mayHedge(nowMs)) {
      this.#hedgeAtMs = nowMs + this.#context.times.backoffMaxMs;
    } else if (hasExpired || nowMs >= this.#hedgeAtMs) {
      this.#hedgeAtMs = NEVER;
      this.#cause = hasExpired ? "retry" : "hedge";
      const next = this.#choose(nowMs);
      if (next !== undefined) this.#send(next, nowMs);
      else if (this.#attempts.length === 0 && this.#resumeAtMs === NEVER) this.#proceed(nowMs);
    }
    this.#arm(nowMs);
  }

  /** Counts silent attempts and drops those that took too long; returns whether it dropped any. */
  #expireAttempts(nowMs: number): boolean {
    const [silenceMs, attemptMs] = [this.#silenceMs, this.#attemptMs];
    const before = this.#attempts.length;
    for (const attempt of this.#attempts) {
      if (attempt.isSilent || nowMs < attempt.startedMs + silenceMs) continue;
      attempt.isSilent = true;
      this.#onNoAnswer(attempt, "silent", nowMs);
    }
    const isOver = ({ startedMs }: Attempt) => nowMs >= startedMs + attemptMs;
    this.#abandon(this.#attempts.filter(isOver));
    this.#attempts = this.#attempts.filter((attempt) => !isOver(attempt));
    const hasExpired = this.#attempts.length < before;
    if (hasExpired && this.#plan.unknown !== undefined) this.#isFateOpen = true;
    return hasExpired;
  }

  #arm(nowMs: number): void {
    const [silenceMs, attemptMs] = [this.#silenceMs, this.#attemptMs];
    let nextMs = Math.min(this.#deadlineAtMs, this.#hedgeAtMs, this.#resumeAtMs);
    for (const { startedMs, isSilent } of this.#attempts) {
      nextMs = Math.min(nextMs, startedMs + (isSilent ? attemptMs : silenceMs));
    }
    const isCalling = this.#attempts.length > 0;
    // A timer that fires too early arms the next one; replacing it at every step would cost more. Race: one that was armed for
    // a call may be shared with other requests, and does not keep this one going when the call has ended (shared-timers.ts).
    if (this.#isDone || (this.#timerAtMs <= nextMs && (isCalling || !this.#timerNeedsCall))) return;
    this.#cancelTimer?.();
    this.#timerAtMs = nextMs;
    this.#timerNeedsCall = isCalling;
    this.#cancelTimer = this.#context.timers.after(Math.max(0, nextMs - nowMs), () => this.#fireTimer(), isCalling);
  }

  /** Takes the attempt out of those in flight; false: its call went on without it, so its result is ignored. */
  #isWanted(attempt: Attempt): boolean {
    const at = this.#attempts.indexOf(attempt);
    if (this.#isDone || at === -1) return false;
    this.#attempts.splice(at, 1);
    return true;
  }

  /** Nobody listens to these any more. */
  #abandon(attempts: readonly Attempt[]): void {
    const { meter } = this.#plan;
    if (meter === undefined || attempts.length === 0) return;
    const nowMs = this.#context.now();
    for (const { member, startedMs } of attempts) meter.abandon(member.address.name, startedMs, nowMs);
  }

  #abort(error: unknown): void {
    this.#isDone = true;
    this.#abandon(this.#attempts);
    this.#cancelTimer?.();
    this.#reject(error);
  }

  #giveUp(reason: string): void {
    this.#finish(this.#mayBeDone ? this.#fateUnknown(reason) : this.#unavailable(reason));
  }

  /** A write, which an earlier attempt has done perhaps, or one that is under way. */
  get #mayBeDone(): boolean {
    return this.#isFateOpen || (this.#plan.unknown !== undefined && this.#attempts.length > 0);
  }

  #fateUnknown(reason: string): Result | FinalRefusal {
    return this.#plan.unknown?.(reason, this.#group.leaderTerm) ?? this.#unavailable(reason);
  }

  #unavailable(reason: string): FinalRefusal {
    return { status: "unavailable", reason, term: this.#group.leaderTerm };
  }

  #finish(result: Result | FinalRefusal): void {
    this.#isDone = true;
    this.#cancelTimer?.();
    if (this.#attempts.length > 0) {
      this.#blameOvertaken();
      this.#abandon(this.#attempts);
    }
    this.#resolve(result);
  }

  /** A replica that was overtaken by a hedge has been silent until now, even if it answers after this request is gone. */
  #blameOvertaken(): void {
    const nowMs = this.#context.now();
    for (const { member, startedMs } of this.#attempts) member.breaker.onFailure(nowMs, "silent", startedMs);
  }
}
