// GET /admin/v1/cost: what the cluster costs, from its own counters.

import { readQuery } from "../../api/request-body.ts";
import { noQuerySchema } from "../../api/schemas.ts";
import { costOf } from "../../telemetry/cost-meter.ts";
import { jsonReply, problemReply } from "../replies.ts";
import { type StatusDeps, shardReports } from "../status.ts";

export const COST_PATH = "/admin/v1/cost";

export async function handleCost(deps: StatusDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const reports = (await shardReports(deps)).flatMap(({ replicas }) => replicas);
  const answering = reports.flatMap((report) => ("error" in report ? [] : [report]));
  const unanswered = reports.flatMap((report) => ("error" in report ? [report.name] : []));
  return jsonReply({ ...costOf(answering), unanswered }, {});
}
