// The workload of the data model: which objects a seed's clients work on, how many clients there are, and the judgement of
// what they were told. Drawn by itself, so that the rest of a world does not depend on it.

import type { Report } from "../checkers/report.ts";
import type { Edge } from "../edge.ts";
import { SeededRandom } from "../random.ts";
import type { World } from "../world.ts";
import { Actor, type WorkloadObject } from "./actor.ts";
import { Cache } from "./cache.ts";
import { Cells, MANY_BATCHES } from "./cells.ts";
import { Evictable } from "./evictable.ts";
import { WorkloadHistory } from "./history.ts";
import { judge } from "./judge.ts";
import { Lifetimes } from "./lifetimes.ts";
import { RateLimit } from "./limits.ts";
import { Lock } from "./locks.ts";
import { Scans } from "./scans.ts";
import { SELDOM_PURGED, Tagged } from "./tagged.ts";
import { Uploads } from "./uploads.ts";

/** Few kinds in one world: what meets is to meet often. */
const OBJECTS_MAX = 3;

export interface WorkloadConfig {
  readonly actors: number;
  readonly thinkMs: number;
  readonly objects: readonly WorkloadObject[];
}

export const NO_WORKLOAD: WorkloadConfig = { actors: 0, thinkMs: 0, objects: [] };

/** For worlds in which slots move: objects that can be judged without knowing which log has what. */
export function drawMovingWorkload(seed: number | string): WorkloadConfig {
  const random = new SeededRandom(seed, "workload");
  const objects: readonly WorkloadObject[] = [
    new Cells("one"),
    new Cells("two"),
    new Lock("lock"),
    new Uploads(),
    new Tagged(),
  ];
  const chosen = random.shuffled(objects).slice(0, 2 + random.below(2));
  return { actors: 2 + random.below(2), thinkMs: random.logarithmic(20, 150), objects: chosen };
}

/** For those in which somebody purges all the time. */
export function drawPurgingWorkload(seed: number | string): WorkloadConfig {
  const random = new SeededRandom(seed, "workload");
  return { actors: 3, thinkMs: random.logarithmic(5, 40), objects: [new Tagged()] };
}

/** For those in which a purge takes long: one at a time, while many read. */
export function drawSlowPurges(seed: number | string): WorkloadConfig {
  const random = new SeededRandom(seed, "workload");
  return { actors: 5, thinkMs: random.logarithmic(10, 40), objects: [new Tagged(SELDOM_PURGED)] };
}

/** For those in which followers are behind: what is read from them in parts, and what is sent again when a call breaks. */
export function drawLaggingWorkload(seed: number | string): WorkloadConfig {
  const random = new SeededRandom(seed, "workload");
  const objects: readonly WorkloadObject[] = [new Uploads(), new Cells("one")];
  return { actors: 3, thinkMs: random.logarithmic(10, 60), objects };
}

/** For those in which writes find no room: what is written singly, in batches and in transactions, and sent again. */
export function drawCellsWorkload(seed: number | string): WorkloadConfig {
  const random = new SeededRandom(seed, "workload");
  return {
    actors: 4,
    thinkMs: random.logarithmic(10, 40),
    objects: [new Cells("one", MANY_BATCHES), new Cells("two", MANY_BATCHES)],
  };
}

/** New objects each time: they remember what their clients do. */
export function drawWorkload(seed: number | string): WorkloadConfig {
  const random = new SeededRandom(seed, "workload");
  const kinds: readonly (() => WorkloadObject)[] = [
    () => new Cells("one"),
    () => new Cells("two"),
    () => new Lock("lock"),
    () => new RateLimit("limit", random),
    () => new Cache(),
    () => new Uploads(),
    () => new Scans(),
    () => new Evictable(),
    () => new Lifetimes(),
  ];
  const chosen = random.shuffled(kinds).slice(0, 1 + random.below(OBJECTS_MAX));
  return {
    actors: 2 + random.below(2),
    thinkMs: random.logarithmic(40, 250),
    objects: chosen.map((create) => create()),
  };
}

export class Workload {
  readonly #config: WorkloadConfig;
  readonly #world: World;
  readonly #actors: readonly Actor[];
  readonly history = new WorkloadHistory();

  /** `firstNumber`: no other client has this number or a higher one. */
  constructor(world: World, edges: readonly Edge[], firstNumber: number, random: SeededRandom) {
    this.#world = world;
    this.#config = world.workload;
    this.#actors = Array.from({ length: this.#config.actors }, (_, at) => {
      const number = firstNumber + at;
      return new Actor(world, number, edges, random.fork(`actor ${number}`), this.history);
    });
  }

  get operations(): number {
    const { commands, grants, purges, scans } = this.history;
    return commands.length + grants.length + purges.length + scans.length;
  }

  start(): void {
    for (const actor of this.#actors) actor.start(this.#config.objects, this.#config.thinkMs);
  }

  stop(): void {
    for (const actor of this.#actors) actor.isStopped = true;
  }

  /** Everything once more, with all replicas together again. */
  async readAll(): Promise<void> {
    const [actor] = this.#actors;
    if (actor === undefined) return;
    for (const object of this.#config.objects) await object.readAll?.(actor);
  }

  finished(reportOf: (checker: string) => Report): void {
    judge(this.history, this.#config.objects, this.#world, reportOf);
  }
}
