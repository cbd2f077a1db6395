// When the next batch may leave: how long it waits for company, and whether it may overtake a commit. Platform-free.
//
// Near replicas answer within a flush: one batch at a time is best, because whatever waits goes into the next one and more
// batches only mean more flushes. Far replicas take a round trip: waiting for it would double the latency of whoever comes
// just after a batch has left, so batches are pipelined, a few per round trip. What tells the two apart is the shortest
// recent commit: queueing makes commits longer, but never the shortest one.

/**
 * The clients of a batch that was just committed are on their way back with their next writes. The next batch waits this
 * long for as many as that one had: a batch costs each replica a flush and a call, however few writes it carries. A write
 * that comes later than that after a commit, or alone as the one before it did, does not wait at all.
 */
const LINGER_MS = 4;

/** With so many writes in the last batch, another batch within LINGER_MS is as good as certain. */
const BUSY_WRITES = 4;

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
  #lastWrites = 0;
  #lastCommitMs = Number.NEGATIVE_INFINITY;

  /** A batch of so many writes was committed at `nowMs`, `latencyMs` after it was proposed. */
  noteCommit(writes: number, latencyMs: number, nowMs: number): void {
    this.#lastWrites = writes;
    this.#lastCommitMs = nowMs;
    this.#shortestSoFarMs = Math.min(this.#shortestSoFarMs, latencyMs);
    this.#shortestMs = Math.min(this.#shortestMs, latencyMs);
    this.#commits++;
    if (this.#commits < COMMITS_REMEMBERED) return;
    this.#shortestMs = this.#shortestSoFarMs;
    this.#shortestSoFarMs = Number.POSITIVE_INFINITY;
    this.#commits = 0;
  }

  /** When a batch is expected to follow the one that was just committed; undefined: there is no telling. */
  get nextExpectedMs(): number | undefined {
    return this.#lastWrites >= BUSY_WRITES ? this.#lastCommitMs + LINGER_MS : undefined;
  }

  /** How much longer a batch of `waiting` writes should wait for more, with none in flight; 0: not at all. */
  lingerMs(waiting: number, nowMs: number): number {
    if (waiting >= this.#lastWrites) return 0;
    return Math.max(0, this.#lastCommitMs + LINGER_MS - nowMs);
  }

  /** Time after a batch at which the next may follow although none is committed; infinite for near replicas. */
  get intervalMs(): number {
    const isFar = Number.isFinite(this.#shortestMs) && this.#shortestMs >= FAR_MS;
    return isFar ? this.#shortestMs / BATCHES_PER_ROUND_TRIP : Number.POSITIVE_INFINITY;
  }
}
