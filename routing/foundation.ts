// Pure. The shape with which a cluster was founded. Epoch 0 is computed from the deployment's variables by everybody who starts, so
// variables that are edited later would give keys other owners, whose objects hold nothing of them. What was founded is
// remembered, and whoever computes another epoch 0 is told so.

import * as z from "zod";
import type { ClusterConfig } from "./cluster-config.ts";
import { once } from "./once.ts";

/** Everything that epoch 0 is made of but the cluster's name, which is in every object's. */
export type Foundation = Omit<ClusterConfig, "cluster">;

const foundationSchema = once(() =>
  z.object({
    replicas: z.int().min(1),
    regions: z.array(z.string()).min(1).max(16),
    weights: z.array(z.number().min(0)).min(1).max(256),
  }),
);

export function foundationOf({ replicas, regions, weights }: ClusterConfig): Foundation {
  return { replicas, regions, weights };
}

/** Undefined: it is none. */
export function parseFoundation(foundation: unknown): Foundation | undefined {
  const parsed = foundationSchema().safeParse(foundation);
  return parsed.success ? (parsed.data as Foundation) : undefined;
}

/** What in the variables is not as it was when the cluster was founded, and what to do; undefined: nothing. */
export function foundationProblem(founded: Foundation, now: Foundation): string | undefined {
  const compared: readonly (readonly [string, string, string])[] = [
    ["HALO_SHARDS", String(founded.weights.length), String(now.weights.length)],
    ["HALO_WEIGHTS", founded.weights.join(","), now.weights.join(",")],
    ["HALO_REPLICAS", String(founded.replicas), String(now.replicas)],
    ["HALO_REGIONS", founded.regions.join(","), now.regions.join(",")],
  ];
  const differences = compared
    .filter(([, before, after]) => before !== after)
    .map(([name, before, after]) => `${name} was ${before} and is ${after}`);
  if (differences.length === 0) return undefined;
  return (
    `the variables are not those with which this cluster was founded: ${differences.join("; ")}. Put them back: ` +
    "a cluster that holds data changes its shape by `halo shard add`, `drain`, `weight` and `halo replica`"
  );
}
