// One replica of one shard, whole: the replication core under its driver, and the parts that hang on it: reads, writes,
// checkpoints. Platform-free, so that the simulator runs it as it is; cache-replica.ts puts it on a Durable Object.

import { BatchPath } from "./batch-path.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Driver } from "./driver.ts";
import { FillPath } from "./fill-path.ts";
import { Housekeeper } from "./housekeeper.ts";
import { RateGate } from "./load-gate.ts";
import { MembershipKeeper } from "./membership-keeper.ts";
import { MoveTarget } from "./move-target.ts";
import type { Pong, SnapshotPart, SnapshotPartReply } from "./ports.ts";
import {
  type BatchReply,
  type BatchRequest,
  DEFAULT_URGENCY,
  type FillReply,
  type FillRequest,
  type MoveReply,
  type MoveRequest,
  type PartReply,
  type PartRequest,
  type PurgeReply,
  type PurgeRequest,
  type ReadReply,
  type ReadRequest,
  type Refusal,
  type ReplicaStatus,
  type ScanReply,
  type ScanRequest,
  type StatusRequest,
  type SuspectRequest,
  type WriteReply,
  type WriteRequest,
} from "./protocol.ts";
import { ReadPath } from "./read-path.ts";
import {
  memberId,
  ReplicaContext,
  replicaOf,
  type ShardReplicaOptions,
  type ShardReplicaPorts,
} from "./replica-context.ts";
import { DEFAULT_LIMITS, type ReplicationConfig } from "./replication/config.ts";
import type { Message } from "./replication/message.ts";
import { Replica } from "./replication/replica.ts";
import { ScanPath } from "./scan-path.ts";
import { SlotMover } from "./slot-mover.ts";
import { StateChecks } from "./state-checks.ts";
import { partKey } from "./store/keyspace.ts";
import { Store } from "./store/store.ts";
import { RequestWatch } from "./telemetry/request-watch.ts";
import type { SlowEntry } from "./telemetry/slow-log.ts";
import { HELD, WritePath } from "./write-path.ts";

/** Deadlines are looked at in turns, but not in every one. */
const EXPIRY_INTERVAL_MS = 20;

/** Writes of a hot key are at most as urgent: taken on up to seven tenths of what the replica takes on. */
export const HOT_WRITE_URGENCY = 5;

/** While members change, a replica that hears no leader asks the others to wake at most this often. */
const ROUSE_INTERVAL_MS = 1_000;

export class ShardReplica {
  readonly #context: ReplicaContext;
  readonly #reads: ReadPath;
  readonly #writes: WritePath;
  readonly #batches: BatchPath;
  readonly #fills: FillPath;
  readonly #scans: ScanPath;
  readonly #checkpoints: Checkpoints;
  readonly #housekeeper: Housekeeper;
  readonly #members: MembershipKeeper;
  readonly #states: StateChecks;
  readonly #gate: RateGate | undefined;
  readonly #mover: SlotMover;
  readonly #target: MoveTarget;
  readonly #watch: RequestWatch;
  #lastExpiryMs = Number.NEGATIVE_INFINITY;
  #lastRousedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ShardReplicaOptions, ports: ShardReplicaPorts) {
    const { storage, transport, timers } = ports;
    const config: ReplicationConfig = {
      ...DEFAULT_LIMITS,
      ...options.limits,
      ...options.timing,
      id: memberId(options),
      random: options.random,
    };
    const core = new Replica(config, storage, storage.checkpointIndex, timers.now());
    const driver = new Driver(core, storage, transport, timers, {
      apply: (entry) => {
        this.#writes.apply(entry);
        this.#states.applied(entry.index);
      },
      readConfirmed: (id, index) => this.#reads.confirm(id, index),
      snapshotNeeded: (id) => this.#checkpoints.sendSnapshot(id),
      turnEnded: () => this.#turnEnded(),
      isBusy: () => this.#reads.waiting > 0 || this.#writes.isBusy || this.#context.leadership.isAwaited,
      fatal: ports.restart,
    });
    this.#context = new ReplicaContext(options, ports, driver, new Store(storage, storage.checkpointState));
    this.#watch = new RequestWatch(this.#context);
    this.#members = new MembershipKeeper(this.#context);
    this.#reads = new ReadPath(this.#context);
    this.#writes = new WritePath(this.#context);
    this.#batches = new BatchPath(this.#context, this.#reads, this.#writes);
    this.#fills = new FillPath(this.#context, this.#reads, this.#writes);
    this.#scans = new ScanPath(this.#context, this.#reads);
    this.#states = new StateChecks(this.#context);
    this.#checkpoints = new Checkpoints(this.#context, (index) => {
      this.#states.replaced();
      this.#writes.replacedBySnapshot(index);
    });
    this.#housekeeper = new Housekeeper(this.#context);
    this.#housekeeper.onProposed = (index, term, batch) => this.#writes.noteHousekeeping(index, term, batch);
    const { requestsPerSecondMax } = options;
    this.#gate = requestsPerSecondMax === undefined ? undefined : new RateGate(requestsPerSecondMax);
    this.#mover = new SlotMover(this.#context, this.#writes);
    this.#target = new MoveTarget(this.#context, this.#writes);
    // Applies what storage knows to be committed, and arms the timers of a replica that was not asleep.
    driver.turn((nowMs) => core.tick(nowMs));
  }

  // --- the edge's calls ---

  read(request: ReadRequest): ReadReply | Promise<ReadReply> {
    this.#doubtWhenOutOfTouch(request.slot);
    const shed = this.#shed(request.urgency);
    if (shed !== undefined) return shed;
    const reply = this.#reads.read(request);
    // What needs no wait is over before the clock moves.
    if (!(reply instanceof Promise) && request.trace === undefined) return reply;
    const { level, key } = request;
    const watched = { operation: "read", level, key, trace: this.#watch.traceOf(request.trace) };
    if (reply instanceof Promise) return this.#watch.timed(watched, reply);
    this.#watch.ended(watched, reply.status, this.#nowMs);
    return reply;
  }

  /**
   * Reads that came in one call. Undefined: it would have kept those waiting that need not, and is to be asked for by itself. A
   * promise only where all of them wait, for the same round with a majority.
   */
  readTogether(
    requests: readonly ReadRequest[],
  ): readonly (ReadReply | undefined)[] | Promise<readonly (ReadReply | undefined)[]> {
    const replies = requests.map((request) => this.read(request));
    if (replies.every((reply) => reply instanceof Promise)) return Promise.all(replies);
    return replies.map((reply) => {
      if (!(reply instanceof Promise)) return reply;
      // Nobody waits for it any more.
      reply.catch(() => undefined);
      return undefined;
    });
  }

  /** Writes that came in one call. Undefined: nothing was done, and it would have kept the others waiting for a move of its slot. */
  writeTogether(requests: readonly WriteRequest[]): Promise<readonly (WriteReply | undefined)[]> {
    return Promise.all(
      requests.map(async (request) => {
        const reply = await this.write(request, true);
        return reply === HELD ? undefined : reply;
      }),
    );
  }

  write(request: WriteRequest, isTogether = false): Promise<WriteReply> {
    this.#doubtWhenOutOfTouch(request.slot);
    const ranked = this.#isFloodedBy(request) ? behindOthers(request) : request;
    const shed = this.#shed(ranked.urgency);
    if (shed !== undefined) return Promise.resolve(shed);
    const { kind: operation, key } = request.mutation;
    const trace = this.#watch.traceOf(request.trace);
    const traced = trace === undefined ? ranked : { ...ranked, trace: trace.traceparent };
    return this.#watch.timed({ operation, level: null, key, trace }, this.#writes.write(traced, isTogether));
  }

  /** Increments of one key cost little more than one of them: they share a log entry and a row. */
  #isFloodedBy({ mutation }: WriteRequest): boolean {
    return mutation.kind !== "increment" && this.#context.hotKeys.isWriteHot(mutation.key, this.#nowMs);
  }

  batch(request: BatchRequest): Promise<BatchReply> {
    const [first] = request.operations;
    if (first !== undefined) this.#doubtWhenOutOfTouch(first.slot);
    const shed = this.#shed(request.urgency);
    if (shed !== undefined) return Promise.resolve(shed);
    const trace = this.#watch.traceOf(request.trace);
    return this.#watch.timed(
      { operation: "batch", level: request.level, key: null, trace },
      this.#batches.run(request),
    );
  }

  fill(request: FillRequest): Promise<FillReply> {
    this.#context.counters.client_requests++;
    return this.#fills.fill(request);
  }

  scan(request: ScanRequest): ScanReply | Promise<ScanReply> {
    const shed = this.#shed(request.urgency);
    if (shed !== undefined) return shed;
    return this.#scans.scan(request);
  }

  purge(request: PurgeRequest): Promise<PurgeReply> {
    this.#context.counters.client_requests++;
    const trace = this.#watch.traceOf(request.trace);
    return this.#watch.timed({ operation: "purge", level: null, key: null, trace }, this.#writes.purge(request));
  }

  part(request: PartRequest): PartReply | Promise<PartReply> {
    const { slot, key, upload, part, epoch } = request;
    const refusal = this.#context.headerRefusal(request, key);
    if (refusal !== undefined) return refusal;
    const reply = (): Extract<PartReply, { status: "ok" }> => {
      const bytes = this.#context.store.find(slot, partKey(key, upload, part))?.value;
      return { status: "ok", bytes, from: this.#context.provenance(epoch) };
    };
    const found = reply();
    // Race: the reader has seen the value at a replica that is further than this one, where its parts are still on their way.
    // A part never changes, so whoever has it may give it; that it is gone is for a strong read to say.
    if (found.bytes !== undefined) return found;
    // Race: the slot may have gone while the reader waited, and the part have been written at its new owner.
    return this.#reads.serve({ level: "strong" }, () => this.#context.ownerRefusal(slot) ?? reply());
  }

  /** Evidence from an edge that the leader does not answer it. Believed only where this replica sees it too. */
  async suspect(request: SuspectRequest): Promise<void> {
    const { core, options, ports } = this.#context;
    const { leader } = core;
    if (leader !== undefined && replicaOf(leader) !== request.leader) return;
    const suspected = leader ?? core.membership.voters.find((id) => replicaOf(id) === request.leader);
    if (suspected === undefined || suspected === core.id) return;
    if (request.evidence === "silent") {
      // Second witness: the leader has missed two heartbeats here as well.
      const heardMs = core.leaderClock?.receivedMs ?? Number.NEGATIVE_INFINITY;
      const silentMs = ports.timers.now() - heardMs;
      if (silentMs >= 2 * options.timing.heartbeatMs) this.#suspectLeader(suspected);
      return;
    }
    try {
      // Second witness: the own connection. It answers: the trouble is between the edge and the leader.
      await ports.transport.ping(suspected);
    } catch {
      this.#suspectLeader(suspected);
    }
  }

  status({ wantsStates }: Pick<StatusRequest, "wantsStates"> = {}): ReplicaStatus {
    const { core, counters, driver, hotKeys, options, ports, role, store, telemetry } = this.#context;
    const { storage } = ports;
    const { name, shard, replica, generation, region } = options;
    return {
      name,
      shard,
      replica,
      generation,
      region,
      role,
      term: core.term,
      leader: replicaOf(core.leader),
      firstIndex: core.log.firstIndex,
      lastIndex: core.log.lastIndex,
      commitIndex: core.commitIndex,
      appliedIndex: core.appliedIndex,
      checkpointIndex: storage.checkpointIndex,
      leaseRemainingMs: core.leaderState?.leaseRemainingMs(core) ?? 0,
      quiesced: core.asleep,
      epoch: ports.ownership.epoch,
      keys: store.usage.keys,
      bytes: store.usage.bytes,
      logBytes: storage.logBytes,
      dirtyKeys: this.#checkpoints.rowsOwed,
      voters: core.membership.voters,
      learners: core.membership.learners,
      isSettled: this.#members.isSettled,
      members: [...(core.leaderState?.progress.values() ?? [])].map(({ id, match, state }) => ({ id, match, state })),
      ...(role === "leader" ? { moves: this.#mover.status } : {}),
      counters: {
        ...counters,
        entries_damaged: core.damagedEntries,
        rows_written: storage.rowsWritten,
        rpcs_sent: driver.callsSent,
        ...(storage.rowsRead === undefined ? {} : { rows_read: storage.rowsRead }),
        active_ms: telemetry.activity.activeMs(this.#nowMs),
        slow: telemetry.slowLog.total,
      },
      startedMs: telemetry.startedMs,
      nowMs: this.#nowMs,
      storeBytes: store.usage.bytes,
      storedBytes: storage.storedBytes,
      histograms: telemetry.histograms,
      hotKeys: hotKeys.list(this.#nowMs),
      ...(wantsStates === true ? { states: this.#states.all() } : {}),
    };
  }

  /** The newest first. */
  slowLog(limit: number): readonly SlowEntry[] {
    return this.#context.telemetry.slowLog.list(limit);
  }

  /** Somebody calls, whoever and whatever for: the platform bills it. */
  noteRequest(): void {
    this.#context.counters.requests++;
    this.#context.telemetry.activity.note(this.#nowMs);
  }

  /** Asks the leader to hand over to another replica of the shard. False: not the leader, or no such voter. */
  transferLeadership(to: number): boolean {
    const { core, driver } = this.#context;
    const target = core.membership.voters.findLast((id) => replicaOf(id) === to);
    let started = false;
    if (target !== undefined) {
      driver.turn((nowMs) => {
        started = core.transferLeadership(target, nowMs);
      });
    }
    return started;
  }

  /**
   * The topology has changed, or somebody wants it followed. Whoever leads begins to do so in this turn; in a group that
   * sleeps somebody wakes for that, since clients may come only to replicas that do not vote yet.
   */
  topologyChanged(): void {
    if (!this.#members.isSettled || !this.#mover.isSettled) this.#wake();
  }

  #wake(): void {
    const { core, driver } = this.#context;
    driver.turn((nowMs) => {
      // A sleeping follower cannot know whether its leader has died. If it only sleeps, it says so when asked for its vote.
      if (core.role === "follower" && core.leader !== undefined) {
        if (core.asleep) core.suspect(core.leader, nowMs);
      } else core.wake(nowMs);
      core.tick(nowMs);
    });
  }

  /** Holds background work up for so long, or lets it go on; see BackgroundPause. */
  pauseBackground(forMs: number): void {
    this.#context.background.until(this.#nowMs + forMs);
    // What was held up may have nobody else to wake the group for it.
    if (forMs === 0) this.topologyChanged();
  }

  // --- the peers' calls ---

  receive(message: Message, trace?: string): readonly Message[] {
    const replies = this.#context.driver.receive(message);
    const known = this.#watch.traceOf(trace);
    if (known !== undefined) {
      this.#watch.ended({ operation: message.kind, level: null, key: null, trace: known }, "ok", this.#nowMs);
    }
    return replies;
  }

  receiveSnapshotPart(part: SnapshotPart): SnapshotPartReply {
    return this.#checkpoints.receiveSnapshotPart(part);
  }

  /** A shard that gives this one a slot. */
  move(request: MoveRequest): Promise<MoveReply> {
    return this.#target.take(request);
  }

  ping(): Pong {
    const { term, leader } = this.#context.core;
    return { term, leader };
  }

  // --- the end of a turn ---

  #turnEnded(): void {
    const { core, counters, leadership, ports, telemetry } = this.#context;
    const nowMs = ports.timers.now();
    telemetry.activity.note(nowMs);
    if (core.leaderState !== undefined && telemetry.maybeRenewed(core.leaderState.quorumAckMs(core))) {
      counters.lease_renewals++;
    }
    if (leadership.changed()) {
      this.#housekeeper.leadershipChanged();
      this.#mover.leadershipChanged();
      this.#target.leadershipChanged();
      if (core.role === "leader") {
        counters.elections++;
        this.#writes.leadershipWon();
        // It is now the one that brings the members to what the topology lists: it had better know the newest.
        ports.topologyDoubted?.();
      } else {
        this.#writes.leadershipLost();
        this.#writes.watch.wakeAll();
        this.#reads.leadershipLost();
      }
    }
    leadership.settle();
    this.#members.maybeStep(nowMs);
    this.#mover.turnEnded(nowMs);
    this.#writes.settleMoved();
    this.#writes.proposeBatches(nowMs);
    this.#reads.settleApplied();
    if (nowMs - this.#lastExpiryMs >= EXPIRY_INTERVAL_MS) {
      this.#lastExpiryMs = nowMs;
      this.#reads.expire(nowMs);
      this.#writes.expire(nowMs);
      leadership.expire(nowMs);
    }
    this.#housekeeper.turnEnded(nowMs);
    this.#checkpoints.maybeSchedule();
    this.#states.turnEnded(nowMs);
    if (core.isDisowned) {
      core.isDisowned = false;
      ports.topologyDoubted?.();
    }
  }

  /**
   * A request has come, and no leader speaks to this replica: it may have been removed while it was out of reach. Or the
   * group sleeps in the middle of a change, and those who vote are not those whom clients ask: then somebody must wake them.
   */
  #doubtWhenOutOfTouch(slot: number): void {
    const { core, options, ports } = this.#context;
    if (core.role === "leader" || (core.leader !== undefined && !core.asleep)) return;
    ports.topologyDoubted?.();
    const nowMs = ports.timers.now();
    if (nowMs - this.#lastRousedMs < ROUSE_INTERVAL_MS) return;
    // Race: the slot has come with the newest entries of the log, and all have restarted before they knew that these are
    // committed. So nobody's store has it, whoever asks for it is refused, and only an election finds out.
    const isBehind = core.isVoter && this.#context.ownerRefusal(slot)?.status === "not_leader";
    if (isBehind) {
      this.#lastRousedMs = nowMs;
      this.#wake();
    }
    if (this.#members.isSettled) return;
    this.#lastRousedMs = nowMs;
    if (core.isVoter) this.topologyChanged();
    else {
      for (const placed of ports.ownership.placed(options.shard)) {
        if (memberId(placed) !== core.id) ports.tellTopology?.(memberId(placed));
      }
    }
  }

  /** A request of an edge comes in: its refusal for want of room; undefined: it is taken on. */
  #shed(urgency: number | undefined): Refusal | undefined {
    const { counters } = this.#context;
    counters.client_requests++;
    const shed = this.#gate?.refusal(this.#nowMs, urgency);
    if (shed !== undefined) counters.requests_shed++;
    return shed;
  }

  get #nowMs(): number {
    return this.#context.ports.timers.now();
  }

  #suspectLeader(leader: string): void {
    const { core, driver } = this.#context;
    driver.turn((nowMs) => {
      core.suspect(leader, nowMs);
      core.tick(nowMs);
    });
  }
}

/** So that a key that is written too much is shed while there is room for all the others. */
function behindOthers(request: WriteRequest): WriteRequest {
  return { ...request, urgency: Math.max(request.urgency ?? DEFAULT_URGENCY, HOT_WRITE_URGENCY) };
}
