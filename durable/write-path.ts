// Writes of one replica: what the leader queues, proposes in batches and answers when they are applied; and the applying of
// committed entries, its own and other leaders'. Platform-free.

import { CommitPace } from "./commit-pace.ts";
import { KeyWatch } from "./key-watch.ts";
import { shedAt } from "./load-gate.ts";
import { MoveWaiters } from "./move-waiters.ts";
import type { PurgeReply, PurgeRequest, Refusal, WriteReply, WriteRequest } from "./protocol.ts";
import { LEADER_WAIT_MS, type ReplicaContext, replicaOf } from "./replica-context.ts";
import type { LogEntry } from "./replication/entry.ts";
import { decodeBatch, encodeBatch } from "./store/codec.ts";
import type { Batch, KeyMutation, LimitMutation, Mutation, Outcome } from "./store/command.ts";
import { decideLimit } from "./store/commands/limits.ts";
import { PURGE_SCOPES_MAX } from "./store/limits.ts";
import { mutationBytes } from "./store/sizes.ts";
import { validateMutation } from "./store/validate.ts";
import { type PendingWrite, QUEUE_BYTES_MAX, WriteQueue, type WriteResult } from "./write-queue.ts";

/** Batches in flight at once; how fast they may follow each other is CommitPace's. */
const BATCHES_IN_FLIGHT_MAX = 8;

/**
 * A write that comes before the news that its slot is this shard's waits for that: for a call and an entry of the log, mostly, and for less
 * than an edge takes for silence (250 ms), although the end of a wait is noticed only in a turn: with the next heartbeat, at the latest.
 */
export const OWNER_WAIT_MS = 150;

/** Nothing was done: sent by itself, the write may wait until it is decided who owns its slot. */
export const HELD = { status: "unavailable", reason: "the slot is about to move to another shard", term: 0 } as const;

/** Mutations that only a leader makes, of itself or for a purge. */
const OWN_KINDS: ReadonlySet<Mutation["kind"]> = new Set([
  "purge",
  "reclaim",
  "forget_purges",
  "found_slots",
  "move",
  "import",
]);

interface Proposed {
  readonly term: number;
  readonly batch: Batch;
  /** Undefined: nobody waits for it, and it says nothing of the pace of writes. */
  readonly proposedMs: number | undefined;
}

export interface SubmitOptions {
  /** Others wait for the answer that are answered with it. */
  readonly isTogether?: boolean | undefined;
  /**
   * For steps of moves. Whoever submits in the same moment goes along: the entry leaves right after it. `urgent`: writers wait for it, so
   * it waits neither for company nor for the batch before it.
   */
  readonly step?: "bulk" | "urgent" | undefined;
}

export class WritePath {
  readonly #context: ReplicaContext;
  readonly #queue = new WriteQueue();
  readonly #moving = new MoveWaiters();
  /** Batches proposed here, as they were before encoding: the leader need not decode what it has just encoded. */
  readonly #proposed = new Map<number, Proposed>();
  readonly #pace = new CommitPace();
  /** Told of every key that a committed mutation has changed. */
  readonly watch = new KeyWatch();
  /** Told of everything that was applied, in the turn in which it was. */
  onApplied: (mutations: readonly Mutation[]) => void = () => undefined;
  /** Of a traced write that waits: the batch that leaves next takes it along. */
  #waitingTrace: string | undefined;
  #lastProposedMs = Number.NEGATIVE_INFINITY;
  #isLingering = false;
  #isTurnDue = false;
  /** Among those in the queue is a step that others wait for. */
  #hasUrgent = false;
  /** Mutations that wait for a leader to be known: they fill the memory like those in the queue. */
  #parkedBytes = 0;

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  get isBusy(): boolean {
    return this.#queue.waiting > 0 || this.#queue.inFlight > 0 || this.#moving.size > 0;
  }

  get hasWaitingPurge(): boolean {
    return this.#moving.hasPurge;
  }

  /** `isTogether`: HELD instead of an answer that would have to wait for a move. */
  async write(request: WriteRequest, isTogether = false): Promise<WriteReply> {
    const { ports } = this.#context;
    const { mutation } = request;
    const refusal = this.#context.headerRefusal(request, mutation.key);
    // The source sends its writers here as soon as it has decided, and tells this shard at the same time.
    const isAwaited = refusal?.status === "unavailable" && this.#context.store.marks.slots.isSealed(mutation.slot);
    if (refusal !== undefined && !isAwaited) return refusal;
    const problem = OWN_KINDS.has(mutation.kind) ? "kind: expected one of a client's" : validateMutation(mutation);
    if (problem !== undefined) return { status: "invalid", reason: problem };
    const waitMs = isAwaited ? Math.min(request.deadlineMs, OWNER_WAIT_MS) : request.deadlineMs;
    const deadlineMs = ports.timers.now() + waitMs;
    const lead = this.leadFor(mutationBytes(mutation), deadlineMs, request.urgency);
    const elsewhere = lead instanceof Promise ? await lead : lead;
    if (elsewhere !== undefined) return elsewhere;
    const shed = mutation.kind === "limit" ? this.#limitExceeded(mutation, request.epoch) : undefined;
    if (shed !== undefined) return shed;
    this.#context.hotKeys.noteWrite(mutation.key, ports.timers.now());
    const admitted = this.#context.admission.admit(mutation);
    if (admitted.status !== "admitted") return admitted;
    if (request.trace !== undefined) this.#waitingTrace = request.trace;
    const [result] = this.submit([admitted.mutation], deadlineMs, { isTogether });
    if (result === undefined) throw new Error("halo: one result for each mutation");
    return this.#replyOf(await result, request.epoch);
  }

  /** Takes away what is in the scopes and was written before; one mutation each, whatever they concern. */
  async purge(request: PurgeRequest): Promise<PurgeReply> {
    const { core, ports } = this.#context;
    const { isSoft, scopes } = request;
    const isCountable = scopes.length >= 1 && scopes.length <= PURGE_SCOPES_MAX;
    const mutations = scopes.map((scope): Mutation => ({ kind: "purge", scope, isSoft }));
    const problem = isCountable
      ? mutations.map(validateMutation).find((found) => found !== undefined)
      : `scopes: expected 1 to ${PURGE_SCOPES_MAX}`;
    const refusal = this.#context.shardRefusal(request) ?? invalid(problem);
    if (refusal !== undefined) return refusal;
    const deadlineMs = ports.timers.now() + request.deadlineMs;
    const lead = this.leadFor(0, deadlineMs);
    const elsewhere = lead instanceof Promise ? await lead : lead;
    if (elsewhere !== undefined) return elsewhere;
    // In the turn of the proposal. Race (R4): a caller who has not heard of a move purges the source and not its target; applied
    // after the slot has gone, that would take nothing away. A move that begins after this comes later in the log, and finds
    // the rows purged.
    const { ownership } = ports;
    const { slots } = this.#context.store.marks;
    const isOutdated = slots.isFounded ? request.epoch < slots.newestMove : request.epoch !== ownership.epoch;
    if (isOutdated) return ownership.wrongOwner();
    const outcomes: Outcome[] = [];
    for (const result of await Promise.all(this.submit(mutations, deadlineMs))) {
      if (result.status === "unknown") return { status: "unknown", reason: result.reason, term: core.term };
      if (result.status === "not_applied") return this.#notApplied(result.reason);
      if (result.status === "moved") throw new Error("halo: a purge is of no slot");
      outcomes.push(result.outcome);
    }
    this.#context.counters.purges += scopes.length;
    return { status: "ok", outcomes, from: this.#context.provenance(request.epoch) };
  }

  /** Room for so many bytes, and the leadership; undefined: there is both. */
  leadFor(bytes: number, deadlineMs: number, urgency?: number): Refusal | undefined | Promise<Refusal | undefined> {
    const parkedBytes = this.#parkedBytes + this.#moving.bytes;
    if (parkedBytes + bytes > QUEUE_BYTES_MAX) return { status: "overloaded", retryAfterMs: LEADER_WAIT_MS };
    const shed = shedAt(this.#queue.fill, urgency, LEADER_WAIT_MS);
    if (shed !== undefined) return shed;
    // Not async: whoever leads queues in this turn. Race: thousands that find room before the first of them takes it.
    return this.#context.core.role === "leader" ? undefined : this.#park(bytes, deadlineMs);
  }

  async #park(bytes: number, deadlineMs: number): Promise<Refusal | undefined> {
    this.#parkedBytes += bytes;
    const elsewhere = await this.#context.awaitLeadership(deadlineMs);
    this.#parkedBytes -= bytes;
    return elsewhere;
  }

  /** A refusal needs no entry in the log: what is in flight can only make it more certain. */
  #limitExceeded(mutation: LimitMutation, epoch: number): WriteReply | undefined {
    const { core, ports, store } = this.#context;
    const nowMs = ports.timers.now();
    if (mutation.idempotency !== undefined || !core.serveFromLease(nowMs)) return undefined;
    const clockMs = this.#context.clockAt(nowMs);
    const current = store.read(mutation.slot, mutation.key, clockMs);
    const { isAllowed, remaining, resetMs } = decideLimit(mutation, current, clockMs);
    if (isAllowed) return undefined;
    const from = this.#context.provenance(epoch);
    return { status: "ok", outcome: { kind: "limited", isAllowed, remaining, resetMs }, from, clockMs };
  }

  #notApplied(reason: string): Refusal {
    return this.#context.core.role === "leader" ? this.#context.unavailable(reason) : this.#context.notLeader();
  }

  #replyOf(result: WriteResult, epoch: number): WriteReply {
    const { core, store } = this.#context;
    switch (result.status) {
      case "applied": {
        const { outcome, term, index } = result;
        const from = { ...this.#context.provenance(epoch), term, index };
        return { status: "ok", outcome, from, clockMs: store.clockMs };
      }
      case "unknown":
        return { status: "unknown", reason: result.reason, term: core.term, leader: replicaOf(core.leader) };
      case "not_applied":
        return result.isHeld === true ? HELD : this.#notApplied(result.reason);
      case "moved":
        return this.movedReply(result.slot);
    }
  }

  /** For whoever was told that the slot has moved. It may have come back since. */
  movedReply(slot: number): Refusal {
    return this.#context.ownerRefusal(slot) ?? this.#context.unavailable("the slot has moved to this shard just now");
  }

  /** Applies one committed entry to the store and answers whoever wrote it here. */
  apply(entry: LogEntry): void {
    const { core, counters, ports, store, telemetry } = this.#context;
    const own = this.#proposed.get(entry.index);
    this.#proposed.delete(entry.index);
    if (entry.kind !== "batch") {
      this.#queue.settleApplied(entry.index, entry.term, []);
      return;
    }
    const isOwn = own?.term === entry.term;
    if (isOwn && own.proposedMs !== undefined) {
      const nowMs = ports.timers.now();
      const roundTripMs = core.leaderState?.roundTripMs(core) ?? Number.POSITIVE_INFINITY;
      const writes = own.batch.mutations.length;
      const tookMs = nowMs - own.proposedMs;
      this.#pace.noteCommit({ writes, waiting: this.#queue.waiting, tookMs, roundTripMs }, nowMs);
      telemetry.commitMs.note(tookMs);
      telemetry.batchSize.note(writes);
      const { nextExpectedMs } = this.#pace;
      if (nextExpectedMs !== undefined) core.expectProposal(nextExpectedMs);
    }
    const batch = isOwn ? own.batch : decodeBatch(entry.data);
    const outcomes = store.apply(batch);
    counters.mutations += outcomes.length;
    this.#queue.settleApplied(entry.index, entry.term, outcomes);
    this.watch.applied(batch.mutations);
    this.onApplied(batch.mutations);
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
    this.#hasUrgent = false;
    this.#queue.refuseWaiting("this replica is not the leader any more");
    this.#moving.refuse("this replica is not the leader any more");
  }

  expire(nowMs: number): void {
    this.#queue.expire(nowMs);
    this.#moving.expire(nowMs);
  }

  /** At the end of a turn: whoever waited for a slot that has stayed goes into the log, whoever waited for one that has gone goes there. */
  settleMoved(): void {
    if (this.#moving.size === 0) return;
    const { slots } = this.#context.store.marks;
    for (const write of this.#moving.take(({ mutation }) => !this.#mustWait(mutation))) {
      const { mutation } = write;
      if (isClients(mutation) && !slots.owns(mutation.slot)) write.settle({ status: "moved", slot: mutation.slot });
      else this.#enqueue(write);
    }
  }

  #mustWait(mutation: Mutation): boolean {
    const { slots } = this.#context.store.marks;
    if (mutation.kind === "purge") return slots.hasFrozen;
    if (!isClients(mutation)) return false;
    const refusal = slots.refusal(mutation.slot);
    return refusal === "moving" || (refusal === "moved" && slots.isSealed(mutation.slot));
  }

  /** The housekeeper has proposed this. */
  noteHousekeeping(index: number, term: number, batch: Batch): void {
    this.#proposed.set(index, { term, batch, proposedMs: undefined });
  }

  /** Whether something that is on its way into the log, or in it and not applied yet, may change rows of the slot. */
  mayChange(slot: number): boolean {
    const { core } = this.#context;
    for (let index = core.appliedIndex + 1; index <= core.log.lastIndex; index++) {
      const own = this.#proposed.get(index);
      // Of another leader, or of no batch.
      if (own?.term !== core.term) return true;
      if (own.batch.mutations.some((mutation) => concerns(mutation, slot))) return true;
    }
    return this.#queue.hasWaiting((mutation) => concerns(mutation, slot));
  }

  /** At the end of a turn: whatever waits and may leave. */
  proposeBatches(nowMs: number): void {
    const { core, counters, driver, store } = this.#context;
    while (this.#queue.waiting > 0 && core.canPropose) {
      if (!this.#mayPropose(nowMs)) return;
      const writes = this.#queue.takeBatch();
      if (this.#queue.waiting === 0) this.#hasUrgent = false;
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
      if (this.#waitingTrace !== undefined) {
        driver.trace = this.#waitingTrace;
        this.#waitingTrace = undefined;
      }
    }
  }

  /** Queues mutations that go into the log in this order, and each of which has a fate of its own. */
  submit(
    mutations: readonly Mutation[],
    deadlineMs: number,
    { isTogether = false, step }: SubmitOptions = {},
  ): readonly Promise<WriteResult>[] {
    const { core, driver, ports, store } = this.#context;
    if (core.role !== "leader") {
      const lost: WriteResult = { status: "not_applied", reason: "leadership was lost" };
      return mutations.map(() => Promise.resolve(lost));
    }
    // Before any promise is made. Race: a superseded instance meets its lost storage here, and a promise that was refused for that would
    // be nobody's once the turn below throws as well.
    const sized = mutations.map((mutation) => ({
      mutation,
      bytes: mutationBytes(mutation) + store.returnableBytes(mutation),
    }));
    const results = sized.map(
      (write) => new Promise<WriteResult>((settle) => this.#enqueue({ ...write, deadlineMs, isTogether, settle })),
    );
    const nowMs = ports.timers.now();
    this.#pace.noteArrival(this.#queue.waiting, nowMs);
    // While a batch is in flight its commit is the next event; a turn for each arrival would find nothing to do.
    if (step === "urgent") this.#hasUrgent = true;
    if (!this.#mayPropose(nowMs)) return results;
    if (step !== undefined) this.#turnSoon();
    else driver.turn(() => undefined);
    return results;
  }

  #turnSoon(): void {
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    Promise.resolve()
      .then(() => {
        this.#isTurnDue = false;
        this.#context.driver.backgroundTurn(() => undefined);
      })
      .catch(this.#context.ports.restart);
  }

  #enqueue(write: PendingWrite): void {
    // It would only come back. Those that meet the freeze in the log do.
    if (this.#mustWait(write.mutation)) this.#waitForMove(write);
    else this.#queue.add({ ...write, settle: (result) => this.#settle(write, result) });
  }

  #settle(write: PendingWrite, result: WriteResult): void {
    const kind = result.status === "applied" ? result.outcome.kind : undefined;
    if (kind === "moving") this.#waitForMove(write);
    else if (kind === "moved" && isClients(write.mutation))
      write.settle({ status: "moved", slot: write.mutation.slot });
    else write.settle(result);
  }

  /** Race: its caller may have been told by now that its fate is open. Such a one is not to be done later. */
  #waitForMove(write: PendingWrite): void {
    if (write.isTogether === true) {
      write.settle({ status: "not_applied", reason: HELD.reason, isHeld: true });
      return;
    }
    const isLate = write.deadlineMs <= this.#context.ports.timers.now();
    if (isLate || !this.#moving.add(write)) {
      write.settle({ status: "not_applied", reason: "the slot is about to move to another shard" });
    }
  }

  #mayPropose(nowMs: number): boolean {
    const { inFlight, waiting } = this.#queue;
    if (this.#hasUrgent) return inFlight < BATCHES_IN_FLIGHT_MAX;
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

function isClients(mutation: Mutation): mutation is KeyMutation {
  return !OWN_KINDS.has(mutation.kind);
}

function concerns(mutation: Mutation, slot: number): boolean {
  if (mutation.kind === "reclaim") return mutation.rows.some((row) => row.slot === slot);
  const isOfSlots = isClients(mutation) || mutation.kind === "move" || mutation.kind === "import";
  return isOfSlots ? mutation.slot === slot : true;
}

function invalid(reason: string | undefined): Refusal | undefined {
  return reason === undefined ? undefined : { status: "invalid", reason };
}
