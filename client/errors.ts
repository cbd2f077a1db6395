// What can go wrong, as one class per family of problem types (docs/api.md, "Errors"). `slug` is the last part of the
// problem's `type`; problems that the client finds itself have slugs of the same form and status 0.

import type { HaloResponse } from "./transport.ts";

export interface ErrorDetails {
  readonly slug: string;
  readonly status: number;
  readonly detail: string;
  /** The server's own estimate of when to try again. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

export class HaloError extends Error {
  override readonly name: string = "HaloError";
  readonly slug: string;
  /** HTTP status; 0 where no reply decided. */
  readonly status: number;
  readonly detail: string;
  readonly retryAfterMs: number | undefined;

  constructor({ slug, status, detail, retryAfterMs, cause }: ErrorDetails) {
    super(`${slug}: ${detail}`, cause === undefined ? undefined : { cause });
    this.slug = slug;
    this.status = status;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The request is not acceptable as it is; sending it again does not help. */
export class HaloInvalidRequestError extends HaloError {
  override readonly name = "HaloInvalidRequestError";
}

export class HaloUnauthorizedError extends HaloError {
  override readonly name = "HaloUnauthorizedError";
}

/** What the request was about is not there, and the method has no other way to say so. */
export class HaloNotFoundError extends HaloError {
  override readonly name = "HaloNotFoundError";
}

export class HaloPreconditionFailedError extends HaloError {
  override readonly name = "HaloPreconditionFailedError";
  /** The current version; undefined: there is no entry. */
  readonly version: number | undefined;
  readonly sourceVersion: number | undefined;

  constructor(details: ErrorDetails & { version?: number | undefined; sourceVersion?: number | undefined }) {
    super(details);
    this.version = details.version;
    this.sourceVersion = details.sourceVersion;
  }
}

/** The fill's lease has ended, or the key was written, deleted or purged while the value was loaded. */
export class HaloFillRefusedError extends HaloError {
  override readonly name = "HaloFillRefusedError";
}

/** The value is no number (`not-a-number`), or would leave its bounds (`out-of-range`). */
export class HaloCounterError extends HaloError {
  override readonly name = "HaloCounterError";
}

export class HaloLockHeldError extends HaloError {
  override readonly name = "HaloLockHeldError";
}

export class HaloLockLostError extends HaloError {
  override readonly name = "HaloLockLostError";
}

/** An operation of the transaction could not be done, so none was. */
export class HaloTransactionFailedError extends HaloError {
  override readonly name = "HaloTransactionFailedError";
  /** Position of the operation, and the slug of its problem. */
  readonly at: number | undefined;
  readonly problem: string | undefined;

  constructor(details: ErrorDetails & { at?: number | undefined; problem?: string | undefined }) {
    super(details);
    this.at = details.at;
    this.problem = details.problem;
  }
}

/** An idempotency key that was used for another request, or another conflict that this client does not know. */
export class HaloConflictError extends HaloError {
  override readonly name = "HaloConflictError";
}

/** A namespace that does not evict is full. */
export class HaloFullError extends HaloError {
  override readonly name = "HaloFullError";
}

/** Not now, and nothing was changed: no leader, shed load, a purge that not every shard has done. */
export class HaloUnavailableError extends HaloError {
  override readonly name = "HaloUnavailableError";
}

/** A change that may have happened, or may still happen: the one thing that is not known is which. */
export class HaloUnknownOutcomeError extends HaloError {
  override readonly name = "HaloUnknownOutcomeError";
}

/** A read without an answer in time, or a loader or a wait that took too long. */
export class HaloTimeoutError extends HaloError {
  override readonly name = "HaloTimeoutError";
}

/** A read that got no reply. */
export class HaloNetworkError extends HaloError {
  override readonly name = "HaloNetworkError";
}

/** A reply that is not of Halo's contract, or a failure inside the server. */
export class HaloServerError extends HaloError {
  override readonly name = "HaloServerError";
}

/** The stored bytes are not what the codec expects. */
export class HaloDecodeError extends HaloError {
  override readonly name = "HaloDecodeError";
}

/** Operations of a batch that failed; the others were done, and `results` has them at their positions. */
export class HaloBatchError extends HaloError {
  override readonly name = "HaloBatchError";
  readonly results: readonly unknown[];

  constructor(failed: readonly HaloError[], results: readonly unknown[]) {
    const [first] = failed;
    super({
      slug: first?.slug ?? "batch",
      status: first?.status ?? 0,
      detail: `${failed.length} of ${results.length} operations failed, the first with ${first?.message}`,
      cause: first,
    });
    this.results = results;
  }
}

export function invalid(slug: string, detail: string): HaloInvalidRequestError {
  return new HaloInvalidRequestError({ slug, status: 0, detail });
}

/** The members of a problem that mean something to this client. */
export interface Problem {
  readonly type?: unknown;
  readonly detail?: unknown;
  readonly at?: unknown;
  readonly problem?: unknown;
  readonly version?: unknown;
  readonly sourceVersion?: unknown;
}

const PROBLEM_TYPE = /\/problems\/([a-z0-9-]+)$/;

/** The error of a reply that is not a success. `problem` is its body, if that could be read. */
export function errorOfReply({ status, headers }: HaloResponse, problem: Problem): HaloError {
  const retryAfterSeconds = Number(headers["retry-after"]);
  return errorOf(slugOf(problem, status), status, problem, {
    retryAfterMs: retryAfterSeconds > 0 ? retryAfterSeconds * 1_000 : undefined,
    version: versionOf(headers.etag),
    sourceVersion: numberOf(headers["halo-source-version"]),
  });
}

interface Found {
  readonly retryAfterMs?: number | undefined;
  readonly version?: number | undefined;
  readonly sourceVersion?: number | undefined;
}

/** The error of a problem, whether of a reply or of one operation of a batch. */
export function errorOf(slug: string, status: number, problem: Problem, found: Found = {}): HaloError {
  const detail = typeof problem.detail === "string" ? problem.detail : `status ${status}`;
  const details = { slug, status, detail, ...found };
  const known = BY_SLUG[slug];
  if (known !== undefined) return new known(details);
  if (slug === "transaction-failed") {
    const failed = typeof problem.problem === "string" ? problem.problem : undefined;
    return new HaloTransactionFailedError({ ...details, at: numberOf(problem.at), problem: failed });
  }
  if (status === 401 || status === 403) return new HaloUnauthorizedError(details);
  if (status === 404) return new HaloNotFoundError(details);
  if (status === 409 || status === 422) return new HaloConflictError(details);
  if (status === 412) return new HaloPreconditionFailedError(details);
  if (status === 507) return new HaloFullError(details);
  if (status === 429) return new HaloUnavailableError(details);
  return status >= 400 && status < 500 ? new HaloInvalidRequestError(details) : new HaloServerError(details);
}

const BY_SLUG: Readonly<Record<string, new (details: ErrorDetails) => HaloError>> = {
  "no-token-configured": HaloUnauthorizedError,
  "unknown-path": HaloInvalidRequestError,
  "fill-refused": HaloFillRefusedError,
  "not-a-number": HaloCounterError,
  "out-of-range": HaloCounterError,
  "lock-held": HaloLockHeldError,
  "lock-lost": HaloLockLostError,
  unavailable: HaloUnavailableError,
  overloaded: HaloUnavailableError,
  "purge-incomplete": HaloUnavailableError,
  "unknown-outcome": HaloUnknownOutcomeError,
};

function slugOf({ type }: Problem, status: number): string {
  const slug = typeof type === "string" ? PROBLEM_TYPE.exec(type)?.[1] : undefined;
  // Replies without a problem are not the edge's: the platform's, or those of something in between.
  return slug ?? `http-${status}`;
}

/** A version from its entity tag. */
export function versionOf(etag: string | undefined): number | undefined {
  return numberOf(/^(?:W\/)?"(\d+)"$/.exec(etag ?? "")?.[1]);
}

export function numberOf(found: unknown): number | undefined {
  if (typeof found === "number") return found;
  return typeof found === "string" && /^\d+$/.test(found) ? Number(found) : undefined;
}
