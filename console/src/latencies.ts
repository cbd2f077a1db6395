// Latencies over time, from two readings of /metrics: of commits, as the leaders measure them, and of requests, as the isolate of the
// edge that answers has seen them. Read only while somebody looks.

import { signal } from "@preact/signals";
import { call, token } from "./api.ts";
import { between, type Histogram, histograms, quantile, readSamples, type Series } from "./histograms.ts";
import { staleMs } from "./live.ts";

const EVERY_MS = 3_000;
const POINTS_MAX = 100;
const COMMIT = "halo_replica_commit_duration_seconds_bucket";
const REQUEST = "halo_edge_request_duration_seconds_bucket";
/** Ids of operations in the contract. */
const READS: ReadonlySet<string> = new Set(["getValue", "headValue"]);
const WRITES: ReadonlySet<string> = new Set(["putValue", "deleteValue"]);
const NAMES: ReadonlySet<string> = new Set([COMMIT, REQUEST]);

/** Milliseconds; null: there were none. */
export interface Quantiles {
  readonly p50: number | null;
  readonly p99: number | null;
}

export interface Latencies {
  readonly atMs: number;
  readonly commits: Quantiles;
  readonly reads: Quantiles;
  readonly writes: Quantiles;
}

export const latencies = signal<readonly Latencies[]>([]);

type Reading = Readonly<Record<"commits" | "reads" | "writes", Series>>;

/** Returns what ends it. */
export function watchLatencies(): () => void {
  const ended = new AbortController();
  let before: Reading | undefined;
  let isReading = false;
  const read = async () => {
    if (isReading || document.hidden || staleMs.value !== undefined || token.value === undefined) return;
    isReading = true;
    try {
      const text = await (await call("/metrics", { signal: ended.signal })).text();
      const after = readingOf(text);
      if (before !== undefined) latencies.value = [...latencies.value, pointOf(before, after)].slice(-POINTS_MAX);
      before = after;
    } catch {
      // A gap in the chart; the rest of the page says what is wrong.
      before = undefined;
    } finally {
      isReading = false;
    }
  };
  const timer = setInterval(() => void read(), EVERY_MS);
  void read();
  return () => {
    clearInterval(timer);
    ended.abort();
  };
}

function readingOf(text: string): Reading {
  const samples = readSamples(text, NAMES);
  const requests = samples.filter(({ name }) => name === REQUEST);
  return {
    commits: histograms(samples.filter(({ name }) => name === COMMIT)),
    reads: histograms(requests.filter(({ labels: { operation = "" } }) => READS.has(operation))),
    writes: histograms(requests.filter(({ labels: { operation = "" } }) => WRITES.has(operation))),
  };
}

function pointOf(before: Reading, after: Reading): Latencies {
  return {
    atMs: Date.now(),
    commits: quantilesOf(between(before.commits, after.commits)),
    reads: quantilesOf(between(before.reads, after.reads)),
    writes: quantilesOf(between(before.writes, after.writes)),
  };
}

function quantilesOf(histogram: Histogram): Quantiles {
  return { p50: milliseconds(quantile(histogram, 0.5)), p99: milliseconds(quantile(histogram, 0.99)) };
}

function milliseconds(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1_000;
}
