// POST /v1/counters/{key}: adds to the number that the value is, and answers with it.

import { entityTag } from "../../durable/http/entity-tag.ts";
import { counterOf, mutationProblem, trimmed } from "../api/mutations.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../api/request-body.ts";
import { counterSchema } from "../api/schemas.ts";
import { readConditions, readLifetime, readTarget } from "./key-request.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { jsonReply, problemReply } from "./replies.ts";
import { change } from "./write-reply.ts";

export const COUNTERS_PATH = "/v1/counters/";

export async function handleCounter(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = readTarget(request, COUNTERS_PATH);
  if (!target.ok) return problemReply(target.problem);
  const conditions = readConditions(request.headers);
  if (!conditions.ok) return problemReply(conditions.problem);
  const lifetime = readLifetime(request.headers);
  if (!lifetime.ok) return problemReply(lifetime.problem);
  const counter = await readJson(request, counterSchema, SMALL_BODY_BYTES_MAX, {});
  if (!counter.ok) return problemReply(counter.problem);
  const mutation = trimmed({
    kind: "increment" as const,
    ...target.value,
    ...conditions.value,
    ...lifetime.value,
    ...counterOf(counter.value),
  });
  const refused = mutationProblem(mutation);
  if (refused !== undefined) return problemReply(refused);
  return change(deps, request, keepAlive, mutation, ({ outcome }, headers) => {
    if (outcome.kind !== "number") return undefined;
    const { value, version, created, expiresMs } = outcome;
    return jsonReply({ value, version, created, expiresMs }, { ...headers, ETag: entityTag(version) });
  });
}
