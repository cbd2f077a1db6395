// Pure. The search for a path's knee: the highest rate of an open loop that it still serves in time. Doubles until it does
// not, then halves the distance.

export interface Attempt {
  readonly ratePerSecond: number;
  readonly p99Ms: number;
  /** Replies a second; below the rate, a queue is building up. */
  readonly achieved: number;
}

export interface Knee {
  /** 0: not even the first rate was served in time. */
  readonly ratePerSecond: number;
  readonly p99LimitMs: number;
  readonly attempts: readonly Attempt[];
}

export interface KneeOptions {
  readonly startPerSecond: number;
  readonly bisections: number;
  /** Ends the doubling, whatever a machine can do. */
  readonly maxPerSecond: number;
}

/** Beyond both the queue is what is measured: so many times the p99 of the start, and at least so many milliseconds. */
const P99_TIMES = 8;
const P99_LEAST_MS = 50;
/** A rate is served if so much of it is answered within the run. */
const ACHIEVED_LEAST = 0.95;

export async function findKnee(
  attempt: (ratePerSecond: number) => Promise<Attempt>,
  options: KneeOptions,
): Promise<Knee> {
  const first = await attempt(options.startPerSecond);
  const p99LimitMs = Math.max(P99_LEAST_MS, first.p99Ms * P99_TIMES);
  const attempts = [first];
  const isServed = ({ p99Ms, achieved, ratePerSecond }: Attempt) =>
    p99Ms <= p99LimitMs && achieved >= ACHIEVED_LEAST * ratePerSecond;
  let good = isServed(first) ? first.ratePerSecond : 0;
  let bad = good === 0 ? first.ratePerSecond : undefined;
  while (bad === undefined && good * 2 <= options.maxPerSecond) {
    const next = await attempt(good * 2);
    attempts.push(next);
    if (isServed(next)) good = next.ratePerSecond;
    else bad = next.ratePerSecond;
  }
  for (let step = 0; bad !== undefined && step < options.bisections; step += 1) {
    const next = await attempt(Math.round((good + bad) / 2));
    attempts.push(next);
    if (isServed(next)) good = next.ratePerSecond;
    else bad = next.ratePerSecond;
  }
  return { ratePerSecond: good, p99LimitMs, attempts };
}
