// Time that moves from event to event. Between two events every promise that can settle has settled, so that a run is the same
// on every machine.

interface Event {
  readonly atMs: number;
  /** Tells apart what happens at the same time: first come, first served. */
  readonly order: number;
  readonly run: () => void;
}

export class SimulatedTime {
  nowMs = 0;
  /** A binary heap, the next event at its root. */
  readonly #events: Event[] = [];
  #scheduled = 0;
  readonly #cancelled = new Set<number>();

  /** Returns a function that cancels. */
  after(delayMs: number, run: () => void): () => void {
    const order = this.#scheduled++;
    this.#push({ atMs: this.nowMs + delayMs, order, run });
    return () => this.#cancelled.add(order);
  }

  /** Until nothing is left to happen. */
  async run(): Promise<void> {
    for (let event = this.#pop(); event !== undefined; event = this.#pop()) {
      if (this.#cancelled.delete(event.order)) continue;
      this.nowMs = event.atMs;
      event.run();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #push(event: Event): void {
    const events = this.#events;
    let at = events.length;
    events.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = events[parent];
      if (above === undefined || isBefore(above, event)) break;
      events[at] = above;
      at = parent;
    }
    events[at] = event;
  }

  #pop(): Event | undefined {
    const events = this.#events;
    const [root] = events;
    const last = events.pop();
    if (root === undefined || last === undefined || events.length === 0) return root;
    let at = 0;
    for (;;) {
      const [left, right] = [events[2 * at + 1], events[2 * at + 2]];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || isBefore(last, child)) break;
      events[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    events[at] = last;
    return root;
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}
