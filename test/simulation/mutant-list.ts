// Known mistakes of replicated systems, each as a change of one snippet of production code (see mutate.ts). All of them have
// been made somewhere, in papers' margins, in other systems' incident reports, or here.

import { COMMANDS } from "./command-mutants.ts";
import { DAMAGE_MUTANTS } from "./damage-mutants.ts";
import { HEALTH_MUTANTS } from "./health-mutants.ts";
import { MOVE_MUTANTS } from "./move-mutants.ts";
import type { Mutant } from "./mutate.ts";

const ELECTION = "durable/replication/election.ts";
const FOLLOWER = "durable/replication/follower.ts";
const LEADER = "durable/replication/leader.ts";
const REPLICA = "durable/replication/replica.ts";
const DRIVER = "durable/driver.ts";
const SHARD_REPLICA = "durable/shard-replica.ts";
const REPLICA_CONTEXT = "durable/replica-context.ts";
const READ_PATH = "durable/read-path.ts";
const WRITE_QUEUE = "durable/write-queue.ts";
const STORE = "durable/store/store.ts";
const SHARD_CALL = "worker/clients/shard-call.ts";

const ELECTIONS: readonly Mutant[] = [
  {
    name: "vote-not-persisted",
    mistake: "the vote is not persisted, only the term",
    file: DRIVER,
    find: "this.#storage.saveHardState(ready.hardState)",
    replace: "this.#storage.saveHardState({ ...ready.hardState, vote: undefined })",
    workload: "elections",
  },
  {
    name: "votes-twice",
    mistake: "a second candidate of the same term gets a vote too",
    file: ELECTION,
    find: "const mayVote = replica.vote === undefined || replica.vote === message.from;",
    replace: "const mayVote = true;",
  },
  {
    name: "asks-for-votes-before-persisting",
    mistake: "a candidate's requests leave before the write that records its own vote is made",
    file: DRIVER,
    find: "this.#persist(ready);\n    for (const message of ready.messages) this.#post(message);",
    replace: "for (const message of ready.messages) this.#post(message);\n    this.#persist(ready);",
  },
  {
    name: "counts-votes-of-earlier-terms",
    mistake: "a candidate counts a vote that was granted for an earlier term",
    file: ELECTION,
    find: "if (message.granted && message.term !== replica.term) return;\n  const { lastIndex, lastTerm }",
    replace: "const { lastIndex, lastTerm }",
    workload: "rivals",
  },
  {
    name: "votes-for-outdated-log",
    mistake: "whoever asks counts as up to date, whatever its log holds (Raft, section 5.4.1)",
    file: "durable/replication/log.ts",
    find: "return lastTerm > this.#lastTerm || (lastTerm === this.#lastTerm && lastIndex >= this.#lastIndex);",
    replace: "return lastTerm >= 0 && lastIndex >= 0;",
  },
  {
    name: "longer-log-wins",
    mistake: "the longer log counts as the newer one, whatever its last term (Raft, section 5.4.1)",
    file: "durable/replication/log.ts",
    find: "return lastTerm > this.#lastTerm || (lastTerm === this.#lastTerm && lastIndex >= this.#lastIndex);",
    replace: "return lastTerm >= 0 && lastIndex >= this.#lastIndex;",
    workload: "elections",
  },
  {
    name: "vote-trusts-the-pre-vote",
    mistake: "only the PreVote looks at the candidate's log; a transfer has none",
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
    workload: "leases",
  },
  {
    name: "zombie-votes",
    mistake: "a vote leaves without proof of being the live instance",
    file: ELECTION,
    find: "replica.outbox.touch();\n  const { lastIndex, lastTerm } = replica.log;\n  replica.outbox.send({",
    replace: "const { lastIndex, lastTerm } = replica.log;\n  replica.outbox.send({",
    workload: "elections",
  },
  {
    name: "obeys-transfer-of-earlier-term",
    mistake: "a delayed order to take over is obeyed in a later term, where no lease was given up for it",
    file: REPLICA,
    find: 'if (message.term === this.term && this.role === "follower" && this.isVoter) campaign(this, "transfer");',
    replace: 'if (this.role === "follower" && this.isVoter) campaign(this, "transfer");',
    workload: "leases",
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
    name: "log-truncated-past-commit",
    mistake: "a delayed append cuts the log off even where it is committed",
    file: FOLLOWER,
    find: "(entry) => entry.index > replica.commitIndex && log.term(entry.index) !== entry.term,",
    replace: "(entry) => entry.index > 0,",
  },
  {
    name: "counts-what-was-sent",
    mistake: "an answer to one append counts for all that have been sent",
    file: LEADER,
    find: "if (progress.maybeUpdate(message.index)) maybeCommit(replica);",
    replace: "if (progress.maybeUpdate(Math.max(message.index, progress.next - 1))) maybeCommit(replica);",
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
    workload: "snapshots",
  },
  {
    name: "snapshot-parts-in-any-order",
    mistake: "a snapshot's last part completes it, whichever parts came before",
    file: "durable/snapshot-stream.ts",
    find: "if (this.#stream?.id !== id || this.#stream.nextPart !== part.part)",
    replace: "if (this.#stream?.id !== id)",
    workload: "snapshots",
  },
  {
    name: "snapshot-of-two-states",
    mistake: "a snapshot goes on although a checkpoint has changed the tables under it",
    file: "durable/checkpoints.ts",
    find: 'core.term === term && core.role === "leader" && storage.checkpointIndex === index;',
    replace: 'core.term === term && core.role === "leader";',
    workload: "snapshots",
  },
  {
    name: "snapshot-without-idempotency",
    mistake: "a snapshot leaves the outcomes of idempotent writes behind",
    file: "durable/store/snapshot-codec.ts",
    find: "chunk.idempotency.map(recordToWire),",
    replace: "[],",
  },
  {
    name: "zombie-acknowledges",
    mistake: "an append is acknowledged without proof of being the live instance",
    file: FOLLOWER,
    find: "both only the live instance may say.\n  replica.outbox.touch();",
    replace: "both only the live instance may say.",
  },
];

const LEASES: readonly Mutant[] = [
  {
    name: "lease-kept-after-stepping-down",
    mistake: "a leader that steps down keeps its lease",
    file: REPLICA,
    find: "this.toldCheck = undefined;\n    this.leaderState = undefined;",
    replace: "this.toldCheck = undefined;",
  },
  {
    name: "lease-counts-from-answer",
    mistake: "the lease counts from the arrival of the answer, not from the sending of the question",
    file: LEADER,
    find: "leader.grantedUntilMs(message.sentAtMs, message.promisedMs",
    replace: "leader.grantedUntilMs(replica.nowMs, message.promisedMs",
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
    name: "lease-from-before-sleep",
    mistake: "a leader that wakes up counts the answers to its good-night for a new lease",
    file: LEADER,
    find: "if (sentAtMs <= this.leaseFloorMs) return Number.NEGATIVE_INFINITY;",
    replace: "",
    workload: "leases",
  },
  {
    name: "lease-outlives-promise",
    mistake: "a leader believes in its lease for longer than its followers do",
    file: LEADER,
    find: "return sentAtMs + promisedMs * (1 - CLOCK_DRIFT_MAX);",
    replace: "return sentAtMs + 2 * promisedMs * (1 - CLOCK_DRIFT_MAX);",
  },
  {
    name: "shorter-promise-replaces-longer",
    mistake: "a follower that is asked for a shorter promise forgets that it has made a longer one",
    file: FOLLOWER,
    find: "Math.max(replica.promiseUntilMs, replica.nowMs + leaseMs);",
    replace: "replica.nowMs + leaseMs;",
    workload: "leases",
  },
  {
    name: "lease-as-asked-for",
    mistake: "a leader counts on promises as long as it is configured to ask for, whatever the members say",
    file: LEADER,
    find: "message.promisedMs ?? replica.config.leaseMs",
    replace: "replica.config.leaseMs",
  },
  {
    name: "early-grant-is-a-vote",
    mistake:
      "a candidate whose pre-votes were granted early does not wait until those promises have ended, nor for its own",
    file: ELECTION,
    find: 'else if (isElectable(replica)) campaign(replica, "vote");',
    replace: 'else campaign(replica, "vote");',
  },
  {
    name: "woken-follower-forgets-to-promise",
    mistake: "a follower that was woken by its leader does not persist that it may have granted a lease again",
    file: FOLLOWER,
    find: "replica.asleep = false;\n  replica.quiesced = false;",
    replace: "replica.asleep = false;",
  },
  {
    name: "zombie-extends-lease",
    mistake: "a leader extends its lease without proof of being the live instance",
    file: LEADER,
    find: "leader.selfGrantMs = replica.nowMs;\n  replica.outbox.touch();",
    replace: "leader.selfGrantMs = replica.nowMs;",
  },
  {
    name: "unconfirmed-read-answered",
    mistake: "a strong read is answered although the leadership has ended before it was confirmed",
    file: READ_PATH,
    find: 'if (!(await applied)) {\n      if (core.role !== "leader") return this.#context.notLeader();',
    replace: 'if (!(await applied) && core.role === "leader") {',
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
    find: 'if (core.appliedIndex >= after) return answer("session", nowMs);',
    replace: 'if (after >= 0) return answer("session", nowMs);',
  },
  {
    name: "freshness-from-arrival",
    mistake: "a follower counts its freshness from the arrival of a message, however long it travelled",
    file: FOLLOWER,
    find: "Math.max(replica.freshAsOfMs, message.echoMs)",
    replace: "Math.max(replica.freshAsOfMs, replica.nowMs)",
    workload: "laggards",
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
    name: "time-runs-back",
    mistake: "a new leader with a slower clock turns the shard's time back",
    file: STORE,
    find: "if (batch.stampMs > this.#clockMs) this.#clockMs = batch.stampMs;",
    replace: "this.#clockMs = batch.stampMs;",
  },
  {
    name: "ttl-cut-short",
    mistake: "an entry lives for half a second less than its TTL",
    file: "durable/store/lifetime.ts",
    find: "ttlMs === undefined ? expiresAtMs : nowMs + ttlMs;",
    replace: "ttlMs === undefined ? expiresAtMs : nowMs + Math.max(1, ttlMs - 500);",
  },
  {
    name: "deletion-forgotten-by-cache",
    mistake: "a checkpoint writes a deletion and leaves the deleted entry in the cache",
    file: STORE,
    find: "this.#cache.delete(key);",
    replace: "",
  },
  {
    name: "checkpoint-forgets-what-came-meanwhile",
    mistake: "once a checkpoint is in the tables, what was written meanwhile counts as written down too",
    file: STORE,
    find: "if (this.#upserts.get(entry.key) !== entry) continue;",
    replace: "",
    workload: "snapshots",
  },
  {
    name: "checkpoint-without-journal",
    mistake: "a checkpoint's first slices go into the tables before all of it counts",
    file: "durable/checkpoint-writer.ts",
    find: "this.#storage.journal(slice);",
    replace: "this.#storage.carryOver(slice, false);",
    workload: "snapshots",
  },
  {
    name: "snapshot-of-half-a-checkpoint",
    mistake: "a snapshot begins while a checkpoint is on its way to the tables",
    file: "durable/checkpoints.ts",
    find: "if (this.#writer !== undefined) {",
    replace: "if (core.term < 0) {",
    workload: "snapshots",
  },
  {
    name: "deletion-not-in-checkpoint",
    mistake: "a checkpoint forgets the deletions",
    file: STORE,
    find: "removals: [...this.#removalPositions()],",
    replace: "removals: [],",
  },
  {
    name: "swap-ignores-version",
    mistake: "a conditional write is applied whatever is there",
    file: "durable/store/conditions.ts",
    find: "if (ifMatch !== undefined && !matches(ifMatch, current?.version)) return false;",
    replace: "",
  },
  {
    name: "answers-the-writer-of-another-entry",
    mistake: "whatever is committed at an index is taken for what was proposed there",
    file: WRITE_QUEUE,
    find: "if (batch.term === term && outcome !== undefined)",
    replace: "if (term > 0 && outcome !== undefined)",
  },
  {
    name: "idempotency-forgotten-on-failover",
    mistake: "idempotency keys do not travel to the followers",
    file: "durable/store/mutation-codec.ts",
    find: "    idempotency?.id,",
    replace: "    undefined,",
  },
  {
    name: "idempotency-forgotten-at-checkpoint",
    mistake: "outcomes of idempotent writes are forgotten at a checkpoint",
    file: STORE,
    find: "return this.#idempotencyUpserts.get(idempotencyRecordKey(key, id)) ?? this.#reader.idempotency(slot, key, id);",
    replace: "return this.#idempotencyUpserts.get(idempotencyRecordKey(key, id));",
  },
  {
    name: "unknown-told-as-failed",
    mistake: "a write whose fate is open is told as not applied",
    file: WRITE_QUEUE,
    find: 'write.settle({ status: "unknown", reason: "no majority answered before the deadline" });',
    replace: 'write.settle({ status: "not_applied", reason: "no majority answered before the deadline" });',
  },
  {
    name: "repeats-unsafe-write",
    mistake: "the edge sends a write again whose fate is open, without an idempotency key",
    file: SHARD_CALL,
    find: "if (this.#plan.isRepeatable) this.#retry(this.#context.now());\n    else this.#finish(this.#fateUnknown(reason));",
    replace: "this.#retry(this.#context.now());",
  },
  {
    name: "hedges-unsafe-write",
    mistake: "the edge sends a slow write to a second replica, without an idempotency key",
    file: SHARD_CALL,
    find: "this.#hedgeAtMs = this.#plan.isRepeatable ? nowMs + this.#hedgeAfterMs : NEVER;",
    replace: "this.#hedgeAtMs = nowMs + this.#hedgeAfterMs;",
  },
  {
    name: "broken-taken-for-unsent",
    mistake: "the edge takes a connection that broke for one that was never made, and sends the write again",
    file: "worker/clients/transport-errors.ts",
    find: 'const BROKEN: TransportFailure = { kind: "refused", maybeDelivered: true };',
    replace: 'const BROKEN: TransportFailure = { kind: "refused", maybeDelivered: false };',
  },
  {
    name: "deadline-told-as-failed",
    mistake: "the edge tells a write as not done although an attempt was never answered",
    file: SHARD_CALL,
    find: "this.#finish(this.#mayBeDone ? this.#fateUnknown(reason) : this.#unavailable(reason));",
    replace: "this.#finish(this.#mayBeDone && reason === '' ? this.#fateUnknown(reason) : this.#unavailable(reason));",
  },
  {
    name: "shed-retry-told-as-failed",
    mistake: "the edge tells a write as shed although an earlier attempt may have been done",
    file: SHARD_CALL,
    find: 'else if (this.#isFateOpen) this.#finish(this.#fateUnknown("the retry was shed"));',
    replace: "",
  },
  {
    name: "full-retry-told-as-failed",
    mistake: "the edge tells a write as refused for want of room although an earlier attempt may have been done",
    file: SHARD_CALL,
    find: "this.#finish(this.#mayBeDone ? this.#fateUnknown(reply.reason) : reply);",
    replace: 'this.#finish(this.#mayBeDone && reply.status !== "full" ? this.#fateUnknown(reply.reason) : reply);',
    workload: "full",
  },
  {
    name: "edge-drops-bookmark",
    mistake: "the edge does not pass the session's bookmark on",
    file: "worker/clients/shard-client.ts",
    find: "...(read.after === undefined ? {} : { after: read.after.get(address.shard) }),",
    replace: "",
  },
  {
    name: "answers-for-slots-of-others",
    mistake: "a replica answers for a key that another shard owns",
    file: "durable/ownership.ts",
    find: "return this.#view.topology.slots[slot] === shard;",
    replace: "return this.#view.topology.slots[slot] !== undefined || shard < 0;",
  },
  {
    name: "edge-ignores-new-topology",
    mistake: "the edge does not learn from a replica that sends it away",
    file: SHARD_CALL,
    find: "this.#context.maybeInstall(topology);",
    replace: "",
    workload: "directory",
  },
];

const MEMBERS: readonly Mutant[] = [
  {
    name: "learner-counts",
    mistake: "a learner's copy counts towards the majority",
    file: LEADER,
    find: "const index = quorumValue(replica.membership.voters, (id) =>",
    replace: "const index = quorumValue([...replica.membership.voters, ...replica.membership.learners], (id) =>",
  },
  {
    name: "change-before-own-term",
    mistake: "a leader changes the members before an entry of its own term is committed (Ongaro, raft-dev, July 2015)",
    file: REPLICA,
    find: 'if (this.commitIndex < leader.termStartIndex)\n      return { ok: false, reason: "no entry of this term is committed yet" };',
    replace: "",
    workload: "members",
  },
  {
    name: "two-changes-at-once",
    mistake: "a member is changed before the change before is committed",
    file: REPLICA,
    find: 'if (!this.isMembershipCommitted) return { ok: false, reason: "the change before is not committed yet" };',
    replace: "",
    workload: "members",
  },
  {
    name: "newcomer-founds",
    mistake: "a replica that joins a running group starts with votes of its own",
    file: "durable/ownership.ts",
    find: "const isFounding = since === createdIn && members.every((member) => placedIn(member) === createdIn);",
    replace: "const isFounding = since >= 0;",
  },
];

const L1: readonly Mutant[] = [
  {
    name: "l1-ignores-bound",
    mistake: "a copy of a hot key answers a bounded read by its age alone",
    file: "worker/l1/serving.ts",
    find: "return staleMs <= (wish.boundMs ?? 0);",
    replace: "return staleMs <= Number.POSITIVE_INFINITY && ageMs <= eventualMs;",
  },
  {
    name: "l1-ignores-bookmark",
    mistake: "a copy of a hot key answers a session that has seen more",
    file: "worker/l1/serving.ts",
    find: "return epochOf(after) <= epoch && copy.index >= (after.get(owner)?.index ?? 0);",
    replace: "return epochOf(after) <= epoch && owner === copy.shard;",
  },
  {
    name: "hint-hides-staleness",
    mistake: "a follower calls what edges are to keep as fresh as a leader's answer",
    file: READ_PATH,
    find: 'const staleMs = level === "strong" ? 0 : Math.ceil(nowMs - this.#context.core.freshAsOfMs);',
    replace: 'const staleMs = level === "strong" || nowMs > 0 ? 0 : 1;',
    workload: "laggards",
  },
];

export const MUTANTS: readonly Mutant[] = [
  ...ELECTIONS,
  ...LOG,
  ...LEASES,
  ...CLIENTS,
  ...L1,
  ...MEMBERS,
  ...COMMANDS,
  ...MOVE_MUTANTS,
  ...DAMAGE_MUTANTS,
  ...HEALTH_MUTANTS,
];
