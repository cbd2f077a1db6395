// Pure. Elections: PreVote (dissertation, section 9.6), then RequestVote (Raft, section 5.2 and 5.4.1), and when a vote is
// refused because a lease may live (dissertation, section 6.4.1).

import { CAMPAIGN_JITTER_MS, CAMPAIGN_STAGGER_MS } from "./config.ts";
import { campaignTurnMs, resetElectionTimer } from "./follower.ts";
import { invariant } from "./invariant.ts";
import type { PreVoteMessage, PreVoteReplyMessage, VoteMessage, VoteReplyMessage } from "./message.ts";
import { voteResult } from "./quorum.ts";
import type { Replica } from "./replica.ts";

export type CampaignKind = "pre_vote" | "vote" | "transfer";

/** Silence, suspicion, or a round that is over. */
export function electionTimedOut(replica: Replica): void {
  const kind = isElectable(replica) || replica.skipsPreVoteOnce() ? "vote" : "pre_vote";
  if (replica.isVoter) campaign(replica, kind);
  else resetElectionTimer(replica);
}

export function campaign(replica: Replica, kind: CampaignKind): void {
  const { config } = replica;
  if (replica.log.lost !== undefined) {
    // It is the first that its own log is not enough for. Whoever can lead is heard of before the next time.
    replica.suspectsLeader = false;
    resetElectionTimer(replica);
    return;
  }
  if (kind === "pre_vote") replica.becomePreCandidate();
  else {
    // A candidate votes for itself, and is bound by its promise like any voter.
    invariant(
      kind === "transfer" || replica.nowMs >= replica.promiseUntilMs,
      "nobody votes while it is bound to a leader",
    );
    replica.becomeCandidate();
    replica.isTransferElection = kind === "transfer";
  }
  replica.asleep = false;
  // If the round gets no answer, another one follows, at a random distance from a rival's.
  replica.electionDeadlineMs = replica.nowMs + config.campaignMs * (1 + config.random());
  const { lastIndex, lastTerm } = replica.log;
  for (const to of replica.membership.voters) {
    if (to === replica.id) continue;
    if (kind === "pre_vote")
      replica.outbox.send({ kind: "pre_vote", to, term: replica.term + 1, lastIndex, lastTerm, early: true });
    else
      replica.outbox.send({ kind: "vote", to, term: replica.term, lastIndex, lastTerm, transfer: kind === "transfer" });
  }
  replica.outbox.touch();
  countVotes(replica);
}

export function handlePreVote(replica: Replica, message: PreVoteMessage): void {
  const isAwakeUnder = replica.leader !== undefined && replica.asleep;
  const isUpToDate = replica.log.isUpToDate(message.lastIndex, message.lastTerm);
  const promisedMs = promiseRemainingMs(replica);
  const granted =
    message.term > replica.term &&
    (promisedMs === 0 || (message.early === true && hasMissedHeartbeats(replica))) &&
    // A leader that sleeps in memory has not died; the candidate only missed the good-night.
    !(isAwakeUnder && replica.role === "leader") &&
    isUpToDate;
  // Somebody has a client and cannot win, because this log is longer: whoever holds it must not sleep through that.
  // Not for somebody whom the group has removed: it may ask for ever, and must not keep the others from their sleep.
  const isStranger = !replica.isMember(message.from) && replica.isMembershipCommitted;
  if (!isUpToDate && !isStranger && replica.asleep && replica.role === "follower") replica.wake(replica.nowMs);
  if (!isUpToDate && !isStranger) maybeCampaignInstead(replica);
  if (granted) maybeYield(replica, message, promisedMs);
  replica.outbox.send({
    kind: "pre_vote_reply",
    to: message.from,
    // A grant is for the term asked about; a refusal tells the own.
    term: granted ? message.term : replica.term,
    granted,
    promiseRemainingMs: promisedMs,
    quiescedLeader: isAwakeUnder ? replica.leader : undefined,
    ...(isStranger ? { stranger: true } : {}),
  });
}

export function handlePreVoteReply(replica: Replica, message: PreVoteReplyMessage): void {
  if (message.stranger === true) replica.isDisowned = true;
  if (!message.granted && message.term > replica.term) {
    replica.becomeFollower(message.term, undefined);
    return;
  }
  if (replica.role !== "pre_candidate") return;
  if (message.granted && message.term !== replica.term + 1) return;
  // Only of this very term: a late answer of an earlier term's leader would name a second leader for this one.
  if (!message.granted && message.quiescedLeader === message.from && message.term === replica.term) {
    // The leader itself answers, and sleeps: follow it to sleep. Clients are sent to it.
    replica.suspectsLeader = false;
    replica.becomeFollower(replica.term, message.from);
    replica.asleep = true;
    return;
  }
  recordVote(replica, message.from, message.granted, message.promiseRemainingMs);
}

export function handleVote(replica: Replica, message: VoteMessage): void {
  const promised = message.transfer ? 0 : promiseRemainingMs(replica);
  if (message.term < replica.term || promised > 0) {
    // Refused without taking over the term: a candidate that cannot win must not depose a leader that serves.
    sendVote(replica, message, false, promised);
    return;
  }
  if (message.term > replica.term) replica.becomeFollower(message.term, undefined);
  const mayVote = replica.vote === undefined || replica.vote === message.from;
  const granted = mayVote && replica.role === "follower" && replica.log.isUpToDate(message.lastIndex, message.lastTerm);
  if (granted) {
    replica.vote = message.from;
    replica.lastActivityMs = replica.nowMs;
    replica.asleep = false;
    replica.electionDeadlineMs = replica.nowMs + replica.config.campaignMs * (1 + replica.config.random());
  }
  sendVote(replica, message, granted, 0);
}

export function handleVoteReply(replica: Replica, message: VoteReplyMessage): void {
  if (message.term > replica.term) {
    replica.becomeFollower(message.term, undefined);
    return;
  }
  if (replica.role !== "candidate") return;
  if (message.granted && message.term !== replica.term) return;
  const { lastIndex, lastTerm } = replica.log;
  // Log matching (Raft, section 5.3): logs that end with the same entry are the same.
  if (message.lastIndex === lastIndex && message.lastTerm === lastTerm) replica.sameLogs.add(message.from);
  recordVote(replica, message.from, message.granted, message.promiseRemainingMs);
}

/** A second witness, whom the leader owes two signs of life as well: that one of them waits for it is no reason to ask the other. */
function hasMissedHeartbeats(replica: Replica): boolean {
  return replica.role !== "leader" && replica.nowMs - replica.heardMs >= 2 * replica.config.heartbeatMs;
}

/**
 * Whoever asks cannot win, because this log is longer, and the leader is missed here as well. Race: the last append of a leader that
 * died reached this follower alone, and after the news of its death, which it took back: the others would ask in vain until
 * this one has waited out the longest silence.
 */
function maybeCampaignInstead(replica: Replica): void {
  const { asleep, isVoter, role, suspectsLeader } = replica;
  if (role !== "follower" || asleep || !isVoter || suspectsLeader || !hasMissedHeartbeats(replica)) return;
  replica.suspectsLeader = true;
  resetElectionTimer(replica);
}

/**
 * Lets the other go first whom it would vote for. Race: two that campaign at the same time have each a vote for itself, and where
 * there are no more of them nobody wins: round after round, as long as a round trip takes longer than what lies between their
 * turns. Once a term: that the other cannot win, although this one would vote for it, must not stop this one for ever.
 */
function maybeYield(replica: Replica, { from, term }: PreVoteMessage, promisedMs: number): void {
  const { voters } = replica.membership;
  const isLater = replica.role === "follower" || voters.indexOf(from) < voters.indexOf(replica.id);
  if (replica.asleep || !isLater || replica.role === "candidate" || replica.yieldedTerm === term) return;
  replica.yieldedTerm = term;
  if (replica.role === "pre_candidate") replica.becomeFollower(replica.term, undefined);
  const { campaignMs, random } = replica.config;
  const giveWayMs = promisedMs + campaignMs * (1 + random());
  replica.electionDeadlineMs = Math.max(replica.electionDeadlineMs, replica.nowMs + giveWayMs);
}

/** How long a lease may still live that this replica granted, or holds. */
function promiseRemainingMs(replica: Replica): number {
  const promisedMs = Math.max(0, replica.promiseUntilMs - replica.nowMs);
  return Math.max(promisedMs, replica.leaderState?.leaseRemainingMs(replica) ?? 0);
}

function sendVote(replica: Replica, message: VoteMessage, granted: boolean, promised: number): void {
  replica.outbox.touch();
  const { lastIndex, lastTerm } = replica.log;
  replica.outbox.send({
    kind: "vote_reply",
    to: message.from,
    term: replica.term,
    granted,
    promiseRemainingMs: promised,
    ...(granted ? { lastIndex, lastTerm } : {}),
  });
}

function recordVote(replica: Replica, from: string, granted: boolean, promisedMs: number): void {
  if (!replica.membership.voters.includes(from)) return;
  if (!replica.votes.has(from)) replica.votes.set(from, granted);
  if (granted) replica.electableMs = Math.max(replica.electableMs, replica.nowMs + promisedMs);
  else {
    // With one member dead, one refusal cannot lose the election but does stall it: ask again when it can be granted. Where no promise
    // forbids it, another replica is better, or has the vote: it is left some time.
    const { random } = replica.config;
    const turnMs =
      promisedMs > 0 ? campaignTurnMs(replica) + random() * CAMPAIGN_JITTER_MS : (1 + random()) * CAMPAIGN_STAGGER_MS;
    replica.electionDeadlineMs = Math.min(replica.electionDeadlineMs, replica.nowMs + promisedMs + turnMs);
  }
  countVotes(replica);
}

function countVotes(replica: Replica): void {
  const result = voteResult(replica.membership.voters, replica.votes);
  if (result === "lost") {
    const retryMs = replica.electionDeadlineMs;
    replica.becomeFollower(replica.term, undefined);
    replica.electionDeadlineMs = retryMs;
  } else if (result === "won") {
    if (replica.role === "candidate") replica.becomeLeader();
    else if (isElectable(replica)) campaign(replica, "vote");
    else replica.electionDeadlineMs = replica.electableMs + campaignTurnMs(replica);
  }
}

/** A majority would vote for it, itself included, and is free to. */
function isElectable(replica: Replica): boolean {
  const { electableMs, nowMs, role, votes } = replica;
  return role === "pre_candidate" && nowMs >= electableMs && voteResult(replica.membership.voters, votes) === "won";
}
