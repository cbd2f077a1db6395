// The sweep (health-sweep.ts) on the platform: stubs, deadlines, the Directory.

import type { ReplicaView } from "../routing/topology-view.ts";
import { createDirectoryClient } from "./directory-client.ts";
import type { SweepPorts } from "./health-sweep.ts";
import { replicaNamespace } from "./namespaces.ts";
import { PROTOCOL_VERSION, type ReplicaStatus } from "./protocol.ts";
import { changeTopology, type TopologyBindings } from "./topology-admin.ts";

/** An object that has to be loaded first takes some hundred milliseconds. */
const ANSWER_DEADLINE_MS = 2_000;

export function sweepPorts(env: TopologyBindings, cluster: string): SweepPorts {
  const directory = createDirectoryClient(env.DIRECTORY, cluster);
  const stubOf = ({ name, region }: ReplicaView) => {
    const namespace = replicaNamespace(env, region);
    return namespace.get(namespace.idFromName(name), { locationHint: region, retry: { maxRetries: 0 } });
  };
  return {
    now: () => Date.now(),
    topology: () => directory.read(),
    lastRecord: async () => (await directory.health()).sweep,
    record: (record) => {
      for (const found of record.diverged ?? [])
        console.error(JSON.stringify({ event: "replicas_diverged", ...found }));
      return directory.noteSweep(record);
    },
    status: (replica) =>
      inTime<ReplicaStatus>(
        // Plain data: the platform's own type wraps every part of it in promises.
        stubOf(replica).status({
          v: PROTOCOL_VERSION,
          to: replica.name,
          wantsStates: true,
        }) as unknown as Promise<ReplicaStatus>,
      ),
    reaches: async (witness, member) => (await inTime(stubOf(witness).reaches(witness.name, member))) === true,
    wipe: async (replica, epoch) => (await inTime(stubOf(replica).retire(replica.name, epoch))) === "wiped",
    settleWiped: async (wiped) => {
      await directory.settleWiped(wiped);
    },
    replace: async (lost, epoch) => {
      const change = { kind: "replace_replica", ...lost } as const;
      const reply = await changeTopology(env, cluster, change, epoch, { onlyOfTheDead: true });
      if (reply.status === "ok") return reply.topology.epoch;
      console.error(JSON.stringify({ event: "replacement_refused", ...lost, status: reply.status }));
      return undefined;
    },
  };
}

/** Undefined where there was no answer, or none in time. */
function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ANSWER_DEADLINE_MS);
    const settle = (value: T | undefined): void => {
      clearTimeout(timer);
      resolve(value);
    };
    answer.then(settle, () => settle(undefined));
  });
}
