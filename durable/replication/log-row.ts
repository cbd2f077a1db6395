// Pure. An entry as a row of a log table, with the checksum that tells whether the row still says what was written, and what is
// to become of a log of which some rows do not.

import { type EntryKind, entryChecksum, type LogEntry } from "./entry.ts";
import type { HardState, LostEnd } from "./log-reader.ts";
import type { SnapshotMeta } from "./message.ts";

export interface LogRow {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  /** Commit index that was known when the row was written. */
  readonly commitIndex: number;
  readonly data: Uint8Array;
  /** `logRowChecksum`; null: the row was written before there was one, and nothing is known against it. */
  readonly checksum: number | null;
}

/** The entry's checksum and the commit index that rides along: one that was altered would have entries applied too early. */
export function logRowChecksum(entry: LogEntry, commitIndex: number): number {
  const ofEntry = entry.checksum ?? entryChecksum(entry);
  return (ofEntry ^ Math.imul(commitIndex, 0xc2b2_ae3d)) >>> 0;
}

/** Undefined: the row is damaged. */
export function readLogRow({ index, term, kind, commitIndex, data, checksum }: LogRow): LogEntry | undefined {
  const entry: LogEntry = { index, term, kind, data };
  if (checksum === null) return entry;
  const checked: LogEntry = { ...entry, checksum: entryChecksum(entry) };
  return logRowChecksum(checked, commitIndex) === checksum ? checked : undefined;
}

/**
 * What a replica does whose storage is damaged, before anything of it is used. `cut`: the log is good up to there and the
 * checkpoint is not behind it, so only the rest has to come again. `begin_anew`: nothing is used any more. Either way it
 * remembers how far it has acknowledged (ReplicatedLog.lost).
 */
export type Recovery =
  | { readonly kind: "cut"; readonly from: number; readonly lost: LostEnd }
  | { readonly kind: "begin_anew"; readonly lost: LostEnd };

/** Undefined: nothing is damaged. `rows`: all of the log, in order. */
export function recoveryOf(stored: {
  readonly rows: Iterable<LogRow>;
  readonly compacted: SnapshotMeta;
  readonly checkpointIndex: number;
  readonly hardState: HardState;
  /** The checkpoint is not to be trusted. */
  readonly isCondemned: boolean;
}): Recovery | undefined {
  const { compacted, checkpointIndex, hardState, isCondemned } = stored;
  let expected = compacted.index + 1;
  let damagedFrom: number | undefined;
  let end: LostEnd = { index: compacted.index, term: compacted.term };
  for (const row of stored.rows) {
    const entry = readLogRow(row);
    if (entry === undefined || row.index !== expected) damagedFrom ??= expected;
    // The term of a damaged row may be anything; no entry has a higher one than the replica had seen.
    end = { index: row.index, term: entry?.term ?? hardState.term };
    expected = row.index + 1;
  }
  if (damagedFrom === undefined && !isCondemned) return undefined;
  const lost = laterOf(hardState.lost, end);
  if (damagedFrom !== undefined && damagedFrom > checkpointIndex && !isCondemned) {
    return { kind: "cut", from: damagedFrom, lost };
  }
  return { kind: "begin_anew", lost };
}

function laterOf(left: LostEnd | undefined, right: LostEnd): LostEnd {
  if (left === undefined || right.term > left.term) return right;
  return right.term === left.term && right.index > left.index ? right : left;
}
