// One direction of the network between two processes: whether bytes pass, and how late. Every connection between the two
// looks here before it moves a byte on; time is the machine's monotonic clock, and only the length of a delay is read off it.

export class Route {
  #isCut = false;
  #delayMs = 0;
  readonly #watchers = new Set<() => void>();

  get isCut(): boolean {
    return this.#isCut;
  }

  get delayMs(): number {
    return this.#delayMs;
  }

  /** From now on nothing arrives; what is sent is held, as a sender's retransmission holds it. */
  cut(): void {
    this.#isCut = true;
  }

  /** What was held arrives, late and in order. */
  join(): void {
    this.#isCut = false;
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Bytes that are sent from now on arrive so much later. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Returns how to stop watching. */
  onJoin(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
