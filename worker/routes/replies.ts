// Turning outcomes into responses: problems, provenance, refusals. One place, so that every reply has the same headers.

import { SERVED_BY, servedBy } from "../../durable/http/served-by.ts";
import type { ConsistencyLevel, InvalidCode, Provenance } from "../../durable/protocol.ts";
import type { FinalRefusal } from "../clients/call-plan.ts";
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

const INVALID_PROBLEMS = {
  misfounded: "misconfigured",
  value_too_large: "value-too-large",
} as const satisfies Record<InvalidCode, ProblemSlug>;

/** `members`: what the problem says beside its words (RFC 9457 section 3.2). */
export function problemReply(found: Problem, extra?: ReplyHeaders, members?: object): Response {
  const headers: ReplyHeaders = {
    ...extra,
    "Content-Type": PROBLEM_CONTENT_TYPE,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  };
  if (found.slug === "unauthorized") headers["WWW-Authenticate"] ??= bearerChallenge();
  return new Response(problemBody(found, members), { status: PROBLEMS[found.slug].status, headers });
}

/** RFC 6750 section 3. `attributes`: what is wrong with the token that was presented. */
export function bearerChallenge(attributes?: string): string {
  return attributes === undefined ? 'Bearer realm="halo"' : `Bearer realm="halo", ${attributes}`;
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

export function problemOfRefusal(refusal: FinalRefusal): Problem {
  switch (refusal.status) {
    case "unavailable":
      return problem("unavailable", `${refusal.reason}; nothing was changed`);
    case "overloaded":
      return problem("overloaded", "the request was shed before anything was done");
    case "full":
      return problem("storage-full", `${refusal.reason}; nothing was changed`);
    case "forbidden":
      return problem("forbidden", refusal.reason);
    case "invalid":
      return problemOfInvalid(refusal);
  }
}

/** What a replica takes for wrong; a code of a newer version is as good as none. */
export function problemOfInvalid({
  code,
  reason,
}: {
  readonly code?: InvalidCode | undefined;
  readonly reason: string;
}) {
  return problem((code === undefined ? undefined : INVALID_PROBLEMS[code]) ?? "refused-by-replica", reason);
}

export function refusalReply(refusal: FinalRefusal): Response {
  const found = problemOfRefusal(refusal);
  if (refusal.status === "invalid" || refusal.status === "forbidden") return problemReply(found);
  const seconds = refusal.status === "overloaded" ? Math.ceil(refusal.retryAfterMs / 1_000) : 0;
  return retryLater(found, Math.max(RETRY_AFTER_SECONDS, seconds));
}

export const UNKNOWN_DETAIL =
  "the write may have been applied, or may still be. " +
  "Repeat it with the same Idempotency-Key, if it carried one, or read the key to see";

export function unknownReply(reason: string): Response {
  return retryLater(problem("unknown-outcome", `${reason}; ${UNKNOWN_DETAIL}`), RETRY_AFTER_SECONDS);
}

/** A reply whose body is JSON. */
export function jsonReply(body: object, headers: ReplyHeaders, status = 200): Response {
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: {
      ...headers,
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

function retryLater(found: Problem, seconds: number): Response {
  return problemReply(found, { "Retry-After": String(seconds) });
}
