// The sweep (health-sweep.ts) on the platform: stubs, deadlines, the Directory.

import { platformTimers } from "./adapters/timers.ts";
import { createDirectoryClient } from "./directory-client.ts";
import type { SweepPorts } from "./health-sweep.ts";
import { inTime } from "./in-time.ts";
import {
  ANSWER_DEADLINE_MS,
  changeTopology,
  rouseSources,
  statusOn,
  stubOf,
  type TopologyBindings,
} from "./topology-admin.ts";

export function sweepPorts(env: TopologyBindings, cluster: string): SweepPorts {
  const directory = createDirectoryClient(env.DIRECTORY, cluster);
  const call = <T>(answer: Promise<T>) => inTime(answer, ANSWER_DEADLINE_MS, platformTimers);
  return {
    now: () => Date.now(),
    topology: () => directory.read(),
    lastRecord: async () => (await directory.health()).sweep,
    record: (record) => {
      for (const found of record.diverged ?? [])
        console.error(JSON.stringify({ event: "replicas_diverged", ...found }));
      return directory.noteSweep(record);
    },
    status: statusOn(env, { wantsStates: true }),
    reaches: async (witness, member) => (await call(stubOf(env, witness).reaches(witness.name, member))) === true,
    wipe: async (replica, epoch) => (await call(stubOf(env, replica).retire(replica.name, epoch))) === "wiped",
    settleWiped: async (wiped) => {
      await directory.settleWiped(wiped);
    },
    rouse: (topology) => rouseSources(env, topology),
    replace: async (lost, epoch) => {
      const change = { kind: "replace_replica", ...lost } as const;
      const reply = await changeTopology(env, cluster, change, epoch, { onlyOfTheDead: true });
      if (reply.status === "ok") return reply.topology.epoch;
      console.error(JSON.stringify({ event: "replacement_refused", ...lost, status: reply.status }));
      return undefined;
    },
  };
}
