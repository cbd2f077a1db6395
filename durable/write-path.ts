// Writes of one replica: what the leader queues, proposes in batches and answers when they are applied; and the applying of
// committed entries, its own and other leaders'. Platform-free.

import { CommitPace } from "./commit-pace.ts";
import type { WriteReply, WriteRequest } from "./protocol.ts";
import { LEADER_WAIT_MS, type ReplicaContext, replicaOf } from "./replica-context.ts";
import type { LogEntry } from "./replication/entry.ts";
import { decodeBatch, encodeBatch } from "./store/codec.ts";
import type { Batch, Mutation } from "./store/command.ts";
import { validateMutation } from "./store/limits.ts";
import { mutationBytes, QUEUE_BYTES_MAX, WriteQueue, type WriteResult } from "./write-queue.ts";

/** Batches in flight at once; how fast they may follow each other is CommitPace's. */
const BATCHES_IN_FLIGHT_MAX = 8;

export class WritePath {
  readonly #context: ReplicaContext;
  readonly #queue = new WriteQueue();
  /** Batches proposed here, as they were before encoding: the leader need not decode what it has just encoded. */
  readonly #proposed = new Map<number, { readonly term: number; readonly batch: Batch; readonly proposedMs: number }>();
  readonly #pace = new CommitPace();
  #lastProposedMs = Number.NEGATIVE_INFINITY;
  #isLingering = false;
  /** Mutations that wait for a leader to be known: they fill the memory like those in the queue. */
  #parkedBytes = 0;

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  get isBusy(): boolean {
    return this.#queue.waiting > 0 || this.#queue.inFlight > 0;
  }

  async write(request: WriteRequest): Promise<WriteReply> {
    const { core, ports } = this.#context;
    const refusal = this.#context.headerRefusal(request, request.mutation.key);
    if (refusal !== undefined) return refusal;
    const problem = validateMutation(request.mutation);
    if (problem !== undefined) return { status: "invalid", reason: problem };
    const bytes = mutationBytes(request.mutation);
    const isFull = this.#queue.isFull || this.#parkedBytes + bytes > QUEUE_BYTES_MAX;
    if (isFull) return { status: "overloaded", retryAfterMs: LEADER_WAIT_MS };
    const deadlineMs = ports.timers.now() + request.deadlineMs;
    if (core.role !== "leader") {
      this.#parkedBytes += bytes;
      const elsewhere = await this.#context.awaitLeadership(deadlineMs);
      this.#parkedBytes -= bytes;
      if (elsewhere !== undefined) return elsewhere;
    }
    return this.#replyOf(await this.#enqueue(request.mutation, deadlineMs));
  }

  #replyOf(result: WriteResult): WriteReply {
    const { core, store, provenance } = this.#context;
    switch (result.status) {
      case "applied": {
        const { outcome, term, index } = result;
        return { status: "ok", outcome, from: { ...provenance, term, index }, clockMs: store.clockMs };
      }
      case "unknown":
        return { status: "unknown", reason: result.reason, term: core.term, leader: replicaOf(core.leader) };
      case "not_applied":
        return core.role === "leader" ? this.#context.unavailable(result.reason) : this.#context.notLeader();
    }
  }

  /** Applies one committed entry to the store and answers whoever wrote it here. */
  apply(entry: LogEntry): void {
    const { core, counters, ports, store } = this.#context;
    const own = this.#proposed.get(entry.index);
    this.#proposed.delete(entry.index);
    if (entry.kind !== "batch") {
      this.#queue.settleApplied(entry.index, entry.term, []);
      return;
    }
    const isOwn = own?.term === entry.term;
    if (isOwn) {
      const nowMs = ports.timers.now();
      this.#pace.noteCommit(own.batch.mutations.length, this.#queue.waiting, nowMs - own.proposedMs, nowMs);
      const { nextExpectedMs } = this.#pace;
      if (nextExpectedMs !== undefined) core.expectProposal(nextExpectedMs);
    }
    const batch = isOwn ? own.batch : decodeBatch(entry.data);
    const outcomes = store.apply(batch);
    counters.mutations += outcomes.length;
    this.#queue.settleApplied(entry.index, entry.term, outcomes);
  }

  /** What was proposed up to `index` may or may not be part of the snapshot that has replaced it. */
  replacedBySnapshot(index: number): void {
    this.#queue.settleReplaced(index);
    this.#proposed.clear();
  }

  leadershipWon(): void {
    this.#queue.settleCutOff(this.#context.core.log.lastIndex);
  }

  leadershipLost(): void {
    this.#queue.refuseWaiting("this replica is not the leader any more");
  }

  expire(nowMs: number): void {
    this.#queue.expire(nowMs);
  }

  /** At the end of a turn: whatever waits and may leave. */
  proposeBatches(nowMs: number): void {
    const { core, counters, store } = this.#context;
    while (this.#queue.waiting > 0 && core.canPropose) {
      if (!this.#mayPropose(nowMs)) return;
      const writes = this.#queue.takeBatch();
      const batch: Batch = {
        stampMs: Math.max(nowMs, store.clockMs),
        mutations: writes.map(({ mutation }) => mutation),
      };
      const proposal = core.propose("batch", encodeBatch(batch), nowMs);
      if (proposal === undefined) throw new Error("halo: the core refused a proposal that it had room for");
      this.#queue.noteProposed(proposal.index, proposal.term, writes);
      this.#proposed.set(proposal.index, { term: proposal.term, batch, proposedMs: nowMs });
      this.#lastProposedMs = nowMs;
      counters.batches++;
    }
  }

  #enqueue(mutation: Mutation, deadlineMs: number): Promise<WriteResult> {
    const { core, driver, ports } = this.#context;
    if (core.role !== "leader") return Promise.resolve({ status: "not_applied", reason: "leadership was lost" });
    return new Promise((settle) => {
      this.#queue.add({ mutation, bytes: mutationBytes(mutation), deadlineMs, settle });
      const nowMs = ports.timers.now();
      this.#pace.noteArrival(this.#queue.waiting, nowMs);
      // While a batch is in flight its commit is the next event; a turn for each arrival would find nothing to do.
      if (this.#mayPropose(nowMs)) driver.turn(() => undefined);
    });
  }

  #mayPropose(nowMs: number): boolean {
    const { inFlight, waiting } = this.#queue;
    if (inFlight > 0) return inFlight < BATCHES_IN_FLIGHT_MAX && nowMs - this.#lastProposedMs >= this.#pace.intervalMs;
    const lingerMs = this.#pace.lingerMs(waiting, nowMs);
    if (lingerMs === 0) return true;
    if (waiting > 0) this.#endLinger(lingerMs);
    return false;
  }

  /** One timer for all that wait: whoever comes while it runs either completes the batch or is sent with it. */
  #endLinger(lingerMs: number): void {
    const { driver, ports } = this.#context;
    if (this.#isLingering) return;
    this.#isLingering = true;
    ports.timers.after(lingerMs, () => {
      this.#isLingering = false;
      driver.backgroundTurn(() => undefined);
    });
  }
}
