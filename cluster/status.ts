// Reading a cluster's own account of itself, GET /v1/status, from Node.

import type { ReplicaStatus } from "../durable/protocol.ts";
import { until } from "./until.ts";

export type ReplicaReport =
  | ReplicaStatus
  | { readonly replica?: number; readonly region?: string; readonly error: string };

export interface ClusterStatus {
  readonly cluster: string;
  readonly epoch: number;
  readonly shards: readonly { readonly shard: number; readonly replicas: readonly ReplicaReport[] }[];
}

/** A status that takes longer than this says more about the machine than about the cluster. */
const STATUS_TIMEOUT_MS = 5_000;

export interface Endpoint {
  readonly url: string;
  readonly token: string;
}

export async function readStatus({ url, token }: Endpoint): Promise<ClusterStatus> {
  const response = await fetch(`${url}/v1/status`, {
    headers: { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`GET /v1/status: ${response.status} ${body}`);
  return JSON.parse(body) as ClusterStatus;
}

/** The replicas that answered for themselves, of one shard or of all. */
export function answeringReplicas(status: ClusterStatus, shard?: number): ReplicaStatus[] {
  return status.shards
    .filter((group) => shard === undefined || group.shard === shard)
    .flatMap((group) => group.replicas)
    .filter((replica): replica is ReplicaStatus => !("error" in replica));
}

/** The leader of a shard by the highest term: a deposed one may not have heard yet. */
export function leaderOf(status: ClusterStatus, shard: number): ReplicaStatus | undefined {
  return answeringReplicas(status, shard)
    .filter((replica) => replica.role === "leader")
    .sort((one, other) => other.term - one.term)[0];
}

/** Resolves when every replica of every shard answers for itself. */
export async function untilAllAnswer(endpoint: Endpoint, timeoutMs: number): Promise<ClusterStatus> {
  return await until(
    "every replica answers",
    async () => {
      const status = await readStatus(endpoint);
      const expected = status.shards.reduce((sum, group) => sum + group.replicas.length, 0);
      return expected > 0 && answeringReplicas(status).length === expected ? status : undefined;
    },
    { timeoutMs, everyMs: 50 },
  );
}

/** One line for each shard, for whoever has to find out why something did not happen. */
export async function describeCluster(endpoint: Endpoint): Promise<string> {
  try {
    const { shards } = await readStatus(endpoint);
    return shards
      .map(({ shard, replicas }) => `shard ${shard}: ${replicas.map(describeReplica).join("; ")}`)
      .join("\n");
  } catch (error) {
    return `no status: ${error instanceof Error ? error.message : error}`;
  }
}

function describeReplica(replica: ReplicaReport): string {
  if ("error" in replica) return `${replica.region} ${replica.error}`;
  const { region, role, term, lastIndex, commitIndex, appliedIndex } = replica;
  return `${region} ${role}, term ${term}, last ${lastIndex}, commit ${commitIndex}, applied ${appliedIndex}`;
}
