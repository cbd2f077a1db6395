// Changes of the topology (topology-changes.ts) on the platform: stubs, deadlines, the Directory.

import type { Topology } from "../routing/topology.ts";
import type { TopologyChange } from "../routing/topology-change.ts";
import type { ReplicaView } from "../routing/topology-view.ts";
import { platformTimers } from "./adapters/timers.ts";
import type { Directory } from "./directory.ts";
import { createDirectoryClient } from "./directory-client.ts";
import { inTime } from "./in-time.ts";
import { type ReplicaBindings, replicaNamespace } from "./namespaces.ts";
import type { ChangeReply } from "./ports.ts";
import { PROTOCOL_VERSION, type ReplicaStatus, type StatusRequest } from "./protocol.ts";
import { type ChangeConditions, publishChange, tellSources } from "./topology-changes.ts";

export type TopologyBindings = ReplicaBindings & { readonly DIRECTORY: DurableObjectNamespace<Directory> };

/** A replica that takes longer is told by its peers. */
const TELL_DEADLINE_MS = 2_000;
/** An object that has to be loaded first takes some hundred milliseconds. */
export const ANSWER_DEADLINE_MS = 2_000;

/** `expectedEpoch`: of the topology that the operator saw when deciding. */
export function changeTopology(
  env: TopologyBindings,
  cluster: string,
  change: TopologyChange,
  expectedEpoch: number,
  conditions?: ChangeConditions,
): Promise<ChangeReply> {
  const { read, publish } = createDirectoryClient(env.DIRECTORY, cluster);
  return publishChange({ read, publish, tell: tellOn(env), status: statusOn(env) }, change, expectedEpoch, conditions);
}

export function rouseSources(env: ReplicaBindings, topology: Topology): Promise<void> {
  return tellSources(tellOn(env), topology);
}

export function tellOn(env: ReplicaBindings): (replica: ReplicaView, epoch: number) => Promise<boolean> {
  return async (replica, epoch) => {
    const { name } = replica;
    const told = stubOf(env, replica)
      .topologyChanged(name, epoch)
      .then(() => true);
    return (await inTime(told, TELL_DEADLINE_MS, platformTimers)) ?? false;
  };
}

/** Undefined: no answer in time. */
export function statusOn(
  env: ReplicaBindings,
  wanted: Pick<StatusRequest, "wantsStates"> = {},
): (replica: ReplicaView) => Promise<ReplicaStatus | undefined> {
  return (replica) => {
    const status = stubOf(env, replica).status({ v: PROTOCOL_VERSION, to: replica.name, ...wanted });
    // Plain data: the platform's own type wraps every part of it in promises.
    return inTime<ReplicaStatus>(status as unknown as Promise<ReplicaStatus>, ANSWER_DEADLINE_MS, platformTimers);
  };
}

export function stubOf(env: ReplicaBindings, { name, region }: ReplicaView) {
  const namespace = replicaNamespace(env, region);
  return namespace.get(namespace.idFromName(name), { locationHint: region, retry: { maxRetries: 0 } });
}
