// GET /admin/v1/slow-log: what took long, at the isolate that answers and at every replica, the newest first. Keys are in it:
// for those who see the whole cluster.

import { newestFirst, SLOW_ENTRIES_MAX, type SlowEntry } from "../../../durable/telemetry/slow-log.ts";
import { slowLogQuerySchema } from "../../api/admin-schemas.ts";
import { readQuery } from "../../api/request-body.ts";
import type { ReplicaAddress } from "../../clients/ports.ts";
import { within } from "../../clients/within.ts";
import type { EdgeTelemetry } from "../../telemetry/edge-telemetry.ts";
import { jsonReply, problemReply } from "../replies.ts";
import { STATUS_DEADLINE_MS, type StatusDeps } from "../status.ts";

export const SLOW_LOG_PATH = "/admin/v1/slow-log";

export interface SlowLogDeps extends Pick<StatusDeps, "topology" | "timers"> {
  readonly telemetry: Pick<EdgeTelemetry, "slowLog">;
  /** Asks a replica for its own; absent: no replica has one. */
  readonly readSlowLog?: ((address: ReplicaAddress) => Promise<readonly SlowEntry[]>) | undefined;
}

export async function handleSlowLog(deps: SlowLogDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, slowLogQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const limit = query.value.limit === undefined ? SLOW_ENTRIES_MAX : Number(query.value.limit);
  const { readSlowLog, telemetry, timers, topology } = deps;
  const addresses = topology.view.shards.flatMap(({ shard, replicas }) =>
    replicas.map(({ replica, generation, region, name }) => ({ shard, replica, generation, region, name })),
  );
  const unanswered: string[] = [];
  const logs = await Promise.all(
    addresses.map((address) =>
      within(timers, STATUS_DEADLINE_MS, readSlowLog?.(address) ?? Promise.resolve([]), (): readonly SlowEntry[] => {
        unanswered.push(address.name);
        return [];
      }),
    ),
  );
  const entries = newestFirst([...telemetry.slowLog.list(limit), ...logs.flat()], limit);
  return jsonReply({ entries, unanswered }, {});
}
