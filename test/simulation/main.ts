// npm run sim -- --seed S                    replays one seed with a readable log of events
// npm run sim -- --runs N [--jobs J] [--seed S] [--json FILE]   searches N seeds from S, or from a random one
// --workload reshard                        makes each of them a world in which slots move from shard to shard; others: swarm.ts
// Both print what they did; a search also prints how often every fault and every rare path has occurred (coverage.ts).
// Exit status 0 only if no seed broke a promise.

import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { coverageTable } from "./coverage.ts";
import { search, seedsFrom } from "./search.ts";
import type { SeedReport } from "./search-worker.ts";
import { type SimulationResult, simulate } from "./simulation.ts";
import { WORKLOADS } from "./swarm.ts";
import { combinedHash } from "./trace.ts";

/** Below what a thread can be asked for as a whole number, and short to type. */
const SEED_MAX = 1_000_000_000;
/** Events shown of a failing seed. */
const LAST_LINES = 40;

interface Figures {
  readonly runs: number;
  readonly failures: number;
  /** Of replica groups: a simulation with two shards counts twice. */
  readonly simulated_seconds: number;
  readonly wall_seconds: number;
  readonly trace_hash: string;
}

function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= (name === "seed" ? 0 : 1) && value <= SEED_MAX) return value;
  console.error(`--${name} is "${text}": expected a whole number up to ${SEED_MAX}`);
  process.exit(2);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

async function explain({ seed, violations }: SeedReport): Promise<void> {
  const result = await simulate(seed, { keepsText: true, workload });
  console.log(`\nseed ${seed} failed at commit ${commit()}`);
  for (const line of result.lastLines.slice(-LAST_LINES)) console.log(line);
  for (const { checker, message, atMs } of violations) console.log(`${checker} at ${atMs.toFixed(3)} ms: ${message}`);
  console.log(`replay: npm run sim -- ${OF_WORKLOAD}--seed ${seed}`);
}

async function searchSeeds(runs: number, jobs: number, firstSeed: number): Promise<Figures> {
  console.log(`simulating ${runs} seeds from ${firstSeed} on ${jobs} thread(s)`);
  const reports: SeedReport[] = [];
  const startMs = performance.now();
  await search({
    seeds: seedsFrom(firstSeed, runs),
    jobs,
    workload,
    onReport: (report) => {
      reports.push(report);
      // At once: a long search may never get to its end.
      for (const { checker, message } of report.violations) console.log(`seed ${report.seed}: ${checker}: ${message}`);
      return false;
    },
  });
  const wallSeconds = (performance.now() - startMs) / 1_000;
  reports.sort((left, right) => left.seed - right.seed);
  const failed = reports.filter(({ violations }) => violations.length > 0);
  for (const report of failed.slice(0, 3)) await explain(report);
  const simulatedSeconds = reports.reduce((sum, { groupMs }) => sum + groupMs, 0) / 1_000;
  const operations = reports.reduce((sum, report) => sum + report.operations, 0);
  printCoverage(reports);
  const speed = simulatedSeconds / wallSeconds / jobs;
  // On a shared machine the wall clock counts other people's work too.
  const cpuSpeed = cpuSpeedOf(reports);
  const speedOfThree = cpuSpeedOf(reports.filter(({ isOneGroupOfThree }) => isOneGroupOfThree));
  console.log(
    `${runs} runs, ${failed.length} failures${failed.length > 0 ? ` (seeds ${failed.map(({ seed }) => seed).join(", ")})` : ""}; ` +
      `${operations} operations in ${simulatedSeconds.toFixed(0)} simulated group-seconds, ${wallSeconds.toFixed(1)} s; ` +
      `${speed.toFixed(0)} group-seconds per second and thread, ${cpuSpeed.toFixed(0)} per second of processor time, ` +
      `${speedOfThree.toFixed(0)} in worlds of one group of three`,
  );
  return {
    runs,
    failures: failed.length,
    simulated_seconds: simulatedSeconds,
    wall_seconds: wallSeconds,
    trace_hash: combinedHash(reports.map(({ traceHash }) => traceHash)),
  };
}

/** Group-seconds per second of processor time. */
function cpuSpeedOf(reports: readonly SeedReport[]): number {
  const sum = (of: (report: SeedReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  return sum(({ groupMs }) => groupMs) / sum(({ cpuMs }) => cpuMs);
}

function printCoverage(reports: readonly SeedReport[]): void {
  for (const { what, times, runs } of coverageTable(reports.map(({ counts }) => counts))) {
    const share = `${((runs / reports.length) * 100).toFixed(0)} % of runs`;
    console.log(`${String(times).padStart(9)}  ${share.padStart(13)}  ${what}`);
  }
}

async function replay(seed: number): Promise<Figures> {
  const startMs = performance.now();
  const result: SimulationResult = await simulate(seed, {
    keepsText: true,
    workload,
    onLine: (line) => console.log(line),
  });
  for (const { checker, message } of result.violations) console.log(`BROKEN ${checker}: ${message}`);
  console.log(`commit ${commit()}, replay: npm run sim -- ${OF_WORKLOAD}--seed ${seed}`);
  console.log(`seed ${seed}: ${result.operations} operations, ${result.faults} faults, trace ${result.traceHash}`);
  return {
    runs: 1,
    failures: result.violations.length > 0 ? 1 : 0,
    simulated_seconds: result.groupMs / 1_000,
    wall_seconds: (performance.now() - startMs) / 1_000,
    trace_hash: result.traceHash,
  };
}

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    runs: { type: "string" },
    jobs: { type: "string" },
    json: { type: "string" },
    workload: { type: "string" },
  },
});
const workload = WORKLOADS.find((name) => name === values.workload);
if (values.workload !== undefined && workload === undefined) {
  console.error(`--workload is "${values.workload}": expected one of ${WORKLOADS.join(", ")}`);
  process.exit(2);
}
const OF_WORKLOAD = workload === undefined ? "" : `--workload ${workload} `;
const firstSeed = wholeNumber("seed", values.seed, randomInt(SEED_MAX / 2));
const figures =
  values.runs === undefined && values.seed !== undefined
    ? await replay(firstSeed)
    : await searchSeeds(wholeNumber("runs", values.runs, 100), wholeNumber("jobs", values.jobs, 1), firstSeed);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
process.exitCode = figures.failures === 0 ? 0 : 1;
