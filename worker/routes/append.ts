// POST /v1/append/{key}: more bytes at the end of a value, which stays small enough for one row.

import { entityTag } from "../../durable/http/entity-tag.ts";
import { VALUE_BYTES_MAX } from "../../durable/store/limits.ts";
import { readBytes } from "../api/request-body.ts";
import { readConditions, readLifetime, readTarget } from "./key-request.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { parseContentType } from "./kv-write.ts";
import { problemReply } from "./replies.ts";
import { change } from "./write-reply.ts";

export const APPEND_PATH = "/v1/append/";

export async function handleAppend(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = readTarget(request, APPEND_PATH);
  if (!target.ok) return problemReply(target.problem);
  const conditions = readConditions(request.headers);
  if (!conditions.ok) return problemReply(conditions.problem);
  const lifetime = readLifetime(request.headers);
  if (!lifetime.ok) return problemReply(lifetime.problem);
  const contentType = parseContentType(request.headers);
  if (!contentType.ok) return problemReply(contentType.problem);
  const value = await readBytes(request, VALUE_BYTES_MAX, "value-too-large");
  if (!value.ok) return problemReply(value.problem);
  const mutation = {
    kind: "append",
    ...target.value,
    ...conditions.value,
    ...lifetime.value,
    value: value.value,
    contentType: contentType.value,
  } as const;
  return change(deps, request, keepAlive, mutation, ({ outcome }, headers) => {
    if (outcome.kind !== "stored") return undefined;
    const status = outcome.created ? 201 : 204;
    return new Response(null, { status, headers: { ...headers, ETag: entityTag(outcome.version) } });
  });
}
