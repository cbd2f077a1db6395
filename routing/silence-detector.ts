// Pure. How certain it is that a replica which does not answer is gone: an accrual detector (Hayashibara, Défago, Yared and
// Katayama, "The φ accrual failure detector", 2004). φ = 1 means that a live replica is so silent once in ten times, φ = 3 once
// in a thousand times; whoever acts on it chooses the threshold.
//
// The paper watches heartbeats that arrive at a steady rate. Here there are none: nobody calls an idle replica, and its
// silence means nothing. So what is watched is the time for which at least one call (a request or a ping, there is no
// difference) was waiting since the last answer, against how long answers take. Calls that wait at the same time wait once:
// a hundred of them in one pause are one piece of evidence, not a hundred.
//
//   calls    ├──────x            ├────────x      x: given up, or overtaken by another replica's answer
//                ├────x
//   silence  ├────────┤     +    ├────────┤      an answer sets it back to nothing
//
// The tail of the answer times is taken as exponential, as Cassandra does: it needs the mean alone, and is heavier, that
// is, more patient than the paper's normal distribution.

/** A pause of the garbage collector took up to so long: no silence counts that is as short. */
export const PAUSE_MS = 190;
/** Mean that is assumed before any answer was measured, and the least: below it the scheduler decides, not the replica. */
export const MEAN_MS_MIN = 5;
/**
 * What took longer was no answer of the replica's, but of what it had to wait for: an election, or a place in the log. It must not
 * buy a dead replica patience: with this mean φ = 8 is 3 seconds. The way around the world and back takes 300 ms.
 */
export const ANSWER_MS_MAX = 150;
/** Share of the newest answer in the mean. */
const SMOOTHING = 0.1;

export class SilenceDetector {
  #meanMs = MEAN_MS_MIN;
  #isMeasured = false;
  #silentMs = 0;
  /** Waiting before this moment is part of `#silentMs` already, or was answered. */
  #countedUntilMs = Number.NEGATIVE_INFINITY;

  /** `latencyMs`: where somebody has measured it. */
  onAnswer(latencyMs?: number): void {
    this.#silentMs = 0;
    if (latencyMs === undefined) return;
    const weight = this.#isMeasured ? SMOOTHING : 1;
    this.#isMeasured = true;
    const answerMs = Math.min(latencyMs, ANSWER_MS_MAX);
    this.#meanMs = Math.max(MEAN_MS_MIN, this.#meanMs + weight * (answerMs - this.#meanMs));
  }

  /** A call that began at `startedMs` has no answer yet. To be called once or more for each call. */
  onSilence(startedMs: number, nowMs: number): void {
    this.#silentMs += Math.max(0, nowMs - Math.max(startedMs, this.#countedUntilMs));
    this.#countedUntilMs = Math.max(this.#countedUntilMs, nowMs);
  }

  /** What was silent until now has been acted on. */
  restart(nowMs: number): void {
    this.#silentMs = 0;
    this.#countedUntilMs = Math.max(this.#countedUntilMs, nowMs);
  }

  get phi(): number {
    return Math.max(0, this.#silentMs - PAUSE_MS) / (this.#meanMs * Math.LN10);
  }
}
