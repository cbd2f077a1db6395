// When the next batch may leave: how long it waits for company, and whether it may overtake a commit. Platform-free.
//
// Near replicas answer within a flush: one batch at a time is best, because whatever waits goes into the next one and more
// batches only mean more flushes. Far replicas take a round trip: waiting for it would double the latency of whoever comes
// just after a batch has left, so batches are pipelined, a few per round trip. What tells the two apart is the shortest
// recent round trip, which no disk and no queue makes longer: where those are slow, more and thinner batches would only make them
// slower.

import { FAR_ROUND_TRIP_MS } from "./replication/config.ts";

/**
 * The clients of a batch that was just committed are on their way back with their next writes, for so long: a busy isolate
 * takes in all their requests before it hands on the first.
 */
const RETURN_MS = 32;

/**
 * The next batch waits for as many writes as one of the last two had: a batch costs each replica a flush and a call, however
 * few writes it carries. It waits this long for those whom a commit brings back, and after each write for one more. A write
 * that comes later than RETURN_MS, or alone as those before it did, does not wait at all.
 */
const LINGER_MS = 4;
/** However many more come, nobody waits longer than this for company. */
const LINGER_MAX_MS = 12;

/**
 * Writers that once missed a batch form a second band that waits while the first one's batch is committed, and the two
 * would take turns for ever, with two thin batches where one would do. So after every so many commits a batch waits for
 * both: those who wait already and those who come back. Odd, so that it meets both of two bands that take turns; where there
 * is no second band it changes nothing.
 */
const COMMITS_PER_MERGE = 5;

/**
 * What a commit takes beyond the network's round trip, it takes because the machine is busy: with the batches of this group, and
 * with those of the others on the same thread and disk. Each costs as much as a thick one would. So a batch leaves so many
 * times that excess after the last commit; where nothing queues, that is soon. A thick one need not wait: it costs each of its
 * writes little as it is.
 */
const PACE_PER_EXCESS = 3;
const THICK_WRITES = 8;
/** Of the mean excess: the weight of the newest. */
const EXCESS_WEIGHT = 1 / 8;
/** At each commit, of the most writers that were met together: who has left is waited for ever less. */
const FORGETTING = 0.9;

/** Batches in flight per round trip. */
const BATCHES_PER_ROUND_TRIP = 4;

export interface Commit {
  readonly writes: number;
  /** Writes that were waiting by then. */
  readonly waiting: number;
  /** From its proposal. */
  readonly tookMs: number;
  /** To a majority; infinite: not known. */
  readonly roundTripMs: number;
}

export class CommitPace {
  #roundTripMs = Number.POSITIVE_INFINITY;
  #commits = 0;
  #lastWrites = 0;
  #expectedWrites = 0;
  /** Writers that are about, as far as batches of late have shown. */
  #writersMax = 0;
  #excessMs = 0;
  /** The last commit came within RETURN_MS of the one before. */
  #isSteady = false;
  #lastCommitMs = Number.NEGATIVE_INFINITY;
  /** Until then a batch waits for more writes: for those whom the last commit brings back, or for one after the last. */
  #companyUntilMs = Number.NEGATIVE_INFINITY;
  /** Nobody waits for company since longer. */
  #waitingSinceMs = Number.NEGATIVE_INFINITY;

  noteCommit({ writes, waiting, tookMs, roundTripMs }: Commit, nowMs: number): void {
    this.#excessMs += (Math.max(0, tookMs - roundTripMs) - this.#excessMs) * EXCESS_WEIGHT;
    this.#isSteady = nowMs <= this.#lastCommitMs + RETURN_MS;
    const expected = Math.max(writes, this.#lastWrites);
    this.#expectedWrites = this.#commits === 0 ? Math.max(expected, writes + waiting) : expected;
    this.#writersMax = Math.max(this.#expectedWrites, this.#writersMax * FORGETTING);
    this.#lastWrites = writes;
    this.#lastCommitMs = nowMs;
    this.#waitingSinceMs = nowMs;
    this.#companyUntilMs = nowMs + LINGER_MS;
    this.#roundTripMs = roundTripMs;
    this.#commits = (this.#commits + 1) % COMMITS_PER_MERGE;
  }

  /** A write has come, and makes `waiting` of them. */
  noteArrival(waiting: number, nowMs: number): void {
    if (waiting === 1) this.#waitingSinceMs = nowMs;
    if (nowMs > this.#lastCommitMs + RETURN_MS) return;
    const untilMs = Math.min(nowMs + LINGER_MS, this.#waitingSinceMs + LINGER_MAX_MS);
    this.#companyUntilMs = Math.max(this.#companyUntilMs, untilMs);
  }

  /**
   * When a batch is expected to have followed the one that was just committed; undefined: there is no telling. Nor is there of a
   * writer alone, who may read next, from a follower that had better know of the commit.
   */
  get nextExpectedMs(): number | undefined {
    return this.#isSteady && this.#writersMax > 1 ? this.#lastCommitMs + RETURN_MS : undefined;
  }

  /** How much longer a batch of `waiting` writes should wait for more, with none in flight; 0: not at all. */
  lingerMs(waiting: number, nowMs: number): number {
    if (waiting >= this.#writersMax) return 0;
    const paceMs = waiting >= THICK_WRITES ? 0 : Math.min(PACE_PER_EXCESS * this.#excessMs, RETURN_MS);
    const companyMs = waiting >= this.#expectedWrites ? 0 : this.#companyUntilMs - nowMs;
    return Math.max(0, this.#lastCommitMs + paceMs - nowMs, companyMs);
  }

  /** Time after a batch at which the next may follow although none is committed; infinite for near replicas. */
  get intervalMs(): number {
    const isFar = Number.isFinite(this.#roundTripMs) && this.#roundTripMs >= FAR_ROUND_TRIP_MS;
    return isFar ? this.#roundTripMs / BATCHES_PER_ROUND_TRIP : Number.POSITIVE_INFINITY;
  }
}
