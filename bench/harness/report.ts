// The benchmark's findings: one summary, printed as a table and written as JSON (keys: docs/benchmarks.md).

import type { Machine } from "./environment.ts";
import type { Measured, Sample } from "./measure.ts";
import { BARS, type Bar } from "./paths.ts";
import { median, ratioSpread, type Spread, spread } from "./statistics.ts";

export interface PathSummary {
  readonly id: string;
  readonly title: string;
  readonly rps: Spread;
  /** Against the path's baseline, if both were measured. */
  readonly ratio: Spread | undefined;
  readonly baseline: string | undefined;
  /** At saturation, median over the rounds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** At the fixed rate, medians over the rounds. */
  readonly openP50Ms: number;
  readonly openP99Ms: number;
  readonly openMaxMs: number;
  readonly cpuUs: number;
  readonly generatorCpuUs: number;
  /** RPCs between replicas and rows written, per request; undefined where the system has no such counter. */
  readonly rpcs: number | undefined;
  readonly rows: number | undefined;
  /** How many PUTs shared one row and one RPC to each follower. */
  readonly putsPerBatch: number | undefined;
}

export interface BarVerdict extends Bar {
  /** Undefined where one of the two paths was not measured. */
  readonly ratio: Spread | undefined;
  readonly isMet: boolean;
}

export function summarize(measured: readonly Measured[]): PathSummary[] {
  return measured.map((each) => {
    const { path, samples, openLoops } = each;
    const perSample = (figure: (sample: Sample) => number | undefined) => {
      const values = samples.map(figure).filter((value) => value !== undefined);
      return values.length === 0 ? undefined : median(values);
    };
    const perRequest = (counter: string) =>
      perSample(({ counters, load }) => {
        const moved = counters?.[counter];
        return moved === undefined ? undefined : moved / load.count;
      });
    return {
      id: path.id,
      title: path.title,
      rps: spread(rates(each)),
      ratio: ratioOf(measured, path.id, path.baseline),
      baseline: path.baseline,
      p50Ms: median(samples.map(({ load }) => load.p50Ms)),
      p99Ms: median(samples.map(({ load }) => load.p99Ms)),
      openP50Ms: median(openLoops.map(({ p50Ms }) => p50Ms)),
      openP99Ms: median(openLoops.map(({ p99Ms }) => p99Ms)),
      openMaxMs: Math.max(...openLoops.map(({ maxMs }) => maxMs)),
      cpuUs: median(samples.map((sample) => (sample.serverCpuSeconds / sample.load.count) * 1e6)),
      generatorCpuUs: median(samples.map(({ load }) => (load.cpuSeconds / load.count) * 1e6)),
      rpcs: path.byConstruction?.rpcs ?? perRequest("rpcs_sent"),
      rows: path.byConstruction?.rows ?? each.rowsPerPut ?? perRequest("rows_written"),
      putsPerBatch: perSample((sample) =>
        sample.counters?.batches ? sample.load.count / sample.counters.batches : undefined,
      ),
    };
  });
}

export function judge(measured: readonly Measured[]): BarVerdict[] {
  return BARS.map((bar) => {
    const ratio = ratioOf(measured, bar.path, bar.baseline);
    return { ...bar, ratio, isMet: ratio !== undefined && ratio.median >= bar.least };
  });
}

export function tableOf(summaries: readonly PathSummary[]): string {
  const header = [
    "path",
    "req/s (min–max)",
    "ratio (min–max)",
    "p50 ms",
    "p99 ms",
    "open p50",
    "open p99",
    "CPU s/1,000",
    "load CPU",
    "RPCs/op",
    "rows/op",
  ];
  const rows = summaries.map((path) => [
    path.title,
    `${whole(path.rps.median)} (${whole(path.rps.min)}–${whole(path.rps.max)})`,
    path.ratio === undefined ? "" : `${spreadText(path.ratio)} × ${path.baseline}`,
    path.p50Ms.toFixed(1),
    path.p99Ms.toFixed(1),
    path.openP50Ms.toFixed(1),
    path.openP99Ms.toFixed(1),
    // Microseconds an operation are milliseconds a thousand.
    (path.cpuUs / 1_000).toFixed(3),
    (path.generatorCpuUs / 1_000).toFixed(3),
    path.rpcs?.toFixed(2) ?? "",
    path.rows?.toFixed(2) ?? "",
  ]);
  return align([header, ...rows]);
}

export function barLines(verdicts: readonly BarVerdict[]): string {
  return align(
    verdicts.map(({ title, ratio, least, isMet }) => [
      isMet ? "met" : "missed",
      title,
      ratio === undefined ? "not measured" : spreadText(ratio),
      `(at least ${least.toFixed(1)})`,
    ]),
  );
}

export interface RunFacts {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string;
  readonly command: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly open_loop_rates: { readonly get: number; readonly put: number };
  readonly errors: number;
}

/** Keys are part of the interface: docs/benchmarks.md explains each. */
export function jsonOf(summaries: readonly PathSummary[], verdicts: readonly BarVerdict[], facts: RunFacts): string {
  const put = summaries.find(({ id }) => id === "put");
  const report = {
    ratios: Object.fromEntries(verdicts.map(({ id, ratio }) => [id, ratio === undefined ? null : round(ratio.median)])),
    cpu_us: Object.fromEntries(summaries.map(({ id, cpuUs }) => [id, round(cpuUs)])),
    rows_per_put: put?.rows === undefined ? null : round(put.rows),
    rpcs_per_put: put?.rpcs === undefined ? null : round(put.rpcs),
    puts_per_batch: put?.putsPerBatch === undefined ? null : round(put.putsPerBatch),
    bars: Object.fromEntries(verdicts.map(({ id, least, isMet }) => [id, { least, met: isMet }])),
    paths: Object.fromEntries(summaries.map((path) => [path.id, pathJson(path)])),
    ...facts,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

function pathJson(path: PathSummary): Record<string, unknown> {
  return {
    rps: roundSpread(path.rps),
    ratio: path.ratio === undefined ? null : { ...roundSpread(path.ratio), baseline: path.baseline },
    p50_ms: round(path.p50Ms),
    p99_ms: round(path.p99Ms),
    open_loop: {
      p50_ms: round(path.openP50Ms),
      p99_ms: round(path.openP99Ms),
      max_ms: round(path.openMaxMs),
    },
    generator_cpu_us: round(path.generatorCpuUs),
    rpcs_per_op: path.rpcs === undefined ? null : round(path.rpcs),
    rows_per_op: path.rows === undefined ? null : round(path.rows),
  };
}

function rates({ samples }: Measured): number[] {
  return samples.map(({ load }) => load.rps);
}

function ratioOf(measured: readonly Measured[], id: string, baselineId: string | undefined): Spread | undefined {
  const path = measured.find((each) => each.path.id === id);
  const baseline = measured.find((each) => each.path.id === baselineId);
  return path && baseline && ratioSpread(rates(path), rates(baseline));
}

/** Columns of equal width. */
export function align(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function spreadText({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}

function roundSpread({ median, min, max }: Spread): Spread {
  return { median: round(median), min: round(min), max: round(max) };
}

/** Three decimals: more would pretend to a precision that no run has. */
function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
