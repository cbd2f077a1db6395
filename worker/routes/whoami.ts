// GET /v1/whoami: who the request comes from and what its token may do, for whoever has to offer only what will be allowed. Every
// token may ask; nothing is asked of the cluster.

import type { z } from "zod";
import type { AccessDeps } from "../access/audit.ts";
import { SCOPES } from "../access/principal.ts";
import { readQuery } from "../api/request-body.ts";
import { noQuerySchema, type whoAmISchema } from "../api/schemas.ts";
import { jsonReply, problemReply } from "./replies.ts";

export const WHOAMI_PATH = "/v1/whoami";

export interface WhoAmIDeps extends Pick<AccessDeps, "principal"> {
  readonly cluster: string;
}

export function handleWhoAmI({ principal, cluster }: WhoAmIDeps, request: Request): Response {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { id, kind } = principal;
  const scopes = SCOPES.filter((scope) => principal.scopes.has(scope));
  return jsonReply({ id, kind, scopes, cluster } satisfies z.infer<typeof whoAmISchema>, {});
}
