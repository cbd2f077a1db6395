// Pure. Stops asking a replica that does not answer, and finds out by a trickle of probes when it is back. One breaker
// per replica and isolate. It only says whom to ask later: a request that has nobody else may still ask a blocked one.
//
//   closed ──(φ of the silence, or one refusal)──▶ open ──(after openMs)──▶ half-open ──(probes succeed)──▶ closed
//                                                    ▲                        │
//                                                    └──(the same: openMs doubles)
//
// A silence is judged by silence-detector.ts against what answers of this replica take: one that is far away may be silent
// for longer.

import { SilenceDetector } from "./silence-detector.ts";

/** A live replica would be so silent once in 10^8 times; Cassandra's default. */
export const PHI_TO_OPEN = 8;
/** As short as a process restart, so that a replica that is back is asked again within one. */
export const OPEN_MS_MIN = 200;
/** How late at most a replica that was long away is noticed to be back. */
export const OPEN_MS_MAX = 5_000;
/** While half-open, at most one request per this time is risked. */
export const PROBE_INTERVAL_MS = 50;
/** A replica that answers once while it starts may still fail the next: two in a row. */
export const PROBES_TO_CLOSE = 2;

/** `refused`: the connection broke, which a live replica does not do; `silent`: a deadline passed, which it may. */
export type FailureKind = "refused" | "silent";

export type BreakerState = "closed" | "open" | "half-open";

export class CircuitBreaker {
  #state: "closed" | "tripped" = "closed";
  readonly #silence = new SilenceDetector();
  /** Tripped: successes since the last failure. */
  #probesSucceeded = 0;
  /** Tripped: a probe whose result is awaited is out. Tells its failure from that of a request sent before the trip. */
  #isProbing = false;
  /** Tripped: when the next probe may go. */
  #probeAtMs = 0;
  /** How long the next opening lasts. */
  #openMs = OPEN_MS_MIN;

  state(nowMs: number): BreakerState {
    if (this.#state === "closed") return "closed";
    const isWaitingForProbe = this.#isProbing || this.#probesSucceeded > 0;
    return isWaitingForProbe || nowMs >= this.#probeAtMs ? "half-open" : "open";
  }

  /** Whether the replica may be asked now; changes nothing, so that a list can be ordered by it. */
  isAllowed(nowMs: number): boolean {
    return this.#state === "closed" || nowMs >= this.#probeAtMs;
  }

  /** To be called when a request is really sent: takes the probe that `isAllowed` offered. */
  onAttempt(nowMs: number): void {
    if (this.#state === "closed") return;
    this.#isProbing = true;
    this.#probeAtMs = nowMs + PROBE_INTERVAL_MS;
  }

  /** `latencyMs`: where somebody has measured it. */
  onSuccess(latencyMs?: number): void {
    this.#silence.onAnswer(latencyMs);
    if (this.#state === "closed") return;
    this.#isProbing = false;
    this.#probesSucceeded += 1;
    if (this.#probesSucceeded >= PROBES_TO_CLOSE) this.#close();
  }

  /** The call that began at `startedMs` was refused, or has no answer yet. */
  onFailure(nowMs: number, kind: FailureKind, startedMs: number): void {
    if (kind === "silent") {
      this.#silence.onSilence(startedMs, nowMs);
      if (this.#silence.phi >= PHI_TO_OPEN) this.#trip(nowMs);
      return;
    }
    // Many requests can be in flight when the replica dies. Their failures are the one that tripped it, not new ones.
    if (this.#state === "closed" || this.#isProbing) this.#trip(nowMs);
  }

  /** A sign of life from elsewhere: whatever was seen here was before. */
  close(): void {
    this.#silence.onAnswer();
    this.#close();
  }

  #trip(nowMs: number): void {
    this.#silence.restart(nowMs);
    this.#state = "tripped";
    this.#probesSucceeded = 0;
    this.#isProbing = false;
    this.#probeAtMs = nowMs + this.#openMs;
    this.#openMs = Math.min(this.#openMs * 2, OPEN_MS_MAX);
  }

  #close(): void {
    this.#state = "closed";
    this.#isProbing = false;
    this.#probesSucceeded = 0;
    this.#openMs = OPEN_MS_MIN;
  }
}
