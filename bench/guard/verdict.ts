// Pure. Whether a path has become much dearer than it was. The figures are ratios of CPU time an operation, own to baseline's,
// taken within a round: what else the machine does changes how long something takes, and hardly how much of the processor it
// uses; and what it does change, it changes for both.

import { median } from "../harness/statistics.ts";

export interface Guarded {
  /** Name in the recording. */
  readonly id: string;
  readonly path: string;
  readonly baseline: string;
}

export const GUARDED: readonly Guarded[] = [
  { id: "strong_get_vs_bare_read", path: "strong_get", baseline: "bare_read" },
  { id: "eventual_get_vs_bare_read", path: "eventual_get", baseline: "bare_read" },
  { id: "put_vs_naive_put", path: "put", baseline: "naive_put" },
];

/** By the ids above: CPU time of the baseline through that of the path, so that more is better. */
export type Ratios = Readonly<Record<string, number>>;

/** Less than so much of what was recorded is a gross regression; anything above may be the machine. */
export const REGRESSION = 0.7;
/** A median of fewer rounds says nothing. */
export const ROUNDS_LEAST = 3;

export interface GuardVerdict {
  readonly id: string;
  readonly recorded: number;
  readonly found: number;
  readonly state: "kept" | "regressed" | "undecided";
}

/** Processes that want a core, for each core: beyond so many, batches get thin and caches cold, and ratios sink by a third. */
export const BUSY_PER_CORE = 2;

export interface GuardRun {
  /** The ratios of each round. */
  readonly rounds: readonly Ratios[];
  /** The greater of the load averages before and after, through the cores. */
  readonly loadPerCore: number;
}

export function judgeGuard({ rounds, loadPerCore }: GuardRun, recorded: Ratios): GuardVerdict[] {
  return GUARDED.map(({ id }) => {
    const expected = recorded[id];
    if (expected === undefined) throw new Error(`nothing is recorded for ${id}: run it with --record`);
    const found = median(rounds.map((ratios) => ratios[id] ?? Number.NaN));
    if (rounds.length < ROUNDS_LEAST || Number.isNaN(found))
      return { id, recorded: expected, found, state: "undecided" };
    if (found >= REGRESSION * expected) return { id, recorded: expected, found, state: "kept" };
    return { id, recorded: expected, found, state: loadPerCore > BUSY_PER_CORE ? "undecided" : "regressed" };
  });
}
