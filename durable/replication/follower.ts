// Pure. A follower's rules: accept the leader's log, promise not to elect another while its lease may live, and notice
// when it is gone.

import { CAMPAIGN_JITTER_MS, CAMPAIGN_STAGGER_MS, FAR_ROUND_TRIP_MS, PRE_VOTE_LEAD } from "./config.ts";
import { isIntact, type LogEntry } from "./entry.ts";
import { invariant } from "./invariant.ts";
import type { AppendMessage } from "./message.ts";
import type { Replica } from "./replica.ts";

export function handleAppend(replica: Replica, message: AppendMessage): void {
  if (message.term < replica.term) {
    // A deposed leader learns the term. The refusal promises nothing.
    replyToAppend(replica, message, { success: false, at: { index: 0, term: 0 } });
    return;
  }
  invariant(
    message.term > replica.term || replica.role !== "leader",
    `two leaders in term ${message.term}: ${message.from} and ${replica.id}`,
  );
  followLeader(replica, message);
  if (message.repair === replica.instance) replica.mustBeginAnew = true;

  const accepted = acceptEntries(replica, message);
  const isNewest = message.sequence > replica.leaderSequence;
  const isOwnEcho = message.echoInstance === replica.instance;
  if (accepted.success && isNewest && isOwnEcho && message.leaseHeld && replica.commitIndex >= message.commit) {
    replica.freshAsOfMs = Math.max(replica.freshAsOfMs, message.echoMs);
  }
  if (isNewest) {
    replica.leaderSequence = message.sequence;
    replica.leaderClock = { sentAtMs: message.sentAtMs, receivedMs: replica.nowMs };
    if (message.quiesce && accepted.success) quiesce(replica, message);
    else promiseLease(replica, message.leaseMs);
  }
  replyToAppend(replica, message, accepted);
}

function followLeader(replica: Replica, message: AppendMessage): void {
  if (message.term > replica.term || replica.role !== "follower" || replica.leader === undefined) {
    replica.becomeFollower(message.term, message.from);
  }
  invariant(
    replica.leader === message.from,
    `two leaders in term ${message.term}: ${message.from} and ${replica.leader}`,
  );
  replica.suspectsLeader = false;
  replica.yieldedTerm = undefined;
}

interface Accepted {
  readonly success: boolean;
  readonly damaged?: true;
  readonly at: { readonly index: number; readonly term: number };
}

/** Raft, figure 2, AppendEntries: 2 to 5. */
function acceptEntries(replica: Replica, message: AppendMessage): Accepted {
  const { log } = replica;
  const matchesPrevious = message.prevIndex <= replica.commitIndex || log.term(message.prevIndex) === message.prevTerm;
  if (!matchesPrevious) {
    return { success: false, at: log.findConflictByTerm(message.prevIndex, message.prevTerm) };
  }
  // What is committed here is the leader's as well (leader completeness), whatever the message repeats of it.
  const conflictAt = message.entries.findIndex(
    (entry) => entry.index > replica.commitIndex && log.term(entry.index) !== entry.term,
  );
  if (conflictAt !== -1) {
    const news = message.entries.slice(conflictAt);
    const intact = intactOf(replica, news);
    replica.appendToLog(intact);
    // The leader is told where to go on; it waits a little, since the damage may be on its side.
    if (intact.length < news.length) {
      const index = message.prevIndex + conflictAt + intact.length;
      replica.commitTo(Math.min(message.commit, index));
      return { success: false, damaged: true, at: { index, term: log.term(index) ?? 0 } };
    }
  }
  const lastNew = Math.max(message.prevIndex + message.entries.length, Math.min(replica.commitIndex, message.commit));
  replica.commitTo(Math.min(message.commit, lastNew));
  return { success: true, at: { index: lastNew, term: 0 } };
}

/** Those before the first that is not what its leader wrote. */
function intactOf(replica: Replica, entries: readonly LogEntry[]): readonly LogEntry[] {
  const damagedAt = entries.findIndex((entry) => !isIntact(entry));
  if (damagedAt === -1) return entries;
  replica.damagedEntries++;
  return entries.slice(0, damagedAt);
}

function promiseLease(replica: Replica, askedMs: number | undefined): void {
  replica.asleep = false;
  replica.quiesced = false;
  replica.heardMs = replica.nowMs;
  const leaseMs = Math.min(askedMs ?? Number.POSITIVE_INFINITY, replica.config.leaseMs);
  // Never shorter than what was promised before: the leader may have counted on that.
  replica.promiseUntilMs = Math.max(replica.promiseUntilMs, replica.nowMs + leaseMs);
  replica.lastActivityMs = replica.nowMs;
  resetElectionTimer(replica);
}

/**
 * The leader gave up its lease before it sent this. Race: a delayed quiesce that arrives after the leader woke and was
 * granted a lease again by an earlier instance of this replica would free a vote too early. So the promise ends only if
 * the leader had heard this very instance before it sent; otherwise the promise runs out by itself.
 */
function quiesce(replica: Replica, message: AppendMessage): void {
  replica.asleep = true;
  replica.electionDeadlineMs = Number.POSITIVE_INFINITY;
  if (message.echoInstance !== replica.instance) return;
  replica.quiesced = true;
  replica.promiseUntilMs = Number.NEGATIVE_INFINITY;
}

function replyToAppend(replica: Replica, message: AppendMessage, { success, at, damaged }: Accepted): void {
  // An acknowledgement says "durable here" and grants a lease: both only the live instance may say.
  replica.outbox.touch();
  replica.outbox.send({
    kind: "append_reply",
    to: message.from,
    term: replica.term,
    success,
    index: at.index,
    hintTerm: at.term,
    sequence: message.sequence,
    sentAtMs: message.sentAtMs,
    promisedMs: Math.max(0, replica.promiseUntilMs - replica.nowMs),
    clockMs: replica.nowMs,
    instance: replica.instance,
    quiesced: replica.asleep,
    ...(replica.log.lost === undefined ? {} : { lost: true }),
    ...(damaged === undefined ? {} : { damaged }),
    ...(replica.stateCheck === replica.toldCheck ? {} : { check: replica.stateCheck }),
  });
  replica.toldCheck = replica.stateCheck;
}

/**
 * Next election: by silence alone after a random timeout; where the leader is suspected, early enough for the pre-votes to be
 * there when the promise ends.
 */
export function resetElectionTimer(replica: Replica): void {
  const { config, nowMs } = replica;
  if (replica.suspectsLeader) {
    // Not before the others miss the leader as well.
    const missedMs = replica.heardMs + 2 * config.heartbeatMs + FAR_ROUND_TRIP_MS;
    const askMs = Math.min(
      Math.max(replica.promiseUntilMs - config.leaseMs * PRE_VOTE_LEAD, missedMs),
      replica.promiseUntilMs,
    );
    replica.electionDeadlineMs =
      Math.max(nowMs, askMs) + campaignTurnMs(replica) + config.random() * CAMPAIGN_JITTER_MS;
    return;
  }
  const silenceMs = config.electionMinMs + config.random() * (config.electionMaxMs - config.electionMinMs);
  replica.electionDeadlineMs = Math.max(nowMs + silenceMs, replica.promiseUntilMs);
}

/** How long this replica lets those go first that campaign before it, once everybody may. The first one waits for nobody. */
export function campaignTurnMs({ id, lastLeader, membership }: Replica): number {
  const rivals = membership.voters.filter((voter) => voter !== lastLeader);
  return Math.max(0, rivals.indexOf(id)) * CAMPAIGN_STAGGER_MS;
}
