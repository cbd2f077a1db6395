// POST /v1/limits/{name}: takes out of a budget, or says when there will be enough, in one round trip.

import { mutationProblem } from "../api/mutations.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../api/request-body.ts";
import { limitSchema } from "../api/schemas.ts";
import { readSystemTarget } from "./key-request.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { jsonReply, problemReply } from "./replies.ts";
import { change } from "./write-reply.ts";

export const LIMITS_PATH = "/v1/limits/";

export async function handleLimit(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = readSystemTarget(request, LIMITS_PATH, "limit");
  if (!target.ok) return problemReply(target.problem);
  const body = await readJson(request, limitSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { limit, windowMs, cost = 1, algorithm = "sliding_window" } = body.value;
  const mutation = { kind: "limit", ...target.value, limit, windowMs, cost, algorithm } as const;
  const refused = mutationProblem(mutation);
  if (refused !== undefined) return problemReply(refused);
  return change(deps, request, keepAlive, mutation, ({ outcome, clockMs }, headers) => {
    if (outcome.kind !== "limited") return undefined;
    const { isAllowed, remaining, resetMs } = outcome;
    // More than the whole budget never fits, however long one waits.
    if (!isAllowed && cost <= limit) {
      headers["Retry-After"] = String(Math.max(1, Math.ceil((resetMs - clockMs) / 1_000)));
    }
    return jsonReply({ allowed: isAllowed, remaining, resetMs }, headers);
  });
}
