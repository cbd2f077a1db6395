// Pure. For how long the platform bills an object's memory: from the first event to the end of the idle time after the last,
// since an object hibernates only when it has had nothing to do for so long (docs/cost.md, "What an awake group costs").

/** An idle object is kept in memory, and billed, for about this long before it hibernates. */
export const HIBERNATES_AFTER_MS = 10_000;

export class ActivityMeter {
  #activeMs = 0;
  #lastMs: number;

  constructor(nowMs: number) {
    this.#lastMs = nowMs;
  }

  /** Something happens. A clock that was set back counts for nothing. */
  note(nowMs: number): void {
    const sinceMs = nowMs - this.#lastMs;
    if (sinceMs === 0) return;
    this.#lastMs = nowMs;
    if (sinceMs > 0) this.#activeMs += Math.min(sinceMs, HIBERNATES_AFTER_MS);
  }

  activeMs(nowMs: number): number {
    this.note(nowMs);
    return this.#activeMs;
  }
}
