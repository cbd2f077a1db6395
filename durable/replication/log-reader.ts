// Pure. The port through which the core reads its persisted log, synchronously. Writing is the driver's.

import type { LogEntry } from "./entry.ts";
import type { SnapshotMeta } from "./message.ts";

export interface HardState {
  readonly term: number;
  /** Whom this replica voted for in `term`. */
  readonly vote?: string | undefined;
  /**
   * No lease that this replica granted (to itself included) can be alive: it has never granted one, or the group went to
   * sleep after the leader gave its lease up. Persisted, since only this lets a restarted replica vote at once.
   */
  readonly quiesced: boolean;
  /**
   * What was committed when the group went to sleep: rows of the log say it of those before them only, and a sleeper that is
   * opened to answer a read would not know what its newest entries are. Absent: awake.
   */
  readonly commit?: number | undefined;
  /** See ReplicatedLog.lost. Absent: everything that was acknowledged is there. */
  readonly lost?: LostEnd | undefined;
}

/** Where a log ended that this replica had acknowledged, and of which storage has lost a part. */
export interface LostEnd {
  readonly index: number;
  readonly term: number;
}

export interface LogReader {
  readonly hardState: HardState;
  /** State that precedes the log: entries up to `snapshot.index` are gone. */
  readonly snapshot: SnapshotMeta;
  /** 0 with an empty log and no snapshot. */
  readonly lastIndex: number;
  /** Highest commit index that is known to have been persisted; a lower bound. */
  readonly commitIndex: number;
  /** Term of a persisted entry that is not compacted. */
  term(index: number): number | undefined;
  /** Entries from `from` on, at most to `to` inclusive, stopping once `bytesMax` is passed, one entry at least. */
  entries(from: number, to: number, bytesMax: number): readonly LogEntry[];
  /** All persisted membership entries, in order. */
  configEntries(): readonly LogEntry[];
}
