// The systems under test: each in a workerd of its own, started the same way, on a port of its own on loopback.

import { mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { startLocal } from "../../cluster/local.ts";
import { projectRoot } from "../../cluster/project.ts";
import { Runtime } from "../../cluster/runtime.ts";
import { answeringReplicas, readStatus } from "../../cluster/status.ts";
import { newToken } from "../../cluster/token.ts";
import { readWorkerConfig } from "../../cluster/worker-config.ts";
import type { ReplicaStatus } from "../../durable/protocol.ts";
import { type LoadTarget, loadTarget } from "../load/workload.ts";
import { DataSet } from "../workloads.ts";

/** Sums over all replicas since the system started. */
export type Counters = Readonly<Record<string, number>>;

export interface System {
  readonly name: string;
  readonly url: string;
  readonly target: LoadTarget;
  readonly workerdPids: readonly number[];
  readonly logFile: string;
  /** Of V8's inspector, where it was asked for. */
  readonly inspectorUrl: string | undefined;
  readonly dataSet: DataSet;
  /** Whether the data set has to be written through HTTP first. */
  readonly startsEmpty: boolean;
  /** Absent where the system keeps no counters. */
  readonly counters?: () => Promise<Counters>;
  /** Rows that were written, and those that what was written makes the system write later. */
  readonly rows?: () => Promise<number>;
  stop(): Promise<void>;
}

const BASELINES = fileURLToPath(new URL("../baselines/", import.meta.url));
/** Binding and class of the Durable Object that every stateful baseline has. */
const BASELINE_OBJECT = { binding: "STORE", className: "Store" };

/** Replicas of each of Halo's shards, as the benchmark's bars ask. */
const REPLICAS = 3;

export type BaselineName =
  | "constant"
  | "constant-headers"
  | "object-constant"
  | "map-read"
  | "row-write"
  | "naive-replication";

/** Starts `bench/baselines/<name>.ts` with the compatibility settings that Halo has. */
export async function startBaseline(name: BaselineName, directory: string, isInspectable = false): Promise<System> {
  const workerPath = path.join(directory, `${name}.mjs`);
  await build({
    entryPoints: [path.join(BASELINES, `${name}.ts`)],
    absWorkingDir: projectRoot,
    outfile: workerPath,
    bundle: true,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*"],
    logLevel: "silent",
  });
  const { compatibilityDate, compatibilityFlags } = readWorkerConfig();
  const logFile = path.join(directory, `${name}.log`);
  const runtime = await Runtime.start(
    {
      name: `bench-${name}`,
      workerPath,
      compatibilityDate,
      compatibilityFlags,
      vars: {},
      objects: name.startsWith("constant") ? [] : [{ ...BASELINE_OBJECT, worker: `bench-${name}` }],
      dataDir: path.join(directory, name),
      port: 0,
      isInspectable,
    },
    // Of all that this directory holds nothing is worth keeping, so a runtime whose parent was killed may remove it.
    { runDir: directory, logFile },
  );
  return {
    name,
    url: runtime.url,
    target: loadTarget(runtime.url),
    workerdPids: [runtime.workerdPid],
    logFile,
    inspectorUrl: runtime.inspectorUrl,
    dataSet: new DataSet({ isLoaded: true }),
    startsEmpty: false,
    stop: () => runtime.stop(),
  };
}

/** Starts Halo, all of it in one workerd: `shards` × 3 replicas, its data set not yet loaded. */
export async function startHalo(shards: number, directory: string, isInspectable = false): Promise<System> {
  const name = `halo-${shards}x3`;
  const persistTo = path.join(directory, name);
  await mkdir(persistTo, { recursive: true });
  const logFile = path.join(directory, `${name}.log`);
  const replicasNow = async () => {
    const replicas = answeringReplicas(await readStatus(cluster));
    // A sum over fewer replicas would look like less work.
    if (replicas.length !== shards * REPLICAS) throw new Error(`${name}: only ${replicas.length} replicas answer`);
    return replicas;
  };
  const cluster = await startLocal({
    shards,
    replicas: REPLICAS,
    persistTo,
    token: newToken(),
    logFile,
    isInspectable,
  });
  return {
    name,
    url: cluster.url,
    target: loadTarget(cluster.url, { Authorization: `Bearer ${cluster.token}` }),
    workerdPids: cluster.workerdPids,
    logFile,
    inspectorUrl: cluster.inspectorUrl,
    dataSet: new DataSet({ isLoaded: false }),
    startsEmpty: true,
    counters: async () => sumCounters((await replicasNow()).map((replica) => replica.counters)),
    rows: async () => (await replicasNow()).reduce((sum, replica) => sum + rowsOf(replica), 0),
    stop: () => cluster.stop(),
  };
}

/**
 * A short run may see no checkpoint at all, or one that writes what was dirty before it began. So what is owed counts with
 * what is written: a row for each dirty key, and one for each log entry, whose deletion the platform bills as well.
 */
export function rowsOf(replica: Pick<ReplicaStatus, "counters" | "dirtyKeys" | "firstIndex" | "lastIndex">): number {
  const { counters, dirtyKeys, firstIndex, lastIndex } = replica;
  return (counters.rows_written ?? Number.NaN) + (dirtyKeys ?? Number.NaN) + Math.max(0, lastIndex - firstIndex + 1);
}

export function sumCounters(all: readonly Counters[]): Counters {
  const sums: Record<string, number> = {};
  for (const counters of all) {
    for (const [name, value] of Object.entries(counters)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
