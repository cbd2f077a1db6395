// Pure. How much of the room is for values that were just written, whatever is known of their popularity. Much of it is right
// where keys live for a moment, little where the same keys are popular for long; which of the two it is shows in the hit ratio,
// so the share climbs the hill (Einziger, Eytan, Friedman, Manes 2018): on as long as it helps, back when it does not.

const SHARE_START = 0.05;
const SHARE_MIN = 0.01;
const SHARE_MAX = 0.8;
const STEP_START = 0.0625;
/** Steps shrink, so that the share settles. */
const STEP_DECAY = 0.98;
/** A hit ratio that moves by more than this means that the requests have changed: steps are as long as at the start again. */
const RESTART_CHANGE = 0.05;
/** Reads between two steps: four for each key, and enough for a ratio to mean something. */
const READS_PER_KEY = 4;
const READS_MIN = 10_000;

export class AdaptiveWindow {
  /** Of the keys, 0 to 1. */
  share = SHARE_START;
  #step = STEP_START;
  #hits = 0;
  #reads = 0;
  #lastRatio = 0;

  /** One read of a shard that holds so many keys. */
  note(isHit: boolean, keys: number): void {
    this.#reads += 1;
    if (isHit) this.#hits += 1;
    if (this.#reads >= READS_MIN && this.#reads >= keys * READS_PER_KEY) this.#climb();
  }

  #climb(): void {
    const ratio = this.#hits / this.#reads;
    if (ratio < this.#lastRatio) this.#step = -this.#step;
    const isNew = Math.abs(ratio - this.#lastRatio) > RESTART_CHANGE;
    this.#step = isNew ? Math.sign(this.#step) * STEP_START : this.#step * STEP_DECAY;
    this.share = Math.min(SHARE_MAX, Math.max(SHARE_MIN, this.share + this.#step));
    this.#lastRatio = ratio;
    this.#hits = 0;
    this.#reads = 0;
  }
}
