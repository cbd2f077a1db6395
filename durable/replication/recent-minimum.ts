// Pure. The least of the last values, in constant space: of the window before and the one that is being filled.

/** Values of one window: what was least is forgotten after as many, or twice as many. */
const WINDOW = 64;

export class RecentMinimum {
  #before = Number.POSITIVE_INFINITY;
  #now = Number.POSITIVE_INFINITY;
  #count = 0;

  /** Infinite before the first value. */
  get value(): number {
    return Math.min(this.#before, this.#now);
  }

  note(value: number): void {
    this.#now = Math.min(this.#now, value);
    this.#count += 1;
    if (this.#count < WINDOW) return;
    this.#before = this.#now;
    this.#now = Number.POSITIVE_INFINITY;
    this.#count = 0;
  }
}
