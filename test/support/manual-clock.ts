// Time that moves when a test says so. Timers run in order; after each one every promise that can settle has settled.

/** Lets every promise that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** Waiting for something for longer than this, in the clock's time, means that it does not come. */
const PATIENCE_MS = 30_000;

export class ManualClock {
  nowMs = 1_700_000_000_000;
  readonly #timers = new Set<Timer>();

  get pending(): number {
    return this.#timers.size;
  }

  /** Returns a function that cancels. */
  after(ms: number, run: () => void): () => void {
    const timer: Timer = { atMs: this.nowMs + Math.max(0, ms), run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await settle();
    for (let next = this.#next(); next !== undefined && next.atMs <= untilMs; next = this.#next())
      await this.#run(next);
    this.nowMs = untilMs;
  }

  /** Lets time pass until the promise settles, and returns what it brought. */
  async until<T>(promise: T | Promise<T>): Promise<T> {
    let isSettled = false;
    const watched = Promise.resolve(promise).finally(() => {
      isSettled = true;
    });
    watched.catch(() => undefined);
    await settle();
    const giveUpMs = this.nowMs + PATIENCE_MS;
    while (!isSettled) {
      const next = this.#next();
      if (next === undefined || next.atMs > giveUpMs)
        throw new Error("nothing is left to happen that could settle this");
      await this.#run(next);
    }
    return watched;
  }

  /** Lets time pass until the condition holds. */
  async when(condition: () => boolean): Promise<void> {
    await settle();
    const giveUpMs = this.nowMs + PATIENCE_MS;
    while (!condition()) {
      const next = this.#next();
      if (next === undefined || next.atMs > giveUpMs) throw new Error(`it never came to: ${condition}`);
      await this.#run(next);
    }
  }

  async #run(timer: Timer): Promise<void> {
    this.#timers.delete(timer);
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    timer.run();
    await settle();
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.atMs < next.atMs) next = timer;
    return next;
  }
}
