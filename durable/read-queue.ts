// Reads that cannot be answered yet: they wait for an index to be applied, bounded by a deadline. Platform-free.

interface WaitingRead {
  readonly index: number;
  readonly deadlineMs: number;
  /** `true`: the index is applied. `false`: the wait is over without it. */
  readonly settle: (applied: boolean) => void;
}

/** Reads that may wait at once; more are refused, so that a stuck group cannot fill the memory. */
export const WAITING_READS_MAX = 8_192;

export class ReadQueue {
  #waiting: WaitingRead[] = [];
  /** Asked for a read index and not told one yet, by id. */
  readonly #unconfirmed = new Map<
    number,
    { readonly deadlineMs: number; readonly settle: (applied: boolean) => void }
  >();
  #nextId = 1;

  get size(): number {
    return this.#waiting.length + this.#unconfirmed.size;
  }

  get isFull(): boolean {
    return this.size >= WAITING_READS_MAX;
  }

  /** Waits for `index` to be applied. */
  waitFor(index: number, deadlineMs: number): Promise<boolean> {
    return new Promise((settle) => this.#waiting.push({ index, deadlineMs, settle }));
  }

  /** Waits for the leader's read index, under an id to ask the core with. */
  waitForReadIndex(deadlineMs: number): { readonly id: number; readonly applied: Promise<boolean> } {
    const id = this.#nextId++;
    const applied = new Promise<boolean>((settle) => this.#unconfirmed.set(id, { deadlineMs, settle }));
    return { id, applied };
  }

  confirmReadIndex(id: number, index: number): void {
    const read = this.#unconfirmed.get(id);
    if (read === undefined) return;
    this.#unconfirmed.delete(id);
    this.#waiting.push({ index, ...read });
  }

  settleApplied(appliedIndex: number): void {
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter((read) => read.index <= appliedIndex);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((read) => read.index > appliedIndex);
    for (const read of ready) read.settle(true);
  }

  /** The leadership that the read indexes were asked of is gone. */
  refuseUnconfirmed(): void {
    const refused = [...this.#unconfirmed.values()];
    this.#unconfirmed.clear();
    for (const read of refused) read.settle(false);
  }

  expire(nowMs: number): void {
    for (const [id, read] of this.#unconfirmed) {
      if (read.deadlineMs > nowMs) continue;
      this.#unconfirmed.delete(id);
      read.settle(false);
    }
    const expired = this.#waiting.filter((read) => read.deadlineMs <= nowMs);
    if (expired.length === 0) return;
    this.#waiting = this.#waiting.filter((read) => read.deadlineMs > nowMs);
    for (const read of expired) read.settle(false);
  }
}
