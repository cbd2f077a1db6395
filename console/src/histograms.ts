// Pure. Latencies from GET /metrics: histograms in the text format of Prometheus, and quantiles of what came between two readings.

/** Upper bound in seconds → how many were at most so long. Cumulative, as in the text. */
export type Histogram = ReadonlyMap<number, number>;

export interface Line {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples whose name is one of `names`. */
export function readSamples(text: string, names: ReadonlySet<string>): readonly Line[] {
  return text.split("\n").flatMap((line) => {
    const [, name = "", labels = "", value = ""] = LINE.exec(line) ?? [];
    if (!names.has(name)) return [];
    const read = [...labels.matchAll(LABEL)].map(([, label = "", quoted = ""]) => [
      label,
      quoted.replace(/\\(.)/g, "$1"),
    ]);
    return [{ name, labels: Object.fromEntries(read), value: Number(value) }];
  });
}

/** Of each series, by all labels but the bound. */
export type Series = ReadonlyMap<string, Histogram>;

export function histograms(samples: readonly Line[]): Series {
  const series = new Map<string, Map<number, number>>();
  for (const { labels, value } of samples) {
    const { le = "", ...others } = labels;
    const name = JSON.stringify(others);
    const histogram = series.get(name) ?? new Map<number, number>();
    histogram.set(le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le), value);
    series.set(name, histogram);
  }
  return series;
}

/**
 * What came between two readings, all series together. A series that was not there before, or has fallen, has begun anew: nothing
 * of it is counted, since nobody knows since when.
 */
export function between(before: Series, after: Series): Histogram {
  const sum = new Map<number, number>();
  for (const [name, now] of after) {
    const then = before.get(name);
    if (then === undefined || [...now].some(([bound, count]) => count < (then.get(bound) ?? 0))) continue;
    for (const [bound, count] of now) sum.set(bound, (sum.get(bound) ?? 0) + count - (then.get(bound) ?? 0));
  }
  return sum;
}

/** Seconds, linear within a bucket as Prometheus has it; null: nothing came. */
export function quantile(histogram: Histogram, share: number): number | null {
  const bounds = [...histogram].sort(([one], [other]) => one - other);
  const total = bounds.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const rank = share * total;
  let lower = 0;
  let below = 0;
  for (const [bound, count] of bounds) {
    // In the last one nothing is known but the bound below it.
    if (count >= rank)
      return Number.isFinite(bound) ? lower + ((bound - lower) * (rank - below)) / Math.max(1, count - below) : lower;
    lower = bound;
    below = count;
  }
  return lower;
}
