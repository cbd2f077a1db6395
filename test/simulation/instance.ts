// One running instance of a replica: the production ShardReplica on simulated ports, with the platform's output gate. What
// it writes in one event becomes durable together, a little later; whatever it sends after a write waits for that.

import { DamagedStorageError } from "../../durable/damage.ts";
import { memberId, Ownership } from "../../durable/ownership.ts";
import type { MovePort, MovesReply, ReplicaTransport } from "../../durable/ports.ts";
import type { ReadReply, ReadRequest, WriteReply, WriteRequest } from "../../durable/protocol.ts";
import type { LogEntry } from "../../durable/replication/entry.ts";
import type { Message } from "../../durable/replication/message.ts";
import type { Replica } from "../../durable/replication/replica.ts";
import { ShardReplica } from "../../durable/shard-replica.ts";
import type { Store } from "../../durable/store/store.ts";
import { TopologyWatch } from "../../durable/topology-watch.ts";
import type { SlotMove } from "../../routing/topology.ts";
import { withCore } from "./core-probe.ts";
import type { DiskWrite } from "./disk.ts";
import type { MessageKind } from "./network.ts";
import type { ReplicaHost } from "./replica-host.ts";
import type { Caller } from "./rpc.ts";
import { SimStorage, StorageGoneError } from "./sim-storage.ts";

const CRASH_NAMES = {
  before: "crash before a persist",
  between: "crash between a persist and what waits for it",
  after: "crash after a persist and its messages",
} as const;

const RECOVERY_NAMES = {
  cut: "damaged log cut off",
  begin_anew: "replica begun anew after damage",
} as const;

interface Unit {
  readonly number: number;
  readonly writes: readonly DiskWrite[];
}

export class Instance implements Caller {
  readonly host: ReplicaHost;
  /** Counts the instances of a host, from 1. */
  readonly incarnation: number;
  readonly storage: SimStorage;
  readonly replica: ShardReplica;
  /** What it routes by; an instance that was superseded knows only what it learned itself. */
  readonly ownership: Ownership;
  readonly watch: TopologyWatch;
  readonly core: Replica;
  /** The store that the newest batch was applied to; a snapshot replaces it. */
  store: Store | undefined;
  isAlive = true;
  /** Superseded: running on, without its storage. */
  isZombie = false;
  /** Probability that a caller who asks for this replica is sent to this zombie, by caller. */
  readonly reachedBy = new Map<string, number>();
  /** Units that have become durable. */
  durableUnits = 0;
  /** Calls that it has not answered yet: told when it dies. */
  readonly openCalls = new Set<{ broken(): void }>();
  // What the checkers have seen of it.
  seenApplied: number;
  /** Applied, but nothing that tells of it can have left yet: what is counted on may not be durable here. */
  /** What an only voter does in its own name: nothing that tells of it leaves before it is durable, so only then it counts. */
  unproven: { readonly unit: number; readonly prove: () => void }[] = [];
  unpublished: { readonly entry: LogEntry | undefined; readonly index: number; readonly unit: number }[] = [];
  seenTerm = 0;
  seenRole = "";
  seenAsleep: boolean | undefined;
  seenVoters = 0;
  /** Term in which it has sent entries as the leader. */
  toldTerm = 0;
  /** Highest term in which it has asked for votes. */
  seenCandidacy = 0;

  readonly #label: string;
  readonly #zombieLabel: string;
  #openWrites: DiskWrite[] = [];
  #pending: Unit[] = [];
  #closedUnits = 0;
  #lastDurableAtMs = 0;
  #lastVote = "";
  #held: { readonly unit: number; readonly send: () => void }[] = [];

  constructor(host: ReplicaHost, incarnation: number) {
    const { world } = host;
    this.host = host;
    this.incarnation = incarnation;
    this.#label = `${host.name}#${incarnation}`;
    this.#zombieLabel = `${this.#label}z`;
    this.storage = new SimStorage(
      host.disk.copy(),
      (write) => this.#openWrites.push(write),
      (entries) => this.#onAppend(entries),
    );
    this.storage.coverage = world.coverage;
    this.storage.partRows = world.config.snapshotPartRows ?? this.storage.partRows;
    this.storage.onDamage = (error) => this.#fail(error);
    if (this.storage.recovered !== undefined) world.coverage.count(RECOVERY_NAMES[this.storage.recovered.kind]);
    if (this.storage.finishedCheckpoint) world.coverage.count("checkpoint finished at the start");
    this.storage.onReplaced = () => {
      this.store = undefined;
    };
    this.seenApplied = Math.min(world.checks.appliedBefore(host), this.storage.checkpointIndex);
    const timers = {
      now: () => host.clock.at(world.loop.nowMs),
      after: (ms: number, run: () => void) => this.#after(ms, run),
    };
    this.ownership = new Ownership(host.topology);
    this.watch = new TopologyWatch({
      ownership: this.ownership,
      read: () => world.readDirectory(this),
      store: (topology) => {
        if (!this.storage.isGone) host.topology = topology;
      },
      onInstalled: () => this.#soon(() => this.replica.topologyChanged()),
      timers,
    });
    const { timing, checkpoints, limits, hotKeyPerSecond, requestsPerSecondMax } = world.config;
    const random = world.random.fork(`${host.name}#${incarnation}`);
    const made = withCore(() => {
      return new ShardReplica(
        {
          ...host.options,
          timing,
          checkpoints,
          limits,
          hotKeyPerSecond,
          requestsPerSecondMax,
          storage: world.storage,
          checkEntries: 8,
          random: () => random.next(),
        },
        {
          storage: this.storage,
          transport: this.#transport(),
          timers,
          ownership: this.ownership,
          restart: (error) => this.#fail(error),
          topologyDoubted: () => this.watch.doubt(),
          rouse: (shard) => this.#rouse(shard),
          tellTopology: (member) => this.#tellTopology(world.member(host.options.shard, member)),
          moves: this.#movePort(),
          diverged: ({ member, index }) =>
            world.checks.report("state machine equality", `${this.label} finds that ${member} differs at ${index}`),
        },
      );
    });
    this.replica = made.value;
    this.core = made.core;
  }

  /** Of its machine. A zombie runs on another one than its successor, or there could not be two. */
  get name(): string {
    return this.isZombie ? this.#zombieLabel : this.host.name;
  }

  get label(): string {
    return this.isZombie ? this.#zombieLabel : this.#label;
  }

  // --- Caller ---

  whenGateOpens(send: () => void): void {
    if (this.durableUnits >= this.writtenUnits) send();
    else this.#held.push({ unit: this.writtenUnits, send });
  }

  /** Units written so far, the one of the event that is running included. What is sent now waits for the last of them. */
  get writtenUnits(): number {
    return this.#closedUnits + (this.#openWrites.length > 0 ? 1 : 0);
  }

  get busyUntilMs(): number {
    return this.host.frozenUntilMs;
  }

  enter(run: () => void): void {
    this.host.world.enter(this, run);
  }

  // --- the edge's and the peers' calls, as cache-replica.ts takes them ---

  read(request: ReadRequest): ReadReply | Promise<ReadReply> {
    return this.atEpoch(request.epoch, () => this.replica.read(request));
  }

  write(request: WriteRequest): WriteReply | Promise<WriteReply> {
    return this.atEpoch(request.epoch, () => this.replica.write(request));
  }

  /** As soon as it routes by this epoch. */
  atEpoch<T>(epoch: number, run: () => T | Promise<T>): T | Promise<T> {
    if (epoch <= this.ownership.epoch) return run();
    return this.watch.heard(epoch).then(() => this.#inNewEvent(run));
  }

  /** Its shard was removed in `epoch`: marked for it and ended, if the Directory says so to it as well. Never says that it is wiped. */
  retire(epoch: number): Promise<boolean> {
    return this.watch.heard(epoch).then(() =>
      this.#inNewEvent(() => {
        this.host.maybeRetire(this.ownership.view, epoch);
        return false;
      }),
    );
  }

  receive(message: Message, epoch: number, from: ReplicaHost): readonly Message[] {
    this.watch.heardFromPeer(epoch, () => this.#tellTopology(from));
    return this.replica.receive(message);
  }

  /** Whether it reaches a member of its group. */
  reaches(member: string): Promise<boolean> {
    return this.#transport()
      .ping(member)
      .then(
        () => true,
        () => false,
      );
  }

  #rouse(shard: number): void {
    const { world } = this.host;
    world.coverage.count("source of an awaited slot roused");
    for (const placed of this.ownership.placed(shard)) {
      const options = { label: "rouse", kind: "other", isRepeatable: true } as const;
      const run = (source: Instance) => source.atEpoch(this.ownership.epoch, () => source.replica.topologyChanged());
      world.rpc.call(this, world.member(shard, memberId(placed)), { ...options, run }).catch(() => undefined);
    }
  }

  #tellTopology(to: ReplicaHost): void {
    const { epoch } = this.ownership;
    const run = (peer: Instance): Promise<void> => peer.topologyChanged(epoch);
    this.host.world.rpc
      .call(this, to, { label: `epoch ${epoch}`, kind: "other", isRepeatable: true, run })
      .catch(() => undefined);
  }

  topologyChanged(epoch: number): Promise<void> {
    return this.watch.heard(epoch).then(() => this.#inNewEvent(() => this.replica.topologyChanged()));
  }

  /** What the Directory's answer lets go on is an event of this instance like any other; no answer if it dies before. */
  #inNewEvent<T>(run: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#soon(() => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #soon(run: () => void): void {
    this.host.world.loop.after(0, () => {
      this.enter(() => {
        try {
          run();
        } catch (error) {
          // Its storage is gone: that has been told to whom it concerns.
          this.host.world.note(this.label, "cannot go on", error instanceof Error ? error.message : String(error));
        }
      });
    });
  }

  // --- the end of an event, and flushing ---

  /** Everything written in the event becomes one unit of durability. */
  closeUnit(): void {
    if (this.#openWrites.length === 0 || !this.isAlive) return;
    const { world } = this.host;
    const unit: Unit = { number: ++this.#closedUnits, writes: this.#openWrites };
    this.#openWrites = [];
    this.#pending.push(unit);
    this.#lastDurableAtMs = Math.max(this.#lastDurableAtMs, world.loop.nowMs + world.flushDelayMs());
    const crash = world.crashAroundPersist(this.#hasVoted());
    if (crash !== undefined) world.coverage.count(CRASH_NAMES[crash]);
    if (crash === "before") world.loop.after(0, () => this.host.crash("before persist", this));
    world.loop.at(this.#lastDurableAtMs, () => this.#flush(unit, crash === "between", crash === "after"));
  }

  /** Whether term or vote have changed since this was asked last. */
  #hasVoted(): boolean {
    const { term, vote } = this.storage.hardState;
    const now = `${term} ${vote}`;
    const hasChanged = now !== this.#lastVote;
    this.#lastVote = now;
    return hasChanged;
  }

  #flush(unit: Unit, crashesBeforeSending: boolean, crashesAfterSending: boolean): void {
    const { host } = this;
    if (!this.isAlive || this.isZombie) return;
    if (host.world.loop.nowMs < host.frozenUntilMs) {
      host.world.loop.at(host.frozenUntilMs, () => this.#flush(unit, crashesBeforeSending, crashesAfterSending));
      return;
    }
    // In order: one that waited for a thaw goes with the next one that is flushed, at the latest.
    while (this.#pending[0] !== undefined && this.#pending[0].number <= unit.number) {
      for (const write of this.#pending.shift()?.writes ?? []) write(host.disk);
    }
    this.durableUnits = Math.max(this.durableUnits, unit.number);
    host.world.checks.flushed(this);
    if (crashesBeforeSending) {
      host.crash("after persist", this);
      return;
    }
    const released = this.#held.filter((held) => held.unit <= unit.number);
    this.#held = this.#held.filter((held) => held.unit > unit.number);
    for (const { send } of released) send();
    if (crashesAfterSending) host.crash("after sending", this);
  }

  /** Some of what was on its way to the disk may have got there, in order; nothing is sent after it any more. */
  loseStorage(): void {
    const arrived = this.host.world.faultRandom.below(this.#pending.length + 1);
    for (const unit of this.#pending.slice(0, arrived)) for (const write of unit.writes) write(this.host.disk);
    this.#pending = [];
    this.#openWrites = [];
    this.#held = [];
    this.storage.isGone = true;
    // Units that were lost are never confirmed: whatever a zombie sends behind them stays behind its gate for ever.
  }

  die(): void {
    if (!this.isAlive) return;
    if (!this.storage.isGone) this.loseStorage();
    this.isAlive = false;
    for (const call of this.openCalls) call.broken();
    this.openCalls.clear();
  }

  // --- ports ---

  #transport(): ReplicaTransport {
    const { host } = this;
    const { rpc } = host.world;
    const { shard } = host.options;
    const peer = (member: string): ReplicaHost => {
      const isPlaced = this.ownership.placed(shard).some((placed) => memberId(placed) === member);
      if (!isPlaced) throw new Error(`no replica ${member} in the topology`);
      return host.world.member(shard, member);
    };
    return {
      send: async (message) => {
        const sent = host.world.decorated(message, this);
        const { epoch } = this.ownership;
        return rpc.call(this, peer(message.to), {
          label: messageLabel(message),
          kind: messageKind(message),
          isRepeatable: true,
          onLeave: () => host.world.checks.messageLeft(this, sent),
          run: (instance): readonly Message[] => instance.receive(sent, epoch, host),
          onReplyLeaves: (replies, by) => {
            for (const reply of replies) host.world.checks.messageLeft(by, reply);
          },
        });
      },
      sendSnapshotPart: async (part) => {
        host.world.coverage.count("snapshot part sent");
        return rpc.call(this, peer(part.to), {
          label: `snapshot ${part.meta.index} part ${part.part}`,
          kind: "snapshot",
          isRepeatable: true,
          run: (instance) => instance.replica.receiveSnapshotPart(part),
        });
      },
      ping: async (to) =>
        rpc.call(this, peer(to), {
          label: "ping",
          kind: "other",
          isRepeatable: false,
          run: (instance) => instance.replica.ping(),
        }),
    };
  }

  #movePort(): MovePort {
    const { world } = this.host;
    return {
      send: async (to, request) => {
        const host = world.hosts.find(({ options }) => options.name === to.name);
        if (host === undefined) throw new Error(`no replica ${to.name}`);
        return world.rpc.call(this, host, {
          label: `${request.mutation.kind} ${"step" in request.mutation ? request.mutation.step : request.mutation.chunk} of slot ${request.mutation.slot}`,
          kind: "other",
          isRepeatable: true,
          onLeave: () => world.checks.told(this),
          run: (instance) => instance.atEpoch(request.epoch, () => instance.replica.move(request)),
          onReplyLeaves: (reply) => world.moveAnswered(request, reply),
        });
      },
      completeMoves: (moves) => this.#report("completeMoves", moves),
      settleCancelled: (moves) => this.#report("settleCancelled", moves),
      learned: (topology) => this.#soon(() => this.watch.take(topology)),
    };
  }

  #report(kind: "completeMoves" | "settleCancelled", moves: readonly SlotMove[]): Promise<MovesReply> {
    return this.host.world.reportMoves(this, kind, moves).then((reply) => this.#inNewEvent(() => reply));
  }

  #after(ms: number, run: () => void): () => void {
    const { world, clock } = this.host;
    let isCancelled = false;
    const fire = (): void => {
      if (isCancelled || !this.isAlive) return;
      if (world.loop.nowMs < this.host.frozenUntilMs) {
        world.loop.at(this.host.frozenUntilMs, fire);
        return;
      }
      this.enter(run);
    };
    const cancel = world.loop.after(clock.realMs(ms) + world.timerLatenessMs(), fire);
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  #onAppend(entries: readonly LogEntry[]): void {
    this.host.world.checks.appended(this, entries);
  }

  /** The production code asks to be restarted from its storage: expected of a zombie, a bug of anyone else. */
  #fail(error: unknown): void {
    const { world } = this.host;
    // The production code waits until this is stored.
    if (error instanceof DamagedStorageError) this.host.disk.isCondemned ||= this.storage.content.isCondemned;
    const isExpected = error instanceof StorageGoneError || error instanceof DamagedStorageError;
    if (!isExpected && !isFollowUp(error)) {
      world.checks.report("invariants", `${this.label}: ${error instanceof Error ? error.message : String(error)}`);
    }
    world.note(this.label, "fails", error instanceof Error ? error.message : String(error));
    this.host.removed(this);
  }
}

/** A failed driver refuses further turns; the failure itself was reported before. */
function isFollowUp(error: unknown): boolean {
  return error instanceof Error && error.message === "halo: this replica has failed and is about to restart";
}

function messageKind(message: Message): MessageKind {
  switch (message.kind) {
    case "append":
      return message.quiesce ? "good_night" : "append";
    case "pre_vote":
    case "vote":
      return "vote";
    case "timeout_now":
      return "timeout_now";
    default:
      return "other";
  }
}

function messageLabel(message: Message): string {
  if (message.kind !== "append") return `${message.kind} t${message.term}`;
  return `append t${message.term} ${message.prevIndex}+${message.entries.length} c${message.commit}`;
}
