// Pushes telemetry to a collector by OTLP over HTTP (JSON). Never on the way of a request: whoever answers one asks whether a
// push is due, and the push goes on in the background. One at a time, with a deadline; what cannot be sent is counted and
// dropped, because metrics are sums that the next push has too.

import type { OtlpConfig } from "./telemetry-config.ts";

export const PUSH_DEADLINE_MS = 10_000;
/** A larger push is a mistake. */
export const PUSH_BYTES_MAX = 4 * 1024 * 1024;

export type Signal = "metrics" | "traces";

export interface OtlpPushDeps {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Undefined: there is nothing to push. */
  payload(signal: Signal, nowMs: number): Uint8Array | undefined;
  onResult(signal: Signal, isOk: boolean): void;
}

export class OtlpPush {
  readonly #config: OtlpConfig;
  readonly #deps: OtlpPushDeps;
  #dueMs: number | undefined;
  #isPushing = false;

  constructor(config: OtlpConfig, deps: OtlpPushDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** The push that is due now, for the background; undefined: none is. The first comes an interval after the first request. */
  maybePush(nowMs: number): Promise<void> | undefined {
    this.#dueMs ??= nowMs + this.#config.intervalMs;
    if (nowMs < this.#dueMs || this.#isPushing) return undefined;
    this.#dueMs = nowMs + this.#config.intervalMs;
    this.#isPushing = true;
    return this.push(nowMs).then(() => {
      this.#isPushing = false;
    });
  }

  /** Whatever there is, now. Never rejects. */
  async push(nowMs = 0): Promise<void> {
    await Promise.all([this.#push("metrics", nowMs), this.#push("traces", nowMs)]);
  }

  async #push(signal: Signal, nowMs: number): Promise<void> {
    let isOk = false;
    try {
      const body = this.#deps.payload(signal, nowMs);
      if (body === undefined) return;
      if (body.byteLength <= PUSH_BYTES_MAX) isOk = await this.#send(signal, body);
    } catch {
      // Whatever it was, an answer is all that counts; its text may hold what must not be logged.
    }
    this.#deps.onResult(signal, isOk);
  }

  async #send(signal: Signal, body: Uint8Array): Promise<boolean> {
    const response = await this.#deps.fetch(`${this.#config.url}/v1/${signal}`, {
      method: "POST",
      headers: { ...this.#config.headers, "Content-Type": "application/json" },
      body,
      // A collector does not send pushes elsewhere; following it would take its token there.
      redirect: "manual",
      signal: AbortSignal.timeout(PUSH_DEADLINE_MS),
    });
    await response.body?.cancel();
    return response.ok;
  }
}
