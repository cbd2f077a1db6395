// Pure. What the cluster costs at list prices, from what its replicas have counted since they were loaded: how fast each of them
// works, taken for a day. An estimate, and how good a one docs/cost.md says: a replica that has hibernated since has forgotten
// what it did before, and what is not counted by replicas (the Directory, cron triggers, logs) is not in it.

import type { ReplicaStatus } from "../../durable/protocol.ts";
import prices from "./list-prices.json" with { type: "json" };

const DAY_MS = 86_400_000;
const DAYS_OF_MONTH = 30;
const MILLION = 1_000_000;
const GB = 1_000_000_000;
/** What somebody did in a shorter time says little: it is taken for what was done in this time. */
export const PERIOD_MS_MIN = 60_000;
/** Of a GET or a PUT at the edge, as `npm run bench` measures processor time (docs/benchmarks.md), rounded up. */
export const CPU_MS_PER_REQUEST = 0.5;

export type CostWhat =
  | "worker_requests"
  | "worker_cpu"
  | "object_requests"
  | "object_duration"
  | "rows_read"
  | "rows_written"
  | "storage";

export interface CostLine {
  readonly what: CostWhat;
  /** Of one day. */
  readonly units: number;
  readonly unit: string;
  /** Of one day. */
  readonly usd: number;
}

export interface Cost {
  /** Since when the replica that was loaded first has counted, by its clock; null: nobody counts. */
  readonly sinceMs: number | null;
  readonly perDay: Readonly<Record<CostWhat | "total", number>>;
  /** Dollars for a million requests of clients, at the present mix; null: there were none. */
  readonly perMillion: number | null;
  readonly requestsPerDay: number;
  readonly lines: readonly CostLine[];
  readonly prices: { readonly asOf: string; readonly plan: string; readonly sources: readonly string[] };
}

export function costOf(replicas: readonly ReplicaStatus[]): Cost {
  let sinceMs: number | null = null;
  const daily = { clientRequests: 0, requests: 0, activeMs: 0, rowsRead: 0, rowsWritten: 0 };
  let storedBytes = 0;
  for (const { startedMs, nowMs, counters, storedBytes: stored = 0 } of replicas) {
    storedBytes += stored;
    if (startedMs === undefined || nowMs === undefined) continue;
    sinceMs = Math.min(sinceMs ?? startedMs, startedMs);
    const days = Math.max(PERIOD_MS_MIN, nowMs - startedMs) / DAY_MS;
    const perDay = (...names: string[]) => names.reduce((sum, name) => sum + (counters[name] ?? 0), 0) / days;
    daily.clientRequests += perDay("client_requests", "reads_copied");
    daily.requests += perDay("requests");
    daily.activeMs += perDay("active_ms");
    daily.rowsRead += perDay("rows_read");
    daily.rowsWritten += perDay("rows_written");
  }
  const cpuMs = daily.clientRequests * CPU_MS_PER_REQUEST;
  const gbSeconds = (daily.activeMs / 1_000) * prices.objectGb;
  const lines: readonly CostLine[] = [
    line("worker_requests", daily.clientRequests, "requests", prices.workerMillionRequests / MILLION),
    line("worker_cpu", cpuMs, "ms", prices.workerMillionCpuMs / MILLION),
    line("object_requests", daily.requests, "requests", prices.objectMillionRequests / MILLION),
    line("object_duration", gbSeconds, "GB-s", prices.objectMillionGbSeconds / MILLION),
    line("rows_read", daily.rowsRead, "rows", prices.millionRowsRead / MILLION),
    line("rows_written", daily.rowsWritten, "rows", prices.millionRowsWritten / MILLION),
    line("storage", storedBytes / GB, "GB", prices.storedGbMonth / DAYS_OF_MONTH),
  ];
  const total = lines.reduce((sum, { usd }) => sum + usd, 0);
  const byName = Object.fromEntries(lines.map(({ what, usd }) => [what, usd])) as Record<CostWhat, number>;
  return {
    sinceMs,
    perDay: { ...byName, total },
    perMillion: daily.clientRequests === 0 ? null : (total / daily.clientRequests) * MILLION,
    requestsPerDay: daily.clientRequests,
    lines,
    prices: { asOf: prices.asOf, plan: prices.plan, sources: prices.sources },
  };
}

function line(what: CostWhat, units: number, unit: string, usdPerUnit: number): CostLine {
  return { what, units, unit, usd: units * usdPerUnit };
}
