// One request, from the options of a call to its reply: headers that every request has, time-outs, retries under one
// idempotency key, bookmarks. Knows nothing of what the requests mean.

import { mergeBookmarks } from "./bookmark.ts";
import {
  errorOfReply,
  HaloError,
  HaloNetworkError,
  HaloTimeoutError,
  HaloUnknownOutcomeError,
  type Problem,
} from "./errors.ts";
import { classify, isDecided, pauseMs, type RetryBudget, type RetryOptions, sleep, withDeadline } from "./retry.ts";
import {
  type ByteStream,
  type Bytes,
  type HaloRequest,
  type HaloResponse,
  readBytes,
  type Transport,
} from "./transport.ts";

/** `bounded` is in milliseconds. See docs/consistency.md. */
export type Consistency = "strong" | "session" | "eventual" | { readonly boundedMs: number };

/** Every method takes these. */
export interface CallOptions {
  /** Rejects with the signal's reason. A change that was already sent may still happen. */
  readonly signal?: AbortSignal | undefined;
  /** For the whole call, retries included. */
  readonly deadlineMs?: number | undefined;
}

export interface ReadOptions extends CallOptions {
  /** Default: the client's, and without one the deployment's. */
  readonly consistency?: Consistency | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Default: a new one for each call. Give your own where the whole process may have to repeat the call. */
  readonly idempotencyKey?: string | undefined;
}

export interface SessionState {
  bookmark: string | undefined;
}

export interface CoreOptions {
  readonly transport: Transport;
  readonly namespace: string | undefined;
  readonly consistency: Consistency | undefined;
  readonly session: SessionState | undefined;
  readonly deadlineMs: number;
  readonly attemptMs: number;
  readonly retry: RetryOptions;
  readonly budget: RetryBudget;
  /** Off: no change carries a key of the client's making, and one of unknown fate is not repeated. */
  readonly idempotency: boolean;
  readonly random: () => number;
}

export interface Call {
  readonly method: HaloRequest["method"];
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** A function is asked anew for each attempt; a bare stream can be sent once only. */
  readonly body?: Bytes | ByteStream | (() => ByteStream) | undefined;
  /**
   * Reads may be repeated, and `repeatable` changes: those that do the same again, or carry keys of their own. `keyed` ones
   * are repeated under an idempotency key, `plain` ones only if nothing was done.
   */
  readonly kind: "read" | "repeatable" | "keyed" | "plain";
  /** The server may take this much longer, because it was asked to wait. */
  readonly waitMs?: number;
  /** Leaves the body a stream. */
  readonly isStreamed?: boolean;
  /** Takes the problem `not-found` for a reply like others. */
  readonly mayMiss?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Bytes | ByteStream | null;
}

export interface BytesReply extends Reply {
  readonly body: Bytes;
}

export class Core {
  readonly options: CoreOptions;

  constructor(options: CoreOptions) {
    this.options = options;
  }

  with(changed: Partial<CoreOptions>): Core {
    return new Core({ ...this.options, ...changed });
  }

  /** Resolves with a success, or with a miss where the call may miss; rejects with a `HaloError` or the signal's reason. */
  async send(call: Call & { isStreamed: true }, options: ReadOptions & WriteOptions): Promise<Reply>;
  async send(call: Call, options: ReadOptions & WriteOptions): Promise<BytesReply>;
  async send(call: Call, options: ReadOptions & WriteOptions): Promise<Reply> {
    const { retry, budget, random } = this.options;
    const waitMs = call.waitMs ?? 0;
    const endMs = Date.now() + (options.deadlineMs ?? this.options.deadlineMs) + waitMs;
    const headers = this.#headersOf(call, options);
    const isRepeatable = call.kind === "read" || call.kind === "repeatable" || headers["Idempotency-Key"] !== undefined;
    // Once an attempt may have changed something, a later one that certainly did not leaves the fate as open as before.
    let isOpen = false;
    for (let attempt = 1; ; attempt++) {
      const attemptMs = Math.min(this.options.attemptMs + waitMs, endMs - Date.now());
      const outcome = await this.#attempt(call, headers, Math.max(attemptMs, 1), options.signal);
      if (!(outcome instanceof HaloError)) {
        budget.succeed();
        return outcome;
      }
      const failure = classify(outcome);
      isOpen ||= failure === "ambiguous" && call.kind !== "read";
      const found = isOpen && !isDecided(outcome) ? unknownOutcome(outcome) : outcome;
      const mayRepeat = (failure === "safe" || (failure === "ambiguous" && isRepeatable)) && canSendAgain(call.body);
      if (!mayRepeat || attempt >= retry.attemptsMax || !budget.take()) throw found;
      const pause = pauseMs(retry, attempt, outcome.retryAfterMs, random());
      if (Date.now() + pause >= endMs) throw found;
      await sleep(pause, options.signal);
    }
  }

  /** A new key for one logical operation; undefined where they are switched off. */
  newKey(): string | undefined {
    return this.options.idempotency ? crypto.randomUUID() : undefined;
  }

  #headersOf(call: Call, options: ReadOptions & WriteOptions): Record<string, string> {
    const { namespace, session } = this.options;
    const consistency = call.kind === "read" ? (options.consistency ?? this.options.consistency) : undefined;
    const all: Record<string, string | undefined> = {
      ...call.headers,
      "Halo-Namespace": namespace,
      "Halo-Consistency": consistency === undefined ? undefined : consistencyHeader(consistency),
      "Halo-Bookmark": session?.bookmark,
    };
    if (call.kind === "keyed") all["Idempotency-Key"] = options.idempotencyKey ?? this.newKey();
    return Object.fromEntries(Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined));
  }

  /** Returns what went wrong, but rejects with the caller's own abort. */
  async #attempt(
    call: Call,
    headers: Record<string, string>,
    ms: number,
    signal: AbortSignal | undefined,
  ): Promise<Reply | HaloError> {
    const { method, path, isStreamed = false } = call;
    try {
      return await withDeadline(
        ms,
        signal,
        () => new HaloTimeoutError({ slug: "timeout", status: 0, detail: `no reply to ${method} within ${ms} ms` }),
        async (attemptSignal) => {
          const body = typeof call.body === "function" ? call.body() : call.body;
          const response = await this.options.transport({ method, path, headers, body }, attemptSignal);
          return this.#take(call, response);
        },
        isStreamed,
      );
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      if (cause instanceof HaloError) return cause;
      const detail = `no reply to ${method}: ${cause instanceof Error ? cause.message : cause}`;
      return new HaloNetworkError({ slug: "network", status: 0, detail, cause });
    }
  }

  async #take(call: Call, response: HaloResponse): Promise<Reply | HaloError> {
    const { session } = this.options;
    const { status, headers } = response;
    const bookmark = headers["halo-bookmark"];
    if (session !== undefined && bookmark !== undefined) session.bookmark = mergeBookmarks(session.bookmark, bookmark);
    if (status >= 200 && status < 300) {
      return call.isStreamed ? response : { status, headers, body: await readBytes(response.body) };
    }
    const body = await readBytes(response.body);
    // The reply to a HEAD has no body to say which 404 it is.
    const isBare404 = call.method === "HEAD" && status === 404;
    const error = errorOfReply(response, isBare404 ? { type: "/problems/not-found" } : problemOf(body));
    return call.mayMiss && error.slug === "not-found" ? { status, headers, body } : error;
  }
}

function canSendAgain(body: Call["body"]): boolean {
  return !(body instanceof ReadableStream);
}

function unknownOutcome(last: HaloError): HaloError {
  if (last instanceof HaloUnknownOutcomeError) return last;
  const detail = `the change may have been made, or may still be; the last attempt ended with ${last.message}`;
  return new HaloUnknownOutcomeError({ slug: "unknown-outcome", status: last.status, detail, cause: last });
}

function problemOf(body: Bytes): Problem {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(body));
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}

function consistencyHeader(consistency: Consistency): string {
  return typeof consistency === "string" ? consistency : `bounded=${consistency.boundedMs}`;
}
