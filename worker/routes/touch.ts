// POST /v1/touch/{key}: another lifetime for a value that stays as it is.

import { entityTag } from "../../durable/http/entity-tag.ts";
import { readConditions, readLifetime, readTarget } from "./key-request.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { problemReply } from "./replies.ts";
import { change } from "./write-reply.ts";

export const TOUCH_PATH = "/v1/touch/";

export async function handleTouch(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = readTarget(request, TOUCH_PATH);
  if (!target.ok) return problemReply(target.problem);
  const conditions = readConditions(request.headers);
  if (!conditions.ok) return problemReply(conditions.problem);
  const lifetime = readLifetime(request.headers);
  if (!lifetime.ok) return problemReply(lifetime.problem);
  const mutation = { kind: "touch", ...target.value, ...conditions.value, ...lifetime.value } as const;
  return change(deps, request, keepAlive, mutation, ({ outcome }, headers) => {
    if (outcome.kind !== "touched") return undefined;
    return new Response(null, { status: 204, headers: { ...headers, ETag: entityTag(outcome.version) } });
  });
}
