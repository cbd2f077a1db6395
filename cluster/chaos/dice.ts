// Pure. Draws from the seeded generator that schedules and clients need.

import { SeededRandom } from "../../bench/seeded-random.ts";

const FINE = 2 ** 30;

export class Dice {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.#random.below(FINE) / FINE;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number, both ends included. */
  between(min: number, max: number): number {
    return min + this.#random.below(max - min + 1);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.#random.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, rank: this.next() }))
      .sort((one, other) => one.rank - other.rank)
      .map(({ item }) => item);
  }

  /** Exponential with this mean: what comes independently of everything else. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }
}
