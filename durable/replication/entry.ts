// Pure. What the log holds. The core never looks into `data` except for membership entries.

import { hashBytes } from "../../routing/hash.ts";

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
  /** `entryChecksum`, by the leader that created it; absent: by code from before there was one. */
  readonly checksum?: number | undefined;
}

export const NO_DATA: Uint8Array = new Uint8Array(0);

/** Fixed cost charged for an entry beside its data, so that empty entries have a size too. */
const ENTRY_OVERHEAD_BYTES = 32;

export function entryBytes(entry: LogEntry): number {
  return entry.data.byteLength + ENTRY_OVERHEAD_BYTES;
}

const KINDS: readonly EntryKind[] = ["noop", "batch", "config"];

/** Over everything that an entry says, so that one that was altered, or put where another one was, is found out. Unsigned 32-bit. */
export function entryChecksum({ index, term, kind, data }: LogEntry): number {
  const place = Math.imul(index, 0x9e37_79b1) ^ Math.imul(term, 0x85eb_ca77) ^ Math.floor(index / 2 ** 32);
  return hashBytes(data, place + KINDS.indexOf(kind));
}

export function withChecksum(entry: LogEntry): LogEntry {
  return entry.checksum === undefined ? { ...entry, checksum: entryChecksum(entry) } : entry;
}

/** False: it is not what its leader wrote. True as well where nothing is known against it. */
export function isIntact(entry: LogEntry): boolean {
  return entry.checksum === undefined || entry.checksum === entryChecksum(entry);
}
