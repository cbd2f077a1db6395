// The measured paths and the bars. A path is one kind of request to one system. The order is that of a round: paths that
// are held against each other stand side by side, so that they meet the same machine.

import { newToken } from "../../cluster/token.ts";
import type { Workload } from "../load/workload.ts";
import { constantGets } from "../workloads.ts";
import { UsageError } from "./options.ts";
import type { System } from "./system.ts";

export type SystemName =
  | "constant"
  | "constant-headers"
  | "object-constant"
  | "map-read"
  | "row-write"
  | "naive-replication"
  | "halo-1x3"
  | "halo-4x3";

export interface BenchPath {
  /** Name on the command line and in the JSON. */
  readonly id: string;
  readonly title: string;
  readonly system: SystemName;
  readonly method: "GET" | "PUT";
  /** `lanes`: how many connections the run will have. */
  readonly workload: (system: System, lanes: number) => Workload;
  /** The path that this one's rate is divided by in the table. */
  readonly baseline?: string;
  /** Work per request that is known from the code, where the system keeps no counters. RPCs are those between objects. */
  readonly byConstruction?: { readonly rpcs: number; readonly rows: number };
}

const EVENTUAL = { "Halo-Consistency": "eventual" };
const STRONG = { "Halo-Consistency": "strong" };

const puts = (system: System, lanes: number) => system.dataSet.puts(lanes) as Workload;
const reads = (system: System) => system.dataSet.gets("current") as Workload;
const strongReads = (system: System) => system.dataSet.gets("current", STRONG) as Workload;
const eventualReads = (system: System) => system.dataSet.gets("any", EVENTUAL) as Workload;
const hotReads = (system: System) => system.dataSet.getsOfOneKey(EVENTUAL) as Workload;

export const PATHS: readonly BenchPath[] = [
  {
    id: "constant",
    title: "Worker, constant",
    system: "constant",
    method: "GET",
    workload: () => constantGets(),
    byConstruction: { rpcs: 0, rows: 0 },
  },
  {
    id: "constant_headers",
    title: "Worker, constant, headers as of an L1 hit",
    system: "constant-headers",
    method: "GET",
    workload: () => constantGets({ Authorization: `Bearer ${newToken()}`, ...EVENTUAL }),
    baseline: "constant",
    byConstruction: { rpcs: 0, rows: 0 },
  },
  {
    id: "object_constant",
    title: "Worker → object, constant",
    system: "object-constant",
    method: "GET",
    workload: () => constantGets(),
    baseline: "constant",
    byConstruction: { rpcs: 0, rows: 0 },
  },
  {
    id: "bare_read",
    title: "Worker → object, Map read",
    system: "map-read",
    method: "GET",
    workload: reads,
    baseline: "constant",
    byConstruction: { rpcs: 0, rows: 0 },
  },
  {
    id: "strong_get",
    title: "Halo 1 × 3, strong GET",
    system: "halo-1x3",
    method: "GET",
    workload: strongReads,
    baseline: "bare_read",
  },
  {
    id: "eventual_get",
    title: "Halo 1 × 3, eventual GET",
    system: "halo-1x3",
    method: "GET",
    workload: eventualReads,
    baseline: "bare_read",
  },
  {
    id: "l1_hit",
    title: "Halo 1 × 3, eventual GET of a hot key",
    system: "halo-1x3",
    method: "GET",
    workload: hotReads,
    baseline: "constant",
  },
  {
    id: "strong_get_4_shards",
    title: "Halo 4 × 3, strong GET",
    system: "halo-4x3",
    method: "GET",
    workload: strongReads,
    baseline: "bare_read",
  },
  {
    id: "bare_row_write",
    title: "Worker → object, row written",
    system: "row-write",
    method: "PUT",
    workload: puts,
    baseline: "constant",
    byConstruction: { rpcs: 0, rows: 1 },
  },
  {
    id: "put",
    title: "Halo 1 × 3, PUT",
    system: "halo-1x3",
    method: "PUT",
    workload: puts,
    baseline: "bare_row_write",
  },
  {
    id: "naive_put",
    title: "Worker → object → 2 objects, a row in each",
    system: "naive-replication",
    method: "PUT",
    workload: puts,
    baseline: "bare_row_write",
    byConstruction: { rpcs: 2, rows: 3 },
  },
  {
    id: "put_4_shards",
    title: "Halo 4 × 3, PUT",
    system: "halo-4x3",
    method: "PUT",
    workload: puts,
    baseline: "bare_row_write",
  },
];

/** All where none is named. Throws `UsageError` for a name that there is not. */
export function selectPaths(names: readonly string[] | undefined): readonly BenchPath[] {
  for (const name of names ?? []) {
    if (!PATHS.some(({ id }) => id === name)) {
      throw new UsageError(`--paths: no path "${name}"; there are ${PATHS.map(({ id }) => id).join(", ")}`);
    }
  }
  return names === undefined ? PATHS : PATHS.filter(({ id }) => names.includes(id));
}

export interface Bar {
  /** Name of the ratio in the JSON. */
  readonly id: string;
  readonly title: string;
  readonly path: string;
  readonly baseline: string;
  /** Least median of the ratios that holds the bar. */
  readonly least: number;
}

export const BARS: readonly Bar[] = [
  {
    id: "put_vs_bare_row_write",
    title: "replicated PUT against an unreplicated row write",
    path: "put",
    baseline: "bare_row_write",
    least: 1,
  },
  {
    id: "put_vs_naive",
    title: "replicated PUT against naive replication",
    path: "put",
    baseline: "naive_put",
    least: 3,
  },
  {
    id: "strong_get_vs_bare_read",
    title: "strong GET against a Map read in one object",
    path: "strong_get",
    baseline: "bare_read",
    least: 0.8,
  },
];
