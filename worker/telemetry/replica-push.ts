// The metrics of replicas on their way to a collector, by OTLP. Nobody is asked for them: the sweep asks every replica for its status
// anyway, which wakes no group, and what it hears is passed on. A scrape of /metrics has the same, at any other time.

import type { SweepPorts } from "../../durable/health-sweep.ts";
import type { ReplicaStatus } from "../../durable/protocol.ts";
import { OtlpPush, type OtlpPushDeps } from "../../durable/telemetry/otlp-push.ts";
import { resourceOf } from "../../durable/telemetry/span-form.ts";
import type { OtlpConfig } from "../../durable/telemetry/telemetry-config.ts";
import { TopologyView } from "../../routing/topology-view.ts";
import { FamilySet } from "./families.ts";
import { otlpMetrics } from "./otel-form.ts";
import { addReplicas, type ShardReport } from "./replica-metrics.ts";

/** So that a push of the largest shards stays far below what a push may be: 80 replicas of up to 30 kB. */
export const SHARDS_PER_PUSH = 16;

/** The ports of a sweep that remember what they hear. */
export class Overheard {
  readonly ports: SweepPorts;
  #view: TopologyView | undefined;
  readonly #answers = new Map<string, ReplicaStatus | undefined>();

  constructor(ports: SweepPorts) {
    this.ports = {
      ...ports,
      topology: async () => {
        const topology = await ports.topology();
        this.#view = new TopologyView(topology);
        return topology;
      },
      status: async (replica) => {
        const status = await ports.status(replica);
        this.#answers.set(replica.name, status);
        return status;
      },
    };
  }

  /** Of the shards that were asked, which may be some of them only. */
  get reports(): readonly ShardReport[] {
    const asked = (this.#view?.shards ?? []).filter(({ replicas }) =>
      replicas.some(({ name }) => this.#answers.has(name)),
    );
    return asked.map(({ shard, replicas }) => ({
      shard,
      replicas: replicas.map(
        ({ name, replica, region }) => this.#answers.get(name) ?? { replica, region, error: "no answer" },
      ),
    }));
  }
}

export interface ReplicaPushDeps {
  readonly otlp: OtlpConfig;
  readonly cluster: string;
  readonly version: string;
  readonly fetch: OtlpPushDeps["fetch"];
}

/** Whether the collector has taken all of them. Never rejects. */
export async function pushReplicas(
  { otlp, cluster, version, fetch }: ReplicaPushDeps,
  reports: readonly ShardReport[],
  nowMs: number,
): Promise<boolean> {
  const resource = resourceOf({
    "service.name": "halo-replicas",
    "service.namespace": cluster,
    "service.instance.id": cluster,
    "service.version": version,
  });
  let isOk = true;
  for (let at = 0; at < reports.length; at += SHARDS_PER_PUSH) {
    const push = new OtlpPush(otlp, {
      fetch,
      payload: (signal) => {
        if (signal !== "metrics") return undefined;
        const set = new FamilySet();
        addReplicas(set, reports.slice(at, at + SHARDS_PER_PUSH));
        return otlpMetrics(set.families, { startMs: nowMs, endMs: nowMs }, resource);
      },
      onResult: (_, isTaken) => {
        isOk &&= isTaken;
      },
    });
    await push.push(nowMs);
  }
  return isOk;
}
