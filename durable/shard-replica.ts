// One replica of one shard, whole: the replication core under its driver, the store it feeds, and the answers to reads and
// writes at each consistency level. Platform-free, so that the simulator runs it as it is; cache-replica.ts puts it on a
// Durable Object.

import { slotOf } from "../routing/slots.ts";
import { CHECKPOINT_STAGGER, type CheckpointLimits, DEFAULT_CHECKPOINT_LIMITS } from "./checkpoint-limits.ts";
import { CommitPace } from "./commit-pace.ts";
import { Driver } from "./driver.ts";
import { Leadership } from "./leadership.ts";
import type { Ownership } from "./ownership.ts";
import type {
  Pong,
  ReplicaStorage,
  ReplicaTimers,
  ReplicaTransport,
  SnapshotPart,
  SnapshotPartReply,
} from "./ports.ts";
import {
  type ConsistencyLevel,
  PROTOCOL_VERSION,
  type Provenance,
  type ReadReply,
  type ReadRequest,
  type Refusal,
  type ReplicaRole,
  type ReplicaStatus,
  type RequestHeader,
  type SuspectRequest,
  type WriteReply,
  type WriteRequest,
} from "./protocol.ts";
import { ReadQueue } from "./read-queue.ts";
import {
  CLOCK_DRIFT_MAX,
  DEFAULT_LIMITS,
  type ReplicationConfig,
  type ReplicationLimits,
} from "./replication/config.ts";
import type { LogEntry } from "./replication/entry.ts";
import type { Message } from "./replication/message.ts";
import { Replica } from "./replication/replica.ts";
import { SnapshotReceiver, streamSnapshot } from "./snapshot-stream.ts";
import { decodeBatch, encodeBatch } from "./store/codec.ts";
import type { Batch, Mutation } from "./store/command.ts";
import type { Entry } from "./store/entry.ts";
import { validateMutation } from "./store/limits.ts";
import { Store } from "./store/store.ts";
import { mutationBytes, QUEUE_BYTES_MAX, WriteQueue, type WriteResult } from "./write-queue.ts";

export interface ReplicaTiming {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly electionMinMs: number;
  readonly electionMaxMs: number;
  readonly campaignMs: number;
  readonly quiesceAfterMs: number;
}

export interface ShardReplicaOptions {
  readonly name: string;
  readonly shard: number;
  readonly replica: number;
  readonly generation: number;
  readonly region: string;
  readonly timing: ReplicaTiming;
  readonly random: () => number;
  readonly checkpoints?: CheckpointLimits | undefined;
  /** Where they differ from the defaults. */
  readonly limits?: Partial<ReplicationLimits> | undefined;
}

export interface ShardReplicaPorts {
  readonly storage: ReplicaStorage;
  readonly transport: ReplicaTransport;
  readonly timers: ReplicaTimers;
  readonly ownership: Ownership;
  /** The instance has broken an invariant or lost its storage: restart it from what it persisted. */
  readonly restart: (error: unknown) => void;
}

/** Batches in flight at once; how fast they may follow each other is CommitPace's. */
const BATCHES_IN_FLIGHT_MAX = 8;

/** A session read waits this long for its bookmark before it sends the client to the leader. */
const SESSION_WAIT_MS = 60;
/** A request that needs a leader waits this long for an election to end. */
const LEADER_WAIT_MS = 1_000;
/** A linearizable read without a lease waits this long for its round. */
const READ_INDEX_WAIT_MS = 1_000;
/** Deadlines are looked at in turns, but not in every one. */
const EXPIRY_INTERVAL_MS = 20;

export function memberId(placement: { readonly replica: number; readonly generation: number }): string {
  return `${placement.replica}.${placement.generation}`;
}

function replicaOf(member: string | undefined): number | undefined {
  return member === undefined ? undefined : Number.parseInt(member, 10);
}

export class ShardReplica {
  readonly #options: ShardReplicaOptions;
  readonly #limits: CheckpointLimits;
  readonly #ports: ShardReplicaPorts;
  readonly #core: Replica;
  readonly #driver: Driver;
  readonly #writes = new WriteQueue();
  readonly #reads = new ReadQueue();
  readonly #leadership: Leadership;
  readonly #receiver: SnapshotReceiver;
  #store: Store;
  /** Batches proposed here, as they were before encoding: the leader need not decode what it has just encoded. */
  readonly #proposed = new Map<number, { readonly term: number; readonly batch: Batch; readonly proposedMs: number }>();
  readonly #pace = new CommitPace();
  #lastProposedMs = Number.NEGATIVE_INFINITY;
  #isLingering = false;
  #lastExpiryMs = Number.NEGATIVE_INFINITY;
  #checkpointDue = false;
  /** Log that the newest checkpoint left behind: entries kept for followers are no reason for another one. */
  #logBytesKept = 0;
  #snapshotStreams = 0;
  /** Mutations that wait for a leader to be known: they fill the memory like those in the queue. */
  #parkedBytes = 0;
  #counters = {
    mutations: 0,
    batches: 0,
    reads: 0,
    elections: 0,
    checkpoints: 0,
    snapshots_sent: 0,
    snapshots_installed: 0,
  };

  constructor(options: ShardReplicaOptions, ports: ShardReplicaPorts) {
    this.#options = options;
    this.#limits = options.checkpoints ?? DEFAULT_CHECKPOINT_LIMITS;
    this.#ports = ports;
    const { storage, transport, timers } = ports;
    const config: ReplicationConfig = {
      ...DEFAULT_LIMITS,
      ...options.limits,
      ...options.timing,
      id: memberId(options),
      random: options.random,
    };
    this.#core = new Replica(config, storage, storage.checkpointIndex, timers.now());
    this.#store = new Store(storage, storage.checkpointState);
    this.#receiver = new SnapshotReceiver(storage);
    this.#leadership = new Leadership(this.#core);
    this.#driver = new Driver(this.#core, storage, transport, timers, {
      apply: (entry) => this.#apply(entry),
      readConfirmed: (id, index) => this.#reads.confirmReadIndex(id, index),
      snapshotNeeded: (id) => this.#sendSnapshot(id),
      turnEnded: () => this.#turnEnded(),
      isBusy: () =>
        this.#reads.size > 0 || this.#writes.waiting > 0 || this.#writes.inFlight > 0 || this.#leadership.isAwaited,
      fatal: ports.restart,
    });
    // Applies what storage knows to be committed, and arms the timers of a replica that was not asleep.
    this.#driver.turn((nowMs) => this.#core.tick(nowMs));
  }

  // --- the edge's calls ---

  /** Not async: a read that a lease or a follower can answer at once is answered without a promise. */
  read(request: ReadRequest): ReadReply | Promise<ReadReply> {
    const nowMs = this.#ports.timers.now();
    const refusal = this.#checkHeader(request, request.key);
    if (refusal !== undefined) return refusal;
    this.#counters.reads++;
    if (this.#core.serveFromLease(nowMs)) {
      if (isBeyond(request, this.#core.appliedIndex)) return futureBookmark(request, this.#core.appliedIndex);
      return this.#answer(request, "strong", nowMs);
    }
    switch (request.level) {
      case "eventual":
        return this.#answer(request, "eventual", nowMs);
      case "bounded":
        if (nowMs - this.#core.freshAsOfMs <= (request.boundMs ?? 0)) return this.#answer(request, "bounded", nowMs);
        return this.#readFromLeader(request);
      case "session": {
        const after = request.after?.index ?? 0;
        if (this.#core.appliedIndex >= after) return this.#answer(request, "session", nowMs);
        return this.#core.role === "leader" ? this.#readFromLeader(request) : this.#readAfter(request, after, nowMs);
      }
      case "strong":
        return this.#readFromLeader(request);
    }
  }

  async write(request: WriteRequest): Promise<WriteReply> {
    const refusal = this.#checkHeader(request, request.mutation.key);
    if (refusal !== undefined) return refusal;
    const problem = validateMutation(request.mutation);
    if (problem !== undefined) return { status: "invalid", reason: problem };
    const bytes = mutationBytes(request.mutation);
    const isFull = this.#writes.isFull || this.#parkedBytes + bytes > QUEUE_BYTES_MAX;
    if (isFull) return { status: "overloaded", retryAfterMs: LEADER_WAIT_MS };
    const deadlineMs = this.#ports.timers.now() + request.deadlineMs;
    if (this.#core.role !== "leader") {
      this.#parkedBytes += bytes;
      const elsewhere = await this.#awaitLeadership(deadlineMs);
      this.#parkedBytes -= bytes;
      if (elsewhere !== undefined) return elsewhere;
    }
    const result = await this.#enqueue(request.mutation, deadlineMs);
    const leader = replicaOf(this.#core.leader);
    switch (result.status) {
      case "applied":
        return {
          status: "ok",
          outcome: result.outcome,
          from: { ...this.#provenance(), term: result.term, index: result.index },
          clockMs: this.#store.clockMs,
        };
      case "unknown":
        return { status: "unknown", reason: result.reason, term: this.#core.term, leader };
      case "not_applied":
        if (this.#core.role === "leader") return this.#unavailable(result.reason);
        return { status: "not_leader", leader, term: this.#core.term };
    }
  }

  /** Evidence from an edge that the leader does not answer it. Believed only where this replica sees it too. */
  async suspect(request: SuspectRequest): Promise<void> {
    const leader = this.#core.leader;
    if (leader !== undefined && replicaOf(leader) !== request.leader) return;
    const suspected = leader ?? this.#core.membership.voters.find((id) => replicaOf(id) === request.leader);
    if (suspected === undefined || suspected === this.#core.id) return;
    if (request.evidence === "silent") {
      // Second witness: the leader has missed two heartbeats here as well.
      const heardMs = this.#core.leaderClock?.receivedMs ?? Number.NEGATIVE_INFINITY;
      const silentMs = this.#ports.timers.now() - heardMs;
      if (silentMs >= 2 * this.#options.timing.heartbeatMs) this.#suspectLeader(suspected);
      return;
    }
    try {
      // Second witness: the own connection. It answers: the trouble is between the edge and the leader.
      await this.#ports.transport.ping(suspected);
    } catch {
      this.#suspectLeader(suspected);
    }
  }

  status(): ReplicaStatus {
    const core = this.#core;
    const { storage } = this.#ports;
    const { name, shard, replica, generation, region } = this.#options;
    return {
      name,
      shard,
      replica,
      generation,
      region,
      role: this.#role(),
      term: core.term,
      leader: replicaOf(core.leader),
      firstIndex: core.log.firstIndex,
      lastIndex: core.log.lastIndex,
      commitIndex: core.commitIndex,
      appliedIndex: core.appliedIndex,
      checkpointIndex: storage.checkpointIndex,
      leaseRemainingMs: core.leaderState?.leaseRemainingMs(core) ?? 0,
      quiesced: core.asleep,
      epoch: this.#ports.ownership.epoch,
      keys: this.#store.state.keys,
      logBytes: storage.logBytes,
      members: [...(core.leaderState?.progress.values() ?? [])].map(({ id, match, state }) => ({ id, match, state })),
      counters: { ...this.#counters, rows_written: storage.rowsWritten, rpcs_sent: this.#driver.callsSent },
    };
  }

  /** Asks the leader to hand over to another replica of the shard. False: not the leader, or no such voter. */
  transferLeadership(to: number): boolean {
    const target = this.#core.membership.voters.find((id) => replicaOf(id) === to);
    let started = false;
    if (target !== undefined) {
      this.#driver.turn((nowMs) => {
        started = this.#core.transferLeadership(target, nowMs);
      });
    }
    return started;
  }

  // --- the peers' calls ---

  receive(message: Message): readonly Message[] {
    return this.#driver.receive(message);
  }

  receiveSnapshotPart(part: SnapshotPart): SnapshotPartReply {
    const core = this.#core;
    if (part.term < core.term) return { status: "refused", term: core.term };
    if (!core.wantsSnapshot(part.meta)) return { status: "done" };
    let progress: ReturnType<SnapshotReceiver["accept"]> = "out_of_order";
    // In a turn, so that a failing storage ends this instance as everywhere else.
    this.#driver.turn((nowMs) => {
      progress = this.#receiver.accept(part);
      if (progress === "complete") this.#installSnapshot(part, nowMs);
    });
    return progress === "out_of_order" ? { status: "refused", term: core.term } : { status: "ok" };
  }

  #installSnapshot({ meta, from, term }: SnapshotPart, nowMs: number): void {
    const { storage } = this.#ports;
    storage.finishImport(meta);
    this.#store = new Store(storage, storage.checkpointState);
    this.#logBytesKept = storage.logBytes;
    this.#core.installSnapshot(meta, { id: from, term }, nowMs);
    this.#writes.settleReplaced(meta.index);
    this.#proposed.clear();
    this.#counters.snapshots_installed++;
  }

  ping(): Pong {
    return { term: this.#core.term, leader: this.#core.leader };
  }

  // --- reads ---

  async #readFromLeader(request: ReadRequest): Promise<ReadReply> {
    const startMs = this.#ports.timers.now();
    if (this.#core.role !== "leader") {
      const elsewhere = await this.#awaitLeadership(startMs + LEADER_WAIT_MS);
      if (elsewhere !== undefined) return elsewhere;
    }
    if (this.#reads.isFull) return { status: "overloaded", retryAfterMs: LEADER_WAIT_MS };
    // Race: the leadership that was waited for can be lost again before this continues.
    if (this.#core.role !== "leader") return this.#notLeader();
    const { id, applied } = this.#reads.waitForReadIndex(startMs + READ_INDEX_WAIT_MS);
    this.#driver.turn((nowMs) => this.#core.readIndex(id, nowMs));
    if (!(await applied)) {
      if (this.#core.role !== "leader") return this.#notLeader();
      return this.#unavailable("no majority confirmed the leadership in time");
    }
    if (isBeyond(request, this.#core.appliedIndex)) return futureBookmark(request, this.#core.appliedIndex);
    return this.#answer(request, "strong", this.#ports.timers.now());
  }

  async #readAfter(request: ReadRequest, index: number, nowMs: number): Promise<ReadReply> {
    if (this.#core.asleep || this.#reads.isFull)
      return this.#core.leader === undefined ? this.#readFromLeader(request) : this.#notLeader();
    const waited = this.#reads.waitFor(index, nowMs + SESSION_WAIT_MS);
    this.#driver.turn(() => undefined);
    if (await waited) return this.#answer(request, "session", this.#ports.timers.now());
    return this.#unavailable(`this replica has applied ${this.#core.appliedIndex}, not yet ${index}`);
  }

  #answer(request: ReadRequest, level: ConsistencyLevel, nowMs: number): ReadReply {
    const clockMs = this.#clock(nowMs);
    const entry = this.#store.read(request.slot, request.key, clockMs);
    return {
      status: "ok",
      entry: entry === undefined ? undefined : readEntryOf(entry, request),
      level,
      clockMs,
      from: this.#provenance(),
    };
  }

  /**
   * The shard's time: the leader's clock, because it stamps; a follower knows it only as old as the leader's last message,
   * and counts on from there at the slowest rate that the leader's clock may have: never ahead, so nothing expires early.
   */
  #clock(nowMs: number): number {
    const { leaderClock, role } = this.#core;
    if (role === "leader") return Math.max(nowMs, this.#store.clockMs);
    if (leaderClock === undefined) return this.#store.clockMs;
    const sinceMs = Math.floor((nowMs - leaderClock.receivedMs) * (1 - CLOCK_DRIFT_MAX));
    return Math.max(leaderClock.sentAtMs + sinceMs, this.#store.clockMs);
  }

  // --- writes ---

  #enqueue(mutation: Mutation, deadlineMs: number): Promise<WriteResult> {
    if (this.#core.role !== "leader") return Promise.resolve({ status: "not_applied", reason: "leadership was lost" });
    return new Promise((settle) => {
      this.#writes.add({ mutation, bytes: mutationBytes(mutation), deadlineMs, settle });
      // While a batch is in flight its commit is the next event; a turn for each arrival would find nothing to do.
      if (this.#mayPropose(this.#ports.timers.now())) this.#driver.turn(() => undefined);
    });
  }

  #proposeBatches(nowMs: number): void {
    while (this.#writes.waiting > 0 && this.#core.canPropose) {
      if (!this.#mayPropose(nowMs)) return;
      const writes = this.#writes.takeBatch();
      const batch: Batch = {
        stampMs: Math.max(nowMs, this.#store.clockMs),
        mutations: writes.map(({ mutation }) => mutation),
      };
      const proposal = this.#core.propose("batch", encodeBatch(batch), nowMs);
      if (proposal === undefined) throw new Error("halo: the core refused a proposal that it had room for");
      this.#writes.noteProposed(proposal.index, proposal.term, writes);
      this.#proposed.set(proposal.index, { term: proposal.term, batch, proposedMs: nowMs });
      this.#lastProposedMs = nowMs;
      this.#counters.batches++;
    }
  }

  #mayPropose(nowMs: number): boolean {
    const { inFlight, waiting } = this.#writes;
    if (inFlight > 0) return inFlight < BATCHES_IN_FLIGHT_MAX && nowMs - this.#lastProposedMs >= this.#pace.intervalMs;
    const lingerMs = this.#pace.lingerMs(waiting, nowMs);
    if (lingerMs === 0) return true;
    if (waiting > 0) this.#endLinger(lingerMs);
    return false;
  }

  /** One timer for all that wait: whoever comes while it runs either completes the batch or is sent with it. */
  #endLinger(lingerMs: number): void {
    if (this.#isLingering) return;
    this.#isLingering = true;
    this.#ports.timers.after(lingerMs, () => {
      this.#isLingering = false;
      this.#driver.backgroundTurn(() => undefined);
    });
  }

  #apply(entry: LogEntry): void {
    const own = this.#proposed.get(entry.index);
    this.#proposed.delete(entry.index);
    if (entry.kind !== "batch") {
      this.#writes.settleApplied(entry.index, entry.term, []);
      return;
    }
    const isOwn = own?.term === entry.term;
    if (isOwn) {
      const nowMs = this.#ports.timers.now();
      this.#pace.noteCommit(own.batch.mutations.length, nowMs - own.proposedMs, nowMs);
      const { nextExpectedMs } = this.#pace;
      if (nextExpectedMs !== undefined) this.#core.expectProposal(nextExpectedMs);
    }
    const batch = isOwn ? own.batch : decodeBatch(entry.data);
    const outcomes = this.#store.apply(batch);
    this.#counters.mutations += outcomes.length;
    this.#writes.settleApplied(entry.index, entry.term, outcomes);
  }

  // --- the end of a turn ---

  #turnEnded(): void {
    const nowMs = this.#ports.timers.now();
    const isLeader = this.#core.role === "leader";
    if (this.#leadership.changed()) {
      if (isLeader) {
        this.#counters.elections++;
        this.#writes.settleCutOff(this.#core.log.lastIndex);
      } else {
        this.#writes.refuseWaiting("this replica is not the leader any more");
        this.#reads.refuseUnconfirmed();
      }
    }
    this.#leadership.settle();
    this.#proposeBatches(nowMs);
    this.#reads.settleApplied(this.#core.appliedIndex);
    if (nowMs - this.#lastExpiryMs >= EXPIRY_INTERVAL_MS) {
      this.#lastExpiryMs = nowMs;
      this.#reads.expire(nowMs);
      this.#writes.expire(nowMs);
      this.#leadership.expire(nowMs);
    }
    this.#maybeScheduleCheckpoint();
  }

  #maybeScheduleCheckpoint(): void {
    if (this.#checkpointDue) return;
    const { storage, timers } = this.#ports;
    const limits = this.#limits;
    const { dirtyKeys, dirtyBytes } = this.#store;
    const newLogBytes = storage.logBytes - this.#logBytesKept;
    const patience = 1 + CHECKPOINT_STAGGER * this.#options.replica;
    const isDue =
      dirtyKeys >= limits.dirtyKeys * patience ||
      dirtyBytes >= limits.dirtyBytes ||
      (newLogBytes >= limits.logBytes && this.#core.appliedIndex > storage.checkpointIndex);
    if (!isDue) return;
    if (this.#snapshotStreams > 0 && Math.max(dirtyBytes, newLogBytes) < limits.snapshotHoldBytes) return;
    this.#checkpointDue = true;
    // In a turn of its own: answers that are about to leave must not wait for the checkpoint's flush.
    timers.after(0, () => this.#checkpoint());
  }

  #checkpoint(): void {
    this.#checkpointDue = false;
    this.#driver.backgroundTurn(() => {
      const { storage } = this.#ports;
      const core = this.#core;
      storage.saveCheckpoint(this.#store.checkpointDelta(), core.appliedIndex);
      this.#store.markCheckpointed();
      this.#counters.checkpoints++;
      const compactTo = core.appliedIndex - this.#limits.entriesKept;
      if (compactTo >= core.log.firstIndex) {
        core.compactTo(compactTo);
        storage.compactLog(core.log.snapshot);
      }
      this.#logBytesKept = storage.logBytes;
    });
  }

  #sendSnapshot(to: string): void {
    const { storage, transport, timers } = this.#ports;
    const core = this.#core;
    const { term } = core;
    const index = storage.checkpointIndex;
    const indexTerm = core.log.term(index);
    if (indexTerm === undefined) throw new Error("halo: the checkpoint's term is in the log or at its start");
    const meta = { index, term: indexTerm, membership: core.membershipAt(index) };
    this.#snapshotStreams++;
    this.#counters.snapshots_sent++;
    const mayGoOn = () => core.term === term && core.role === "leader" && storage.checkpointIndex === index;
    const stream = streamSnapshot({ from: core.id, to, term, meta, storage, transport, timers, mayGoOn });
    stream
      .then((held) => {
        this.#snapshotStreams--;
        this.#driver.backgroundTurn((nowMs) => core.snapshotFinished(to, held, nowMs));
      })
      .catch(this.#ports.restart);
  }

  // --- leadership ---

  /** Waits for this replica or another to lead; undefined: this one does. */
  async #awaitLeadership(deadlineMs: number): Promise<Refusal | undefined> {
    const core = this.#core;
    if (core.leader === undefined || core.suspectsLeader) {
      const waitMs = Math.min(deadlineMs, this.#ports.timers.now() + LEADER_WAIT_MS);
      const known = this.#leadership.await(waitMs);
      this.#driver.turn((nowMs) => {
        core.wake(nowMs);
        core.tick(nowMs);
      });
      if (!(await known)) return this.#unavailable("no leader was elected in time");
    }
    return core.role === "leader" ? undefined : this.#notLeader();
  }

  #suspectLeader(leader: string): void {
    this.#driver.turn((nowMs) => {
      this.#core.suspect(leader, nowMs);
      this.#core.tick(nowMs);
    });
  }

  // --- small parts of answers ---

  #checkHeader(header: RequestHeader, key: string): Refusal | undefined {
    if (header.v !== PROTOCOL_VERSION) {
      return { status: "invalid", reason: `protocol version ${header.v} is not ${PROTOCOL_VERSION}` };
    }
    if (header.to !== this.#options.name)
      return { status: "invalid", reason: `this is ${this.#options.name}, not ${header.to}` };
    if (slotOf(key) !== header.slot) return { status: "invalid", reason: `slot ${header.slot} is not the key's` };
    return this.#ports.ownership.refusal(this.#options.shard, header.slot);
  }

  #notLeader(): Refusal {
    return { status: "not_leader", leader: replicaOf(this.#core.leader), term: this.#core.term };
  }

  #unavailable(reason: string): Refusal {
    return { status: "unavailable", reason, term: this.#core.term, leader: replicaOf(this.#core.leader) };
  }

  #provenance(): Provenance {
    const { shard, replica } = this.#options;
    return { shard, replica, role: this.#role(), term: this.#core.term, index: this.#core.appliedIndex };
  }

  #role(): ReplicaRole {
    const { role, isVoter } = this.#core;
    if (role === "leader") return "leader";
    if (role === "follower") return isVoter ? "follower" : "learner";
    return "candidate";
  }
}

function isBeyond(request: ReadRequest, appliedIndex: number): boolean {
  return request.level === "session" && (request.after?.index ?? 0) > appliedIndex;
}

/** The leader has applied everything that was ever acknowledged, so such a bookmark was not made by this shard. */
function futureBookmark(request: ReadRequest, appliedIndex: number): Refusal {
  return {
    status: "invalid",
    reason: `the bookmark says index ${request.after?.index}, this shard is at ${appliedIndex}`,
  };
}

function readEntryOf(entry: Entry, request: ReadRequest) {
  const isOmitted = request.omitValue === true || request.omitValueOfVersions?.includes(entry.version) === true;
  return {
    version: entry.version,
    contentType: entry.contentType,
    value: isOmitted ? undefined : entry.value,
    size: entry.value.byteLength,
    modifiedMs: entry.modifiedMs,
    expiresMs: entry.expiresMs,
  };
}
