// Pure. A quantile of recent latencies in a few hundred bytes: a histogram whose buckets grow by a quarter each, so that a
// quantile is at most a quarter too high. Old samples fade: whenever enough have come, all counts are halved.

const GROWTH = 1.25;
const FIRST_BUCKET_MS = 1;
/** Up to 1.25^44 ms, 18 seconds. */
const BUCKETS = 45;
/** So many samples weigh as much as all before them. */
export const SAMPLES_PER_HALVING = 1_000;
/** With fewer, a quantile says nothing. */
export const SAMPLES_MIN = 20;

export class LatencyQuantile {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #sinceHalving = 0;

  add(latencyMs: number): void {
    const bucket = Math.ceil(Math.log(Math.max(latencyMs, FIRST_BUCKET_MS)) / Math.log(GROWTH));
    const index = Math.min(bucket, BUCKETS - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
    this.#sinceHalving += 1;
    if (this.#sinceHalving === SAMPLES_PER_HALVING) this.#halve();
  }

  /** `share` of the latencies are at most so long; undefined while too few are known. */
  at(share: number): number | undefined {
    if (this.#total < SAMPLES_MIN) return undefined;
    let left = this.#total * share;
    // By index: this is asked for every read that may be hedged, and entries would be made for each bucket.
    for (let index = 0; index < BUCKETS; index++) {
      left -= this.#counts[index] ?? 0;
      if (left <= 0) return FIRST_BUCKET_MS * GROWTH ** index;
    }
    return FIRST_BUCKET_MS * GROWTH ** (BUCKETS - 1);
  }

  #halve(): void {
    this.#sinceHalving = 0;
    this.#total = 0;
    for (const [index, count] of this.#counts.entries()) {
      this.#counts[index] = count / 2;
      this.#total += count / 2;
    }
  }
}
