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
  ...of("throughput", [
    ["l1_hit_vs_constant", "L1 hit ÷ constant Worker", { least: 0.9 }, "×"],
    ["strong_get_vs_bare_read", "strong GET ÷ bare Map read in an object", { least: 0.95 }, "×"],
    ["follower_get_vs_bare_read", "eventual GET ÷ bare Map read in an object", { least: 0.95 }, "×"],
    ["put_vs_bare_row_write", "PUT, 3 replicas ÷ one unreplicated row", { least: 1.3 }, "×"],
    ["put_vs_naive", "PUT, 3 replicas ÷ naive replication", { least: 4 }, "×"],
    ["put_256_vs_put", "PUT at 256 connections ÷ at 32", { least: 2 }, "×"],
    ["mix_95_5_vs_parts", "95/5 mix ÷ weighted sum of its parts", { least: 0.9 }, "×"],
    ["batch_get_vs_single", "keys/s in batches of 50 ÷ single GETs", { least: 12 }, "×"],
  ]),
  ...of("peers", [
    ["strong_get_cpu_vs_etcd", "CPU of a strong GET ÷ etcd's, saturated", { most: 0.75 }, "×"],
    ["strong_get_cpu_vs_etcd_at_1000", "CPU of a strong GET ÷ etcd's, at 1,000/s", { most: 0.4 }, "×"],
    ["put_cpu_vs_etcd", "CPU of a PUT ÷ etcd's, saturated", { most: 0.95 }, "×"],
    ["put_cpu_vs_etcd_at_800", "CPU of a PUT ÷ etcd's, at 800/s", { most: 0.55 }, "×"],
    ["put_p99_vs_etcd_at_800", "p99 of a PUT ÷ etcd's, at 800/s", { most: 1 }, "×"],
  ]),
  ...of("saturation", [
    ["get_p99_vs_constant_at_half", "p99 of a GET ÷ constant's, at half of saturation", { most: 1.5 }, "×"],
  ]),
  ...of("soak", [
    ["soak_false_failovers", "failovers at 70 % of saturation", { most: 0 }, ""],
    ["soak_heap_growth", "heap after collection, end ÷ beginning", { most: 1.1 }, "×"],
  ]),
  ...of("failover", [
    ["failover_write_gap_median", "write gap when the leader is killed, median", { most: 400 }, "ms"],
    ["failover_write_gap_p99", "write gap when the leader is killed, p99", { most: 800 }, "ms"],
    ["failover_lower_errors", "failed reads below strong", { most: 0 }, ""],
    ["failover_lower_gap", "longest gap of reads below strong", { most: 100 }, "ms"],
  ]),
  ...of("wake", [["idle_wake", "first GET of a sleeping group ÷ (3 warm GETs + an election round)", { most: 1 }, "×"]]),
  ...of("million", [
    ["many_keys_get", "strong GET, many keys ÷ 10,000", { least: 0.85 }, "×"],
    ["many_keys_put", "PUT, many keys ÷ 10,000", { least: 0.85 }, "×"],
  ]),
  ...of("rows", [
    ["rows_per_put_zipf", "rows per PUT, zipf", { most: 1.5 }, "rows"],
    ["rows_per_put_unique", "rows per PUT, every key new", { most: 4 }, "rows"],
    ["money_vs_workers_kv", "money for 95/5 ÷ Workers KV", { most: 1 }, "×"],
    ["money_vs_upstash", "money for 95/5 ÷ Upstash", { most: 1 }, "×"],
  ]),
  ...of("bundle", [
    ["bundle_kb", "Worker bundle, compressed", { most: 300 }, "kB"],
    ["startup_cpu_ms", "start-up CPU", { most: 50 }, "ms"],
  ]),
];

type Bound = { readonly least: number } | { readonly most: number };

function of(
  part: string,
  bars: readonly (readonly [id: string, title: string, bound: Bound, unit: Bar["unit"]])[],
): readonly Bar[] {
  return bars.map(([id, title, bound, unit]) => ({ id, title, part, unit, ...bound }));
}

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
