// One machine's clock in a simulation: off by a constant and running at a rate of its own. It shows whole milliseconds, as
// Date.now() does, and goes on while the process is frozen.

/** Where the real time of every simulation starts, in milliseconds since the Unix epoch. */
const START_MS = 1_700_000_000_000;

export class SimClock {
  readonly #offsetMs: number;
  readonly #rate: number;

  constructor(offsetMs: number, rate: number) {
    this.#offsetMs = offsetMs;
    this.#rate = rate;
  }

  /** What it shows at a moment of the simulation. */
  at(realMs: number): number {
    return Math.floor(START_MS + this.#offsetMs + realMs * this.#rate);
  }

  /** How long it really takes until this clock has moved on by `ms`. */
  realMs(ms: number): number {
    return ms / this.#rate;
  }
}
