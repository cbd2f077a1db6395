// What the parts of `npm run bench -- --all` share: systems that are started when the first part needs them, what goes wrong,
// and how long everything may take.

import { mkdir } from "node:fs/promises";
import path from "node:path";
import { pause } from "../../cluster/until.ts";
import { Complaints, loadDataSet } from "../harness/measure.ts";
import { type SystemName, selectPaths } from "../harness/paths.ts";
import { startSystem } from "../harness/start-system.ts";
import { type System, startHalo } from "../harness/system.ts";
import type { Inmate, Workplace } from "../harness/workplace.ts";
import { runClosedLoop } from "../load/closed-loop.ts";
import type { LoadResult } from "../load/workload.ts";
import type { MixSpec } from "../mixes/catalogue.ts";
import { Mix } from "../mixes/mix.ts";
import type { Finding } from "./bars.ts";
import type { Contender, Listener, Rounds } from "./contender.ts";

/** How much is measured. Every size is part of the JSON. */
export interface Size extends Rounds {
  /** At 70 % of saturation. */
  readonly soakSeconds: number;
  readonly kills: number;
  /** Records of the data set in the failover and the reshard part. */
  readonly records: number;
  /** Of the part that is held against 10,000. */
  readonly manyKeys: number;
  /** Bisections of the search for a knee. */
  readonly bisections: number;
  /** Of the wake part; each waits until the objects hibernate. */
  readonly wakes: number;
}

export interface PartResult {
  /** Why it broke off; absent: it ran to its end. */
  readonly failure?: string;
  /** For the JSON, under the part's name. */
  readonly figures: object;
  /** By the ids of bars. */
  readonly findings: Readonly<Record<string, Finding>>;
}

export interface Part {
  readonly id: string;
  readonly title: string;
  /** Seconds that it takes on an idle machine of two cores; where less is left, it is not begun. */
  readonly estimate: (size: Size) => number;
  readonly run: (stage: SizedStage) => Promise<PartResult>;
}

const LOAD_CONNECTIONS = 4;
/** Batches that a shard sheds come again after a pause. */
const LOAD_ATTEMPTS_MAX = 20;
const LOAD_PAUSE_MS = 100;

/** Systems and workloads by name. */
export class Stage implements Listener {
  readonly connections = 32;
  readonly complaints = new Complaints();
  readonly #workplace: Workplace<Inmate>;
  readonly #systems = new Map<string, System>();

  constructor(workplace: Workplace<Inmate>) {
    this.#workplace = workplace;
  }

  get directory(): string {
    return this.#workplace.directory;
  }

  complain(where: string, load: LoadResult): void {
    this.complaints.add(where, load);
  }

  progress(line: string): void {
    console.error(line);
  }

  /** Ended with the part, unless it is one of the shared systems. */
  adopt(inmate: Inmate): void {
    this.#workplace.systems.push(inmate);
  }

  /** With the data set of the paths in it. */
  async system(name: SystemName): Promise<System> {
    const running = this.#systems.get(name);
    if (running !== undefined) return running;
    const system = await startSystem(name, this.directory);
    this.adopt(system);
    if (system.startsEmpty) await loadDataSet(system);
    this.#systems.set(name, system);
    return system;
  }

  /** A Halo of one shard for one part alone, empty. */
  async ownHalo(name: string, isInspectable = false): Promise<System> {
    const directory = path.join(this.directory, name);
    await mkdir(directory, { recursive: true });
    const system = await startHalo(1, directory, isInspectable);
    this.adopt(system);
    return system;
  }

  /** After a part, however it ended: what it has started for itself. */
  async endAllOfPart(): Promise<void> {
    const shared = new Set<Inmate>(this.#systems.values());
    for (const inmate of this.#workplace.systems.filter((each) => !shared.has(each))) await this.end(inmate);
  }

  async end(inmate: Inmate): Promise<void> {
    await inmate.stop();
    this.#workplace.systems.splice(this.#workplace.systems.indexOf(inmate), 1);
  }

  /** One of the paths of `bench/harness/paths.ts`, as it is known there. */
  async path(
    id: string,
    options: Partial<Pick<Contender, "id" | "connections" | "ratePerSecond">> = {},
  ): Promise<Contender> {
    const [path] = selectPaths([id]);
    if (path === undefined) throw new Error(`no path ${id}`);
    const system = await this.system(path.system);
    const connections = options.connections ?? this.connections;
    const { target, workerdPids: pids } = system;
    return {
      id,
      title: path.title,
      target,
      pids,
      connections,
      workload: () => path.workload(system, connections),
      ...options,
    };
  }

  /** A workload of the catalogue, its keys loaded. */
  async mix(spec: MixSpec, system: System): Promise<Contender & { readonly mix: Mix }> {
    const mix = new Mix(spec);
    let complaints: readonly string[] = [];
    for (let attempt = 1; attempt <= LOAD_ATTEMPTS_MAX && !mix.isLoaded; attempt += 1) {
      if (attempt > 1) await pause(LOAD_PAUSE_MS * attempt);
      const loaded = await runClosedLoop(system.target, mix.load(), { connections: LOAD_CONNECTIONS });
      complaints = loaded.errorSamples;
    }
    if (!mix.isLoaded) throw new Error(`${spec.id}: loading failed: ${complaints[0]}`);
    const { keysPerRequest } = mix;
    return {
      id: spec.id,
      title: spec.title,
      target: system.target,
      pids: system.workerdPids,
      connections: this.connections,
      workload: () => mix.workload() as ReturnType<Contender["workload"]>,
      ...(keysPerRequest > 1 && { keysPerRequest }),
      mix,
    };
  }
}

/** One that says how much is to be measured. */
export class SizedStage extends Stage {
  readonly size: Size;

  constructor(size: Size, workplace: Workplace<Inmate>) {
    super(workplace);
    this.size = size;
  }
}
