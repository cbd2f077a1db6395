// Pure. What the core wants done, as plain data. The driver carries it out in this order, in one turn, without awaiting:
// send `appends` → persist `truncateFrom`, `entries`, `hardState` (or touch) → send `messages` → apply `committed` → advance().
//
// `appends` may leave before the local write, so that the flushes of leader and followers overlap: whatever they lead to
// cannot leave this object before its own write is durable (the output gate), and a restarted leader starts a new term.
// `messages` hold promises (votes, acknowledgements): they are sent after the write, so the gate holds them back.

import type { LogEntry } from "./entry.ts";
import type { HardState } from "./log-reader.ts";
import type { AppendMessage, Message } from "./message.ts";

export interface ReadState {
  readonly id: number;
  /** The read may be answered once this index is applied. */
  readonly index: number;
}

export interface Ready {
  readonly appends: readonly AppendMessage[];
  readonly hardState?: HardState | undefined;
  /** To persist, contiguous; whatever the log holds from `entries[0].index` on is replaced. */
  readonly entries: readonly LogEntry[];
  /** A promise leaves with `messages` or a lease is extended while nothing is persisted: prove that this is the live instance. */
  readonly mustTouch: boolean;
  readonly messages: readonly Message[];
  /** To apply, contiguous with what was applied before. */
  readonly committed: readonly LogEntry[];
  readonly readStates: readonly ReadState[];
  /** Members whose log position was compacted away: stream them a snapshot, then `snapshotFinished`. */
  readonly snapshotsNeeded: readonly string[];
}
