// What one isolate counts. On the way of every request is `noteRequest` alone: one look-up and a few additions. Sums by label
// are made when somebody looks.

import { addedReadings, countOf, Histogram, type HistogramReading } from "../../durable/telemetry/histogram.ts";
import type { BreakerState } from "../../routing/circuit-breaker.ts";
import { type FamilySet, secondsOf } from "./families.ts";

/** Of requests: from a read in the same data centre to the deadline. */
export const REQUEST_BOUNDS_MS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
/** Operations × levels × roles × statuses that really occur are some hundreds; more would be a mistake, and must not grow. */
export const SERIES_MAX = 1_024;

/** Operations that read one key and whose 404 is a miss. */
const READS: ReadonlySet<string> = new Set(["getValue", "headValue"]);
const NOT_FOUND = 404;
const NOT_MODIFIED = 304;

interface RequestSeries {
  readonly operation: string;
  readonly level: string;
  readonly role: string;
  readonly status: number;
  readonly durationMs: Histogram;
}

/** Counted by the shard client and by L1 where they happen; plain numbers, since they are on everybody's way. */
export class CallCounts {
  first = 0;
  hedge = 0;
  retry = 0;
  redirect = 0;
  silent = 0;
  refused = 0;
  /** Turned away by the replica or the platform. */
  overloaded = 0;
  keptBack = 0;
  copiesServed = 0;
}

export interface BreakerView {
  readonly shard: number;
  readonly replica: number;
  readonly state: BreakerState;
}

const BREAKER_VALUES: Readonly<Record<BreakerState, number>> = { closed: 0, "half-open": 1, open: 2 };

export class EdgeMetrics {
  readonly calls = new CallCounts();
  slowRequests = 0;
  readonly exports = { metrics: { ok: 0, failed: 0 }, traces: { ok: 0, failed: 0 } };
  readonly #series = new Map<string, RequestSeries>();
  #seriesDropped = 0;
  #startedMs: number | undefined;

  /** `level` and `role`: empty where they mean nothing. */
  noteRequest(operation: string, level: string, role: string, status: number, durationMs: number): void {
    const id = `${operation} ${level} ${role} ${status}`;
    let series = this.#series.get(id);
    if (series === undefined) {
      if (this.#series.size >= SERIES_MAX) {
        this.#seriesDropped += 1;
        return;
      }
      series = { operation, level, role, status, durationMs: new Histogram(REQUEST_BOUNDS_MS) };
      this.#series.set(id, series);
    }
    series.durationMs.note(durationMs);
  }

  noteStart(nowMs: number): void {
    this.#startedMs ??= nowMs;
  }

  get startedMs(): number | undefined {
    return this.#startedMs;
  }

  addTo(
    set: FamilySet,
    { nowMs, epoch, breakers }: { nowMs: number; epoch: number; breakers: readonly BreakerView[] },
  ): void {
    this.#addRequests(set);
    const { calls } = this;
    for (const kind of ["first", "hedge", "retry", "redirect"] as const) {
      set.add("halo_edge_calls_total", { kind }, calls[kind]);
    }
    for (const kind of ["silent", "refused", "overloaded"] as const) {
      set.add("halo_edge_calls_failed_total", { kind }, calls[kind]);
    }
    set.add("halo_edge_shed_total", {}, calls.keptBack);
    set.add("halo_edge_copies_served_total", {}, calls.copiesServed);
    for (const { shard, replica, state } of breakers) {
      set.add("halo_edge_breaker_state", { shard: `${shard}`, replica: `${replica}` }, BREAKER_VALUES[state]);
    }
    set.add("halo_edge_topology_epoch", {}, epoch);
    set.add("halo_edge_uptime_seconds", {}, (nowMs - (this.#startedMs ?? nowMs)) / 1_000);
    set.add("halo_edge_slow_requests_total", {}, this.slowRequests);
    for (const signal of ["metrics", "traces"] as const) {
      for (const result of ["ok", "failed"] as const) {
        set.add("halo_edge_exports_total", { signal, result }, this.exports[signal][result]);
      }
    }
    set.add("halo_edge_series_dropped_total", {}, this.#seriesDropped);
  }

  #addRequests(set: FamilySet): void {
    const requests = new Sums();
    const reads = { hit: 0, miss: 0 };
    const durations = new Map<
      string,
      { labels: Record<"operation" | "level" | "role" | "class", string>; reading: HistogramReading }
    >();
    for (const { operation, level, role, status, durationMs } of this.#series.values()) {
      const { reading } = durationMs;
      const count = countOf(reading);
      requests.add(operation, `${status}`, count);
      if (READS.has(operation)) {
        if (status === NOT_FOUND) reads.miss += count;
        else if (status < 300 || status === NOT_MODIFIED) reads.hit += count;
      }
      const statusClass = `${Math.floor(status / 100)}xx`;
      const id = `${operation} ${level} ${role} ${statusClass}`;
      const known = durations.get(id);
      const labels = { operation, level, role, class: statusClass };
      durations.set(id, { labels, reading: known === undefined ? reading : addedReadings(known.reading, reading) });
    }
    for (const [operation, status, count] of requests.list()) {
      set.add("halo_edge_requests_total", { operation, status }, count);
    }
    for (const result of ["hit", "miss"] as const) set.add("halo_edge_reads_total", { result }, reads[result]);
    for (const { labels, reading } of durations.values()) {
      set.add("halo_edge_request_duration_seconds", labels, secondsOf(reading));
    }
  }
}

/** Numbers by two names. */
class Sums {
  readonly #sums = new Map<string, [string, string, number]>();

  add(first: string, second: string, value: number): void {
    const id = `${first} ${second}`;
    this.#sums.set(id, [first, second, (this.#sums.get(id)?.[2] ?? 0) + value]);
  }

  list(): Iterable<[string, string, number]> {
    return this.#sums.values();
  }
}
