// Virtual time. Events run one at a time in order of (time, sequence); between two events every promise that can settle has
// settled, so what runs when depends on the seed alone.
//
// The drain: an event runs in a `process.nextTick` callback. Node empties the microtask queue completely before it takes the
// next tick, so a tick that is queued from a microtask runs after everything that the event has set in motion. This is
// exact, and ten times as fast as a turn of the real event loop.

interface Event {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** The real event loop gets a turn after so many events, for signals and for messages between threads. */
const EVENTS_PER_REAL_TURN = 50_000;

export class EventLoop {
  nowMs = 0;
  /** Events run so far. */
  count = 0;
  /** Called after each event, when all promises have settled. */
  onSettled: () => void = () => {};
  readonly #heap: Event[] = [];
  #sequence = 0;
  #isStopped = false;

  /** Returns a function that cancels. */
  at(atMs: number, run: () => void): () => void {
    const event: Event = { atMs: Math.max(atMs, this.nowMs), sequence: this.#sequence++, run, isCancelled: false };
    this.#push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  after(delayMs: number, run: () => void): () => void {
    return this.at(this.nowMs + delayMs, run);
  }

  /** Makes `run` return after the current event. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Runs all events up to `untilMs`; rejects with whatever an event throws. */
  run(untilMs: number): Promise<void> {
    this.#isStopped = false;
    return new Promise((resolve, reject) => {
      let sinceRealTurn = 0;
      let hasRun = false;
      const step = (): void => {
        try {
          if (hasRun) this.onSettled();
          const event = this.#isStopped ? undefined : this.#next(untilMs);
          if (event === undefined) {
            if (!this.#isStopped) this.nowMs = Math.max(this.nowMs, untilMs);
            resolve();
            return;
          }
          this.nowMs = event.atMs;
          this.count++;
          hasRun = true;
          event.run();
        } catch (error) {
          reject(error);
          return;
        }
        queueMicrotask(afterMicrotasks);
      };
      const afterMicrotasks = (): void => {
        if (++sinceRealTurn < EVENTS_PER_REAL_TURN) {
          process.nextTick(step);
          return;
        }
        sinceRealTurn = 0;
        setImmediate(step);
      };
      step();
    });
  }

  #next(untilMs: number): Event | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || (first.atMs > untilMs && !first.isCancelled)) return undefined;
      this.#pop();
      if (!first.isCancelled) return first;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || isBefore(parent, event)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      let child = heap[childAt];
      if (child === undefined) break;
      const right = heap[childAt + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        childAt++;
      }
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
}
