// Which process of a region cluster runs what. Every region is a Worker of its own with its own objects of class
// CacheReplica and bindings to the same class in the other regions; the edge has no replicas and binds them all.
//
//   edge ──▶ REPLICA_WEUR ──▶ region weur ◀──▶ region enam        each box a Node process with its own workerd,
//        ──▶ REPLICA_ENAM ──▶ region enam ◀──▶ region apac        the arrows go through Miniflare's dev registry
//
// The Directory lives at the edge: it must not vanish with the region that is killed, and when the edge is down no client
// reaches the cluster anyway. It is never on the data path.

import path from "node:path";
import { type Region, replicaBindingName } from "../routing/region.ts";
import type { CheckedConfig } from "./cluster-options.ts";
import type { ObjectBinding, RuntimePlan } from "./runtime-plan.ts";

const REPLICA_BINDING = "REPLICA";

export interface PlanOptions {
  readonly config: CheckedConfig;
  readonly regions: readonly Region[];
  readonly workerPath: string;
  readonly vars: Readonly<Record<string, string>>;
  readonly dataDir: string;
  readonly registryDirOf: (processName: string) => string;
  readonly edgePort: number;
}

export interface RegionPlans {
  readonly edge: RuntimePlan;
  readonly regions: ReadonlyMap<Region, RuntimePlan>;
}

/** Of the edge and of every region, in this order. */
export function processNames(config: CheckedConfig, regions: readonly Region[]): readonly string[] {
  return [edgeName(config), ...regions.map((region) => regionName(config, region))];
}

export function planRegions(options: PlanOptions): RegionPlans {
  const [firstRegion] = options.regions;
  if (firstRegion === undefined) throw new Error("a region cluster needs a region");
  return {
    edge: { ...planOf(options, edgeName(options.config), firstRegion), port: options.edgePort },
    regions: new Map(
      options.regions.map((region) => [region, planOf(options, regionName(options.config, region), region)]),
    ),
  };
}

function planOf(options: PlanOptions, name: string, home: Region): RuntimePlan {
  const { config } = options;
  return {
    name,
    workerPath: options.workerPath,
    compatibilityDate: config.compatibilityDate,
    compatibilityFlags: config.compatibilityFlags,
    vars: options.vars,
    objects: bindings(options, home),
    dataDir: path.join(options.dataDir, name),
    port: 0,
    registryDir: options.registryDirOf(name),
  };
}

/** All processes have the same bindings but for REPLICA, which is at home. */
function bindings({ config, regions }: PlanOptions, home: Region): ObjectBinding[] {
  return config.objects.flatMap(({ binding, className }) => {
    if (binding !== REPLICA_BINDING) return [{ binding, className, worker: edgeName(config) }];
    return [
      { binding, className, worker: regionName(config, home) },
      ...regions.map((region) => ({
        binding: replicaBindingName(region),
        className,
        worker: regionName(config, region),
      })),
    ];
  });
}

function edgeName(config: CheckedConfig): string {
  return `${config.name}-edge`;
}

function regionName(config: CheckedConfig, region: Region): string {
  return `${config.name}-region-${region}`;
}
