// POST /admin/v1/verify: whether the replicas of each shard hold the same. Asks each for hashes of its state and compares them at
// an index of the log that they have in common; changes nothing and wakes nobody.

import { agreementOf } from "../../../durable/agreement.ts";
import type { StateSummary } from "../../../durable/protocol.ts";
import type { ShardView } from "../../../routing/topology-view.ts";
import { type VerifyView, verifyRequestSchema } from "../../api/admin-schemas.ts";
import { readJson, readQuery, SMALL_BODY_BYTES_MAX } from "../../api/request-body.ts";
import { noQuerySchema } from "../../api/schemas.ts";
import { problem } from "../../http/problem.ts";
import { jsonReply, problemReply } from "../replies.ts";
import { replicaReport, type StatusDeps } from "../status.ts";
import { type ClusterViewDeps, readTopology } from "./cluster-view.ts";

export const VERIFY_PATH = "/admin/v1/verify";

export async function handleVerify(deps: ClusterViewDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const body = await readJson(request, verifyRequestSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { shard: only } = body.value;
  const { epoch, shards } = await readTopology(deps);
  const chosen = shards.filter(({ shard }) => only === undefined || shard === only);
  if (chosen.length === 0) return problemReply(problem("unknown-shard", `there is no shard ${only}`));
  const view: VerifyView = { epoch, shards: await Promise.all(chosen.map((shard) => verifyShard(deps, shard))) };
  return jsonReply(view, {});
}

async function verifyShard(deps: StatusDeps, { shard, replicas }: ShardView): Promise<VerifyView["shards"][number]> {
  const reports = await Promise.all(
    replicas.map((placed) => replicaReport(deps, { ...placed, shard }, { wantsStates: true })),
  );
  const known = reports.map((report) => ({
    name: report.name,
    error: "error" in report ? report.error : null,
    states: "error" in report ? [] : (report.states ?? []),
  }));
  const agreement = agreementOf(known);
  return {
    shard,
    index: agreement?.index ?? null,
    replicas: known.map(({ name, error, states }) => {
      const own = states.find(({ index, way }) => index === agreement?.index && way === agreement.common.way);
      if (agreement === undefined || own === undefined) return { name, agrees: null, ranges: null, error };
      return { name, agrees: own.hash === agreement.common.hash, ranges: differing(own, agreement.common), error };
    }),
  };
}

function differing(own: StateSummary, common: StateSummary): number[] {
  return own.ranges.flatMap((sum, range) => (sum === common.ranges[range] ? [] : [range]));
}
