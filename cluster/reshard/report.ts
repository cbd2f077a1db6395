// Pure. The figures of a run that changes the shape: what is printed, what `--json` writes (docs/demos.md), and whether
// what the run claims to show has held.

import type { History, WriteWait } from "../failover/history.ts";

export interface ShapeChange {
  readonly title: string;
  readonly movedSlots: number;
  /** With fewer the changed shard cannot come to its share. */
  readonly idealSlots: number;
  /** Keys of the data set and of the load in the slots that have moved. */
  readonly movedKeys: number;
  /** So many are in `idealSlots`, on average. */
  readonly idealKeys: number;
  readonly seconds: number;
}

/** A region that was killed in the middle of the first change. Times are those of the history. */
export interface Interruption {
  readonly region: string;
  readonly pendingSlots: number;
  readonly killedMs: number;
  /** Every shard has accepted a write since. */
  readonly resumedMs: number;
}

export interface ReshardRun {
  readonly history: History;
  readonly changes: readonly ShapeChange[];
  readonly interruption: Interruption;
  readonly records: number;
  /** By `GET /v1/count` at the end. */
  readonly recordsCounted: number;
  readonly shardsAtEnd: number;
  readonly writes: number;
  readonly seconds: number;
}

export interface ReshardFigures {
  readonly moved_keys: number;
  readonly ideal_keys: number;
  /** Reads and writes that were refused, or answered other than their level promises. */
  readonly errors: number;
  /** Acknowledged writes, of the load and of the data set, that were not there at the end. */
  readonly acknowledged_lost: number;
  /** The longest that a write has waited for its acknowledgement while slots moved and all regions were up. */
  readonly longest_write_pause_ms: number;
  /** The same while the killed region's shards had no leader. */
  readonly longest_failover_wait_ms: number;
  readonly changes: readonly {
    readonly change: string;
    readonly moved_slots: number;
    readonly ideal_slots: number;
    readonly moved_keys: number;
    readonly ideal_keys: number;
    readonly seconds: number;
  }[];
  /** Slots that were still to move when the region was killed. */
  readonly pending_at_kill: number;
  readonly shards: number;
  readonly records: number;
  readonly records_counted: number;
  readonly writes: number;
  readonly seconds: number;
}

/** Beyond these it is not the machine. A plan may move what stood above the load bound besides the ideal. */
export const LIMITS = { movedToIdeal: 1.25, writePauseMs: 5_000 } as const;

export function reshardFigures(run: ReshardRun): ReshardFigures {
  const { history, interruption } = run;
  const { broken } = history;
  const { acknowledgedLost, ...unmet } = broken;
  const refusals = [...history.refusals.values()].reduce((sum, count) => sum + count, 0);
  // A read below strong that got no answer is counted as refused and as a broken promise.
  const wrong = Object.values(unmet).reduce((sum, count) => sum + count, 0) - unmet.lowerReadErrors - unmet.unexpected;
  const isDuring = ({ sentMs, ackedMs }: WriteWait) =>
    sentMs < interruption.resumedMs && ackedMs > interruption.killedMs;
  const longest = (waits: readonly WriteWait[]) =>
    Math.round(waits.reduce((most, { sentMs, ackedMs }) => Math.max(most, ackedMs - sentMs), 0));
  const sum = (of: (change: ShapeChange) => number) => run.changes.reduce((total, change) => total + of(change), 0);
  return {
    moved_keys: sum(({ movedKeys }) => movedKeys),
    ideal_keys: Math.round(sum(({ idealKeys }) => idealKeys)),
    errors: refusals + wrong,
    acknowledged_lost: acknowledgedLost,
    longest_write_pause_ms: longest(history.writeWaits.filter((wait) => !isDuring(wait))),
    longest_failover_wait_ms: longest(history.writeWaits.filter(isDuring)),
    changes: run.changes.map((change) => ({
      change: change.title,
      moved_slots: change.movedSlots,
      ideal_slots: change.idealSlots,
      moved_keys: change.movedKeys,
      ideal_keys: Math.round(change.idealKeys),
      seconds: Math.round(change.seconds),
    })),
    pending_at_kill: interruption.pendingSlots,
    shards: run.shardsAtEnd,
    records: run.records,
    records_counted: run.recordsCounted,
    writes: run.writes,
    seconds: Math.round(run.seconds),
  };
}

/** What did not hold, in words; empty if everything did. */
export function reshardFaults(figures: ReshardFigures): readonly string[] {
  const faults: string[] = [];
  if (figures.errors !== 0) faults.push(`${figures.errors} reads or writes failed`);
  if (figures.acknowledged_lost !== 0) faults.push(`${figures.acknowledged_lost} acknowledged writes lost`);
  if (figures.pending_at_kill === 0) faults.push("the region was killed when nothing was to move any more");
  if (figures.records_counted !== figures.records) {
    faults.push(`${figures.records_counted} records are counted, ${figures.records} were stored`);
  }
  // By slots: how many keys are in one is chance.
  for (const { change, moved_slots, ideal_slots } of figures.changes) {
    if (moved_slots > ideal_slots * LIMITS.movedToIdeal) {
      faults.push(`${change}: ${moved_slots} slots moved, ${ideal_slots} would do`);
    }
  }
  if (figures.longest_write_pause_ms > LIMITS.writePauseMs) {
    faults.push(`a write waited ${figures.longest_write_pause_ms} ms, the limit is ${LIMITS.writePauseMs} ms`);
  }
  return faults;
}

export function reshardSummary(figures: ReshardFigures): string {
  const row = (cells: readonly string[]) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(18) : cell.padStart(12))).join("");
  const changes = figures.changes.map(({ change, moved_slots, moved_keys, ideal_keys, seconds }) =>
    row([change, String(moved_slots), String(moved_keys), String(ideal_keys), `${seconds} s`]),
  );
  return [
    row(["change", "slots moved", "keys moved", "ideal", "took"]),
    ...changes,
    "",
    `  keys moved                 ${figures.moved_keys}, ideal ${figures.ideal_keys}`,
    `  longest write pause        ${figures.longest_write_pause_ms} ms while slots moved`,
    `  killed in the middle       with ${figures.pending_at_kill} slots to move; the longest write waited ${figures.longest_failover_wait_ms} ms`,
    `  errors                     ${figures.errors}`,
    `  acknowledged writes lost   ${figures.acknowledged_lost} of ${figures.writes} and of ${figures.records} records, ${figures.records_counted} counted`,
  ].join("\n");
}
