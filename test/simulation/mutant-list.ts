// Known mistakes of replicated systems, each as a change of one snippet of production code (see mutate.ts). All of them have
// been made somewhere, in papers' margins, in other systems' incident reports, or here.

import type { Mutant } from "./mutate.ts";

const ELECTION = "durable/replication/election.ts";
const FOLLOWER = "durable/replication/follower.ts";
const LEADER = "durable/replication/leader.ts";
const REPLICA = "durable/replication/replica.ts";
const DRIVER = "durable/driver.ts";
const SHARD_REPLICA = "durable/shard-replica.ts";
const REPLICA_CONTEXT = "durable/replica-context.ts";
const READ_PATH = "durable/read-path.ts";

const ELECTIONS: readonly Mutant[] = [
  {
    name: "vote-not-persisted",
    mistake: "the vote is not persisted, only the term",
    file: DRIVER,
    find: "this.#storage.saveHardState(ready.hardState)",
    replace: "this.#storage.saveHardState({ ...ready.hardState, vote: undefined })",
  },
  {
    name: "votes-twice",
    mistake: "a second candidate of the same term gets a vote too",
    file: ELECTION,
    find: "const mayVote = replica.vote === undefined || replica.vote === message.from;",
    replace: "const mayVote = true;",
  },
  {
    name: "votes-for-outdated-log",
    mistake: "a candidate with an older log gets votes (Raft, section 5.4.1)",
    file: ELECTION,
    find: 'replica.role === "follower" && replica.log.isUpToDate(message.lastIndex, message.lastTerm)',
    replace: 'replica.role === "follower"',
  },
  {
    name: "votes-during-lease",
    mistake: "a follower votes while a lease that it granted may live",
    file: ELECTION,
    find: "const promisedMs = Math.max(0, replica.promiseUntilMs - replica.nowMs);",
    replace: "const promisedMs = 0;",
  },
  {
    name: "promise-forgotten-at-restart",
    mistake: "a restarted replica votes at once, although it may have granted a lease",
    file: REPLICA,
    find: "this.promiseUntilMs = this.quiesced ? Number.NEGATIVE_INFINITY : nowMs + config.leaseMs;",
    replace: "this.promiseUntilMs = Number.NEGATIVE_INFINITY;",
  },
  {
    name: "half-is-a-majority",
    mistake: "half of the voters count as a majority",
    file: "durable/replication/quorum.ts",
    find: "return Math.floor(voters / 2) + 1;",
    replace: "return Math.max(1, Math.floor(voters / 2));",
  },
];

const LOG: readonly Mutant[] = [
  {
    name: "commits-earlier-term-by-counting",
    mistake: "an entry of an earlier term is committed by counting (Raft, section 5.4.2)",
    file: LEADER,
    find: "if (index <= replica.commitIndex || replica.log.term(index) !== replica.term) return;",
    replace: "if (index <= replica.commitIndex) return;",
  },
  {
    name: "delayed-append-truncates",
    mistake: "a delayed append cuts off entries behind it that were acknowledged already",
    file: FOLLOWER,
    find: "(entry) => entry.index > replica.commitIndex && log.term(entry.index) !== entry.term,",
    replace: "(entry) => entry.index > replica.commitIndex,",
  },
  {
    name: "commits-unmatched-entries",
    mistake: "a follower commits entries that the message has not matched with the leader's",
    file: FOLLOWER,
    find: "replica.commitTo(Math.min(message.commit, lastNew));",
    replace: "replica.commitTo(Math.min(message.commit, log.lastIndex));",
  },
  {
    name: "skips-log-matching",
    mistake: "a follower does not compare the term of the entry before",
    file: FOLLOWER,
    find: "log.term(message.prevIndex) === message.prevTerm;",
    replace: "log.term(message.prevIndex) !== undefined;",
  },
  {
    name: "acknowledges-before-persisting",
    mistake: "an acknowledgement leaves before the write that it speaks of is made",
    file: DRIVER,
    find: "if (ready.entries.length > 0) this.#storage.appendLog(ready.entries, this.core.commitIndex);",
    replace:
      "if (ready.entries.length > 0) queueMicrotask(() => this.#storage.appendLog(ready.entries, this.core.commitIndex));",
  },
  {
    name: "applies-twice-after-restart",
    mistake: "after a restart the last entry of the checkpoint is applied again",
    file: SHARD_REPLICA,
    find: "new Replica(config, storage, storage.checkpointIndex, timers.now())",
    replace:
      "new Replica(config, storage, Math.max(storage.snapshot.index, storage.checkpointIndex - 1), timers.now())",
  },
  {
    name: "snapshot-over-newer-log",
    mistake: "a snapshot replaces a log that is newer",
    file: REPLICA,
    find: "return meta.index > this.commitIndex && this.log.term(meta.index) !== meta.term;",
    replace: "return meta.index > 0;",
  },
  {
    name: "zombie-acknowledges",
    mistake: "an append is acknowledged without proof of being the live instance",
    file: FOLLOWER,
    find: "both only the live instance may say.\n  replica.touch();",
    replace: "both only the live instance may say.",
  },
];

const LEASES: readonly Mutant[] = [
  {
    name: "lease-kept-after-stepping-down",
    mistake: "a leader that steps down keeps its lease",
    file: REPLICA,
    find: "this.leader = leader;\n    this.leaderState = undefined;",
    replace: "this.leader = leader;",
  },
  {
    name: "lease-counts-from-answer",
    mistake: "the lease counts from the arrival of the answer, not from the sending of the question",
    file: LEADER,
    find: "progress.ackedSentAtMs = Math.max(progress.ackedSentAtMs, message.sentAtMs);",
    replace: "progress.ackedSentAtMs = Math.max(progress.ackedSentAtMs, replica.nowMs);",
  },
  {
    name: "lease-before-first-commit",
    mistake: "a new leader answers reads before it knows what is committed",
    file: LEADER,
    find: "return replica.commitIndex >= this.termStartIndex && this.leaseRemainingMs(replica) > 0;",
    replace: "return this.leaseRemainingMs(replica) > 0;",
  },
  {
    name: "lease-kept-after-handing-over",
    mistake: "a leader keeps its lease after it has asked a follower to take over",
    file: LEADER,
    find: "leader.leaseForfeited = true;",
    replace: "",
  },
  {
    name: "lease-kept-asleep",
    mistake: "a leader that has sent its group to sleep keeps its lease",
    file: LEADER,
    find: "if (this.leaseForfeited || replica.asleep) return 0;",
    replace: "if (this.leaseForfeited) return 0;",
  },
  {
    name: "zombie-extends-lease",
    mistake: "a leader extends its lease without proof of being the live instance",
    file: LEADER,
    find: "leader.selfGrantMs = replica.nowMs;\n  replica.touch();",
    replace: "leader.selfGrantMs = replica.nowMs;",
  },
  {
    name: "read-index-without-round",
    mistake: "a strong read without a lease is answered without asking a majority",
    file: LEADER,
    find: "if (this.leaseHeld(replica)) {",
    replace: "if (replica.commitIndex >= this.termStartIndex) {",
  },
];

const CLIENTS: readonly Mutant[] = [
  {
    name: "bookmark-of-uncommitted-index",
    mistake: "the bookmark says the end of the log, not what is applied",
    file: REPLICA_CONTEXT,
    find: "term: this.core.term, index: this.core.appliedIndex };",
    replace: "term: this.core.term, index: this.core.log.lastIndex };",
  },
  {
    name: "session-ignores-bookmark",
    mistake: "a session read does not wait for its bookmark",
    file: READ_PATH,
    find: 'if (core.appliedIndex >= after) return this.#answer(request, "session", nowMs);',
    replace: 'if (after >= 0) return this.#answer(request, "session", nowMs);',
  },
  {
    name: "freshness-from-arrival",
    mistake: "a follower counts its freshness from the arrival of a message, however long it travelled",
    file: FOLLOWER,
    find: "Math.max(replica.freshAsOfMs, message.echoMs)",
    replace: "Math.max(replica.freshAsOfMs, replica.nowMs)",
  },
  {
    name: "freshness-without-lease",
    mistake: "a follower believes a leader without a lease that it knows all acknowledged writes",
    file: FOLLOWER,
    find: "message.leaseHeld && replica.commitIndex",
    replace: "replica.commitIndex",
  },
  {
    name: "expiry-by-own-clock",
    mistake: "a follower expires entries by its own clock",
    file: REPLICA_CONTEXT,
    find: "if (leaderClock === undefined) return this.store.clockMs;",
    replace: "if (nowMs > 0) return Math.max(nowMs, this.store.clockMs);\n    if (leaderClock === undefined) return 0;",
  },
  {
    name: "idempotency-forgotten-at-checkpoint",
    mistake: "outcomes of idempotent writes are forgotten at a checkpoint",
    file: "durable/store/store.ts",
    find: "this.#idempotencyUpserts.get(recordKey) ?? this.#reader.idempotency(mutation.slot, mutation.key, idempotency.id);",
    replace: "this.#idempotencyUpserts.get(recordKey);",
  },
  {
    name: "unknown-told-as-failed",
    mistake: "a write whose fate is open is told as not applied",
    file: "durable/write-queue.ts",
    find: 'write.settle({ status: "unknown", reason: "no majority answered before the deadline" });',
    replace: 'write.settle({ status: "not_applied", reason: "no majority answered before the deadline" });',
  },
  {
    name: "repeats-unsafe-write",
    mistake: "the edge sends a write again whose fate is open, without an idempotency key",
    file: "worker/clients/shard-call.ts",
    find: "if (this.#plan.isRepeatable) this.#proceed(this.#context.now());\n    else this.#finish(this.#fateUnknown(reason));",
    replace: "this.#proceed(this.#context.now());",
  },
];

export const MUTANTS: readonly Mutant[] = [...ELECTIONS, ...LOG, ...LEASES, ...CLIENTS];
