// ReplicaStorage of one instance. Reads and writes see the instance's own writes at once; `onWrite` hands each write on to
// whoever flushes it. An instance that has been superseded or has died fails on every access, as on the platform; what the
// production adapter keeps in memory (hard state, indexes) can still be read, there as here.

import { DamagedStorageError } from "../../durable/damage.ts";
import type { ReplicaStorage, SnapshotCursor } from "../../durable/ports.ts";
import { entryBytes, type LogEntry } from "../../durable/replication/entry.ts";
import { invariant } from "../../durable/replication/invariant.ts";
import type { HardState } from "../../durable/replication/log-reader.ts";
import { type LogRow, type Recovery, readLogRow, recoveryOf } from "../../durable/replication/log-row.ts";
import { decodeMembership, type Membership } from "../../durable/replication/membership.ts";
import type { SnapshotMeta } from "../../durable/replication/message.ts";
import { encodeOutcome } from "../../durable/store/codec.ts";
import type {
  CheckpointDelta,
  CheckpointRows,
  Entry,
  EntryHead,
  IdempotencyRecord,
  Mark,
  RowPosition,
  StoreState,
} from "../../durable/store/entry.ts";
import { encodeMark } from "../../durable/store/entry-codec.ts";
import { compareKeys, type KeyRange } from "../../durable/store/keyspace.ts";
import { isHeadIntact, isRowIntact, markChecksum, recordChecksum } from "../../durable/store/row-checksum.ts";
import { decodeSnapshotChunk, encodeSnapshotChunk } from "../../durable/store/snapshot-codec.ts";
import type { Coverage } from "./coverage.ts";
import {
  appendLog,
  beginImport,
  carryOver,
  compactLog,
  condemn,
  type DiskContent,
  type DiskWrite,
  finishCheckpoint,
  finishImport,
  idempotencyRowKey,
  importChunk,
  journal,
  recover,
  saveCheckpoint,
} from "./disk.ts";

export class StorageGoneError extends Error {
  override readonly name = "StorageGoneError";
}

/** Rows in one part of a snapshot: few, so that streams of a small state have several parts. */
const PART_ROWS = 6;

interface RowCursor {
  readonly entriesDone: number;
  readonly recordsDone: number;
  readonly marksDone: number;
}

export class SimStorage implements ReplicaStorage {
  readonly content: DiskContent;
  readonly commitIndex: number;
  rowsWritten = 0;
  logBytes = 0;
  /** Set when the instance is cut off from its storage. */
  isGone = false;
  /** Where rare paths are counted; a test without a simulator needs none. */
  coverage: Coverage | undefined;
  /** Rows in one part of a snapshot. */
  partRows = PART_ROWS;
  /** A snapshot has replaced the state. */
  onReplaced: () => void = () => {};
  readonly #onWrite: (write: DiskWrite) => void;
  readonly #onAppend: (entries: readonly LogEntry[]) => void;
  readonly recovered: Recovery | undefined;
  /** The instance before had left one half written. */
  readonly finishedCheckpoint: boolean;
  /** Something that was read is damaged. */
  onDamage: (error: DamagedStorageError) => void = () => {};

  /** `content`: a copy of what was durable when the instance started. */
  constructor(content: DiskContent, onWrite: (write: DiskWrite) => void, onAppend: SimStorage["noteAppend"]) {
    this.content = content;
    this.#onWrite = onWrite;
    this.#onAppend = onAppend;
    this.finishedCheckpoint = content.journaled > 0;
    if (content.journal.length > 0) this.#write(finishCheckpoint());
    this.recovered = this.#recover();
    this.commitIndex = Math.max(content.rows.at(-1)?.commitIndex ?? 0, content.checkpointIndex);
    for (const { entry } of content.rows) this.logBytes += entry.data.byteLength;
  }

  get hardState(): HardState {
    return this.content.hardState;
  }

  get snapshot(): SnapshotMeta {
    return this.content.compacted;
  }

  get lastIndex(): number {
    return this.content.lastIndex;
  }

  get checkpointIndex(): number {
    return this.content.checkpointIndex;
  }

  get checkpointState(): StoreState {
    return this.content.checkpointState;
  }

  term(index: number): number | undefined {
    this.touch();
    return this.content.row(index)?.entry.term;
  }

  entries(from: number, to: number, bytesMax: number): readonly LogEntry[] {
    this.touch();
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (let index = from; index <= to; index++) {
      const row = this.content.row(index);
      if (row === undefined) break;
      const entry = this.#entryOf(logRowOf(row));
      bytes += entryBytes(entry);
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  configEntries(): readonly LogEntry[] {
    this.touch();
    const configs = this.content.rows.filter(({ entry }) => entry.kind === "config");
    return configs.map((row) => this.#entryOf(logRowOf(row)));
  }

  entry(_slot: number, key: string): Entry | undefined {
    this.touch();
    return this.#checkedEntry(this.content.tables.entries.get(key));
  }

  idempotency(_slot: number, key: string, id: string): IdempotencyRecord | undefined {
    this.touch();
    return this.#checkedRecord(this.content.tables.idempotency.get(idempotencyRowKey(key, id)));
  }

  records(slot: number, after: Pick<IdempotencyRecord, "key" | "id">, limit: number): readonly IdempotencyRecord[] {
    this.touch();
    const records = this.content.tables.records(slot, after, limit);
    for (const record of records) this.#checkedRecord(record);
    return records;
  }

  heads(slot: number, { from, to }: KeyRange, limit: number): readonly EntryHead[] {
    this.touch();
    const isInside = ({ slot: at, key }: Entry) =>
      at === slot && compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0);
    return this.#headsOf(this.content.tables.sortedEntries().filter(isInside).slice(0, limit));
  }

  headsAfter({ slot, key }: RowPosition, limit: number): readonly EntryHead[] {
    this.touch();
    const isAfter = (entry: Entry) => entry.slot > slot || (entry.slot === slot && compareKeys(entry.key, key) > 0);
    return this.#headsOf(this.content.tables.sortedEntries().filter(isAfter).slice(0, limit));
  }

  marks(): readonly Mark[] {
    this.touch();
    if (!this.#areMarksIntact()) throw this.#damaged("a mark");
    return [...this.content.tables.marks.values()];
  }

  condemn(): void {
    this.#write(condemn());
  }

  // --- damage, as the production adapter finds and settles it ---

  #recover(): Recovery | undefined {
    const { rows, compacted, checkpointIndex, hardState } = this.content;
    const isCondemned = this.content.isCondemned || !this.#areMarksIntact();
    const recovery = recoveryOf({ rows: rows.map(logRowOf), compacted, checkpointIndex, hardState, isCondemned });
    if (recovery !== undefined) this.#write(recover(recovery, this.#newestMembership()));
    return recovery;
  }

  #newestMembership(): Membership {
    let { membership } = this.content.compacted;
    for (const row of this.content.rows) {
      const entry = readLogRow(logRowOf(row));
      if (entry?.kind === "config") membership = decodeMembership(entry.data);
    }
    return membership;
  }

  #entryOf(row: LogRow): LogEntry {
    const entry = readLogRow(row);
    if (entry !== undefined) return entry;
    const error = new DamagedStorageError(`the log holds a damaged row, at ${row.index}`);
    this.onDamage(error);
    throw error;
  }

  #checkedEntry(entry: Entry | undefined): Entry | undefined {
    const checksum = this.content.tables.checksums.entries.get(entry?.key ?? "");
    if (entry !== undefined && checksum !== undefined && !isRowIntact(entry, checksum)) throw this.#damaged("an entry");
    return entry;
  }

  #headsOf(entries: readonly Entry[]): readonly EntryHead[] {
    return entries.map(({ value, ...rest }) => {
      const checksum = this.content.tables.checksums.entries.get(rest.key);
      if (checksum !== undefined && !isHeadIntact(rest, checksum)) throw this.#damaged("an entry");
      return { ...rest, size: value.byteLength };
    });
  }

  #checkedRecord(record: IdempotencyRecord | undefined): IdempotencyRecord | undefined {
    if (record === undefined) return undefined;
    const checksum = this.content.tables.checksums.idempotency.get(idempotencyRowKey(record.key, record.id));
    if (recordChecksum(record, encodeOutcome(record.outcome)) !== checksum) throw this.#damaged("a record");
    return record;
  }

  #areMarksIntact(): boolean {
    const { marks, checksums } = this.content.tables;
    return [...marks].every(([name, mark]) => markChecksum(encodeMark(mark)) === checksums.marks.get(name));
  }

  #damaged(what: string): DamagedStorageError {
    const error = new DamagedStorageError(`the checkpoint holds ${what} that is damaged`);
    this.condemn();
    this.onDamage(error);
    return error;
  }

  touch(): void {
    if (this.isGone) throw new StorageGoneError("this instance has been superseded");
  }

  appendLog(entries: readonly LogEntry[], commitIndex: number): void {
    if ((entries[0]?.index ?? Number.POSITIVE_INFINITY) <= this.lastIndex) this.coverage?.count("log truncated");
    this.#write(appendLog(entries, commitIndex));
    for (const entry of entries) this.logBytes += entry.data.byteLength;
    this.noteAppend(entries);
  }

  /** For the checkers. */
  noteAppend(entries: readonly LogEntry[]): void {
    this.#onAppend(entries);
  }

  saveHardState(state: HardState): void {
    this.#write((content) => {
      content.hardState = state;
    });
  }

  journal(rows: CheckpointRows): void {
    this.#write(journal(rows));
  }

  saveCheckpoint(delta: CheckpointDelta, index: number): void {
    this.#write(saveCheckpoint(delta, index));
    this.coverage?.count(this.content.journaled === 0 ? "checkpoint" : "checkpoint in slices");
  }

  carryOver(rows: CheckpointRows, isLast: boolean): void {
    this.#write(carryOver(rows, isLast));
  }

  compactLog(meta: SnapshotMeta): void {
    for (const { entry } of this.content.rows) {
      if (entry.index <= meta.index) this.logBytes -= entry.data.byteLength;
    }
    this.#write(compactLog(meta));
    this.coverage?.count("log compacted");
  }

  exportChunk(after: SnapshotCursor | undefined): {
    readonly bytes: Uint8Array;
    readonly next: SnapshotCursor | undefined;
  } {
    this.touch();
    invariant(this.content.journaled === 0, "the tables are one checkpoint");
    const { tables, checkpointState } = this.content;
    const start: RowCursor = { entriesDone: 0, recordsDone: 0, marksDone: 0 };
    const { entriesDone, recordsDone, marksDone } = (after as RowCursor | undefined) ?? start;
    const entries = this.#partOf(tables.entries, entriesDone);
    for (const entry of entries) this.#checkedEntry(entry);
    const idempotency = entries.length > 0 ? [] : this.#partOf(tables.idempotency, recordsDone);
    for (const record of idempotency) this.#checkedRecord(record);
    const marks = entries.length + idempotency.length > 0 ? [] : this.#partOf(tables.marks, marksDone);
    const next: RowCursor = {
      entriesDone: entriesDone + entries.length,
      recordsDone: recordsDone + idempotency.length,
      marksDone: marksDone + marks.length,
    };
    return {
      bytes: encodeSnapshotChunk({ state: checkpointState, entries, idempotency, marks }),
      next: entries.length + idempotency.length + marks.length === 0 ? undefined : next,
    };
  }

  #partOf<T>(rows: ReadonlyMap<string, T>, done: number): T[] {
    return [...rows.values()].slice(done, done + this.partRows);
  }

  beginImport(): void {
    this.#write(beginImport());
  }

  importChunk(bytes: Uint8Array): void {
    this.#write(importChunk(decodeSnapshotChunk(bytes)));
  }

  finishImport(meta: SnapshotMeta): void {
    this.#write(finishImport(meta));
    this.logBytes = 0;
    this.coverage?.count("snapshot installed");
    this.onReplaced();
  }

  #write(write: DiskWrite): void {
    this.touch();
    this.rowsWritten++;
    write(this.content);
    this.#onWrite(write);
  }
}

function logRowOf({ entry: { index, term, kind, data }, commitIndex, checksum }: DiskContent["rows"][number]): LogRow {
  return { index, term, kind, data, commitIndex, checksum };
}
