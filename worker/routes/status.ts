// GET /v1/status: what every replica says of itself, asked directly and in parallel, so that it shows the cluster as this
// edge reaches it. A replica that does not answer in time is in the list with the reason, never left out.

import type { HealthView } from "../../durable/health-protocol.ts";
import { PROTOCOL_VERSION, type ReplicaStatus, type StatusRequest } from "../../durable/protocol.ts";
import { readQuery } from "../api/request-body.ts";
import { noQuerySchema } from "../api/schemas.ts";
import type { ReplicaAddress, ReplicaPort, Timers } from "../clients/ports.ts";
import type { TopologyHolder } from "../clients/topology-holder.ts";
import { classifyTransportError } from "../clients/transport-errors.ts";
import { within } from "../clients/within.ts";
import { problemReply } from "./replies.ts";

export interface StatusDeps {
  readonly port: Pick<ReplicaPort, "status">;
  readonly topology: TopologyHolder;
  readonly timers: Timers;
  /** Asks the Directory; absent: there is none. */
  readonly readHealth?: (() => Promise<HealthView>) | undefined;
}

/** A replica that takes longer is as good as gone for whoever looks. */
export const STATUS_DEADLINE_MS = 1_000;

export type ReplicaReport =
  | ReplicaStatus
  | { readonly name: string; readonly replica: number; readonly region: string; readonly error: string };

export interface ClusterReport {
  readonly cluster: string;
  readonly epoch: number;
  /** What edges and the sweep have found; null: the Directory did not say. */
  readonly health: HealthView | null;
  readonly shards: readonly {
    readonly shard: number;
    readonly weight: number;
    readonly replicas: readonly ReplicaReport[];
  }[];
}

export async function handleStatus(deps: StatusDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  return new Response(`${JSON.stringify(await clusterReport(deps), null, 2)}\n`, {
    headers: {
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

async function clusterReport(deps: StatusDeps): Promise<ClusterReport> {
  const { topology, epoch, shards } = deps.topology.view;
  const reports = shards.map(async ({ shard, weight, replicas }) => ({
    shard,
    weight,
    replicas: await Promise.all(
      replicas.map(({ replica, generation, region, name }) =>
        replicaReport(deps, { shard, replica, generation, region, name }),
      ),
    ),
  }));
  const [health, ...shardReports] = await Promise.all([healthReport(deps), ...reports]);
  return { cluster: topology.cluster, epoch, health, shards: shardReports };
}

export function healthReport({ readHealth, timers }: StatusDeps): Promise<HealthView | null> {
  if (readHealth === undefined) return Promise.resolve(null);
  return within(timers, STATUS_DEADLINE_MS, readHealth(), () => null);
}

export function replicaReport(
  { port, timers }: StatusDeps,
  address: ReplicaAddress,
  wishes: Pick<StatusRequest, "wantsColo" | "wantsStates"> = {},
): Promise<ReplicaReport> {
  const { name, replica, region } = address;
  const status = port.status(address, { v: PROTOCOL_VERSION, to: name, ...wishes });
  return within(timers, STATUS_DEADLINE_MS, status, (error) => {
    const reason =
      error === undefined ? `no answer within ${STATUS_DEADLINE_MS} ms` : classifyTransportError(error).kind;
    return { name, replica, region, error: reason };
  });
}
