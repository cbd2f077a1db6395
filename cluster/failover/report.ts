// Pure. The figures of a failover run: what is printed, what `--json` writes (the keys are documented in docs/), and
// whether what the run claims to show has held.

import type { History } from "./history.ts";
import type { MinorityResult } from "./minority.ts";
import type { RoundResult } from "./rounds.ts";

/** Aims at default settings; shown, not judged, because a busy machine alone can miss them. */
export const AIMS = { writeGapMedianMs: 400, writeGapMaxMs: 800, lowerGapMs: 100 } as const;
/** Beyond these it is not the machine: the run fails. */
export const LIMITS = { writeGapMedianMs: 2_000, writeGapMaxMs: 6_000, lowerGapMs: 2_000 } as const;

export interface FailoverRun {
  readonly history: History;
  readonly rounds: readonly RoundResult[];
  readonly minority: MinorityResult;
  readonly records: number;
  readonly writes: number;
  readonly seconds: number;
}

/** What `--json` writes. Times are milliseconds as the clients saw them, counts are over the whole run. */
export interface FailoverFigures {
  /** Rounds in which the leading region was killed with -9. */
  readonly kills: number;
  /** Acknowledged writes, of the load and of the data set, that were not there at the end. */
  readonly acknowledged_lost: number;
  /** Strong reads that missed a write which was acknowledged before they began. */
  readonly stale_strong_reads: number;
  /** Longest time without an acknowledged write in any one shard, by kill. */
  readonly write_gap_ms: { readonly median: number; readonly max: number };
  /** The same for strong reads. */
  readonly strong_read_gap_ms: { readonly median: number; readonly max: number };
  /** The same for session, bounded and eventual reads, each level by itself. */
  readonly lower_read_gap_ms: { readonly median: number; readonly max: number };
  /** The same before each kill, with nothing broken. */
  readonly steady_lower_read_gap_ms: { readonly median: number; readonly max: number };
  /** Session, bounded and eventual reads that failed while a majority was there; eventual ones at any time. */
  readonly lower_read_errors: number;
  /** Session and bounded reads below what their level promises. */
  readonly stale_lower_reads: number;
  /** Reads of something that was never written. */
  readonly invented_reads: number;
  /** Writes acknowledged while two of three regions were down. */
  readonly acknowledged_by_minority: number;
  /** Writes answered with anything but success or 503. */
  readonly unexpected_answers: number;
  /** Gaps while a killed region came back and caught up. */
  readonly rejoin_write_gap_ms: { readonly max: number };
  readonly rejoin_lower_read_gap_ms: { readonly max: number };
  /** Gaps while the leading region was frozen. */
  readonly freeze_write_gap_ms: { readonly max: number };
  readonly freeze_lower_read_gap_ms: { readonly max: number };
  /** By shard: status and problem type of a write while two of three regions were down. */
  readonly minority_refusals: readonly string[];
  /** From the order to bring one of the two back until every shard accepted writes. */
  readonly minority_resumed_ms: number;
  /** Records of the data set, all of them read back at the end. */
  readonly records: number;
  /** Writes of the load that were acknowledged. */
  readonly writes: number;
  readonly seconds: number;
}

export function figuresOf(run: FailoverRun): FailoverFigures {
  const kills = run.rounds.filter((round) => round.failure === "kill");
  const freezes = run.rounds.filter((round) => round.failure === "freeze");
  const { broken } = run.history;
  const writeGaps = kills.map((round) => round.writeGapMs);
  const strongGaps = kills.map((round) => round.strongGapMs);
  const lowerGaps = kills.map((round) => round.lowerGapMs);
  const steadyGaps = kills.map((round) => round.steadyLowerGapMs);
  return {
    kills: kills.length,
    acknowledged_lost: broken.acknowledgedLost,
    stale_strong_reads: broken.staleStrongReads,
    write_gap_ms: { median: median(writeGaps), max: highest(writeGaps) },
    strong_read_gap_ms: { median: median(strongGaps), max: highest(strongGaps) },
    lower_read_gap_ms: { median: median(lowerGaps), max: highest(lowerGaps) },
    steady_lower_read_gap_ms: { median: median(steadyGaps), max: highest(steadyGaps) },
    lower_read_errors: broken.lowerReadErrors,
    stale_lower_reads: broken.staleLowerReads,
    invented_reads: broken.inventedReads,
    acknowledged_by_minority: broken.acknowledgedByMinority,
    unexpected_answers: broken.unexpected,
    rejoin_write_gap_ms: { max: highest(kills.map((round) => round.rejoinWriteGapMs)) },
    rejoin_lower_read_gap_ms: { max: highest(kills.map((round) => round.rejoinLowerGapMs)) },
    freeze_write_gap_ms: { max: highest(freezes.map((round) => round.writeGapMs)) },
    freeze_lower_read_gap_ms: { max: highest(freezes.map((round) => round.lowerGapMs)) },
    minority_refusals: run.minority.refusals,
    minority_resumed_ms: Math.round(run.minority.resumedMs),
    records: run.records,
    writes: run.writes,
    seconds: Math.round(run.seconds),
  };
}

/** What did not hold, in words; empty if everything did. */
export function faultsOf(figures: FailoverFigures, isClearRefusal: (refusal: string) => boolean): readonly string[] {
  const faults: string[] = [];
  const none = (count: number, what: string) => {
    if (count !== 0) faults.push(`${count} ${what}`);
  };
  const within = (value: number, limit: number, what: string) => {
    if (value > limit) faults.push(`${what} is ${value} ms, the limit is ${limit} ms`);
  };
  none(figures.acknowledged_lost, "acknowledged writes lost");
  none(figures.stale_strong_reads, "stale strong reads");
  none(figures.stale_lower_reads, "session or bounded reads older than promised");
  none(figures.invented_reads, "reads of values that were never written");
  none(figures.lower_read_errors, "failed session, bounded or eventual reads");
  none(figures.acknowledged_by_minority, "writes acknowledged without a majority");
  none(figures.unexpected_answers, "answers that no failure explains");
  none(
    figures.minority_refusals.filter((refusal) => !isClearRefusal(refusal)).length,
    "unclear refusals by a minority",
  );
  within(figures.write_gap_ms.median, LIMITS.writeGapMedianMs, "the median write gap");
  within(figures.write_gap_ms.max, LIMITS.writeGapMaxMs, "the longest write gap");
  within(figures.rejoin_write_gap_ms.max, LIMITS.writeGapMaxMs, "the longest write gap of a return");
  within(figures.rejoin_lower_read_gap_ms.max, LIMITS.lowerGapMs, "the longest gap of lower reads in a return");
  within(figures.freeze_write_gap_ms.max, LIMITS.writeGapMaxMs, "the longest write gap of a freeze");
  within(figures.lower_read_gap_ms.max, LIMITS.lowerGapMs, "the longest gap of lower reads");
  within(figures.freeze_lower_read_gap_ms.max, LIMITS.lowerGapMs, "the longest gap of lower reads in a freeze");
  return faults;
}

const ROUND_HEADER = [
  ...["round", "failure", "region", "shards led", "write gap", "strong gap", "lower gap"],
  ...["caught up", "write gap", "lower gap"],
];

export function roundLine(number: number, round: RoundResult): string {
  return row([
    String(number),
    round.failure,
    round.region,
    round.shards.join(" "),
    ms(round.writeGapMs),
    ms(round.strongGapMs),
    ms(round.lowerGapMs),
    ms(round.caughtUpMs),
    ms(round.rejoinWriteGapMs),
    ms(round.rejoinLowerGapMs),
  ]);
}

export function roundHeader(): string {
  return row(ROUND_HEADER);
}

export function summary(figures: FailoverFigures): string {
  const aim = (limit: number) => `(aim ${limit})`;
  return [
    `${figures.kills} kills of a leading region under load, ${figures.writes} writes acknowledged meanwhile, ${figures.records} records loaded before:`,
    `  acknowledged writes lost   ${figures.acknowledged_lost}`,
    `  stale strong reads         ${figures.stale_strong_reads}`,
    `  failed lower reads         ${figures.lower_read_errors}`,
    `  write gap                  median ${figures.write_gap_ms.median} ms ${aim(AIMS.writeGapMedianMs)}, longest ${figures.write_gap_ms.max} ms ${aim(AIMS.writeGapMaxMs)}`,
    `  strong read gap            median ${figures.strong_read_gap_ms.median} ms, longest ${figures.strong_read_gap_ms.max} ms`,
    `  lower read gap             median ${figures.lower_read_gap_ms.median} ms, longest ${figures.lower_read_gap_ms.max} ms ${aim(AIMS.lowerGapMs)}`,
    `  with nothing broken        median ${figures.steady_lower_read_gap_ms.median} ms, longest ${figures.steady_lower_read_gap_ms.max} ms`,
    `  while a region returns     write gap ${figures.rejoin_write_gap_ms.max} ms, lower read gap ${figures.rejoin_lower_read_gap_ms.max} ms`,
    `  frozen leader              write gap ${figures.freeze_write_gap_ms.max} ms, lower read gap ${figures.freeze_lower_read_gap_ms.max} ms`,
    `  two of three gone          writes answered ${[...new Set(figures.minority_refusals)].join(", ")}; resumed ${figures.minority_resumed_ms} ms after one came back`,
  ].join("\n");
}

function row(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(11)).join(" ");
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function highest(values: readonly number[]): number {
  return Math.round(Math.max(0, ...values));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? 0, sorted[Math.floor(middle)] ?? 0];
  return Math.round((low + high) / 2);
}
