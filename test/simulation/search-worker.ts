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
}

const { mutant, workload } = workerData as { readonly mutant?: Mutant; readonly workload?: WorkloadName };
if (mutant !== undefined) loadMutated(mutant);
// Networks that break make thousands of errors whose stacks nobody reads; a failing seed is run again by itself, with them.
Error.stackTraceLimit = 0;
// Only now: what it imports is the code under test.
const { simulate } = await import("./simulation.ts");

parentPort?.on("message", async (seed: number) => {
  const before = process.threadCpuUsage();
  const { violations, groupMs, simulatedMs, operations, traceHash, counts } = await simulate(seed, { workload });
  const used = process.threadCpuUsage(before);
  const cpuMs = (used.user + used.system) / 1_000;
  const report: SeedReport = { seed, violations, groupMs, simulatedMs, operations, traceHash, counts, cpuMs };
  parentPort?.postMessage(report);
});
