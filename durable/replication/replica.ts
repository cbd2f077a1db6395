// Pure. One member of a replicated group: Raft as a state machine without I/O, clock or randomness of its own.
// In: step(message), tick, propose, readIndex, wake, suspect. Out: ready(), plain data for the driver, then advance().
// Every call brings the caller's clock in milliseconds; time never runs backwards here, whatever the clock does.
// The rules of each role are in leader.ts, follower.ts and election.ts; this file holds the state and the transitions.

import { checkConfig, type ReplicationConfig } from "./config.ts";
import {
  campaign,
  electionTimedOut,
  handlePreVote,
  handlePreVoteReply,
  handleVote,
  handleVoteReply,
} from "./election.ts";
import { type EntryKind, entryBytes, type LogEntry, NO_DATA, withChecksum } from "./entry.ts";
import { handleAppend, resetElectionTimer } from "./follower.ts";
import { invariant } from "./invariant.ts";
import { flushAppends, handleAppendReply, LeaderState, maybeCommit, resolveReads, tickLeader } from "./leader.ts";
import { ReplicatedLog } from "./log.ts";
import type { HardState, LogReader } from "./log-reader.ts";
import { changedMembership, encodeMembership, isMember, type Membership, type MembershipChange } from "./membership.ts";
import { MembershipHistory } from "./membership-history.ts";
import type { MemberHealth } from "./membership-plan.ts";
import type { Message, SnapshotMeta, StateCheck } from "./message.ts";
import { Outbox } from "./outbox.ts";
import type { Progress } from "./progress.ts";
import type { Ready } from "./ready.ts";

export type Role = "follower" | "pre_candidate" | "candidate" | "leader";

/** Bytes of committed entries handed out by one ready(): bounds the time that one turn spends applying. */
const COMMITTED_BYTES_MAX = 4 * 1024 * 1024;

/** A learner that lacks no more than this many entries has caught up: two windows of appends in flight. */
const CATCH_UP_ENTRIES_MAX = 16;

export class Replica {
  readonly config: ReplicationConfig;
  readonly log: ReplicatedLog;
  /** What leaves with the next ready(), for the role files. */
  readonly outbox: Outbox;

  /** Persisted (HardState): highest term seen. Never falls. */
  term: number;
  /** Persisted: whom this replica voted for in `term`. Set once a term. */
  vote: string | undefined;
  /** Persisted: see HardState.quiesced. */
  quiesced: boolean;

  role: Role = "follower";
  /** Leader of `term`, once known. */
  leader: string | undefined;
  /** Leader of the newest term whose leader was known here. */
  lastLeader: string | undefined;
  /** Highest index known to be committed. Never falls. */
  commitIndex: number;
  /** Highest index handed out for application. Never above `commitIndex`. */
  appliedIndex: number;
  /** No timers run: the group sleeps, or this replica has given up alone. Any message of the group or client wakes it. */
  asleep: boolean;
  nowMs: number;
  /** Tells this instance from earlier ones of the same member: what they heard and promised is known from storage only. */
  readonly instance: string;

  /** Votes are refused until then, except to a transfer: a lease that this replica granted may live. */
  promiseUntilMs: number;
  /** Own clock when a leader was last heard, or when this instance began. */
  heardMs: number;
  electionDeadlineMs = Number.POSITIVE_INFINITY;
  /** Somebody saw the leader fail: campaign as soon as the promise ends. Cleared by any sign of the leader. */
  suspectsLeader = false;
  /** Highest sequence seen from the leader of this term. */
  leaderSequence = 0;
  /** Own clock at a moment whose acknowledged writes are all applied here once `commitIndex` is; bounds staleness. */
  freshAsOfMs = Number.NEGATIVE_INFINITY;
  /** The leader's clock in its newest message, and the own clock when it arrived. */
  leaderClock: { readonly sentAtMs: number; readonly receivedMs: number } | undefined;
  /** Last time a client or a leader had business here; without any, failing elections end in sleep. */
  lastActivityMs: number;

  /** Entries that came and were not what their leader wrote. */
  damagedEntries = 0;
  /** The newest of its states that can be compared, by whoever applies the entries. */
  stateCheck: StateCheck | undefined;
  /** The one that the leader has been told. */
  toldCheck: StateCheck | undefined;
  /** As leader: a member has told another one. Whoever looks at it, clears it. */
  hasNewChecks = false;
  /** The leader has found that this replica's state is not the majority's. */
  mustBeginAnew = false;
  /** A member said that the group has no such member as this one. Whoever looks at it, clears it. */
  isDisowned = false;

  votes = new Map<string, boolean>();
  /** As candidate: those whose vote said that their log is the same as the own one. */
  readonly sameLogs = new Set<string>();
  /** As pre-candidate: until then a lease may live that this replica, or one that would vote for it, has granted. */
  electableMs = Number.POSITIVE_INFINITY;
  /** It has let another go first in the election for this term. */
  yieldedTerm: number | undefined;
  /** The running election was asked for by the leader that gives up its place. */
  isTransferElection = false;
  leaderState: LeaderState | undefined;

  #memberships: MembershipHistory;
  #persistedState: HardState;
  /** Woken by a client: it slept with its group, and had its own vote for the last leader. Not persisted; ends with the first campaign. */
  #ledSleepingGroup = false;

  /** `appliedIndex`: what the state machine's checkpoint holds; `nowMs`: the clock at start. */
  constructor(config: ReplicationConfig, reader: LogReader, appliedIndex: number, nowMs: number) {
    checkConfig(config);
    this.config = config;
    this.log = new ReplicatedLog(reader, config.logCacheBytesMax);
    this.outbox = new Outbox(config.id);
    this.#persistedState = reader.hardState;
    this.term = reader.hardState.term;
    this.vote = reader.hardState.vote;
    this.quiesced = reader.hardState.quiesced;
    invariant(appliedIndex >= this.log.snapshot.index, "the checkpoint is not older than the log's start");
    invariant(appliedIndex <= this.log.lastIndex, "the checkpoint is not newer than the log's end");
    const committed = Math.max(reader.commitIndex, reader.hardState.commit ?? 0);
    this.commitIndex = Math.max(appliedIndex, Math.min(committed, this.log.lastIndex));
    this.appliedIndex = appliedIndex;
    this.nowMs = nowMs;
    this.instance = `${nowMs}.${config.random()}`;
    this.lastActivityMs = nowMs;
    this.heardMs = nowMs;
    this.#memberships = new MembershipHistory(reader.snapshot);
    for (const entry of reader.configEntries()) this.#memberships.note(entry);
    this.asleep = this.quiesced;
    // A restarted replica does not remember which leases it granted: it waits for the longest that may live.
    this.promiseUntilMs = this.quiesced ? Number.NEGATIVE_INFINITY : nowMs + config.leaseMs;
    if (!this.asleep) resetElectionTimer(this);
  }

  get id(): string {
    return this.config.id;
  }

  get membership(): Membership {
    return this.#memberships.membership;
  }

  get membershipIndex(): number {
    return this.#memberships.index;
  }

  /** Whether the membership in force is committed. The next change must wait for that: only then do majorities overlap. */
  get isMembershipCommitted(): boolean {
    return this.membershipIndex <= this.commitIndex;
  }

  get isVoter(): boolean {
    return this.membership.voters.includes(this.id);
  }

  /** The leader may answer strong reads from memory. */
  get leaseHeld(): boolean {
    return this.leaderState?.leaseHeld(this) ?? false;
  }

  /** Whether a strong read may be answered from memory now. Notes the client, so that the group stays awake. */
  serveFromLease(nowMs: number): boolean {
    if (this.leaderState === undefined) return false;
    this.#advanceClock(nowMs);
    if (!this.leaseHeld) return false;
    this.lastActivityMs = this.nowMs;
    return true;
  }

  /** Whether propose() would accept an entry now. */
  get canPropose(): boolean {
    const leader = this.leaderState;
    return (
      leader !== undefined &&
      leader.transferee === undefined &&
      leader.uncommittedBytes <= this.config.uncommittedBytesMax
    );
  }

  /**
   * The first entry that some member may still have to be sent from the log; infinite where this replica does not lead.
   * A member that has not answered for longer than any election takes is left out: it must not keep the log.
   */
  get lowestIndexNeeded(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const progress of this.leaderState?.progress.values() ?? []) {
      if (this.#isAnswering(progress) && progress.state !== "snapshot") lowest = Math.min(lowest, progress.next);
    }
    return lowest;
  }

  /** When tick() wants to be called next; infinite while asleep. */
  get nextDeadlineMs(): number {
    if (this.asleep) return Number.POSITIVE_INFINITY;
    return this.leaderState?.nextDeadlineMs(this) ?? this.electionDeadlineMs;
  }

  /** Membership in force at `index`, for a snapshot that ends there. */
  membershipAt(index: number): Membership {
    return this.#memberships.at(index);
  }

  tick(nowMs: number): void {
    this.#advanceClock(nowMs);
    if (this.asleep) return;
    if (this.role === "leader") tickLeader(this);
    else if (this.nowMs >= this.electionDeadlineMs) this.#electionTimedOut();
  }

  step(message: Message, nowMs: number): void {
    this.#advanceClock(nowMs);
    switch (message.kind) {
      case "pre_vote":
        handlePreVote(this, message);
        break;
      case "pre_vote_reply":
        handlePreVoteReply(this, message);
        break;
      case "vote":
        handleVote(this, message);
        break;
      case "vote_reply":
        handleVoteReply(this, message);
        break;
      case "append":
        handleAppend(this, message);
        break;
      case "append_reply":
        handleAppendReply(this, message);
        break;
      case "timeout_now":
        if (message.term === this.term && this.role === "follower" && this.isVoter) campaign(this, "transfer");
        break;
    }
  }

  /**
   * Appends an entry as leader. Undefined: not the leader, handing over, or too much is uncommitted. Members are changed by
   * `changeMembership` only. A client's entry keeps the group awake for a while; housekeeping does not, or a shard in which
   * something always expires would never sleep.
   */
  propose(
    kind: Exclude<EntryKind, "config">,
    data: Uint8Array,
    nowMs: number,
    { isClients = true }: { readonly isClients?: boolean } = {},
  ): { readonly index: number; readonly term: number } | undefined {
    this.#advanceClock(nowMs);
    return this.#append(kind, data, isClients);
  }

  /** Adds, promotes or removes one member, as leader. A reason: why not now, or not at all; nothing has changed then. */
  changeMembership(
    change: MembershipChange,
    nowMs: number,
  ): { readonly ok: true; readonly index: number } | { readonly ok: false; readonly reason: string } {
    this.#advanceClock(nowMs);
    const leader = this.leaderState;
    if (leader === undefined) return { ok: false, reason: "only a leader changes the members" };
    // The bug of single-server changes (Ongaro, raft-dev, July 2015): two leaders whose logs each hold another uncommitted
    // change have majorities that do not meet. An entry of the own term, once committed, rules the other change out.
    if (this.commitIndex < leader.termStartIndex)
      return { ok: false, reason: "no entry of this term is committed yet" };
    if (!this.isMembershipCommitted) return { ok: false, reason: "the change before is not committed yet" };
    // A leader that is no member would have to lead until its own removal is committed: it hands over before instead.
    if (change.kind === "remove" && change.id === this.id)
      return { ok: false, reason: "a leader does not remove itself" };
    const changed = changedMembership(this.membership, change);
    if (!changed.ok) return changed;
    const proposed = this.#append("config", encodeMembership(changed.membership), true);
    if (proposed === undefined) return { ok: false, reason: "the leader hands over, or too much is uncommitted" };
    return { ok: true, index: proposed.index };
  }

  /** What this replica, as leader, has heard of a member in this term; `sinceMs`: what must have been sent later to confirm. */
  healthOf(id: string, sinceMs: number): MemberHealth {
    if (id === this.id) return { isLive: true, isCaughtUp: true, isConfirmed: true };
    const progress = this.leaderState?.progress.get(id);
    if (progress === undefined) return { isLive: false, isCaughtUp: false, isConfirmed: false };
    const { match, state, ackedSentAtMs } = progress;
    const isMatched = match > 0 && match + CATCH_UP_ENTRIES_MAX >= this.log.lastIndex;
    return {
      isLive: this.#isAnswering(progress),
      isCaughtUp: isMatched && state === "replicate",
      isConfirmed: ackedSentAtMs > sinceMs,
    };
  }

  #append(
    kind: EntryKind,
    data: Uint8Array,
    isClients: boolean,
  ): { readonly index: number; readonly term: number } | undefined {
    const leader = this.leaderState;
    if (leader === undefined || !this.canPropose) return undefined;
    this.#wakeLeader();
    if (isClients) this.lastActivityMs = this.nowMs;
    const entry = withChecksum({ index: this.log.lastIndex + 1, term: this.term, kind, data });
    this.appendToLog([entry]);
    leader.noteProposed(entry.index, entryBytes(entry));
    return { index: entry.index, term: entry.term };
  }

  /** Another proposal is expected by then, and followers may learn from it what is committed meanwhile. */
  expectProposal(byMs: number): void {
    if (this.leaderState !== undefined) this.leaderState.commitToldByMs = byMs;
  }

  /**
   * Asks, as leader, for the index that a linearizable read must see (dissertation, section 6.4). The answer is in a later
   * ready()'s `readStates`; it never comes if the leadership ends first. Returns false where this is not the leader.
   */
  readIndex(id: number, nowMs: number): boolean {
    this.#advanceClock(nowMs);
    const leader = this.leaderState;
    if (leader === undefined) return false;
    this.#wakeLeader();
    this.lastActivityMs = this.nowMs;
    leader.addRead(this, id);
    return true;
  }

  /** A client has business here; keeps the group awake, or wakes it if it sleeps. */
  wake(nowMs: number): void {
    this.#advanceClock(nowMs);
    this.lastActivityMs = this.nowMs;
    if (!this.asleep) {
      // Restarted, and nobody has spoken: with a client waiting, the promise to whoever led is all there is to wait for.
      if (this.role === "follower" && this.leader === undefined && this.isVoter && !this.suspectsLeader) {
        this.suspectsLeader = true;
        resetElectionTimer(this);
      }
      return;
    }
    if (this.role === "leader") this.#wakeLeader();
    else if (this.isVoter) {
      this.asleep = false;
      this.suspectsLeader = true;
      // Nobody leads a sleeping group: the first to be asked campaigns at once, unless a promise still forbids it.
      this.electionDeadlineMs = Math.max(this.nowMs, this.promiseUntilMs);
      this.#ledSleepingGroup = this.quiesced && this.vote === this.id;
    }
  }

  /** Evidence that the leader is gone, confirmed by the driver: campaign as soon as the promise to it has ended. */
  suspect(leader: string, nowMs: number): void {
    this.#advanceClock(nowMs);
    if (this.role !== "follower" || !this.isVoter) return;
    if (this.leader !== undefined && this.leader !== leader) return;
    this.lastActivityMs = this.nowMs;
    // Every client of a dead leader reports it: only the first report may set the timer, or it would never run out.
    if (this.suspectsLeader && !this.asleep) return;
    this.asleep = false;
    this.suspectsLeader = true;
    resetElectionTimer(this);
  }

  /**
   * A leader has acknowledged the entry at this position to somebody who says so: it is committed, as if the leader had said it
   * here. Race: it has died before it could, and whoever reads what it has acknowledged would wait for the next one. Only in
   * its term: at the same place there may be what another one wrote.
   */
  learnCommitted({ term, index }: { readonly term: number; readonly index: number }): void {
    if (this.role !== "leader" && this.log.term(index) === term) this.commitTo(index);
  }

  /** The connection to a member broke, or a deadline passed: what was in flight to it is lost or unknown. */
  reportUnreachable(id: string, nowMs: number): void {
    this.#advanceClock(nowMs);
    const progress = this.leaderState?.progress.get(id);
    if (progress !== undefined && progress.state !== "snapshot") progress.becomeUnreachable();
  }

  /** A snapshot stream to `id` has ended: it holds everything up to `index`, or the stream failed. */
  snapshotFinished(id: string, index: number | undefined, nowMs: number): void {
    this.#advanceClock(nowMs);
    const progress = this.leaderState?.progress.get(id);
    if (progress === undefined || progress.state !== "snapshot") return;
    if (index === undefined) progress.becomeUnreachable();
    else {
      progress.becomeProbe();
      progress.next = Math.max(progress.next, index + 1);
    }
  }

  /** Whether a received snapshot is news. If not, the log already holds or can still receive what it stands for. */
  wantsSnapshot(meta: SnapshotMeta): boolean {
    return meta.index > this.commitIndex && this.log.term(meta.index) !== meta.term;
  }

  /** The driver has durably replaced log and state by the snapshot, which the leader of `term` sent. */
  installSnapshot(meta: SnapshotMeta, sender: { readonly id: string; readonly term: number }, nowMs: number): void {
    this.#advanceClock(nowMs);
    invariant(this.wantsSnapshot(meta), "a snapshot never replaces a newer log");
    // The parts may overtake the leader's first append; a deposed leader must not go on counting in the old log.
    if (sender.term > this.term || this.role !== "follower") this.becomeFollower(sender.term, sender.id);
    this.log.resetTo(meta);
    this.commitIndex = meta.index;
    this.appliedIndex = meta.index;
    this.#memberships = new MembershipHistory(meta);
  }

  /** The driver deletes log entries up to `index`, which is applied and checkpointed. */
  compactTo(index: number): void {
    invariant(index <= this.appliedIndex, "only applied entries are compacted");
    const term = this.log.term(index);
    invariant(term !== undefined, "the compaction point is in the log");
    this.log.compactTo({ index, term, membership: this.membershipAt(index) });
    this.#memberships.compactTo(index);
  }

  /** Starts handing the leadership to a voter that is up to date or nearly (dissertation, section 3.10). */
  transferLeadership(to: string, nowMs: number): boolean {
    this.#advanceClock(nowMs);
    const leader = this.leaderState;
    if (leader === undefined || to === this.id || !this.membership.voters.includes(to)) return false;
    this.#wakeLeader();
    leader.startTransfer(this, to);
    return true;
  }

  /** Whether there is anything for the driver to do. */
  ready(): Ready | undefined {
    if (this.leaderState !== undefined && !this.asleep) flushAppends(this);
    const entries = this.log.unstable();
    const committed =
      this.appliedIndex < this.commitIndex
        ? (this.log.slice(this.appliedIndex + 1, Math.min(this.commitIndex, this.log.lastIndex), COMMITTED_BYTES_MAX) ??
          [])
        : [];
    const hardState = this.#changedHardState();
    const isIdle = entries.length === 0 && hardState === undefined;
    if (isIdle && committed.length === 0 && this.outbox.isEmpty) return undefined;
    const leaving = this.outbox.take();
    return { ...leaving, hardState, entries, mustTouch: leaving.mustTouch && isIdle, committed };
  }

  /** The driver has persisted, sent and applied what `ready` said. Only now does the own copy of the entries count. */
  advance(ready: Ready): void {
    if (ready.hardState !== undefined) this.#persistedState = ready.hardState;
    this.log.markStable();
    const lastApplied = ready.committed.at(-1);
    if (lastApplied !== undefined) this.appliedIndex = lastApplied.index;
    if (this.leaderState !== undefined) {
      maybeCommit(this);
      resolveReads(this);
    }
  }

  // --- transitions, for the role files ---

  becomeFollower(term: number, leader: string | undefined): void {
    invariant(term >= this.term, "terms never fall");
    if (term > this.term) {
      this.term = term;
      this.vote = undefined;
      this.leaderSequence = 0;
    }
    this.role = "follower";
    this.leader = leader;
    this.lastLeader = leader ?? this.lastLeader;
    this.toldCheck = undefined;
    this.leaderState = undefined;
    this.isTransferElection = false;
    if (!this.asleep) resetElectionTimer(this);
  }

  becomePreCandidate(): void {
    this.role = "pre_candidate";
    this.leader = undefined;
    this.electableMs = this.promiseUntilMs;
    this.votes = new Map([[this.id, true]]);
  }

  becomeCandidate(): void {
    this.role = "candidate";
    this.term++;
    this.vote = this.id;
    this.leader = undefined;
    this.leaderSequence = 0;
    this.votes = new Map([[this.id, true]]);
    this.sameLogs.clear();
  }

  becomeLeader(): void {
    invariant(this.role === "candidate", "only a candidate becomes leader");
    this.role = "leader";
    this.leader = this.id;
    this.lastLeader = this.id;
    this.suspectsLeader = false;
    this.asleep = false;
    // From now on this replica grants leases to itself.
    this.quiesced = false;
    this.lastActivityMs = this.nowMs;
    this.leaderState = new LeaderState(this);
    this.appendToLog([withChecksum({ index: this.log.lastIndex + 1, term: this.term, kind: "noop", data: NO_DATA })]);
  }

  // --- for the role files ---

  appendToLog(entries: readonly LogEntry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    invariant(first.index > this.commitIndex, "committed entries are never replaced");
    this.#memberships.truncateFrom(first.index);
    this.log.append(entries);
    for (const entry of entries) if (entry.kind === "config") this.#memberships.note(entry);
  }

  commitTo(index: number): void {
    if (index <= this.commitIndex) return;
    invariant(index <= this.log.lastIndex, "only entries in the log are committed");
    this.commitIndex = index;
  }

  /**
   * Whoever led the group to sleep is asked first when it wakes, and wins: a round that only asks whether it would win is
   * saved, once. It deposes nobody: whoever was elected in its sleep leads a later term than its own, and so no earlier one
   * than it asks for; and where a promise to somebody lasts, voters refuse as ever.
   */
  skipsPreVoteOnce(): boolean {
    const skips = this.#ledSleepingGroup && this.nowMs >= this.promiseUntilMs;
    this.#ledSleepingGroup = false;
    return skips;
  }

  isMember(id: string): boolean {
    return isMember(this.membership, id);
  }

  #isAnswering({ ackedSentAtMs }: Progress): boolean {
    return this.nowMs - ackedSentAtMs < this.config.electionMaxMs;
  }

  #wakeLeader(): void {
    if (!this.asleep || this.leaderState === undefined) return;
    this.asleep = false;
    this.quiesced = false;
    this.leaderState.woken(this);
  }

  #electionTimedOut(): void {
    // Without a client and without a leader there is nobody to serve: sleep instead of campaigning for ever.
    if (this.nowMs - this.lastActivityMs >= this.config.quiesceAfterMs) {
      this.becomeFollower(this.term, undefined);
      this.asleep = true;
      return;
    }
    electionTimedOut(this);
  }

  #changedHardState(): HardState | undefined {
    const last = this.#persistedState;
    const { lost } = this.log;
    const isSame = last.term === this.term && last.vote === this.vote && last.quiesced === this.quiesced;
    if (isSame && last.lost === lost) return undefined;
    return {
      term: this.term,
      vote: this.vote,
      quiesced: this.quiesced,
      ...(this.quiesced ? { commit: this.commitIndex } : {}),
      ...(lost === undefined ? {} : { lost }),
    };
  }

  #advanceClock(nowMs: number): void {
    if (nowMs > this.nowMs) this.nowMs = nowMs;
  }
}
