// The load generator's clock, as a port: tests bring their own, so that a stall of a second takes no second.

export interface LoadClock {
  /** Monotonic milliseconds with a fraction. */
  nowMs(): number;
  /** Resolves once `nowMs()` has reached `timeMs`. */
  waitUntil(timeMs: number): Promise<void>;
}

/** Node's timers fire up to this much late, which would show as latency; the rest of a wait is spent polling. */
const TIMER_SLACK_MS = 1.5;

interface Waiter {
  readonly timeMs: number;
  readonly wake: () => void;
}

/** Real time. Many may wait at once; one timer serves them all. */
export class SystemClock implements LoadClock {
  /** In order of `timeMs`. */
  readonly #waiters: Waiter[] = [];
  #isScheduled = false;

  nowMs(): number {
    return performance.now();
  }

  waitUntil(timeMs: number): Promise<void> {
    return new Promise((wake) => {
      let position = this.#waiters.length;
      while (position > 0 && (this.#waiters[position - 1]?.timeMs ?? 0) > timeMs) position -= 1;
      this.#waiters.splice(position, 0, { timeMs, wake });
      if (!this.#isScheduled) this.#schedule();
    });
  }

  #schedule(): void {
    const [first] = this.#waiters;
    this.#isScheduled = first !== undefined;
    if (first === undefined) return;
    const remainingMs = first.timeMs - this.nowMs();
    if (remainingMs > TIMER_SLACK_MS) setTimeout(() => this.#wakeDue(), Math.floor(remainingMs - TIMER_SLACK_MS));
    // Polling through the event loop lets replies that arrive meanwhile be read on time.
    else setImmediate(() => this.#wakeDue());
  }

  #wakeDue(): void {
    const now = this.nowMs();
    while (this.#waiters[0] !== undefined && this.#waiters[0].timeMs <= now) this.#waiters.shift()?.wake();
    this.#schedule();
  }
}
