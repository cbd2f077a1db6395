// Everything of one simulation that its parts share: time, randomness, network, machines, checkers and trace.

import type { StorageOptions } from "../../durable/admission.ts";
import { DamagedStorageError } from "../../durable/damage.ts";
import { HealthBoard } from "../../durable/health-board.ts";
import { type HealthReport, healthReportSchema } from "../../durable/health-protocol.ts";
import type { MovesReply } from "../../durable/ports.ts";
import type { MoveReply, MoveRequest } from "../../durable/protocol.ts";
import { memberId } from "../../durable/replica-context.ts";
import type { Message } from "../../durable/replication/message.ts";
import { BALANCE_POLICIES } from "../../routing/balance-policy.ts";
import { withCompleted, withSettled } from "../../routing/slot-moves.ts";
import { slotOf } from "../../routing/slots.ts";
import { buildTopology, type SlotMove, type Topology } from "../../routing/topology.ts";
import { TopologyView } from "../../routing/topology-view.ts";
import type { WriteOptions } from "../../worker/clients/shard-client.ts";
import { BitRot } from "./bit-rot.ts";
import { Checks } from "./checkers/checks.ts";
import { SimClock } from "./clock.ts";
import { listenToStores } from "./core-probe.ts";
import { Coverage } from "./coverage.ts";
import { EventLoop } from "./event-loop.ts";
import type { Instance } from "./instance.ts";
import { type CutMode, Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { ReplicaHost } from "./replica-host.ts";
import { type Caller, Rpc } from "./rpc.ts";
import type { SwarmConfig } from "./swarm.ts";
import type { Trace, TracePart } from "./trace.ts";
import { STORAGE } from "./workload/evictable.ts";
import {
  drawCellsWorkload,
  drawLaggingWorkload,
  drawMovingWorkload,
  drawPurgingWorkload,
  drawSlowPurges,
  drawWorkload,
  NO_WORKLOAD,
  type WorkloadConfig,
} from "./workload/workload.ts";

/** When the first client comes back after a leader has been cut off in its sleep: while its lease would still live. */
const RETURN_MS_MAX = 300;

/** About as long as the others need to notice it, and to elect another. */
const CHANGER_CUT_MS = [500, 1_500] as const;
/** As long as the lost half needs to elect one too, if it can. */
const SPLIT_MS = [1_000, 4_000] as const;

/** Mean life of a new leader that is to die at once: about as long as its first messages travel. */
const LEADER_LIFE_MS = 30;

/** Name of the machine that the Directory runs on. */
export const DIRECTORY = "directory";
/** And of the one that sweeps. */
export const SWEEPER = "sweeper";

/** The most urgent ones are left to those who probe for progress. */
const URGENCIES = [3, 3, 5, 7];

export class World {
  readonly config: SwarmConfig;
  readonly loop = new EventLoop();
  readonly trace: Trace;
  readonly coverage = new Coverage();
  readonly random: SeededRandom;
  readonly networkRandom: SeededRandom;
  readonly faultRandom: SeededRandom;
  readonly #diskRandom: SeededRandom;
  readonly bitRot: BitRot;
  readonly network: Network;
  readonly rpc: Rpc;
  /** Epoch 0, which founds the groups. */
  readonly topology: Topology;
  readonly view: TopologyView;
  /** What an edge believes that has just started: in some worlds an older epoch, in which the shards had each other's slots. */
  readonly edgeView: TopologyView;
  /** Slots of the keys in use, where they move. */
  readonly movingSlots: readonly number[];
  /** What the Directory holds. */
  directory: Topology;
  /** And what it has heard of the replicas' health. */
  readonly health = new HealthBoard();
  /** All that were ever placed. */
  readonly hosts: ReplicaHost[] = [];
  readonly #hostsByShard = new Map<number, ReplicaHost[]>();
  readonly #clockRandom: SeededRandom;
  /** All keys that the clients of registers use. */
  readonly keys: readonly string[];
  /** What else is worked on, on keys of its own. */
  readonly workload: WorkloadConfig;
  readonly checks: Checks;
  /** Faults are drawn only while this holds. */
  isStormy = true;
  /** No client begins an operation before. */
  clientsSilentUntilMs = 0;
  /** Slots, with the epochs of their moves, for which their targets had no room. */
  readonly #refusedMoves = new Set<string>();
  /** The instance whose event is running. */
  #entered: Instance | undefined;

  constructor(config: SwarmConfig, trace: Trace) {
    this.config = config;
    this.trace = trace;
    this.random = new SeededRandom(config.seed, "world");
    this.networkRandom = this.random.fork("network");
    this.faultRandom = this.random.fork("faults");
    this.#diskRandom = this.random.fork("disk");
    this.bitRot = new BitRot(this.random.fork("bit rot"), config.disk.rotProbability, this.coverage);
    this.network = new Network(this.loop, this.networkRandom, config.network, this.coverage);
    this.rpc = new Rpc(this.loop, this.network, this.networkRandom, (...parts) => this.note(...parts));
    this.topology = buildTopology(config.cluster);
    this.view = new TopologyView(this.topology);
    const [one, other] = this.topology.shards;
    this.edgeView =
      config.edgesStartStale && one !== undefined && other !== undefined
        ? new TopologyView({
            ...this.topology,
            // Epoch 0 founds the groups, so what came before it has to be made up.
            epoch: -1,
            slots: this.topology.slots.map((shard) => (shard === one.shard ? other.shard : one.shard)),
          })
        : this.view;
    this.keys = keysOf(this.view, config);
    if (config.purgesOften === true) this.workload = drawPurgingWorkload(config.seed);
    else if (config.purgesSlowly === true) this.workload = drawSlowPurges(config.seed);
    else if (config.usesLaggards === true) this.workload = drawLaggingWorkload(config.seed);
    else if (config.usesCells === true) this.workload = drawCellsWorkload(config.seed);
    else if (config.reshards) this.workload = drawMovingWorkload(config.seed);
    else this.workload = config.isPlain ? NO_WORKLOAD : drawWorkload(config.seed);
    const used = [...this.keys, ...this.workload.objects.flatMap(({ keys }) => keys)];
    this.movingSlots = config.reshards ? [...new Set(used.map(slotOf))] : [];
    this.checks = new Checks(this);
    this.#clockRandom = this.random.fork("clocks");
    this.directory = this.topology;
    this.#placeReplicas();
    listenToStores((store) => {
      if (this.#entered !== undefined) this.#entered.store = store;
    });
    this.loop.onSettled = () => this.#settled();
  }

  note(who: string, what: string, ...parts: readonly TracePart[]): void {
    this.trace.note(this.loop.nowMs, who, what, ...parts);
  }

  drawClock(random: SeededRandom): SimClock {
    const { clockOffsetMs, clockDrift } = this.config;
    return new SimClock(random.between(-clockOffsetMs, clockOffsetMs), 1 + random.between(-clockDrift, clockDrift));
  }

  /** The Directory has a new document. Who is new in it has an object from now on; nobody has been told. */
  publish(topology: Topology): void {
    this.directory = topology;
    this.note("directory", "publishes", topology.epoch);
    this.#placeReplicas();
  }

  #placeReplicas(): void {
    for (const { shard, replicas } of new TopologyView(this.directory).shards) {
      this.checks.placed(shard);
      for (const view of replicas) {
        if (this.hosts.some(({ options }) => options.name === view.name)) continue;
        const host = new ReplicaHost(this, shard, view, this.directory, this.drawClock(this.#clockRandom));
        this.hosts.push(host);
        const group = this.#hostsByShard.get(shard);
        if (group === undefined) this.#hostsByShard.set(shard, [host]);
        else group.push(host);
      }
    }
  }

  /** Those of the keys that the shard owns. */
  ownedBy(shard: number, keys: readonly string[]): readonly string[] {
    return keys.filter((key) => this.view.ownerOf(slotOf(key)).shard === shard);
  }

  hostsOf(shard: number): readonly ReplicaHost[] {
    return this.#hostsByShard.get(shard) ?? [];
  }

  /** Hosts of the replicas that the newest topology lists for a shard. */
  listedHostsOf(shard: number): readonly ReplicaHost[] {
    const placement = this.directory.shards.find((candidate) => candidate.shard === shard);
    return (placement?.replicas ?? []).map((replica) => this.member(shard, memberId(replica)));
  }

  member(shard: number, member: string): ReplicaHost {
    const host = this.hostsOf(shard).find((other) => other.member === member);
    if (host === undefined) throw new RangeError(`no member ${member} of shard ${shard}`);
    return host;
  }

  /** A replica or an edge asks the Directory, which can be cut off like any machine. */
  readDirectory(caller: Caller): Promise<Topology> {
    return this.askDirectory(caller, () => this.directory);
  }

  askDirectory<T>(caller: Caller, answerOf: () => T): Promise<T> {
    const { loop, network } = this;
    return new Promise((resolve, reject) => {
      const send = (from: string, to: string, arrive: () => void): void => {
        const fate = network.fate(from, to, "other");
        if (fate.kind === "delivered") loop.after(fate.delayMs, arrive);
        else if (fate.kind === "refused") loop.after(fate.delayMs, () => reject(new Error("no way to the Directory")));
      };
      caller.whenGateOpens(() => {
        send(caller.name, DIRECTORY, () => {
          const answer = answerOf();
          send(DIRECTORY, caller.name, () => resolve(answer));
        });
      });
    });
  }

  /** An edge says whom it doubts. */
  reportHealth(caller: Caller, report: HealthReport): Promise<void> {
    return this.askDirectory(caller, () => {
      const { replicas } = healthReportSchema().parse(report);
      this.health.note(report, this.loop.nowMs);
      this.coverage.count("health reported");
      if (replicas.some(({ state }) => state === "dead")) this.coverage.count("replica reported as dead");
    });
  }

  /** Until the storm is over, too little for all slots in some worlds. Nothing is evicted there: clients are refused instead. */
  get storage(): StorageOptions {
    const { storageBytesMax, hasQuota } = this.config;
    if (storageBytesMax === undefined || !this.isStormy) return STORAGE;
    const quota = hasQuota === true ? { quotaBytes: storageBytesMax } : {};
    return { storageBytesMax, namespaces: new Map([["", { evict: false, ...quota }]]) };
  }

  /** A target has answered the source of a move. */
  moveAnswered(request: MoveRequest, reply: MoveReply): void {
    const { more = [] } = request;
    const replies = reply.status === "each" ? reply.replies : [reply];
    for (const [at, { mutation }] of [request, ...more].entries()) {
      if (replies[at]?.status !== "full") continue;
      this.coverage.count("move refused for want of room");
      this.#refusedMoves.add(`${mutation.slot} ${mutation.move}`);
    }
  }

  /** The leader of a shard reports what its log has decided about slots. */
  reportMoves(
    caller: Caller,
    kind: "completeMoves" | "settleCancelled",
    moves: readonly SlotMove[],
  ): Promise<MovesReply> {
    return this.askDirectory(caller, () => {
      const next = (kind === "completeMoves" ? withCompleted : withSettled)(this.directory, moves);
      if (!next.ok) return { status: "invalid", problem: next.problem };
      this.coverage.count(kind === "completeMoves" ? "slot moved" : "move settled as called off", moves.length);
      const isLate = ({ slot, epoch }: SlotMove) => this.#refusedMoves.delete(`${slot} ${epoch}`);
      if (kind === "completeMoves")
        this.coverage.count("slot moved that was refused before", moves.filter(isLate).length);
      if (next.topology !== this.directory) this.publish(next.topology);
      return { status: "ok", topology: this.directory };
    });
  }

  /** Runs an event of an instance; what it wrote is collected when all promises have settled. */
  enter(instance: Instance, run: () => void): void {
    if (!instance.isAlive) return;
    this.#entered = instance;
    run();
  }

  /** A new instance runs its constructor; one that cannot is reported. */
  starting(host: ReplicaHost, run: () => void): void {
    this.#entered = undefined;
    try {
      run();
    } catch (error) {
      // It has found damage as it replayed its log, and knows at its next start.
      if (error instanceof DamagedStorageError) return;
      this.checks.report("invariants", `${host.name} cannot start: ${error instanceof Error ? error.message : error}`);
    }
  }

  #settled(): void {
    const instance = this.#entered;
    if (instance === undefined) return;
    this.#entered = undefined;
    if (!instance.isAlive) return;
    instance.closeUnit();
    this.checks.settled(instance);
  }

  // --- the platform's moods ---

  flushDelayMs(): number {
    const { flushMs, slowFlushProbability, slowFlushMsMax } = this.config.disk;
    const delayMs = this.#diskRandom.exponential(flushMs);
    if (!this.isStormy || !this.#diskRandom.chance(slowFlushProbability)) return delayMs;
    return delayMs + this.#diskRandom.between(0, slowFlushMsMax);
  }

  /** Whether the machine dies around a flush: before it, between it and what it lets go, or right after that. */
  crashAroundPersist(hasVote: boolean): "before" | "between" | "after" | undefined {
    const { crashProbability, crashAtVoteProbability } = this.config.disk;
    const probability = hasVote ? Math.max(crashProbability, crashAtVoteProbability) : crashProbability;
    if (!this.isStormy || !this.#diskRandom.chance(probability)) return undefined;
    return this.#diskRandom.pick(["before", "between", "after"]);
  }

  /** A leader is about to tell that it has taken a voter away; whether anybody hears of it is drawn here. */
  onVoterRemoved(instance: Instance): void {
    if (!this.isStormy || !this.faultRandom.chance(this.config.changerCutProbability)) return;
    this.coverage.count("leader cut off as it changes the members");
    this.#cutAtOnce(instance, this.#peersOf(instance), "both", "silent", this.faultRandom.between(...CHANGER_CUT_MS));
  }

  /**
   * A new leader is about to say so for the first time. Of four voters it and one other may be left to themselves: half, which is
   * no majority of four, but of three.
   */
  onFirstAppend(instance: Instance): void {
    const { voters } = instance.core.membership;
    const isEven = voters.length % 2 === 0 && voters.length > 2;
    if (!this.isStormy || !isEven || !this.faultRandom.chance(this.config.changerCutProbability)) return;
    this.coverage.count("new leader left with half of the voters");
    const others = voters.filter((id) => id !== instance.host.member);
    const kept = this.faultRandom.shuffled(others).slice(0, voters.length / 2 - 1);
    const { shard } = instance.host.options;
    const near = [instance.host, ...kept.map((id) => this.member(shard, id))];
    const lost = this.hostsOf(shard).flatMap((host) => (near.includes(host) ? [] : [host.name]));
    const forMs = this.faultRandom.between(...SPLIT_MS);
    for (const host of near) this.#cutAtOnce({ host }, lost, "both", "silent", forMs);
  }

  /** Somebody has just won an election; how long it lives is drawn here. */
  onLeader(instance: Instance): void {
    const { leaderCutProbability = 0 } = this.config;
    if (this.isStormy && leaderCutProbability > 0 && this.faultRandom.chance(leaderCutProbability)) {
      this.coverage.count("new leader cut off");
      const [afterMs, lastsMs] = [this.faultRandom.exponential(LEADER_LIFE_MS), this.#drawFaultMs()];
      const peers = this.#peersOf(instance);
      this.loop.after(afterMs, () => {
        if (this.isStormy) this.#cutAtOnce(instance, peers, "both", "silent", lastsMs);
      });
    }
    if (!this.isStormy || !this.faultRandom.chance(this.config.leaderCrashProbability)) return;
    const livesMs = this.faultRandom.exponential(LEADER_LIFE_MS);
    const downMs = this.faultRandom.between(0, this.config.faultMsMax);
    this.coverage.count("death of a new leader");
    this.loop.after(livesMs, () => instance.host.crash("new leader killed", instance, downMs));
  }

  /** Somebody has just asked for votes; whether its next messages get out is drawn here. */
  onCandidate(instance: Instance): void {
    const random = this.faultRandom;
    if (!this.isStormy || !random.chance(this.config.muteCandidateProbability)) return;
    this.coverage.count("candidate gone mute");
    this.#cutOff(instance, this.#peersOf(instance), "outgoing", "silent");
  }

  /** A leader has just sent its group to sleep; whether the others lose sight of it at once is drawn here. */
  onAsleep(instance: Instance): void {
    this.coverage.count("group put to sleep");
    if (!this.isStormy || !this.faultRandom.chance(this.config.sleeperCutProbability)) return;
    this.coverage.count("leader cut off as it goes to sleep");
    const edges = Array.from({ length: this.config.edges }, (_, number) => edgeName(number));
    const others = this.#peersOf(instance);
    const mode = this.faultRandom.pick<CutMode>(["silent", "refusing", "refusing"]);
    // Edges that still reach the leader only wake it up.
    this.#cutOff(instance, this.faultRandom.chance(0.7) ? [...others, ...edges] : others, "both", mode);
    const returnMs = this.loop.nowMs + this.faultRandom.between(0, RETURN_MS_MAX);
    this.clientsSilentUntilMs = Math.min(this.clientsSilentUntilMs, returnMs);
  }

  #peersOf({ host }: Instance): readonly string[] {
    return this.hostsOf(host.options.shard).flatMap((peer) => (peer === host ? [] : [peer.name]));
  }

  /** As soon as what leaves in this event has left. */
  #cutOff(instance: Instance, others: readonly string[], direction: "outgoing" | "both", mode: CutMode): void {
    const lastsMs = this.#drawFaultMs();
    this.loop.after(0, () => this.#cutAtOnce(instance, others, direction, mode, lastsMs));
  }

  #drawFaultMs(): number {
    return this.faultRandom.between(0, this.config.faultMsMax);
  }

  #cutAtOnce(
    { host }: Pick<Instance, "host">,
    others: readonly string[],
    direction: "outgoing" | "both",
    mode: CutMode,
    lastsMs: number,
  ): void {
    const mends = others.map((name) => this.network.cut(host.name, name, mode));
    if (direction === "both") mends.push(...others.map((name) => this.network.cut(name, host.name, mode)));
    this.loop.after(lastsMs, () => {
      for (const mend of mends) mend();
    });
  }

  /** What a request says of itself beside what it wants; nothing, where nobody looks at it. */
  drawPreferences(random: SeededRandom): WriteOptions {
    const { watchesHealth, requestsPerSecondMax } = this.config;
    return {
      ...(watchesHealth && random.chance(0.3) ? { balance: random.pick(BALANCE_POLICIES) } : {}),
      ...(requestsPerSecondMax === undefined ? {} : { urgency: random.pick(URGENCIES) }),
    };
  }

  timerLatenessMs(): number {
    return this.networkRandom.next();
  }

  /** A replica that runs newer code sends fields that older code does not know. */
  decorated<M extends Message>(message: M, by: Instance): M {
    if (!this.config.newerReplicas.includes(by.host.options.replica)) return message;
    this.coverage.count("message of a newer protocol");
    return { ...message, v: message.v + 1, fieldOfTheFuture: { nested: true } };
  }

  dispose(): void {
    listenToStores(undefined);
  }
}

/** Machines are told by name. */
export function edgeName(number: number): string {
  return `edge${number}`;
}

/** A few keys for every shard, and for every client one that only it writes and whose entries expire. */
function keysOf(view: TopologyView, config: SwarmConfig): readonly string[] {
  const keys: string[] = [];
  for (const { shard } of view.shards) {
    for (let number = 0, found = 0; found < config.keysPerShard; number++) {
      const key = `key-${number}`;
      if (view.ownerOf(slotOf(key)).shard !== shard) continue;
      keys.push(key);
      found++;
    }
  }
  for (let client = 0; client < config.clients; client += 2) keys.push(`ttl-${client}`);
  return keys;
}
