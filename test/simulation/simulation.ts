// One simulation, whole: a storm in which only safety is asked for, then a calm in which a majority must get on, then all
// replicas together again, and the judgement of what the clients saw.

import { isMembershipOf } from "../../durable/replication/membership-plan.ts";
import { quorumSize } from "../../durable/replication/quorum.ts";
import { slotOf } from "../../routing/slots.ts";
import type { Violation } from "./checkers/report.ts";
import { Client } from "./clients.ts";
import type { Counts } from "./coverage.ts";
import { Edge } from "./edge.ts";
import { Storm } from "./faults.ts";
import { isExpiringKey, type Operation } from "./history.ts";
import type { SeededRandom } from "./random.ts";
import type { ReplicaHost } from "./replica-host.ts";
import { canSpare, Reshaping } from "./reshaping.ts";
import { Resharding } from "./resharding.ts";
import { drawSwarm, type SwarmConfig, type WorkloadName } from "./swarm.ts";
import { Sweeping } from "./sweeping.ts";
import { Trace } from "./trace.ts";
import { Workload } from "./workload/workload.ts";
import { World } from "./world.ts";

/**
 * Within so long after a majority is whole, every edge gets a write through to every shard: a client's deadline (5 s) for
 * the request that still met the storm, another for a breaker that waits its longest, and an election.
 */
export const PROGRESS_MS_MAX = 12_000;
/** Within so long after everything is whole, all replicas have applied the same. */
export const CONVERGENCE_MS_MAX = 15_000;
/**
 * The same where shards are drained and removed, since what a storm has called off is planned and moved once more, and where
 * nobody but the sweep replaces the dead, one after the other.
 */
export const RESHAPED_MS_MAX = 40_000;
const CONVERGENCE_STEP_MS = 250;
/** Clients of registers that are left at least. */
const CLIENTS_MIN = 3;

export interface SimulationResult {
  readonly seed: number | string;
  readonly config: SwarmConfig;
  readonly violations: readonly Violation[];
  readonly simulatedMs: number;
  /** Simulated time times shards: what the speed is counted in. */
  readonly groupMs: number;
  readonly operations: number;
  readonly faults: number;
  readonly events: number;
  readonly counts: Counts;
  readonly traceHash: string;
  readonly lastLines: readonly string[];
}

export interface SimulationOptions {
  /** Absent: whatever the seed draws. */
  readonly workload?: WorkloadName | undefined;
  readonly keepsText?: boolean;
  readonly onLine?: (line: string) => void;
}

export async function simulate(seed: number | string, options: SimulationOptions = {}): Promise<SimulationResult> {
  const run = new SimulationRun(drawSwarm(seed, options.workload), options);
  return run.run();
}

class SimulationRun {
  readonly #config: SwarmConfig;
  readonly #trace: Trace;
  readonly #world: World;
  readonly #edges: readonly Edge[];
  readonly #clients: readonly Client[];
  /** For each edge one that probes for progress. */
  readonly #probers: readonly Client[];
  readonly #storm: Storm;
  readonly #reshaping: Reshaping;
  readonly #resharding: Resharding;
  readonly #sweeping: Sweeping | undefined;
  readonly #history: Operation[] = [];
  readonly #workload: Workload;

  constructor(config: SwarmConfig, { keepsText = false, onLine }: SimulationOptions) {
    this.#config = config;
    this.#trace = new Trace({ keepsText, onLine });
    this.#world = new World(config, this.#trace);
    const { random, keys } = this.#world;
    const create = (number: number, edges: readonly Edge[]) =>
      new Client(this.#world, number, edges, keys, random.fork(`client ${number}`), this.#history);
    this.#edges = Array.from({ length: config.edges }, (_, n) => new Edge(this.#world, n, random.fork(`edge ${n}`)));
    // Whoever works on the data model does so in place of a client of registers: the load of a world stays the same.
    const clients = Math.max(CLIENTS_MIN, config.clients - this.#world.workload.actors);
    this.#clients = Array.from({ length: clients }, (_, number) => create(number, this.#edges));
    this.#probers = this.#edges.map((edge, n) => create(config.clients + n, [edge]));
    const firstNumber = config.clients + config.edges;
    this.#workload = new Workload(this.#world, this.#edges, firstNumber, random.fork("workload"));
    this.#reshaping = new Reshaping(this.#world, random.fork("reshaping"));
    this.#resharding = new Resharding(this.#world, this.#reshaping, random.fork("resharding"));
    if (config.sweep !== undefined)
      this.#sweeping = new Sweeping(this.#world, config.sweep, this.#reshaping, random.fork("sweep"));
    this.#storm = new Storm(this.#world, this.#edges, this.#reshaping);
  }

  async run(): Promise<SimulationResult> {
    try {
      await this.#phases();
    } catch (error) {
      // Whatever an event throws is as broken as a promise that a checker sees broken.
      this.#world.checks.report("invariants", error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      this.#world.dispose();
    }
    const { loop, checks, view } = this.#world;
    return {
      seed: this.#config.seed,
      config: this.#config,
      violations: checks.violations,
      simulatedMs: loop.nowMs,
      groupMs: loop.nowMs * view.shards.length,
      operations: this.#history.length + this.#workload.operations,
      faults: this.#storm.count,
      events: loop.count,
      counts: this.#world.coverage.counts,
      traceHash: this.#trace.hash,
      lastLines: this.#trace.lastLines(60),
    };
  }

  get #hasFailed(): boolean {
    return this.#world.checks.violations.length > 0;
  }

  async #phases(): Promise<void> {
    const { loop, checks } = this.#world;
    for (const client of this.#clients) client.start();
    this.#workload.start();
    this.#storm.begin();
    if (this.#config.reshards) this.#resharding.begin();
    this.#sweeping?.begin();
    this.#comeInBursts();
    await loop.run(this.#config.stormMs);
    if (this.#hasFailed) return;
    this.#healMajority();
    await this.#demandProgress();
    if (this.#hasFailed) return;
    this.#healAll();
    await this.#demandConvergence();
    if (this.#hasFailed) return;
    checks.finished(this.#history);
    this.#workload.finished((checker) => checks.reportOf(checker));
  }

  /** A group that nobody asks goes to sleep; the worst moments to come back are around that. */
  #comeInBursts(): void {
    const { loop, config } = this.#world;
    const { burstMs, timing } = config;
    if (burstMs === undefined) return;
    const random = this.#world.random.fork("bursts");
    const burst = (): void => {
      if (!this.#world.isStormy) return;
      const silentMs = timing.quiesceAfterMs + random.between(-100, 500);
      this.#world.clientsSilentUntilMs = loop.nowMs + silentMs;
      loop.after(silentMs + random.exponential(burstMs), burst);
    };
    loop.after(random.exponential(burstMs), burst);
  }

  /** The minority stays out of reach, for everybody. */
  #healMajority(): void {
    const { hosts, network, rpc } = this.#world;
    const random = this.#world.random.fork("majority");
    this.#calm();
    this.#giveRoom();
    if (this.#sweeping === undefined) this.#reshaping.replaceDestroyed();
    const away = this.#world.directory.shards.flatMap(({ shard }) => this.#minorityOf(shard, random));
    const machines = [...hosts, ...this.#edges].map(({ name }) => name);
    for (const host of away) {
      for (const name of machines) {
        network.cut(host.name, name, "silent");
        network.cut(name, host.name, "silent");
      }
    }
    this.#world.note("network", "a majority is whole again, without", away.map(({ name }) => name).join(","));
    rpc.breakHung();
  }

  /** As many as can be spared, whichever of the memberships that are written somewhere is the one in force. */
  #minorityOf(shard: number, random: SeededRandom): readonly ReplicaHost[] {
    const hosts = this.#world.hostsOf(shard);
    // Who may not vote until the others have brought it up to date is no part of a majority.
    const away = new Set(hosts.filter((host) => host.isDestroyed || host.hasRotted));
    const listed = this.#world.listedHostsOf(shard);
    for (const host of random.shuffled(hosts)) {
      const wouldBeAway = new Set([...away, host]);
      // Whoever wants one replica only has asked to do without any that may fail, on the way there as well: of two voters
      // both are needed. Others must find a majority of those that clients ask, too.
      if (listed.length === 1 && host.instances.some(({ core }) => core.isVoter)) continue;
      const listedLeft = listed.filter((other) => !wouldBeAway.has(other)).length;
      if (listedLeft < quorumSize(listed.length)) continue;
      if (canSpare(this.#world, shard, wouldBeAway, 1)) away.add(host);
    }
    return [...away];
  }

  #calm(): void {
    const { hosts, network } = this.#world;
    this.#world.isStormy = false;
    network.isCalm = true;
    network.mendAll();
    for (const host of hosts) host.heal();
    for (const edge of this.#edges) edge.overloadedUntil.clear();
    this.#world.clientsSilentUntilMs = 0;
  }

  /** Where targets had no room for slots they get it now, by a deployment. */
  #giveRoom(): void {
    const { config, hosts } = this.#world;
    if (config.storageBytesMax === undefined) return;
    for (const host of hosts) host.crash("it may hold more");
  }

  async #demandProgress(): Promise<void> {
    const { loop, checks } = this.#world;
    const firstKeys = this.#firstKeys();
    const deadlineMs = loop.nowMs + PROGRESS_MS_MAX;
    const waiting = new Set<string>();
    const probe = async (prober: Client, name: string, key: string): Promise<void> => {
      while ((await prober.probe(key)).outcome !== "ok") {
        if (loop.nowMs >= deadlineMs) return;
        await new Promise<void>((resolve) => loop.after(50, resolve));
      }
      waiting.delete(name);
      if (waiting.size === 0) loop.stop();
    };
    for (const [number, prober] of this.#probers.entries()) {
      for (const [shard, key] of firstKeys) {
        const name = `edge ${number} to shard ${shard}`;
        waiting.add(name);
        probe(prober, name, key);
      }
    }
    await loop.run(deadlineMs);
    if (waiting.size === 0 || this.#hasFailed) return;
    checks.report("progress", `no write got through within ${PROGRESS_MS_MAX} ms: ${[...waiting].join("; ")}`);
  }

  #healAll(): void {
    this.#world.note("network", "everything is whole again");
    this.#calm();
    this.#world.rpc.breakHung();
    this.#reshaping.tellAll();
  }

  /** Clients go on, so that the groups stay awake, until all replicas have met; then everything is read once more. */
  async #demandConvergence(): Promise<void> {
    const { loop, checks, config } = this.#world;
    const isSlow = config.reshapes || this.#sweeping !== undefined;
    const limitMs = isSlow ? RESHAPED_MS_MAX : CONVERGENCE_MS_MAX;
    const deadlineMs = loop.nowMs + limitMs;
    await loop.run(loop.nowMs + CONVERGENCE_STEP_MS);
    for (const client of this.#clients) client.isStopped = true;
    this.#workload.stop();
    let last = 0;
    const hasConverged = () => this.#shardsInUse.every((shard) => this.#hasConverged(shard));
    const isWhole = () => this.#sweeping === undefined || this.#sweeping.isWhole;
    while (!this.#hasFailed && !(this.#resharding.isSettled && isWhole() && hasConverged())) {
      if (loop.nowMs >= deadlineMs) {
        const open = this.#resharding.isSettled ? "" : ", and changes of the shards are still open";
        const missing = isWhole() ? "" : ", and the sweep finds shards that lack replicas";
        checks.report("progress", `the replicas have not converged within ${limitMs} ms${open}${missing}`);
        return;
      }
      // A probe now and then: a leader that hears nothing from a member gives up on it and lets the group sleep.
      if (loop.nowMs - last >= 1_000) {
        last = loop.nowMs;
        for (const key of this.#firstKeys().values()) this.#probers[0]?.probe(key);
        this.#resharding.goOn();
      }
      await loop.run(loop.nowMs + CONVERGENCE_STEP_MS);
    }
    if (this.#hasFailed) return;
    await this.#readEverything();
    for (const shard of this.#shardsInUse) checks.compareStates(shard);
  }

  /** By shard one of its keys; where shards come and go, some have none, and nobody asks them anything. */
  #firstKeys(): ReadonlyMap<number, string> {
    const { directory, keys } = this.#world;
    const first = new Map<number, string>();
    for (const { shard } of directory.shards) {
      const key = keys.find((one) => !isExpiringKey(one) && directory.slots[slotOf(one)] === shard);
      if (key !== undefined) first.set(shard, key);
    }
    return first;
  }

  /** Whose replicas are to meet. */
  get #shardsInUse(): readonly number[] {
    const { config, directory } = this.#world;
    return config.reshapes ? [...this.#firstKeys().keys()] : directory.shards.map(({ shard }) => shard);
  }

  #hasConverged(shard: number): boolean {
    const { lastIndex } = this.#world.checks.truthOf(shard);
    const listed = this.#world.listedHostsOf(shard);
    const members = listed.map(({ member }) => member);
    return listed.every(({ current }) => {
      if (current === undefined || !isMembershipOf(members, current.core.membership)) return false;
      return current.core.appliedIndex === lastIndex && current.core.log.lastIndex === lastIndex;
    });
  }

  async #readEverything(): Promise<void> {
    const { loop, keys } = this.#world;
    const [reader] = this.#probers;
    if (reader === undefined) return;
    const readAll = async (): Promise<void> => {
      for (const key of keys) await reader.read(key, "strong");
      await this.#workload.readAll();
      loop.stop();
    };
    readAll();
    await loop.run(loop.nowMs + PROGRESS_MS_MAX);
  }
}
