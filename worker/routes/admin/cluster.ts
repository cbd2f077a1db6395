// GET /admin/v1/cluster and /admin/v1/slots: the cluster at one moment.

import type { SlotsView } from "../../api/admin-schemas.ts";
import { readQuery } from "../../api/request-body.ts";
import { noQuerySchema } from "../../api/schemas.ts";
import { jsonReply, problemReply } from "../replies.ts";
import { type ClusterViewDeps, readClusterView, readTopology } from "./cluster-view.ts";

export const CLUSTER_PATH = "/admin/v1/cluster";
export const SLOTS_PATH = "/admin/v1/slots";

export async function handleCluster(deps: ClusterViewDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  return jsonReply(await readClusterView(deps), {});
}

export async function handleSlots(deps: ClusterViewDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { epoch, topology } = await readTopology(deps);
  const moving = (topology.moves ?? []).map(({ slot, from, to }) => ({ slot, from, to }));
  const slots: SlotsView = { epoch, owners: [...topology.slots], moving };
  return jsonReply(slots, {});
}
