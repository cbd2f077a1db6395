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
const ATTEMPTS_AT_A_RATE = 2;
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
  /** A machine that others use pauses now and then: only what fails twice in a row is beyond the knee. */
  const serves = async (ratePerSecond: number): Promise<boolean> => {
    for (let again = 0; again < ATTEMPTS_AT_A_RATE; again += 1) {
      const next = await attempt(ratePerSecond);
      attempts.push(next);
      if (isServed(next)) return true;
    }
    return false;
  };
  let good = isServed(first) || (await serves(first.ratePerSecond)) ? first.ratePerSecond : 0;
  let bad = good === 0 ? first.ratePerSecond : undefined;
  while (bad === undefined && good * 2 <= options.maxPerSecond) {
    if (await serves(good * 2)) good *= 2;
    else bad = good * 2;
  }
  for (let step = 0; bad !== undefined && step < options.bisections; step += 1) {
    const between = Math.round((good + bad) / 2);
    if (await serves(between)) good = between;
    else bad = between;
  }
  return { ratePerSecond: good, p99LimitMs, attempts };
}
