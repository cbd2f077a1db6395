// Pure. A leader's rules: ship the log, commit what a majority holds, hold a lease while a majority answers, step down when
// it does not, hand over on request, and put the group to sleep when nobody asks.

import { CLOCK_DRIFT_MAX, FAR_ROUND_TRIP_MS } from "./config.ts";
import type { AppendReplyMessage } from "./message.ts";
import { Progress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import type { Replica } from "./replica.ts";

/** An unreachable member keeps the rest awake only this many times longer: it must not cost for ever. */
const QUIESCE_PATIENCE = 3;

interface PendingRead {
  readonly id: number;
  /** What the read must see: at least the commit index when it was asked for, and the leader's own first entry. */
  readonly index: number;
  /** Answered once a majority acknowledged an append with this sequence or a later one. */
  readonly sequence: number;
}

export class LeaderState {
  readonly progress = new Map<string, Progress>();
  /** Index of the entry that opened this term; nothing is committed by counting before it is (Raft, section 5.4.2). */
  readonly termStartIndex: number;
  /** Number of the newest append sent in this term, to whomever. */
  sequence = 0;
  /** Acknowledgements of appends sent up to this time do not count for the lease: it was given up then. */
  leaseFloorMs = Number.NEGATIVE_INFINITY;
  /** Own clock when an append last left together with a storage access: the leader's own grant to itself. */
  selfGrantMs = Number.NEGATIVE_INFINITY;
  /** The quorum counts as heard at this time, at the latest: when the term or the day began. */
  quorumFloorMs: number;
  transferee: string | undefined;
  transferDeadlineMs = Number.POSITIVE_INFINITY;
  /** No lease for the rest of the term: a timeout_now may still be on its way, and its votes override promises. */
  leaseForfeited = false;
  uncommittedBytes = 0;
  #uncommitted: { readonly index: number; readonly bytes: number }[] = [];
  pendingReads: PendingRead[] = [];
  /** Another batch is about to leave and will tell the commit index: until then no append is sent for that alone. */
  commitToldByMs = Number.NEGATIVE_INFINITY;
  /** An append must go to everybody, whether or not it carries entries. */
  roundWanted = true;

  constructor(replica: Replica) {
    this.termStartIndex = replica.log.lastIndex + 1;
    this.quorumFloorMs = replica.nowMs;
    this.syncMembers(replica);
    // The first batch need not wait for the answer to the term's first entry: nobody has to look for where the logs agree.
    for (const id of replica.sameLogs) this.progress.get(id)?.follows();
  }

  /** Follows the membership in force. */
  syncMembers(replica: Replica): void {
    const { voters, learners } = replica.membership;
    for (const id of [...voters, ...learners]) {
      if (id !== replica.id && !this.progress.has(id))
        this.progress.set(id, new Progress(id, replica.log.lastIndex + 1));
    }
    for (const id of this.progress.keys()) if (!replica.isMember(id)) this.progress.delete(id);
  }

  /** Send time of the newest append that a majority, this replica included, has acknowledged. */
  quorumAckMs(replica: Replica): number {
    return quorumValue(replica.membership.voters, (id) =>
      id === replica.id ? this.selfGrantMs : (this.progress.get(id)?.ackedSentAtMs ?? Number.NEGATIVE_INFINITY),
    );
  }

  /** What the network takes to the nearest majority and back, in milliseconds; infinite while it is not known. */
  roundTripMs(replica: Replica): number {
    return -quorumValue(replica.membership.voters, (id) =>
      id === replica.id ? 0 : -(this.progress.get(id)?.roundTripMs.value ?? Number.POSITIVE_INFINITY),
    );
  }

  /** For how long members are asked to promise: a group that is near does not wait longer for a dead leader than it has to. */
  grantMs(replica: Replica): number {
    const { leaseMs, nearLeaseMs } = replica.config;
    return this.roundTripMs(replica) < FAR_ROUND_TRIP_MS ? nearLeaseMs : leaseMs;
  }

  /** Until when a promise counts that was made for `promisedMs`, at the earliest when it was asked for. */
  grantedUntilMs(sentAtMs: number, promisedMs: number): number {
    if (sentAtMs <= this.leaseFloorMs) return Number.NEGATIVE_INFINITY;
    // The followers count their promises from the arrival and by their own clocks, which may run faster.
    return sentAtMs + promisedMs * (1 - CLOCK_DRIFT_MAX);
  }

  leaseRemainingMs(replica: Replica): number {
    if (this.leaseForfeited || replica.asleep) return 0;
    const untilMs = quorumValue(replica.membership.voters, (id) =>
      id === replica.id
        ? this.grantedUntilMs(this.selfGrantMs, replica.config.leaseMs)
        : (this.progress.get(id)?.grantedUntilMs ?? Number.NEGATIVE_INFINITY),
    );
    return Math.max(0, untilMs - replica.nowMs);
  }

  leaseHeld(replica: Replica): boolean {
    // Until its first entry is committed a leader does not know the commit index (dissertation, section 6.4).
    return replica.commitIndex >= this.termStartIndex && this.leaseRemainingMs(replica) > 0;
  }

  nextDeadlineMs(replica: Replica): number {
    let earliest = this.transferDeadlineMs;
    for (const progress of this.progress.values()) {
      earliest = Math.min(earliest, progress.heartbeatDueMs);
      if (progress.commitSent < replica.commitIndex) earliest = Math.min(earliest, this.commitToldByMs);
    }
    if (this.progress.size === 0) earliest = Math.min(earliest, this.selfGrantMs + replica.config.heartbeatMs);
    return Math.max(earliest, replica.nowMs + 1);
  }

  noteProposed(index: number, bytes: number): void {
    this.#uncommitted.push({ index, bytes });
    this.uncommittedBytes += bytes;
  }

  noteCommitted(index: number): void {
    while (this.#uncommitted[0] !== undefined && this.#uncommitted[0].index <= index) {
      this.uncommittedBytes -= this.#uncommitted.shift()?.bytes ?? 0;
    }
  }

  addRead(replica: Replica, id: number): void {
    if (this.leaseHeld(replica)) {
      replica.outbox.answerRead({ id, index: replica.commitIndex });
      return;
    }
    const index = Math.max(replica.commitIndex, this.termStartIndex);
    // Reads that come while a round is under way share the next one; if the round is lost, a heartbeat stands in for it.
    const oldest = this.pendingReads[0];
    const isUnderWay = oldest !== undefined && oldest.sequence <= this.sequence;
    this.pendingReads.push({ id, index, sequence: this.sequence + 1 });
    if (!isUnderWay) this.roundWanted = true;
  }

  startTransfer(replica: Replica, to: string): void {
    this.transferee = to;
    this.transferDeadlineMs = replica.nowMs + replica.config.electionMinMs;
    maybeFinishTransfer(replica, this);
  }

  woken(replica: Replica): void {
    this.leaseFloorMs = replica.nowMs;
    for (const progress of this.progress.values()) progress.grantedUntilMs = Number.NEGATIVE_INFINITY;
    this.quorumFloorMs = replica.nowMs;
    this.roundWanted = true;
  }
}

function leaderStateOf(replica: Replica): LeaderState {
  if (replica.leaderState === undefined) throw new Error("halo: not the leader");
  return replica.leaderState;
}

export function tickLeader(replica: Replica): void {
  const leader = leaderStateOf(replica);
  const heardMs = Math.max(leader.quorumAckMs(replica), leader.quorumFloorMs);
  if (replica.nowMs - heardMs >= replica.config.electionMaxMs) {
    // Check-quorum (dissertation, section 6.2): without a majority it only keeps clients waiting.
    replica.becomeFollower(replica.term, undefined);
    return;
  }
  if (replica.nowMs >= leader.transferDeadlineMs) {
    leader.transferee = undefined;
    leader.transferDeadlineMs = Number.POSITIVE_INFINITY;
  }
  if (maybeQuiesce(replica, leader)) return;
  for (const progress of leader.progress.values()) {
    if (replica.nowMs < progress.heartbeatDueMs) continue;
    progress.heartbeatDueMs = replica.nowMs + replica.config.heartbeatMs;
    progress.isPaused = false;
    // A member that has not answered a probe gets no second one; its deadline at the driver frees it.
    if (progress.state !== "probe" || progress.inFlight === 0) sendAppend(replica, leader, progress, false);
  }
  if (leader.progress.size === 0) grantSelf(replica, leader);
}

export function handleAppendReply(replica: Replica, message: AppendReplyMessage): void {
  if (message.term > replica.term) {
    replica.becomeFollower(message.term, undefined);
    return;
  }
  const leader = replica.leaderState;
  const progress = leader?.progress.get(message.from);
  if (leader === undefined || progress === undefined || message.term < replica.term) return;
  progress.noteAnswered(message.sequence);
  progress.isPaused = false;
  progress.noteClock(message.instance, message.clockMs);
  if (message.check !== undefined) {
    progress.check = message.check;
    replica.hasNewChecks = true;
  }
  progress.roundTripMs.note(replica.nowMs - message.sentAtMs);
  progress.ackedSentAtMs = Math.max(progress.ackedSentAtMs, message.sentAtMs);
  progress.ackedSequence = Math.max(progress.ackedSequence, message.sequence);
  const grantedUntilMs = leader.grantedUntilMs(message.sentAtMs, message.promisedMs ?? replica.config.leaseMs);
  progress.grantedUntilMs = Math.max(progress.grantedUntilMs, grantedUntilMs);
  if (message.success) {
    if (progress.maybeUpdate(message.index)) maybeCommit(replica);
    // Not by a late answer from before: a snapshot may have brought the member further than `match` says.
    if (progress.state === "probe" && message.index >= progress.next - 1) progress.becomeReplicate();
    maybeFinishTransfer(replica, leader);
  } else if (progress.state !== "snapshot") {
    const conflict = replica.log.findConflictByTerm(message.index, message.hintTerm);
    if (message.lost === true) progress.match = 0;
    // Not again at once, or what is damaged here would be sent in a loop.
    if (message.damaged === true) progress.isPaused = true;
    progress.becomeProbe();
    progress.next = Math.max(progress.match, conflict.index) + 1;
  }
  resolveReads(replica);
}

/** Raft, section 5.4.2: by counting, only an entry of the current term is committed. */
export function maybeCommit(replica: Replica): void {
  const leader = leaderStateOf(replica);
  const index = quorumValue(replica.membership.voters, (id) =>
    id === replica.id ? replica.log.stableIndex : (leader.progress.get(id)?.match ?? 0),
  );
  if (index <= replica.commitIndex || replica.log.term(index) !== replica.term) return;
  replica.commitTo(index);
  leader.noteCommitted(index);
}

/** Answers the ReadIndex rounds that a majority has confirmed. */
export function resolveReads(replica: Replica): void {
  const leader = leaderStateOf(replica);
  if (leader.pendingReads.length === 0 || replica.commitIndex < leader.termStartIndex) return;
  const confirmed = quorumValue(replica.membership.voters, (id) =>
    id === replica.id ? leader.sequence : (leader.progress.get(id)?.ackedSequence ?? 0),
  );
  const isConfirmed = (read: PendingRead) => read.sequence <= confirmed;
  const answered = leader.pendingReads.filter(isConfirmed);
  if (answered.length === 0) return;
  for (const { id, index } of answered) replica.outbox.answerRead({ id, index });
  leader.pendingReads = leader.pendingReads.filter((read) => !isConfirmed(read));
  if (leader.pendingReads.length > 0) leader.roundWanted = true;
}

/** Sends what each member lacks, as far as its window allows; called once for everything that happened in a turn. */
export function flushAppends(replica: Replica): void {
  const leader = leaderStateOf(replica);
  leader.syncMembers(replica);
  const isRound = leader.roundWanted;
  leader.roundWanted = false;
  if (isRound && leader.progress.size === 0) {
    // A group of one is its own majority: its round is the storage access.
    leader.sequence++;
    grantSelf(replica, leader);
  }
  for (const progress of leader.progress.values()) {
    let mustSend = isRound && !progress.isPaused && (progress.state !== "probe" || progress.inFlight === 0);
    // A commit is told by the next batch, or at once where nothing is under way that would bring one.
    const isCommitNews = progress.commitSent < replica.commitIndex && replica.nowMs >= leader.commitToldByMs;
    if (isCommitNews && progress.inFlight === 0 && progress.state === "replicate") mustSend = true;
    while (
      mustSend ||
      (progress.next <= replica.log.lastIndex && progress.canSend(replica.config.appendsInFlightMax))
    ) {
      sendAppend(replica, leader, progress, false);
      mustSend = false;
      if (progress.state !== "replicate") break;
    }
  }
}

function sendAppend(replica: Replica, leader: LeaderState, progress: Progress, quiesce: boolean): void {
  const { log, config } = replica;
  // While a snapshot streams, an append without position keeps up the lease and the member's patience.
  const prevIndex = progress.state === "snapshot" ? 0 : progress.next - 1;
  const prevTerm = log.term(prevIndex);
  const hasRoom = progress.canSend(config.appendsInFlightMax);
  const entries = hasRoom ? log.slice(progress.next, log.lastIndex, config.appendBytesMax) : [];
  if (prevTerm === undefined || entries === undefined) {
    progress.becomeSnapshot();
    replica.outbox.needSnapshot(progress.id);
    sendAppend(replica, leader, progress, quiesce);
    return;
  }
  leader.sequence++;
  progress.noteSent(leader.sequence, entries.length > 0);
  progress.heartbeatDueMs = replica.nowMs + config.heartbeatMs;
  progress.commitSent = replica.commitIndex;
  if (progress.state === "replicate") progress.next += entries.length;
  grantSelf(replica, leader);
  replica.outbox.send({
    kind: "append",
    to: progress.id,
    term: replica.term,
    prevIndex,
    prevTerm,
    entries,
    commit: replica.commitIndex,
    sequence: leader.sequence,
    sentAtMs: replica.nowMs,
    leaseMs: leader.grantMs(replica),
    leaseHeld: leader.leaseHeld(replica),
    echoMs: progress.clockMs,
    echoInstance: progress.instance,
    quiesce,
    ...(progress.repair === undefined ? {} : { repair: progress.repair }),
  });
}

/** The leader is one of the majority that grants its lease, and like the others it proves that it is the live instance. */
function grantSelf(replica: Replica, leader: LeaderState): void {
  leader.selfGrantMs = replica.nowMs;
  replica.outbox.touch();
}

function maybeFinishTransfer(replica: Replica, leader: LeaderState): void {
  const to = leader.transferee;
  if (to === undefined || leader.progress.get(to)?.match !== replica.log.lastIndex) return;
  leader.leaseForfeited = true;
  replica.outbox.send({ kind: "timeout_now", to, term: replica.term });
}

function maybeQuiesce(replica: Replica, leader: LeaderState): boolean {
  const idleMs = replica.nowMs - replica.lastActivityMs;
  const { log, config } = replica;
  if (idleMs < config.quiesceAfterMs || leader.pendingReads.length > 0 || leader.transferee !== undefined) return false;
  if (replica.commitIndex < log.lastIndex) return false;
  const allThere = [...leader.progress.values()].every(
    (progress) => progress.match === log.lastIndex && progress.state === "replicate",
  );
  if (!allThere && idleMs < config.quiesceAfterMs * QUIESCE_PATIENCE) return false;
  // Asleep first, so that the lease is given up before anybody is told.
  replica.asleep = true;
  replica.quiesced = true;
  for (const progress of leader.progress.values()) sendAppend(replica, leader, progress, true);
  return true;
}
