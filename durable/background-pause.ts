// Pure. Work that an operator may hold up for a while: that a replica gives slots away, and that it looks for what has expired.
// Not what the cluster cannot do without: elections, replication, checkpoints, changes of members, making room for writes. A
// move that has begun is finished, as others wait for it. A pause ends by itself, so that it cannot be forgotten.

export class BackgroundPause {
  #untilMs: number;

  /** `untilMs`: of a pause that was begun before this instance; absent: there is none. */
  constructor(untilMs = Number.NEGATIVE_INFINITY) {
    this.#untilMs = untilMs;
  }

  isPaused(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  until(untilMs: number): void {
    this.#untilMs = untilMs;
  }
}
