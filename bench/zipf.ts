// Pure. Zipf's law: rank r is drawn with a probability in proportion to 1 / (r + 1)^skew. Exact, by the running sums: a draw
// is a binary search, and the sums are made once for each number of keys.

import type { SeededRandom } from "./seeded-random.ts";

/** Draws ranks from 0 to `keys` - 1. */
export function zipf(keys: number, skew: number): (random: SeededRandom) => number {
  const sums = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank++) {
    sum += (rank + 1) ** -skew;
    sums[rank] = sum;
  }
  return (random) => {
    const drawn = random.unit() * sum;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] ?? 0) < drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
