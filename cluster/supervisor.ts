// A cluster whose regions are real processes, for proving what happens when one of them dies, freezes or comes back.
// Its callers break it on purpose; the supervisor ends only what it started, and nothing outlives it.
//
// What was seen with Miniflare 5's dev registry (a directory with a file for each Worker, watched by every process):
// - A call to an object of a dead workerd fails within a few milliseconds: the connection is refused, or reset where one
//   was open ("Network connection lost"). A frozen one leaves calls hanging until the caller's own deadline.
// - A restarted region listens on a new debug port; the others hear of the rewritten file at once and bind anew.
// - A Worker does not register while a file of the same name by another instance is less than 90 s old, and a Node
//   process that was killed leaves its file behind. Without `#forget` a restarted region would be unreachable for up to
//   90 s; so the file of a region that is known to be dead is removed before its successor starts, not earlier: until
//   then callers meet what a dead machine looks like, not a tidy "Worker not found".

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Region } from "../routing/region.ts";
import { buildWorker } from "./build.ts";
import { clusterConfig } from "./cluster-options.ts";
import { type ClusterNetwork, type OpenNetwork, openSharedRegistry } from "./network.ts";
import { planRegions, processNames, type RegionPlans } from "./region-plans.ts";
import { Runtime } from "./runtime.ts";
import type { RuntimePlan } from "./runtime-plan.ts";
import { untilAllAnswer } from "./status.ts";
import { TOKEN_VARIABLE } from "./worker-config.ts";

/** Four processes that find each other on a machine with two busy cores. */
const ALL_ANSWER_TIMEOUT_MS = 60_000;

export interface RegionClusterOptions {
  readonly regions: readonly Region[];
  readonly shards: number;
  /** Directory of the durable data, one folder for each process. Absent: temporary, removed at the end. */
  readonly dataDir?: string | undefined;
  readonly token: string;
  /** Port of the edge on loopback; absent or 0: the system chooses. */
  readonly port?: number | undefined;
  /** Variables that override those of wrangler.toml, by name. */
  readonly vars?: Readonly<Record<string, string>> | undefined;
  /** What the processes are connected by; default: they speak to each other directly. Closed with the cluster. */
  readonly openNetwork?: OpenNetwork | undefined;
}

/** A process of the cluster: that of a region, or the one that clients speak to. */
export type Place = Region | "edge";

export interface RegionCluster {
  readonly url: string;
  readonly token: string;
  readonly regions: readonly Region[];
  /** Temporary directory; the logs of all processes are in its folder `logs`. */
  readonly runDir: string;
  /** Ids of all living processes, for printing. */
  pids(): readonly { readonly name: string; readonly node: number; readonly workerd: number }[];
  processName(place: Place): string;
  isUp(region: Region): boolean;
  /** kill -9 of the region's Node process and then of its workerd: it stays down until `restart`. */
  kill(region: Region): Promise<void>;
  /** kill -9 of workerd alone: Miniflare respawns it, with its data, in about 0.3 s. */
  killWorkerdOnly(region: Region): Promise<void>;
  freeze(region: Region): void;
  thaw(region: Region): void;
  /** Brings a killed region back with its data. Resolves when its process serves, not when it has caught up. */
  restart(region: Region): Promise<void>;
  /** Ends of the logs of all processes, for a failing test to print. */
  logTails(): string;
  stop(): Promise<void>;
}

/** Throws `ConfigError` with one line where the variables make no cluster. */
export async function startRegionCluster(options: RegionClusterOptions): Promise<RegionCluster> {
  const config = clusterConfig({
    shards: options.shards,
    replicas: options.regions.length,
    regions: options.regions,
    vars: options.vars,
  });
  const workerPath = await buildWorker();
  const runDir = await mkdtemp(path.join(tmpdir(), "halo-cluster-"));
  const openNetwork = options.openNetwork ?? openSharedRegistry;
  const network = await openNetwork(path.join(runDir, "registry"), processNames(config, options.regions));
  const plans = planRegions({
    config,
    regions: options.regions,
    workerPath,
    vars: { ...config.vars, [TOKEN_VARIABLE]: options.token },
    dataDir: options.dataDir ?? path.join(runDir, "data"),
    registryDirOf: (name) => network.registryDirOf(name),
    edgePort: options.port ?? 0,
  });
  const supervisor = new Supervisor(options, plans, runDir, network);
  try {
    await supervisor.start();
    await untilAllAnswer(supervisor, ALL_ANSWER_TIMEOUT_MS);
    return supervisor;
  } catch (error) {
    const logs = supervisor.logTails();
    await supervisor.stop();
    throw new Error(`the cluster did not start: ${error instanceof Error ? error.message : error}\n${logs}`, {
      cause: error,
    });
  }
}

class Supervisor implements RegionCluster {
  readonly token: string;
  readonly regions: readonly Region[];
  readonly runDir: string;
  readonly #plans: RegionPlans;
  readonly #network: ClusterNetwork;
  readonly #runtimes = new Map<Region, Runtime>();
  #edge: Runtime | undefined;

  constructor(options: RegionClusterOptions, plans: RegionPlans, runDir: string, network: ClusterNetwork) {
    this.token = options.token;
    this.regions = options.regions;
    this.runDir = runDir;
    this.#plans = plans;
    this.#network = network;
  }

  async start(): Promise<void> {
    const starts = [
      this.#launch(this.#plans.edge).then((runtime) => (this.#edge = runtime)),
      ...this.regions.map((region) => this.#startRegion(region)),
    ];
    // All of them settle before the first failure is reported, so that `stop` knows every process that was started.
    const failed = (await Promise.allSettled(starts)).find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  get url(): string {
    if (this.#edge === undefined) throw new Error("the edge is not running");
    return this.#edge.url;
  }

  pids(): readonly { name: string; node: number; workerd: number }[] {
    return this.#all().map((runtime) => ({ name: runtime.plan.name, node: runtime.pid, workerd: runtime.workerdPid }));
  }

  processName(place: Place): string {
    return place === "edge" ? this.#plans.edge.name : this.#plan(place).name;
  }

  isUp(region: Region): boolean {
    return this.#runtimes.get(region)?.isUp() ?? false;
  }

  async kill(region: Region): Promise<void> {
    await this.#running(region).kill();
    this.#runtimes.delete(region);
  }

  async killWorkerdOnly(region: Region): Promise<void> {
    await this.#running(region).killWorkerd();
  }

  freeze(region: Region): void {
    this.#running(region).freeze();
  }

  thaw(region: Region): void {
    this.#running(region).thaw();
  }

  async restart(region: Region): Promise<void> {
    if (this.#runtimes.has(region)) await this.kill(region);
    await this.#forget(region);
    await this.#startRegion(region);
  }

  logTails(): string {
    return this.#all()
      .map((runtime) => runtime.logTail())
      .join("\n");
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((runtime) => runtime.stop()));
    this.#runtimes.clear();
    this.#edge = undefined;
    await this.#network.close();
    await rm(this.runDir, { recursive: true, force: true });
  }

  async #startRegion(region: Region): Promise<void> {
    this.#runtimes.set(region, await this.#launch(this.#plan(region)));
  }

  async #launch(plan: RuntimePlan): Promise<Runtime> {
    return await Runtime.start(plan, {
      runDir: this.runDir,
      logFile: path.join(this.runDir, "logs", `${plan.name}.log`),
    });
  }

  /** Removes the dead process's entry in the dev registry. */
  async #forget(region: Region): Promise<void> {
    const { name } = this.#plan(region);
    await rm(path.join(this.#network.registryDirOf(name), name), { force: true });
  }

  #plan(region: Region): RuntimePlan {
    const plan = this.#plans.regions.get(region);
    if (plan === undefined) throw new Error(`no region ${region} in this cluster`);
    return plan;
  }

  #running(region: Region): Runtime {
    const runtime = this.#runtimes.get(region);
    if (runtime === undefined) throw new Error(`region ${region} is not running`);
    return runtime;
  }

  #all(): readonly Runtime[] {
    return [...(this.#edge === undefined ? [] : [this.#edge]), ...this.#runtimes.values()];
  }
}
