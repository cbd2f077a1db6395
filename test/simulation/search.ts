// Simulates many seeds on several threads, each its own copy of everything, and hands on the reports as they come.

import { Worker } from "node:worker_threads";
import type { Mutant } from "./mutate.ts";
import type { SeedReport } from "./search-worker.ts";
import type { WorkloadName } from "./swarm.ts";

/** What an event makes is garbage soon after: with more room for it, less of it is moved about. */
const YOUNG_MB = 64;

export interface SearchOptions {
  /** Begun in this order. */
  readonly seeds: readonly number[];
  readonly jobs: number;
  readonly mutant?: Mutant;
  readonly workload?: WorkloadName | undefined;
  /** Told of each seed as it is done; true: no further seed is begun. */
  readonly onReport: (report: SeedReport) => boolean;
}

/** `runs` seeds from `firstSeed`. */
export function seedsFrom(firstSeed: number, runs: number): readonly number[] {
  return Array.from({ length: runs }, (_, at) => firstSeed + at);
}

/** Seeds that were begun when `onReport` said stop are finished and told as well. */
export async function search({ seeds, jobs, mutant, workload, onReport }: SearchOptions): Promise<void> {
  let next = 0;
  let isOver = false;
  const nextSeed = (): number | undefined => (isOver ? undefined : seeds[next++]);
  const runThread = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let seed = nextSeed();
      if (seed === undefined) {
        resolve();
        return;
      }
      const worker = new Worker(new URL("./search-worker.ts", import.meta.url), {
        workerData: { mutant, workload },
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
      });
      const finish = (end: () => void): void => {
        worker.terminate().then(end, reject);
      };
      worker.on("error", (error) => {
        // A promise that nobody handled, or a mistake so bad that the code cannot be loaded.
        if (onReport(brokenRun(seed ?? -1, error))) isOver = true;
        // The thread is gone; another one goes on with the seeds that are left.
        finish(() => runThread().then(resolve, reject));
      });
      worker.on("message", (report: SeedReport) => {
        if (onReport(report)) isOver = true;
        seed = nextSeed();
        if (seed === undefined) finish(resolve);
        else worker.postMessage(seed);
      });
      worker.postMessage(seed);
    });
  await Promise.all(Array.from({ length: jobs }, runThread));
}

function brokenRun(seed: number, error: unknown): SeedReport {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const violations = [{ checker: "invariants", message, atMs: 0 }];
  const nothing = { groupMs: 0, simulatedMs: 0, operations: 0, cpuMs: 0, isOneGroupOfThree: false };
  return { seed, violations, traceHash: "", counts: {}, ...nothing };
}
