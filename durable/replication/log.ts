// Pure. The log as the core sees it: a window of recent entries in memory over the persisted rest.
//
//   snapshot.index │ persisted, read through the port │ window (memory) … stableIndex │ … lastIndex (not yet persisted)
//
// Entries leave the window by bytes, only when persisted; terms outside it are read back, which only recovery does.

import { entryBytes, type LogEntry } from "./entry.ts";
import { invariant } from "./invariant.ts";
import type { LogReader, LostEnd } from "./log-reader.ts";
import type { SnapshotMeta } from "./message.ts";

export class ReplicatedLog {
  #reader: LogReader;
  #window: LogEntry[] = [];
  #windowBytes = 0;
  #cacheBytesMax: number;
  #snapshot: SnapshotMeta;
  #lastIndex: number;
  #lastTerm: number;
  /** Everything up to here was handed to storage. Only truncation by a new leader lowers it. */
  stableIndex: number;
  /**
   * Entries up to here were acknowledged by this replica, and some of them are gone from its storage. Leaders have counted on
   * them, so until a leader's log has brought at least as much back, only a log that reaches here counts as up to date: this
   * replica elects nobody who may lack what it has lost, least of all itself.
   */
  #lost: LostEnd | undefined;

  constructor(reader: LogReader, cacheBytesMax: number) {
    this.#reader = reader;
    this.#cacheBytesMax = cacheBytesMax;
    this.#snapshot = reader.snapshot;
    this.#lastIndex = Math.max(reader.lastIndex, reader.snapshot.index);
    this.stableIndex = this.#lastIndex;
    const lastTerm = this.term(this.#lastIndex);
    invariant(lastTerm !== undefined, "the last entry of the log has a term");
    this.#lastTerm = lastTerm;
    this.#lost = reader.hardState.lost;
    this.#settleLost();
  }

  get lost(): LostEnd | undefined {
    return this.#lost;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#lastTerm;
  }

  get firstIndex(): number {
    return this.#snapshot.index + 1;
  }

  get snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  /** Term of the entry at `index`, 0 for index 0; undefined where it is compacted or not there yet. */
  term(index: number): number | undefined {
    if (index === 0) return 0;
    if (index === this.#snapshot.index) return this.#snapshot.term;
    if (index < this.#snapshot.index || index > this.#lastIndex) return undefined;
    const cached = this.#cached(index);
    return cached === undefined ? this.#reader.term(index) : cached.term;
  }

  /** Raft, section 5.4.1: a later last term wins, then a longer log. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    if (!this.#reachesLost(lastIndex, lastTerm)) return false;
    return lastTerm > this.#lastTerm || (lastTerm === this.#lastTerm && lastIndex >= this.#lastIndex);
  }

  /** Entries from `from` to `to` inclusive, at most about `bytesMax` and at least one; undefined if compacted away. */
  slice(from: number, to: number, bytesMax: number): readonly LogEntry[] | undefined {
    if (from > to) return [];
    if (from < this.firstIndex) return undefined;
    const windowFirst = this.#window[0]?.index ?? this.#lastIndex + 1;
    if (from < windowFirst) return this.#reader.entries(from, Math.min(to, windowFirst - 1), bytesMax);
    const start = from - windowFirst;
    let bytes = 0;
    let end = start;
    while (end < this.#window.length) {
      const entry = this.#window[end];
      if (entry === undefined || entry.index > to) break;
      bytes += entryBytes(entry);
      if (end > start && bytes > bytesMax) break;
      end++;
    }
    return this.#window.slice(start, end);
  }

  /** Adds entries at the end, replacing whatever conflicts; the caller has checked that nothing committed is replaced. */
  append(entries: readonly LogEntry[]): void {
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return;
    invariant(
      first.index <= this.#lastIndex + 1 && first.index > this.#snapshot.index,
      "appended entries are contiguous",
    );
    if (first.index <= this.#lastIndex) this.#truncateFrom(first.index);
    for (const entry of entries) {
      this.#window.push(entry);
      this.#windowBytes += entryBytes(entry);
    }
    this.#lastIndex = last.index;
    this.#lastTerm = last.term;
    this.#settleLost();
  }

  /** Entries that storage has not seen yet. */
  unstable(): readonly LogEntry[] {
    if (this.stableIndex === this.#lastIndex) return [];
    const windowFirst = this.#window[0]?.index ?? 0;
    return this.#window.slice(this.stableIndex + 1 - windowFirst);
  }

  markStable(): void {
    this.stableIndex = this.#lastIndex;
    this.#evict();
  }

  /**
   * Largest index up to `index` whose term is not above `term`: where two logs may still agree. One answer skips a whole
   * term (Raft, end of section 5.3).
   */
  findConflictByTerm(index: number, term: number): { readonly index: number; readonly term: number } {
    let candidate = Math.min(index, this.#lastIndex);
    for (;;) {
      const candidateTerm = this.term(candidate);
      if (candidateTerm === undefined) return { index: candidate, term: 0 };
      if (candidateTerm <= term) return { index: candidate, term: candidateTerm };
      candidate--;
    }
  }

  /** Forgets entries up to the snapshot; the driver has deleted them from storage, or is about to in the same turn. */
  compactTo(snapshot: SnapshotMeta): void {
    invariant(snapshot.index >= this.#snapshot.index && snapshot.index <= this.#lastIndex, "compaction moves forward");
    this.#snapshot = snapshot;
    this.#dropWindowThrough(snapshot.index);
  }

  /** Replaces the whole log by a received snapshot. */
  resetTo(snapshot: SnapshotMeta): void {
    this.#snapshot = snapshot;
    this.#window = [];
    this.#windowBytes = 0;
    this.#lastIndex = snapshot.index;
    this.#lastTerm = snapshot.term;
    this.stableIndex = snapshot.index;
    this.#settleLost();
  }

  /**
   * The log is a leader's up to its end. If it reaches as far as what was lost, by the order in which logs are compared, then
   * it has every entry of that which is committed (Raft, section 5.4.3), and the debt is paid.
   */
  #settleLost(): void {
    if (this.#reachesLost(this.#lastIndex, this.#lastTerm)) this.#lost = undefined;
  }

  #reachesLost(lastIndex: number, lastTerm: number): boolean {
    const lost = this.#lost;
    if (lost === undefined || lastTerm > lost.term) return true;
    return lastTerm === lost.term && lastIndex >= lost.index;
  }

  #cached(index: number): LogEntry | undefined {
    const windowFirst = this.#window[0]?.index;
    return windowFirst === undefined || index < windowFirst ? undefined : this.#window[index - windowFirst];
  }

  #truncateFrom(index: number): void {
    const keep = this.#window.findIndex((entry) => entry.index >= index);
    const removed = keep === -1 ? [] : this.#window.splice(keep);
    for (const entry of removed) this.#windowBytes -= entryBytes(entry);
    this.#lastIndex = index - 1;
    this.#lastTerm = this.term(index - 1) ?? 0;
    this.stableIndex = Math.min(this.stableIndex, this.#lastIndex);
  }

  #evict(): void {
    let count = 0;
    for (const entry of this.#window) {
      if (this.#windowBytes <= this.#cacheBytesMax) break;
      this.#windowBytes -= entryBytes(entry);
      count++;
    }
    if (count > 0) this.#window.splice(0, count);
  }

  #dropWindowThrough(index: number): void {
    let count = 0;
    for (const entry of this.#window) {
      if (entry.index > index) break;
      this.#windowBytes -= entryBytes(entry);
      count++;
    }
    if (count > 0) this.#window.splice(0, count);
  }
}
