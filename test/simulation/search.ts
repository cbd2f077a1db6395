// Simulates many seeds on several threads, each its own copy of everything, and gives the reports in order of seeds.

import { Worker } from "node:worker_threads";
import type { Mutant } from "./mutate.ts";
import type { SeedReport } from "./search-worker.ts";

export interface SearchOptions {
  readonly firstSeed: number;
  readonly runs: number;
  readonly jobs: number;
  readonly mutant?: Mutant;
  /** Told of each seed as it is done; true: no further seed is begun. */
  readonly onReport: (report: SeedReport) => boolean;
}

/** Seeds that were begun when `onReport` said stop are finished and told as well. */
export async function search(options: SearchOptions): Promise<void> {
  let next = 0;
  let isOver = false;
  const nextSeed = (): number | undefined => (isOver || next >= options.runs ? undefined : options.firstSeed + next++);
  const runThread = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let seed = nextSeed();
      if (seed === undefined) {
        resolve();
        return;
      }
      const worker = new Worker(new URL("./search-worker.ts", import.meta.url), {
        workerData: { mutant: options.mutant },
      });
      const finish = (end: () => void): void => {
        worker.terminate().then(end, reject);
      };
      worker.on("error", (error) => {
        // A promise that nobody handled, or a mistake so bad that the code cannot be loaded.
        const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
        const violations = [{ checker: "invariants", message, atMs: 0 }];
        isOver ||= options.onReport({
          seed: seed ?? -1,
          violations,
          groupMs: 0,
          simulatedMs: 0,
          operations: 0,
          traceHash: "",
          counts: {},
          cpuMs: 0,
        });
        finish(resolve);
      });
      worker.on("message", (report: SeedReport) => {
        isOver ||= options.onReport(report);
        seed = nextSeed();
        if (seed === undefined) finish(resolve);
        else worker.postMessage(seed);
      });
      worker.postMessage(seed);
    });
  await Promise.all(Array.from({ length: options.jobs }, runThread));
}
