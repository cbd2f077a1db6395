// Pure. What the report says about the rounds: medians with their range, and ratios of two systems taken within a round.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Middle value, or the mean of the two middle ones; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Nearest rank: the least value that so large a share of all does not exceed; NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/**
 * Spread of `values[round] / baseline[round]`. Ratios are taken within a round, because the machine's speed drifts from
 * one minute to the next by more than the systems differ; the two halves of a round meet the same machine.
 */
export function ratioSpread(values: readonly number[], baseline: readonly number[]): Spread {
  if (values.length !== baseline.length) throw new Error("a ratio needs both systems in every round");
  return spread(values.map((value, round) => value / (baseline[round] ?? Number.NaN)));
}
