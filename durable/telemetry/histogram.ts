// Pure. Counts values by upper bound, as Prometheus and OTLP have them. What noting one costs: a walk along a short list.

/** Everything about a histogram, as plain data: it travels in a replica's status. */
export interface HistogramReading {
  /** Ascending; a value that equals a bound is below it. */
  readonly bounds: readonly number[];
  /** One more than there are bounds, each not including those before it. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export class Histogram {
  readonly bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  note(value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > (this.bounds[at] ?? Number.POSITIVE_INFINITY)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  get reading(): HistogramReading {
    return { bounds: this.bounds, counts: [...this.#counts], sum: this.#sum };
  }
}

export function countOf({ counts }: HistogramReading): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Both have the same bounds. */
export function addedReadings(left: HistogramReading, right: HistogramReading): HistogramReading {
  return {
    bounds: left.bounds,
    counts: left.counts.map((count, at) => count + (right.counts[at] ?? 0)),
    sum: left.sum + right.sum,
  };
}
