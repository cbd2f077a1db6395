// Pure. What is said of a replica to others: alive, suspect or dead. The circuit breaker decides within milliseconds whom to
// ask; this is for people and for repairs, which want to be sure, so it is slower in both directions.
//
//   alive ──(its breaker opens)──▶ suspect ──(for CONFIRM_MS, and CONFIRM_PINGS in a row got no answer)──▶ dead
//     ▲                               ▲  │                                                                   │
//     └──(it answers, for a hold)─────┼──┘◀───────────────────────(it answers)───────────────────────────────┘
//
// Each relapse within FLAP_WINDOW_MS doubles the hold: a replica that comes and goes stays suspect and is not counted
// as alive ten times a minute.

export type HealthState = "alive" | "suspect" | "dead";

/** A restart of an object or a deploy takes less. */
export const CONFIRM_MS = 3_000;
/** Of the requests that opened the breaker many can have failed by one broken connection; pings are sent one after another. */
export const CONFIRM_PINGS = 2;
export const HOLD_MS_MIN = 1_000;
export const HOLD_MS_MAX = 60_000;
/** Whoever relapses after so long is not flapping. */
export const FLAP_WINDOW_MS = 120_000;

export class ReplicaHealth {
  #state: HealthState = "alive";
  /** Since when it is not, or has relapsed. */
  #doubtedSinceMs = Number.NEGATIVE_INFINITY;
  #aliveSinceMs = Number.NEGATIVE_INFINITY;
  /** Doubted: since when it answers again. */
  #answersSinceMs: number | undefined;
  /** Since it was doubted, in a row. */
  #pingsFailed = 0;
  #holdMs = HOLD_MS_MIN;

  get state(): HealthState {
    return this.#state;
  }

  /** Meaningful only of a replica that is not alive. */
  get doubtedSinceMs(): number {
    return this.#doubtedSinceMs;
  }

  onPing(hasAnswered: boolean): void {
    this.#pingsFailed = hasAnswered ? 0 : this.#pingsFailed + 1;
  }

  /** `isAnswering`: its breaker is closed. Returns whether the state has changed. */
  observe(isAnswering: boolean, nowMs: number): boolean {
    const before = this.#state;
    if (isAnswering) this.#answers(nowMs);
    else this.#isSilent(nowMs);
    return this.#state !== before;
  }

  #answers(nowMs: number): void {
    if (this.#state === "alive") return;
    this.#answersSinceMs ??= nowMs;
    this.#state = "suspect";
    if (nowMs - this.#answersSinceMs < this.#holdMs) return;
    this.#state = "alive";
    this.#aliveSinceMs = nowMs;
    this.#answersSinceMs = undefined;
  }

  #isSilent(nowMs: number): void {
    if (this.#state === "alive") {
      const isFlapping = nowMs - this.#aliveSinceMs < FLAP_WINDOW_MS;
      this.#doubt(nowMs, isFlapping ? this.#holdMs * 2 : HOLD_MS_MIN);
    } else if (this.#answersSinceMs !== undefined) {
      this.#doubt(nowMs, this.#holdMs * 2);
    } else if (nowMs - this.#doubtedSinceMs >= CONFIRM_MS && this.#pingsFailed >= CONFIRM_PINGS) {
      this.#state = "dead";
    }
  }

  #doubt(nowMs: number, holdMs: number): void {
    this.#state = "suspect";
    this.#doubtedSinceMs = nowMs;
    this.#answersSinceMs = undefined;
    this.#pingsFailed = 0;
    this.#holdMs = Math.min(holdMs, HOLD_MS_MAX);
  }
}
