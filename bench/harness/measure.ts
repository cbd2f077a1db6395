// Runs the paths: closed loops in interleaved rounds, one open loop each at a fixed rate, and a reading back of what was
// written. Every reply is checked; what was wrong is collected, and fails the benchmark in the end.

import { pause } from "../../cluster/until.ts";
import { runClosedLoop } from "../load/closed-loop.ts";
import { runOpenLoop } from "../load/open-loop.ts";
import type { LoadResult, LoadTarget, Workload } from "../load/workload.ts";
import type { DataSet } from "../workloads.ts";
import type { BenchOptions } from "./options.ts";
import type { BenchPath } from "./paths.ts";
import { cpuSecondsOf } from "./process-cpu.ts";
import type { Counters, System } from "./system.ts";

/** One closed-loop run of one path. */
export interface Sample {
  readonly load: LoadResult;
  readonly serverCpuSeconds: number;
  /** How far the system's counters moved during the run. */
  readonly counters: Counters | undefined;
}

export interface Measured {
  readonly path: BenchPath;
  readonly system: System;
  readonly samples: Sample[];
  /** One run a round at the path's fixed rate. */
  readonly openLoops: LoadResult[];
  /** Rows per PUT over all closed-loop runs, those that it makes the system write later included. */
  rowsPerPut: number | undefined;
}

/** More than the runs have: batches get thicker and loading shorter. Halved whenever a reply is wrong. */
const LOAD_CONNECTIONS = 64;
const LOAD_CONNECTIONS_MIN = 4;
/** Enough to show that a system stores what it acknowledges, few enough to take no time. */
const KEYS_READ_BACK = 1_000;

/** Collects what went wrong over the whole benchmark. */
export class Complaints {
  #count = 0;
  readonly #samples: string[] = [];

  get count(): number {
    return this.#count;
  }

  get samples(): readonly string[] {
    return this.#samples;
  }

  add(where: string, load: LoadResult): void {
    this.#count += load.errors;
    for (const sample of load.errorSamples) this.#samples.push(`${where}: ${sample}`);
  }
}

/**
 * A busy machine makes a group lose its majority for a moment, or shed: loading is not measured, and goes on, with fewer at a
 * time and after the pause that was asked for.
 */
const LOAD_ATTEMPTS_MAX = 20;
const LOAD_PAUSE_MS = 500;
const LOAD_PAUSE_MS_MAX = 5_000;
const LOAD_SECONDS_MAX = 180;

/** Writes every key. Throws if that does not succeed: there is nothing to measure on a part of the data. */
export async function loadDataSet({ name, target, dataSet }: Loadable): Promise<void> {
  const giveUpMs = performance.now() + LOAD_SECONDS_MAX * 1_000;
  let connections = LOAD_CONNECTIONS;
  let last: LoadAttempt = { complaint: undefined, retryAfterMs: 0 };
  for (let attempt = 1; attempt <= LOAD_ATTEMPTS_MAX && !dataSet.isLoaded; attempt += 1) {
    if (performance.now() >= giveUpMs) break;
    if (attempt > 1) {
      await pause(Math.min(LOAD_PAUSE_MS_MAX, Math.max(LOAD_PAUSE_MS * attempt, last.retryAfterMs)));
      connections = Math.max(LOAD_CONNECTIONS_MIN, Math.floor(connections / 2));
    }
    last = await loadOnce(target, dataSet, connections);
  }
  if (!dataSet.isLoaded) throw new Error(`${name}: loading the data set failed: ${last.complaint}`);
}

type Loadable = Pick<System, "name" | "target" | "dataSet">;

interface LoadAttempt {
  readonly complaint: string | undefined;
  /** As a shed reply asks for. */
  readonly retryAfterMs: number;
}

/** Ends at the first wrong reply, and tells what was wrong. */
async function loadOnce(target: LoadTarget, dataSet: DataSet, connections: number): Promise<LoadAttempt> {
  const workload = dataSet.load(connections);
  const stop = new AbortController();
  let retryAfterMs = 0;
  const stoppingWorkload: typeof workload = {
    next: workload.next,
    check: (request, reply, lane) => {
      const complaint = workload.check(request, reply, lane);
      if (complaint === undefined) return undefined;
      retryAfterMs = Math.max(retryAfterMs, (Number(reply.header("retry-after")) || 0) * 1_000);
      stop.abort();
      return complaint;
    },
    failed: () => stop.abort(),
  };
  const { errorSamples } = await runClosedLoop(target, stoppingWorkload, { connections, signal: stop.signal });
  return { complaint: errorSamples[0], retryAfterMs };
}

/** A B C A B C …, each after a warm-up of its own. */
export async function runRounds(
  measured: readonly Measured[],
  options: BenchOptions,
  complaints: Complaints,
  progress: (line: string) => void,
): Promise<void> {
  const { connections, seconds, warmupSeconds } = options;
  const rowCounts = new Map<Measured, { readonly rows: number; readonly puts: number }>();
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const each of measured) {
      const { path, system } = each;
      if (each.path.method === "PUT" && !rowCounts.has(each)) {
        const rows = await system.rows?.();
        if (rows !== undefined) rowCounts.set(each, { rows, puts: system.dataSet.writesAcknowledged });
      }
      const workload = path.workload(system, connections);
      const warmup = await runClosedLoop(system.target, workload, { connections, seconds: warmupSeconds });
      complaints.add(`${path.id}, warm-up`, warmup);
      const sample = await runSample(system, workload, { connections, seconds });
      complaints.add(path.id, sample.load);
      each.samples.push(sample);
      progress(`round ${round}/${options.rounds}  ${path.title}: ${Math.round(sample.load.rps)} req/s`);
    }
  }
  for (const [each, before] of rowCounts) {
    const rows = (await each.system.rows?.()) ?? Number.NaN;
    each.rowsPerPut = (rows - before.rows) / (each.system.dataSet.writesAcknowledged - before.puts);
  }
}

async function runSample(
  system: System,
  workload: Workload,
  options: { readonly connections: number; readonly seconds: number },
): Promise<Sample> {
  const countersBefore = await system.counters?.();
  const cpuBefore = cpuSecondsOf(system.workerdPids);
  const load = await runClosedLoop(system.target, workload, options);
  const serverCpuSeconds = cpuSecondsOf(system.workerdPids) - cpuBefore;
  const countersAfter = await system.counters?.();
  const counters = countersBefore && countersAfter && countersMoved(countersBefore, countersAfter);
  return { load, serverCpuSeconds, counters };
}

export function countersMoved(before: Counters, after: Counters): Counters {
  const moved: Record<string, number> = {};
  for (const [name, value] of Object.entries(after)) {
    const difference = value - (before[name] ?? 0);
    if (difference < 0) throw new Error(`counter ${name} went backwards: a replica was restarted during the run`);
    moved[name] = difference;
  }
  return moved;
}

/** The same rate for every path of a method: what a request waits when the system is not saturated. */
export async function runOpenLoops(
  measured: readonly Measured[],
  options: BenchOptions,
  complaints: Complaints,
  progress: (line: string) => void,
): Promise<void> {
  const { connections, openLoopRounds: rounds } = options;
  for (let round = 1; round <= rounds; round += 1) {
    for (const { path, system, openLoops } of measured) {
      const workload = path.workload(system, connections);
      const ratePerSecond = path.method === "PUT" ? options.putRate : options.getRate;
      const run = (seconds: number) => runOpenLoop(system.target, workload, { connections, ratePerSecond, seconds });
      // Warmed up at the same rate: the garbage of a saturated warm-up would be collected during the measured run.
      complaints.add(`${path.id}, warm-up`, await run(options.warmupSeconds));
      const load = await run(options.openLoopSeconds);
      complaints.add(`${path.id}, open loop`, load);
      openLoops.push(load);
      progress(`open loop ${round}/${rounds}  ${path.title}: ${ratePerSecond}/s, p99 ${load.p99Ms.toFixed(1)} ms`);
    }
  }
}

/** Whether what was acknowledged was also stored: the last value of some keys, from every system that was written to. */
export async function readBack(measured: readonly Measured[], complaints: Complaints): Promise<void> {
  const written = new Set(measured.filter(({ path }) => path.method === "PUT").map(({ system }) => system));
  for (const system of written) {
    const workload = system.dataSet.readBack(KEYS_READ_BACK);
    complaints.add(`${system.name}, reading back`, await runClosedLoop(system.target, workload, { connections: 1 }));
  }
}
