// POST /admin/v1/background: holds up for a while what the replicas do by themselves and can do later, or lets it go on. What that
// is: durable/background-pause.ts. The Directory notes it, for whoever looks; each replica is told, and keeps it.

import type { AccessDeps } from "../../access/audit.ts";
import { type BackgroundReply, backgroundSchema, PAUSE_MS_DEFAULT } from "../../api/admin-schemas.ts";
import { readJson, readQuery, SMALL_BODY_BYTES_MAX } from "../../api/request-body.ts";
import { noQuerySchema } from "../../api/schemas.ts";
import type { AdminPort } from "../../clients/ports.ts";
import { within } from "../../clients/within.ts";
import { problem } from "../../http/problem.ts";
import type { KeepAlive } from "../kv-context.ts";
import { jsonReply, problemReply } from "../replies.ts";
import { STATUS_DEADLINE_MS } from "../status.ts";
import { type ClusterViewDeps, readTopology } from "./cluster-view.ts";
import type { TopologyAdmin } from "./topology.ts";

export const BACKGROUND_PATH = "/admin/v1/background";

export interface BackgroundDeps extends ClusterViewDeps, AccessDeps {
  readonly admin: Pick<TopologyAdmin, "read" | "pauseBackground">;
  readonly replicas: Pick<AdminPort, "pauseBackground">;
}

export async function handleBackground(deps: BackgroundDeps, request: Request, keepAlive: KeepAlive) {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const body = await readJson(request, backgroundSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { paused, forMs = PAUSE_MS_DEFAULT } = body.value;
  // Whoever hangs up must not leave half of the replicas untold.
  const act = pause(deps, paused ? forMs : 0);
  keepAlive(act);
  const reply = await act;
  if (reply !== undefined) return jsonReply(reply, {});
  const detail = "the Directory cannot be reached; no replica was told. Send it again";
  return problemReply(problem("unavailable", detail), { "Retry-After": "1" });
}

/** Undefined: it was not noted, so nobody was told either. */
async function pause(deps: BackgroundDeps, forMs: number): Promise<BackgroundReply | undefined> {
  const { admin, audit, principal, replicas, timers } = deps;
  const untilMs = await within(timers, STATUS_DEADLINE_MS, admin.pauseBackground(forMs), () => undefined);
  const told = { paused: forMs > 0, forMs };
  if (untilMs === undefined) {
    await audit(principal, "background", "cluster", told, "unavailable");
    return undefined;
  }
  const { shards } = await readTopology(deps);
  const addresses = shards.flatMap((shard) => shard.replicas.map((replica) => ({ ...replica, shard: shard.shard })));
  const untold = await Promise.all(
    addresses.map((address) => {
      const telling = replicas.pauseBackground(address, forMs).then(() => []);
      return within<string[], string[]>(timers, STATUS_DEADLINE_MS, telling, () => [address.name]);
    }),
  );
  await audit(principal, "background", "cluster", told, "ok");
  return { paused: forMs > 0, untilMs: forMs > 0 ? untilMs : null, untold: untold.flat() };
}
