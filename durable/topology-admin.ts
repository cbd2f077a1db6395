// Changes of the topology (topology-changes.ts) on the platform: stubs, deadlines, the Directory.

import type { Topology } from "../routing/topology.ts";
import type { TopologyChange } from "../routing/topology-change.ts";
import type { ReplicaView } from "../routing/topology-view.ts";
import type { Directory } from "./directory.ts";
import { createDirectoryClient } from "./directory-client.ts";
import { type ReplicaBindings, replicaNamespace } from "./namespaces.ts";
import type { ChangeReply } from "./ports.ts";
import { type ChangeConditions, publishChange, tellSources } from "./topology-changes.ts";

export type TopologyBindings = ReplicaBindings & { readonly DIRECTORY: DurableObjectNamespace<Directory> };

/** A replica that takes longer is told by its peers. */
const TELL_DEADLINE_MS = 2_000;

/** `expectedEpoch`: of the topology that the operator saw when deciding. */
export function changeTopology(
  env: TopologyBindings,
  cluster: string,
  change: TopologyChange,
  expectedEpoch: number,
  conditions?: ChangeConditions,
): Promise<ChangeReply> {
  const { read, publish } = createDirectoryClient(env.DIRECTORY, cluster);
  return publishChange({ read, publish, tell: tellOn(env) }, change, expectedEpoch, conditions);
}

export function rouseSources(env: ReplicaBindings, topology: Topology): Promise<void> {
  return tellSources(tellOn(env), topology);
}

export function tellOn(env: ReplicaBindings): (replica: ReplicaView, epoch: number) => Promise<boolean> {
  return ({ name, region }, epoch) => {
    const namespace = replicaNamespace(env, region);
    const stub = namespace.get(namespace.idFromName(name), { locationHint: region, retry: { maxRetries: 0 } });
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), TELL_DEADLINE_MS);
      const settle = (isTold: boolean): void => {
        clearTimeout(timer);
        resolve(isTold);
      };
      stub.topologyChanged(name, epoch).then(
        () => settle(true),
        () => settle(false),
      );
    });
  };
}
