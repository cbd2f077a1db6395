// `halo bench`: a small closed loop against a running cluster, by the load generator of the benchmarks. For a first impression from
// where one stands: `npm run bench` is what compares.

import type { Command } from "commander";
import type { LoadResult } from "../../bench/load/workload.ts";
import { BENCH_PREFIX, BenchWorkloads } from "../bench/workload.ts";
import { CliError, EXIT } from "../exit.ts";
import { isLoopback } from "../profiles.ts";
import type { Start } from "../run.ts";
import type { Session } from "../session.ts";
import { formatCount, parseWhole } from "../terminal/units.ts";
import { parseConsistency } from "./values.ts";

interface BenchOptions {
  readonly seconds: number;
  readonly connections: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly consistency?: string;
  readonly keep?: boolean;
}

/** Of its own, so that it never meets anybody's keys. */
const NAMESPACE = "halo-bench";
const TIMEOUT_MS = 10_000;

export function addBench(program: Command, start: Start): void {
  const whole = (min: number, max: number) => (text: string) => parseWhole(text, { min, max });
  program
    .command("bench")
    .description("a small closed loop of reads and writes: rate, p50 and p99 as seen from here")
    .option("--seconds <count>", "of the reads, and of the writes", whole(1, 600), 5)
    .option("--connections <count>", "each with one request under way", whole(1, 256), 8)
    .option("--keys <count>", "how many are written first", whole(1, 100_000), 500)
    .option("--value-bytes <count>", "of each value", whole(1, 1_048_576), 100)
    .option("-c, --consistency <level>", "of the reads", (text: string) => parseConsistency(text) && text)
    .option("--keep", "leaves the keys there; they expire after an hour")
    .action(start(bench));
}

interface Phase {
  readonly what: string;
  readonly result: LoadResult;
}

async function bench(session: Session, options: BenchOptions): Promise<void> {
  const { url, token, namespace = NAMESPACE } = await session.target();
  if (!isLoopback(url)) await session.confirm(`Send as many requests as ${url} answers, which are paid for?`);
  const [{ runClosedLoop }, { loadTarget }] = await Promise.all([
    import("../../bench/load/closed-loop.ts"),
    import("../../bench/load/workload.ts"),
  ]);
  // Before any load: whether there is a cluster, and whether it lets this token in.
  const halo = await session.halo(NAMESPACE);
  await halo.count({ prefix: BENCH_PREFIX, signal: session.signal });
  const target = loadTarget(url, { Authorization: `Bearer ${token}`, "Halo-Namespace": namespace });
  const { connections, seconds } = options;
  const loop = { connections, timeoutMs: TIMEOUT_MS, signal: session.signal };
  const workloads = new BenchWorkloads({ ...options, consistency: options.consistency });
  const phases: Phase[] = [];
  const measure = async (what: string, result: Promise<LoadResult>): Promise<void> => {
    session.out.note(`${what} …`);
    phases.push({ what, result: await result });
  };
  try {
    await measure("first writes", runClosedLoop(target, workloads.load(connections), loop));
    await measure("reads", runClosedLoop(target, workloads.reads(), { ...loop, seconds }));
    await measure("writes", runClosedLoop(target, workloads.writes(), { ...loop, seconds }));
  } finally {
    if (options.keep !== true) await halo.purge({ prefixes: [BENCH_PREFIX] });
  }
  session.signal.throwIfAborted();
  report(session, phases);
}

function report({ out }: Session, phases: readonly Phase[]): void {
  if (out.isJson) {
    out.json(Object.fromEntries(phases.map(({ what, result }) => [what.replace(" ", "_"), result])));
  } else {
    out.table(
      [
        { title: "" },
        { title: "REQUESTS", align: "right" },
        { title: "RATE/S", align: "right" },
        { title: "P50 MS", align: "right" },
        { title: "P99 MS", align: "right" },
        { title: "MAX MS", align: "right" },
        { title: "ERRORS", align: "right" },
      ],
      phases.map(({ what, result }) => [
        what,
        formatCount(result.count),
        formatCount(result.rps),
        result.p50Ms.toFixed(1),
        result.p99Ms.toFixed(1),
        result.maxMs.toFixed(1),
        formatCount(result.errors),
      ]),
    );
  }
  const failed = phases.filter(({ result }) => result.errors > 0);
  if (failed.length === 0) return;
  const errors = failed.reduce((sum, { result }) => sum + result.errors, 0);
  throw new CliError(
    EXIT.failed,
    `${formatCount(errors)} requests went wrong, such as: ${failed[0]?.result.errorSamples[0]}`,
  );
}
