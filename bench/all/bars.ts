// Pure. The bars of `npm run bench -- --all`, and their judgement. A bar that could not be measured is neither met nor missed
// and says why.

import type { Spread } from "../harness/statistics.ts";

export interface Bar {
  /** Name in the JSON. */
  readonly id: string;
  readonly title: string;
  /** Name of the part that measures it. */
  readonly part: string;
  /** The median has to be at least, or at most, this. */
  readonly least?: number;
  readonly most?: number;
  readonly unit: "×" | "ms" | "µs" | "rows" | "kB" | "";
}

export const BARS: readonly Bar[] = [
  { id: "l1_hit_vs_constant", title: "L1 hit ÷ constant Worker", part: "throughput", least: 0.9, unit: "×" },
  {
    id: "strong_get_vs_bare_read",
    title: "strong GET ÷ bare Map read in an object",
    part: "throughput",
    least: 0.95,
    unit: "×",
  },
  {
    id: "follower_get_vs_bare_read",
    title: "eventual GET ÷ bare Map read in an object",
    part: "throughput",
    least: 0.95,
    unit: "×",
  },
  {
    id: "put_vs_bare_row_write",
    title: "PUT, 3 replicas ÷ one unreplicated row",
    part: "throughput",
    least: 1.3,
    unit: "×",
  },
  { id: "put_vs_naive", title: "PUT, 3 replicas ÷ naive replication", part: "throughput", least: 4, unit: "×" },
  { id: "put_256_vs_put", title: "PUT at 256 connections ÷ at 32", part: "throughput", least: 2, unit: "×" },
  { id: "mix_95_5_vs_parts", title: "95/5 mix ÷ weighted sum of its parts", part: "throughput", least: 0.9, unit: "×" },
  {
    id: "batch_get_vs_single",
    title: "keys/s in batches of 50 ÷ single GETs",
    part: "throughput",
    least: 12,
    unit: "×",
  },
  {
    id: "strong_get_cpu_vs_etcd",
    title: "CPU of a strong GET ÷ etcd's, saturated",
    part: "peers",
    most: 0.75,
    unit: "×",
  },
  {
    id: "strong_get_cpu_vs_etcd_at_1000",
    title: "CPU of a strong GET ÷ etcd's, at 1,000/s",
    part: "peers",
    most: 0.4,
    unit: "×",
  },
  { id: "put_cpu_vs_etcd", title: "CPU of a PUT ÷ etcd's, saturated", part: "peers", most: 0.95, unit: "×" },
  { id: "put_cpu_vs_etcd_at_800", title: "CPU of a PUT ÷ etcd's, at 800/s", part: "peers", most: 0.55, unit: "×" },
  { id: "put_p99_vs_etcd_at_800", title: "p99 of a PUT ÷ etcd's, at 800/s", part: "peers", most: 1, unit: "×" },
  {
    id: "get_p99_vs_constant_at_half",
    title: "p99 of a GET ÷ constant's, at half of saturation",
    part: "saturation",
    most: 1.5,
    unit: "×",
  },
  { id: "soak_false_failovers", title: "failovers at 70 % of saturation", part: "soak", most: 0, unit: "" },
  { id: "soak_heap_growth", title: "heap after collection, end ÷ beginning", part: "soak", most: 1.1, unit: "×" },
  {
    id: "failover_write_gap_median",
    title: "write gap when the leader is killed, median",
    part: "failover",
    most: 400,
    unit: "ms",
  },
  {
    id: "failover_write_gap_p99",
    title: "write gap when the leader is killed, p99",
    part: "failover",
    most: 800,
    unit: "ms",
  },
  { id: "failover_lower_errors", title: "failed reads below strong", part: "failover", most: 0, unit: "" },
  { id: "failover_lower_gap", title: "longest gap of reads below strong", part: "failover", most: 100, unit: "ms" },
  {
    id: "idle_wake",
    title: "first GET of a sleeping group ÷ (3 warm GETs + an election round)",
    part: "wake",
    most: 1,
    unit: "×",
  },
  { id: "many_keys_get", title: "strong GET, many keys ÷ 10,000", part: "million", least: 0.85, unit: "×" },
  { id: "many_keys_put", title: "PUT, many keys ÷ 10,000", part: "million", least: 0.85, unit: "×" },
  { id: "rows_per_put_zipf", title: "rows per PUT, zipf", part: "rows", most: 1.5, unit: "rows" },
  { id: "rows_per_put_unique", title: "rows per PUT, every key new", part: "rows", most: 4, unit: "rows" },
  { id: "money_vs_workers_kv", title: "money for 95/5 ÷ Workers KV", part: "rows", most: 1, unit: "×" },
  { id: "money_vs_upstash", title: "money for 95/5 ÷ Upstash", part: "rows", most: 1, unit: "×" },
  { id: "bundle_kb", title: "Worker bundle, compressed", part: "bundle", most: 300, unit: "kB" },
  { id: "startup_cpu_ms", title: "start-up CPU", part: "bundle", most: 50, unit: "ms" },
];

export interface Measured {
  readonly value: Spread;
  /** What a reader of the figure has to know. */
  readonly note?: string | undefined;
}

/** In place of a measurement: why there is none. */
export interface Unmeasured {
  readonly reason: string;
}

export type Finding = Measured | Unmeasured;

export interface Verdict extends Bar {
  readonly finding: Finding;
  readonly state: "met" | "missed" | "not measured";
}

export function judge(findings: Readonly<Record<string, Finding>>): Verdict[] {
  return BARS.map((bar) => {
    const finding = findings[bar.id] ?? { reason: `part "${bar.part}" did not run` };
    return { ...bar, finding, state: stateOf(bar, finding) };
  });
}

function stateOf({ least, most }: Bar, finding: Finding): Verdict["state"] {
  if ("reason" in finding) return "not measured";
  const { median } = finding.value;
  // A figure that is no number has not been measured, whatever was meant to.
  if (Number.isNaN(median)) return "not measured";
  return median >= (least ?? Number.NEGATIVE_INFINITY) && median <= (most ?? Number.POSITIVE_INFINITY)
    ? "met"
    : "missed";
}

export function verdictLine({ state, title, finding, least, most, unit }: Verdict): readonly string[] {
  const bar = least === undefined ? `at most ${most}` : `at least ${least}`;
  if ("reason" in finding) return [state, title, "", bar, finding.reason];
  const { median, min, max } = finding.value;
  const shown = min === max ? number(median) : `${number(median)} (${number(min)}–${number(max)})`;
  return [state, title, `${shown} ${unit}`.trim(), bar, finding.note ?? ""];
}

function number(value: number): string {
  return Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);
}
