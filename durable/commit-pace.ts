// When a second batch may leave before the first is committed. Platform-free.
//
// Near replicas answer within a flush: one batch at a time is best, because whatever waits goes into the next one and more
// batches only mean more flushes. Far replicas take a round trip: waiting for it would double the latency of whoever comes
// just after a batch has left, so batches are pipelined, a few per round trip. What tells the two apart is the shortest
// recent commit: queueing makes commits longer, but never the shortest one.

/** A commit that is never faster than this is waiting for the network, not for a disk. */
const FAR_MS = 20;

/** Batches in flight per round trip. */
const BATCHES_PER_ROUND_TRIP = 4;

/** The shortest commit is forgotten after this many, so that a group whose replicas move is measured anew. */
const COMMITS_REMEMBERED = 64;

export class CommitPace {
  #shortestMs = Number.POSITIVE_INFINITY;
  #shortestSoFarMs = Number.POSITIVE_INFINITY;
  #commits = 0;

  /** A batch was committed `latencyMs` after it was proposed. */
  noteCommit(latencyMs: number): void {
    this.#shortestSoFarMs = Math.min(this.#shortestSoFarMs, latencyMs);
    this.#shortestMs = Math.min(this.#shortestMs, latencyMs);
    this.#commits++;
    if (this.#commits < COMMITS_REMEMBERED) return;
    this.#shortestMs = this.#shortestSoFarMs;
    this.#shortestSoFarMs = Number.POSITIVE_INFINITY;
    this.#commits = 0;
  }

  /** Time after a batch at which the next may follow although none is committed; infinite for near replicas. */
  get intervalMs(): number {
    const isFar = Number.isFinite(this.#shortestMs) && this.#shortestMs >= FAR_MS;
    return isFar ? this.#shortestMs / BATCHES_PER_ROUND_TRIP : Number.POSITIVE_INFINITY;
  }
}
