// Pure. What a million operations cost at list price, from counters. The platform's prices are those of the cluster's own cost
// meter; beside them stand those of what Halo is held against (November 2026, docs/cost.md).

import prices from "../../worker/telemetry/list-prices.json" with { type: "json" };

/** Dollars a million, unless the name says otherwise. */
export const PRICES = {
  workerRequests: prices.workerMillionRequests,
  workerCpuMs: prices.workerMillionCpuMs,
  objectRequests: prices.objectMillionRequests,
  rowsWritten: prices.millionRowsWritten,
  rowsRead: prices.millionRowsRead,
  objectGbSeconds: prices.objectMillionGbSeconds,
  kvReads: 0.5,
  kvWrites: 5,
  /** Pay as you go: $0.20 for 100,000 commands. */
  upstashCommands: 2,
} as const;

/** An object is billed with so much memory while it is awake. */
export const OBJECT_GB = prices.objectGb;

/** Of the operations measured, all of them together. */
export interface Usage {
  readonly operations: number;
  /** Calls between objects; each operation itself calls one. */
  readonly calls: number;
  readonly rowsWritten: number;
  readonly cpuSeconds: number;
  /** For how long the objects were awake, and how many of them. */
  readonly awakeSeconds: number;
  readonly objects: number;
}

export interface Money {
  readonly worker: number;
  readonly cpu: number;
  readonly objects: number;
  readonly rows: number;
  readonly duration: number;
  readonly total: number;
}

/** Dollars for a million operations like these. All CPU time is billed as the Worker's, which is more than the platform bills. */
export function moneyPerMillion(usage: Usage): Money {
  const { operations, calls, rowsWritten, cpuSeconds, awakeSeconds, objects } = usage;
  const worker = PRICES.workerRequests;
  const cpu = ((cpuSeconds * 1_000) / operations) * PRICES.workerCpuMs;
  const requests = (1 + calls / operations) * PRICES.objectRequests;
  const rows = (rowsWritten / operations) * PRICES.rowsWritten;
  const duration = ((awakeSeconds * objects * OBJECT_GB) / operations) * PRICES.objectGbSeconds;
  return { worker, cpu, objects: requests, rows, duration, total: worker + cpu + requests + rows + duration };
}

/** Workers KV is read and written by a Worker, as Halo is; Upstash by whoever likes. */
export function kvPerMillion(writeShare: number): number {
  return PRICES.workerRequests + (1 - writeShare) * PRICES.kvReads + writeShare * PRICES.kvWrites;
}
