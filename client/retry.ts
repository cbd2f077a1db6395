// When a failed request is sent again, and after how long. A request that may have been carried out is repeated only where
// repeating changes nothing: a read, or a change with an idempotency key, whose outcome the shard remembers.

import {
  type HaloError,
  HaloFullError,
  HaloNetworkError,
  HaloServerError,
  HaloTimeoutError,
  HaloUnauthorizedError,
  HaloUnavailableError,
  HaloUnknownOutcomeError,
} from "./errors.ts";

export interface RetryOptions {
  /** Attempts of one request, the first included. */
  readonly attemptsMax: number;
  /** The longest first pause; it doubles with every attempt. Pauses are random from 0 to that ("full jitter"). */
  readonly backoffMs: number;
  readonly backoffMsMax: number;
}

export const RETRY_DEFAULTS: RetryOptions = { attemptsMax: 5, backoffMs: 50, backoffMsMax: 2_000 };

/** `safe`: nothing was done. `ambiguous`: it may have been. `final`: the answer would be the same. */
export type Failure = "safe" | "ambiguous" | "final";

export function classify(error: HaloError): Failure {
  if (error instanceof HaloUnavailableError) return "safe";
  const isOpen =
    error instanceof HaloUnknownOutcomeError ||
    error instanceof HaloNetworkError ||
    error instanceof HaloTimeoutError ||
    error instanceof HaloServerError;
  return isOpen && error.slug !== "misconfigured" ? "ambiguous" : "final";
}

/** Whether the reply says what became of the request, earlier attempts under the same idempotency key included. */
export function isDecided(error: HaloError): boolean {
  if (error instanceof HaloFullError) return true;
  return error.status >= 400 && error.status < 500 && error.status !== 429 && !(error instanceof HaloUnauthorizedError);
}

export function pauseMs(
  options: RetryOptions,
  attempt: number,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const backoffMs = random * Math.min(options.backoffMsMax, options.backoffMs * 2 ** (attempt - 1));
  // On top of what the server asks for, so that those it turned away together do not come back together.
  return (retryAfterMs ?? 0) + backoffMs;
}

const TOKENS_MAX = 20;
const TOKENS_PER_SUCCESS = 0.1;

/**
 * Keeps retries to about a tenth of what succeeds, over everything that one client sends: when a cluster is down for good,
 * clients must not multiply its load.
 */
export class RetryBudget {
  #tokens = TOKENS_MAX;

  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  succeed(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + TOKENS_PER_SUCCESS);
  }
}

/** Rejects with the signal's reason as soon as it aborts. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/**
 * Runs `task` with a signal that aborts with `outer`, or with `timeout()` when the time is over. Settles by then even if
 * the task ignores its signal. `keep` leaves the signal bound to `outer` afterwards: a stream is still being read.
 */
export async function withDeadline<T>(
  ms: number,
  outer: AbortSignal | undefined,
  timeout: () => HaloError,
  task: (signal: AbortSignal) => Promise<T>,
  keep = false,
): Promise<T> {
  outer?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(outer?.reason);
  outer?.addEventListener("abort", abort, { once: true });
  const timer = setTimeout(() => controller.abort(timeout()), ms);
  let isDone = false;
  try {
    const aborted = new Promise<never>((_, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
    });
    const result = await Promise.race([task(controller.signal), aborted]);
    isDone = true;
    return result;
  } finally {
    clearTimeout(timer);
    if (!(keep && isDone)) outer?.removeEventListener("abort", abort);
  }
}
