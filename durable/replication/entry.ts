// Pure. What the log holds. The core never looks into `data` except for membership entries.

export type EntryKind =
  /** Appended by every new leader: committing it commits everything before it (Raft, section 5.4.2). */
  | "noop"
  /** A batch of commands, opaque to the core. */
  | "batch"
  /** A membership, in force from the moment it is in the log (Ongaro's dissertation, section 4.1). */
  | "config";

export interface LogEntry {
  /** 1-based position; contiguous. */
  readonly index: number;
  /** Term of the leader that created it. */
  readonly term: number;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

export const NO_DATA: Uint8Array = new Uint8Array(0);

/** Fixed cost charged for an entry beside its data, so that empty entries have a size too. */
const ENTRY_OVERHEAD_BYTES = 32;

export function entryBytes(entry: LogEntry): number {
  return entry.data.byteLength + ENTRY_OVERHEAD_BYTES;
}
