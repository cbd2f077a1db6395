// A thread that simulates the seeds it is given, one after the other, with a known mistake in the code if asked to.

import { parentPort, workerData } from "node:worker_threads";
import type { Counts } from "./coverage.ts";
import { loadMutated, type Mutant } from "./mutate.ts";
import type { WorkloadName } from "./swarm.ts";

export interface SeedReport {
  readonly seed: number;
  readonly violations: readonly { readonly checker: string; readonly message: string; readonly atMs: number }[];
  readonly groupMs: number;
  readonly simulatedMs: number;
  readonly operations: number;
  readonly traceHash: string;
  readonly counts: Counts;
  /** Processor time that the run took. */
  readonly cpuMs: number;
  /** One group of three replicas, and nothing else: what the speed is promised for. */
  readonly isOneGroupOfThree: boolean;
}

const { mutant, workload } = workerData as { readonly mutant?: Mutant; readonly workload?: WorkloadName };
if (mutant !== undefined) loadMutated(mutant);
// Networks that break make thousands of errors whose stacks nobody reads; a failing seed is run again by itself, with them.
Error.stackTraceLimit = 0;
// Only now: what it imports is the code under test.
const { simulate } = await import("./simulation.ts");

parentPort?.on("message", async (seed: number) => {
  const before = process.threadCpuUsage();
  const { violations, groupMs, simulatedMs, operations, traceHash, counts, config } = await simulate(seed, {
    workload,
  });
  const used = process.threadCpuUsage(before);
  const cpuMs = (used.user + used.system) / 1_000;
  const isOneGroupOfThree = config.cluster.replicas === 3 && config.cluster.weights.length === 1;
  const figures = { groupMs, simulatedMs, operations, traceHash, counts, cpuMs, isOneGroupOfThree };
  const report: SeedReport = { seed, violations, ...figures };
  parentPort?.postMessage(report);
});
