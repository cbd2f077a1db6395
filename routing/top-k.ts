// Pure. The keys of a stream that occur most often, in a fixed number of counters: Space-Saving (Metwally, Agrawal, El Abbadi,
// "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005), with counts that time takes down again.
//
// A key without a counter takes over the smallest one, count and all, and what it has taken over is its error:
//
//   count − error  ≤  what was noted of the key  ≤  count         and every key above 1/capacity of the stream has a counter
//
// The paper finds the smallest by a list of buckets. Here it is looked for among a few dozen numbers in a row, which is as
// quick and a tenth of the code; a key that has a counter, which in a skewed stream most have, costs one look-up.

export interface Counted {
  readonly key: string;
  /** So often at most. */
  readonly count: number;
  /** So often at least. */
  readonly atLeast: number;
}

/** A counter that time has taken down to less than half an occurrence is free again. */
const COUNT_MIN = 0.5;

export class TopK {
  readonly #capacity: number;
  /** Index of a key's counter; those in use come first. */
  readonly #at = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #counts: Float64Array;
  readonly #errors: Float64Array;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#counts = new Float64Array(capacity);
    this.#errors = new Float64Array(capacity);
  }

  /** Returns how often the key was noted, at least. */
  note(key: string, times = 1): number {
    const at = this.#at.get(key) ?? this.#take(key);
    const count = (this.#counts[at] ?? 0) + times;
    this.#counts[at] = count;
    return count - (this.#errors[at] ?? 0);
  }

  /** Counts what was noted until now as `factor` of it, from 0 to 1. */
  decay(factor: number): void {
    for (let at = this.#keys.length - 1; at >= 0; at--) {
      const count = (this.#counts[at] ?? 0) * factor;
      this.#counts[at] = count;
      this.#errors[at] = (this.#errors[at] ?? 0) * factor;
      if (count < COUNT_MIN) this.#free(at);
    }
  }

  /** The most frequent first. */
  list(): readonly Counted[] {
    return this.#keys
      .map((key, at) => {
        const count = this.#counts[at] ?? 0;
        return { key, count, atLeast: count - (this.#errors[at] ?? 0) };
      })
      .sort((left, right) => right.count - left.count);
  }

  #take(key: string): number {
    let at = this.#keys.length;
    if (at < this.#capacity) {
      this.#counts[at] = 0;
      this.#errors[at] = 0;
    } else {
      at = this.#smallest();
      this.#at.delete(this.#keys[at] ?? "");
      this.#errors[at] = this.#counts[at] ?? 0;
    }
    this.#keys[at] = key;
    this.#at.set(key, at);
    return at;
  }

  #smallest(): number {
    const counts = this.#counts;
    let smallest = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < counts.length; at++) {
      const count = counts[at] ?? 0;
      if (count >= least) continue;
      least = count;
      smallest = at;
    }
    return smallest;
  }

  /** The last one takes the free place. */
  #free(at: number): void {
    const last = this.#keys.length - 1;
    this.#at.delete(this.#keys[at] ?? "");
    if (at !== last) {
      const key = this.#keys[last] ?? "";
      this.#keys[at] = key;
      this.#counts[at] = this.#counts[last] ?? 0;
      this.#errors[at] = this.#errors[last] ?? 0;
      this.#at.set(key, at);
    }
    this.#keys.pop();
  }
}
