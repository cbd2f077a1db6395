// Which Durable Object namespace reaches the replicas of a region. In one deployment every region is the same namespace;
// in a local cluster of processes each region is its own Worker, bound as REPLICA_<REGION> (REPLICA_APAC_NE, ...).

import { type Region, replicaBindingName } from "../routing/region.ts";
import type { CacheReplica } from "./cache-replica.ts";

export type ReplicaNamespace = DurableObjectNamespace<CacheReplica>;

export interface ReplicaBindings {
  readonly REPLICA: ReplicaNamespace;
}

export function replicaNamespace(env: ReplicaBindings, region: Region): ReplicaNamespace {
  const bound = (env as unknown as Record<string, ReplicaNamespace | undefined>)[replicaBindingName(region)];
  return bound ?? env.REPLICA;
}
