// Pure. Reads the cluster's shape from the deployment's variables (`[vars]` in wrangler.toml). The answer is a
// ClusterConfig that everything else can trust, or one line that says what is wrong and what was expected.

import { REGIONS, type Region } from "./region.ts";

export interface ClusterConfig {
  readonly cluster: string;
  /** Replicas per shard. */
  readonly replicas: number;
  /** One per replica, or exactly one that hosts them all. */
  readonly regions: readonly Region[];
  /** One per shard: its share of the slots relative to the others; 0 places none there. At least one is positive. */
  readonly weights: readonly number[];
}

/** As they come from `env`: strings from wrangler.toml, or numbers where the quotes were left out. */
export interface ClusterVariables {
  readonly HALO_CLUSTER?: unknown;
  readonly HALO_SHARDS?: unknown;
  readonly HALO_REPLICAS?: unknown;
  readonly HALO_REGIONS?: unknown;
  readonly HALO_WEIGHTS?: unknown;
}

export type ClusterConfigResult =
  | { readonly ok: true; readonly config: ClusterConfig }
  | { readonly ok: false; readonly problem: string };

/** Four slots each at the least; more shards than that cannot be balanced within the load bound. */
export const SHARDS_MAX = 256;
/** Odd, so that no replica is paid for without raising the number of failures survived; 5 survive any two. */
export const REPLICA_COUNTS: readonly number[] = [1, 3, 5];
/** Keeps the ring small enough to be built at the start of every isolate. */
export const WEIGHT_MAX = 8;
/** Part of every object's name, where `:` separates. */
export const CLUSTER_NAME = /^[a-z0-9-]{1,32}$/;

type Problem = { readonly problem: string };

export function parseClusterConfig(variables: ClusterVariables): ClusterConfigResult {
  const cluster = textOf(variables.HALO_CLUSTER);
  if (!CLUSTER_NAME.test(cluster)) {
    return refuse(`HALO_CLUSTER is "${cluster}": expected 1 to 32 lower-case letters, digits or hyphens`);
  }
  const shards = readWhole(textOf(variables.HALO_SHARDS));
  if (shards === undefined || shards < 1 || shards > SHARDS_MAX) {
    return refuse(`HALO_SHARDS is "${textOf(variables.HALO_SHARDS)}": expected a whole number from 1 to ${SHARDS_MAX}`);
  }
  const replicas = readWhole(textOf(variables.HALO_REPLICAS));
  if (replicas === undefined || !REPLICA_COUNTS.includes(replicas)) {
    const counts = REPLICA_COUNTS.join(", ");
    return refuse(`HALO_REPLICAS is "${textOf(variables.HALO_REPLICAS)}": expected one of ${counts}`);
  }
  const regions = readRegions(textOf(variables.HALO_REGIONS), replicas);
  if ("problem" in regions) return refuse(regions.problem);
  const weights = readWeights(textOf(variables.HALO_WEIGHTS), shards);
  if ("problem" in weights) return refuse(weights.problem);
  return { ok: true, config: { cluster, replicas, regions, weights } };
}

function readRegions(text: string, replicas: number): readonly Region[] | Problem {
  const regions: Region[] = [];
  for (const name of splitList(text)) {
    const region = REGIONS.find((known) => known === name);
    if (region === undefined) {
      return { problem: `HALO_REGIONS has an unknown region "${name}": known are ${REGIONS.join(", ")}` };
    }
    regions.push(region);
  }
  if (regions.length === replicas || regions.length === 1) return regions;
  const expected = replicas === 1 ? "exactly 1" : `${replicas}, one for each replica, or 1 for all of them`;
  return {
    problem: `HALO_REGIONS has ${regions.length} regions while HALO_REPLICAS is ${replicas}: expected ${expected}`,
  };
}

function readWeights(text: string, shards: number): readonly number[] | Problem {
  const items = splitList(text);
  if (items.length === 0) return new Array<number>(shards).fill(1);
  if (items.length !== shards) {
    return {
      problem: `HALO_WEIGHTS has ${items.length} weights while HALO_SHARDS is ${shards}: expected ${shards}, or none for all equal`,
    };
  }
  const weights: number[] = [];
  for (const item of items) {
    const weight = /^\d+(\.\d+)?$/.test(item) ? Number(item) : Number.NaN;
    if (!(weight <= WEIGHT_MAX)) {
      return { problem: `HALO_WEIGHTS has the weight "${item}": expected a number from 0 to ${WEIGHT_MAX}` };
    }
    weights.push(weight);
  }
  if (weights.every((weight) => weight === 0)) {
    return { problem: "HALO_WEIGHTS has only zeros: expected at least one weight above 0, to own the slots" };
  }
  return weights;
}

function refuse(problem: string): ClusterConfigResult {
  return { ok: false, problem };
}

function textOf(variable: unknown): string {
  return variable === undefined || variable === null ? "" : String(variable).trim();
}

function readWhole(text: string): number | undefined {
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

function splitList(text: string): readonly string[] {
  return text === "" ? [] : text.split(",").map((item) => item.trim());
}
