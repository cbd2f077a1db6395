// GET /admin/v1/audit: what was done to the cluster, the newest first, a page at a time.

import type { AccessDeps } from "../../access/audit.ts";
import { AUDIT_PAGE_DEFAULT } from "../../access/audit-log.ts";
import { auditQuerySchema } from "../../api/audit-schemas.ts";
import { readQuery } from "../../api/request-body.ts";
import { jsonReply, problemReply, refusalReply } from "../replies.ts";

export const AUDIT_PATH = "/admin/v1/audit";

export async function handleAudit({ auditLog }: AccessDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, auditQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { log = "admin", limit = AUDIT_PAGE_DEFAULT, cursor } = query.value;
  const page = await auditLog.read(log, Number(limit), cursor === undefined ? undefined : Number(cursor));
  if (page.status !== "ok") return refusalReply(page);
  const { entries, missing, next } = page;
  return jsonReply({ entries, missing, cursor: next === undefined ? undefined : String(next) }, {});
}
