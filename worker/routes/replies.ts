// Turning outcomes into responses: problems, provenance, refusals. One place, so that every reply has the same headers.

import { SERVED_BY, servedBy } from "../../durable/http/served-by.ts";
import type { ConsistencyLevel, Provenance } from "../../durable/protocol.ts";
import type { FinalRefusal } from "../clients/shard-call.ts";
import {
  PROBLEM_CONTENT_TYPE,
  PROBLEMS,
  type Problem,
  type ProblemSlug,
  problem,
  problemBody,
} from "../http/problem.ts";

export type ReplyHeaders = Record<string, string>;

/** A refusal by a replica group passes within about an election; clients wait in whole seconds. */
const RETRY_AFTER_SECONDS = 1;

const REPLICA_REFUSED: ProblemSlug = "refused-by-replica";

export function problemReply(found: Problem, extra?: ReplyHeaders): Response {
  const headers: ReplyHeaders = {
    ...extra,
    "Content-Type": PROBLEM_CONTENT_TYPE,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  };
  if (found.slug === "unauthorized") headers["WWW-Authenticate"] = 'Bearer realm="halo"';
  return new Response(problemBody(found), { status: PROBLEMS[found.slug].status, headers });
}

export function methodNotAllowed(method: string, allow: string): Response {
  return problemReply(problem("method-not-allowed", `${method} means nothing here; expected ${allow}`), {
    Allow: allow,
  });
}

/** Who answered, from where in the log, and how fresh that is. */
export function provenanceHeaders(from: Provenance, level: ConsistencyLevel): ReplyHeaders {
  return { "Halo-Consistency": level, [SERVED_BY]: servedBy(from) };
}

export function refusalReply(refusal: FinalRefusal): Response {
  switch (refusal.status) {
    case "unavailable":
      return retryLater(problem("unavailable", `${refusal.reason}; nothing was changed`), RETRY_AFTER_SECONDS);
    case "overloaded":
      return retryLater(
        problem("overloaded", "the request was shed before anything was done"),
        Math.max(RETRY_AFTER_SECONDS, Math.ceil(refusal.retryAfterMs / 1_000)),
      );
    case "invalid":
      return problemReply(problem(REPLICA_REFUSED, refusal.reason));
  }
}

export function unknownReply(reason: string): Response {
  return retryLater(
    problem(
      "unknown-outcome",
      `${reason}; the write may have been applied, or may still be. ` +
        "Repeat it with the same Idempotency-Key, if it carried one, or read the key to see",
    ),
    RETRY_AFTER_SECONDS,
  );
}

function retryLater(found: Problem, seconds: number): Response {
  return problemReply(found, { "Retry-After": String(seconds) });
}
