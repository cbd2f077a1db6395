// Pure. Every error that the edge can answer, in one table: problem type → HTTP status and title (RFC 9457).
// `type` is a relative reference (section 3.1.1 allows it) that ends in the slug, so that clients can compare one word.
// A problem never carries a stack, a token or the name of an object.

/** Exhaustive: a slug that is not here cannot be answered. */
export const PROBLEMS = {
  "malformed-key": { status: 400, title: "The key is not acceptable" },
  "malformed-balance": { status: 400, title: "There is no such policy of balancing" },
  "key-too-long": { status: 414, title: "The key is too long" },
  "unexpected-query": { status: 400, title: "The key ends at the question mark" },
  "malformed-namespace": { status: 400, title: "The namespace is not acceptable" },
  "malformed-tags": { status: 400, title: "The tags are not acceptable" },
  "malformed-metadata": { status: 400, title: "The metadata is not acceptable" },
  "malformed-fill": { status: 400, title: "What is asked of the fill is not acceptable" },
  "malformed-body": { status: 400, title: "The body is not what was expected" },
  "malformed-query": { status: 400, title: "The query is not what was expected" },
  "malformed-cursor": { status: 400, title: "The cursor cannot be read" },
  "cross-slot": { status: 400, title: "The keys are not in one slot" },
  "body-too-large": { status: 413, title: "The body is too large" },
  "range-not-satisfiable": { status: 416, title: "The value has no such range" },
  "malformed-ttl": { status: 400, title: "The time to live is not acceptable" },
  "malformed-consistency": { status: 400, title: "The consistency level is not acceptable" },
  "malformed-bookmark": { status: 400, title: "The bookmark cannot be read" },
  "foreign-bookmark": { status: 400, title: "The bookmark belongs to another cluster" },
  "malformed-condition": { status: 400, title: "The precondition cannot be read" },
  "malformed-idempotency-key": { status: 400, title: "The idempotency key is not acceptable" },
  "malformed-content-type": { status: 400, title: "The content type is not acceptable" },
  "incomplete-body": { status: 400, title: "The body was cut short" },
  "value-too-large": { status: 413, title: "The value is too large" },
  "unsupported-encoding": { status: 415, title: "Content codings are not kept" },
  "partial-put": { status: 400, title: "A value is replaced as a whole" },
  unauthorized: { status: 401, title: "A valid token is needed" },
  forbidden: { status: 403, title: "The token is not allowed to do this" },
  "rate-limited": { status: 429, title: "The token has asked too often" },
  "no-token-configured": { status: 503, title: "This deployment has no token and is closed" },
  misconfigured: { status: 500, title: "This deployment's variables are not acceptable" },
  "not-found": { status: 404, title: "There is no such key" },
  "unknown-path": { status: 404, title: "There is nothing at this path" },
  "method-not-allowed": { status: 405, title: "The method is not allowed here" },
  "precondition-failed": { status: 412, title: "The precondition does not hold" },
  "not-a-number": { status: 409, title: "The value is not such a number" },
  "out-of-range": { status: 409, title: "The number would leave its range" },
  "fill-refused": { status: 409, title: "The fill came too late" },
  "lock-held": { status: 409, title: "Somebody else holds the lock" },
  "lock-lost": { status: 412, title: "The lock is not held any more" },
  "transaction-failed": { status: 409, title: "An operation of the transaction could not be done" },
  "purge-incomplete": { status: 503, title: "Not every shard has purged" },
  "table-full": { status: 503, title: "The shard keeps too many of these already" },
  "storage-full": { status: 507, title: "The namespace is full" },
  "epoch-conflict": { status: 409, title: "The topology has changed since" },
  "moves-pending": { status: 409, title: "Slots are on the move" },
  "last-shard": { status: 409, title: "Nobody would be left to own the slots" },
  "shard-not-empty": { status: 409, title: "The shard owns slots" },
  "shard-draining": { status: 409, title: "The shard gets no slots" },
  "move-finished": { status: 409, title: "The slot has moved already" },
  "nothing-to-change": { status: 409, title: "The cluster is as it was to become" },
  "unknown-shard": { status: 422, title: "There is no such shard" },
  "unknown-replica": { status: 422, title: "The shard has no such replica" },
  "unknown-region": { status: 422, title: "There is no such region" },
  "shared-regions": { status: 422, title: "More replicas than regions, without consent" },
  "invalid-change": { status: 422, title: "The change cannot be made" },
  "idempotency-conflict": { status: 422, title: "The idempotency key was used for another request" },
  "refused-by-replica": { status: 400, title: "The replica refused the request" },
  "malformed-import": { status: 422, title: "The file is cut, altered or not an export" },
  "unsupported-import": { status: 422, title: "The file is of a newer version" },
  "import-incomplete": { status: 503, title: "The import has stopped before its end" },
  "unknown-outcome": { status: 503, title: "The fate of the write is not known" },
  unavailable: { status: 503, title: "The shard cannot serve this request now" },
  "too-many-streams": { status: 503, title: "Too many streams are open here" },
  overloaded: { status: 503, title: "The shard is shedding load" },
  internal: { status: 500, title: "The edge failed" },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>;

export type ProblemSlug = keyof typeof PROBLEMS;

/** What went wrong and what was expected, for a person; `slug` says the same to a program. */
export interface Problem {
  readonly slug: ProblemSlug;
  readonly detail: string;
}

export const PROBLEM_CONTENT_TYPE = "application/problem+json";
/** Before every slug in `type`. */
export const PROBLEM_TYPE_PREFIX = "/problems/";

export function problem(slug: ProblemSlug, detail: string): Problem {
  return { slug, detail };
}

export function problemBody(found: Problem, members: object = {}): string {
  const { status, title } = PROBLEMS[found.slug];
  const type = `${PROBLEM_TYPE_PREFIX}${found.slug}`;
  return `${JSON.stringify({ type, title, status, detail: found.detail, ...members })}\n`;
}

/** The outcome of reading something out of a request: the value, or what to answer instead. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem };

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refused<T>(slug: ProblemSlug, detail: string): Parsed<T> {
  return { ok: false, problem: { slug, detail } };
}
