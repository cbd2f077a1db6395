// ReplicaStorage on a Durable Object's SQLite. Synchronous by design: what happens between two awaits is one transaction.
// Checksums guard what is stored: rows of the log are checked when it is opened and when they are read again, rows of the
// checkpoint when they are read. Whatever is found is settled at the next opening, before anything is used (`#recover`).

import { hash32, hashBytes } from "../../routing/hash.ts";
import { DamagedStorageError } from "../damage.ts";
import type { ReplicaStorage, SnapshotCursor } from "../ports.ts";
import type { LogEntry } from "../replication/entry.ts";
import { entryBytes } from "../replication/entry.ts";
import { invariant } from "../replication/invariant.ts";
import type { HardState } from "../replication/log-reader.ts";
import { type LogRow, logRowChecksum, type Recovery, readLogRow, recoveryOf } from "../replication/log-row.ts";
import { decodeMembership, type Membership } from "../replication/membership.ts";
import type { SnapshotMeta } from "../replication/message.ts";
import type {
  CheckpointDelta,
  CheckpointRows,
  Entry,
  EntryHead,
  IdempotencyRecord,
  Mark,
  RowPosition,
  StoreState,
} from "../store/entry.ts";
import { decodeJournalPart, encodeJournalPart } from "../store/journal-codec.ts";
import type { KeyRange } from "../store/keyspace.ts";
import { RangeHashes } from "../store/range-hashes.ts";
import { decodeSnapshotChunk, encodeSnapshotChunk } from "../store/snapshot-codec.ts";
import { EMPTY_STORE_STATE } from "../store/store.ts";
import { CheckpointTables, FIRST_PAGE, type PageCursor } from "./checkpoint-tables.ts";
import { MeteredSql } from "./metered-sql.ts";
import { addChecksumColumn, blob, dropCheckpointTables, META_SCHEMA, otherSet, type TableSet } from "./schema.ts";

type SqlLogRow = Record<"idx" | "term" | "commit_idx", number> & {
  kind: LogEntry["kind"];
  data: ArrayBuffer;
  checksum: number | null;
};

interface JournalRow extends Record<string, SqlStorageValue> {
  readonly data: ArrayBuffer;
  readonly checksum: number;
}

interface CheckpointMeta {
  readonly index: number;
  readonly set: TableSet;
  readonly state: StoreState;
  /** All rows that have checksums were written together with them. Absent: code from before there were any wrote last. */
  readonly isChecked?: boolean | undefined;
  /** So many parts of a journal are to be carried over into the tables. */
  readonly journaled?: number | undefined;
}

/**
 * In front of a checkpoint that has a journal, so that code from before there were any takes it for damaged, and the replica begins anew
 * from its peers, instead of taking half of it for the whole.
 */
const HAS_JOURNAL = "journal ";

const NO_CHECKPOINT: CheckpointMeta = { index: 0, set: "a", state: EMPTY_STORE_STATE, isChecked: true };

/** Read and hashed in a quarter of a second. */
const SUM_UP_BYTES_MAX = 64 * 1024 * 1024;

/** SQLite's page and record overhead is not counted; this is the log's payload. */
export class SqlReplicaStorage implements ReplicaStorage {
  readonly #storage: DurableObjectStorage;
  readonly #sql: MeteredSql;
  readonly #onDamage: (error: DamagedStorageError) => void;
  #tables: CheckpointTables;
  #staging: CheckpointTables | undefined;
  #stagedState: StoreState | undefined;
  #stagedRanges = RangeHashes.ofNothing();
  #checkpoint: CheckpointMeta;
  #journaled = 0;
  #hardState: HardState;
  #snapshot: SnapshotMeta;
  #lastIndex: number;
  #commitIndex: number;
  rowsWritten = 0;
  logBytes: number;
  readonly recovered: Recovery | undefined;

  /**
   * `bootstrap`: the members to start with, used only the first time that this replica exists. `onDamage`: something that was
   * read is damaged, which has been noted for the next opening; this instance must end. Throws DamagedStorageError where
   * even that which says how far the replica has promised cannot be read: it can only be replaced.
   */
  constructor(
    storage: DurableObjectStorage,
    bootstrap: Membership,
    onDamage: (error: DamagedStorageError) => void = () => {},
  ) {
    this.#storage = storage;
    this.#sql = new MeteredSql(storage.sql);
    this.#onDamage = onDamage;
    this.#sql.exec(META_SCHEMA);
    addChecksumColumn(this.#sql, "log");
    this.#hardState = this.#meta<HardState>("hard_state") ?? { term: 0, quiesced: true };
    this.#snapshot = this.#meta<SnapshotMeta>("compacted") ?? this.#found(bootstrap);
    const checkpoint = this.#checkpointMeta();
    this.#checkpoint = checkpoint ?? NO_CHECKPOINT;
    this.#tables = this.#openTables(this.#checkpoint.set);
    this.#tables.isChecked = this.#checkpoint.isChecked === true || this.#tables.isUpgraded;
    this.#finishCheckpoint();
    this.recovered = this.#recover(checkpoint === undefined);
    this.#sumUpRanges();
    const [log] = this.#sql
      .exec<{ last: number | null; bytes: number | null }>(
        "SELECT MAX(idx) AS last, SUM(LENGTH(data)) AS bytes FROM log",
      )
      .toArray();
    this.#lastIndex = log?.last ?? this.#snapshot.index;
    this.logBytes = log?.bytes ?? 0;
    // The newest row carries the newest commit index that was known when it was written.
    const newest = this.#sql
      .exec<{ commit_idx: number }>("SELECT commit_idx FROM log WHERE idx = ?", this.#lastIndex)
      .toArray();
    this.#commitIndex = Math.max(newest[0]?.commit_idx ?? 0, this.#checkpoint.index);
  }

  get rowsRead(): number {
    return this.#sql.rowsRead;
  }

  get storedBytes(): number {
    return this.#sql.bytes;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  get snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get commitIndex(): number {
    return this.#commitIndex;
  }

  get checkpointIndex(): number {
    return this.#checkpoint.index;
  }

  get checkpointState(): StoreState {
    return this.#checkpoint.state;
  }

  term(index: number): number | undefined {
    return this.#sql.exec<{ term: number }>("SELECT term FROM log WHERE idx = ?", index).toArray()[0]?.term;
  }

  entries(from: number, to: number, bytesMax: number): readonly LogEntry[] {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const row of this.#sql.exec<SqlLogRow>("SELECT * FROM log WHERE idx BETWEEN ? AND ? ORDER BY idx", from, to)) {
      const entry = this.#logEntryOf(row);
      bytes += entryBytes(entry);
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  configEntries(): readonly LogEntry[] {
    const rows = this.#sql.exec<SqlLogRow>("SELECT * FROM log WHERE kind = 'config' ORDER BY idx").toArray();
    return rows.map((row) => this.#logEntryOf(row));
  }

  appendLog(entries: readonly LogEntry[], commitIndex: number): void {
    const first = entries[0];
    if (first === undefined) return;
    invariant(first.index <= this.#lastIndex + 1, "log rows are contiguous");
    if (first.index <= this.#lastIndex) this.#run("DELETE FROM log WHERE idx >= ?", first.index);
    for (const entry of entries) {
      this.#run(
        "INSERT INTO log (idx, term, kind, commit_idx, data, checksum) VALUES (?, ?, ?, ?, ?, ?)",
        entry.index,
        entry.term,
        entry.kind,
        commitIndex,
        blob(entry.data),
        logRowChecksum(entry, commitIndex),
      );
      this.#lastIndex = entry.index;
      this.logBytes += entry.data.byteLength;
    }
  }

  saveHardState(state: HardState): void {
    this.#saveMeta("hard_state", state);
    this.#hardState = state;
  }

  touch(): void {
    this.#sql.exec("SELECT value FROM meta WHERE name = 'hard_state'").toArray();
  }

  entry(slot: number, key: string): Entry | undefined {
    return this.#checked(() => this.#tables.entry(slot, key));
  }

  idempotency(slot: number, key: string, id: string): IdempotencyRecord | undefined {
    return this.#checked(() => this.#tables.idempotency(slot, key, id));
  }

  records(slot: number, after: Pick<IdempotencyRecord, "key" | "id">, limit: number): readonly IdempotencyRecord[] {
    return this.#checked(() => this.#tables.records(slot, after, limit));
  }

  heads(slot: number, range: KeyRange, limit: number): readonly EntryHead[] {
    return this.#checked(() => this.#tables.heads(slot, range, limit));
  }

  headsAfter(after: RowPosition, limit: number): readonly EntryHead[] {
    return this.#checked(() => this.#tables.headsAfter(after, limit));
  }

  marks(): readonly Mark[] {
    return this.#checked(() => this.#tables.marks());
  }

  journal(rows: CheckpointRows): void {
    invariant(this.#checkpoint.journaled === undefined, "the journal of the last checkpoint has ended");
    const data = encodeJournalPart(rows);
    this.#run(
      "INSERT INTO journal (part, data, checksum) VALUES (?, ?, ?)",
      this.#journaled,
      blob(data),
      hashBytes(data),
    );
    this.#journaled += 1;
  }

  saveCheckpoint(delta: CheckpointDelta, index: number): void {
    invariant(index >= this.#checkpoint.index, "checkpoints move forward");
    invariant(this.#checkpoint.journaled === undefined, "the last checkpoint is in the tables");
    const { set } = this.#checkpoint;
    const journaled = this.#journaled === 0 ? undefined : this.#journaled;
    const { isChecked } = this.#tables;
    const checkpoint: CheckpointMeta = { index, set, state: delta.state, isChecked, journaled };
    this.#storage.transactionSync(() => {
      this.#tables.write(delta);
      this.#saveMeta("checkpoint", checkpoint);
    });
    this.#checkpoint = checkpoint;
  }

  carryOver(rows: CheckpointRows, isLast: boolean): void {
    this.#storage.transactionSync(() => {
      this.#tables.writeRows(rows);
      if (isLast) this.#endJournal();
    });
  }

  compactLog(meta: SnapshotMeta): void {
    invariant(meta.index <= this.#checkpoint.index, "the log is kept from the checkpoint on");
    this.#storage.transactionSync(() => {
      const removed = "SELECT COALESCE(SUM(LENGTH(data)), 0) AS bytes FROM log WHERE idx <= ?";
      this.logBytes -= this.#sql.exec<{ bytes: number }>(removed, meta.index).one().bytes;
      this.#run("DELETE FROM log WHERE idx <= ?", meta.index);
      this.#saveMeta("compacted", meta);
    });
    this.#snapshot = meta;
  }

  exportChunk(after: SnapshotCursor | undefined): {
    readonly bytes: Uint8Array;
    readonly next: SnapshotCursor | undefined;
  } {
    invariant(this.#checkpoint.journaled === undefined, "the tables are one checkpoint");
    const { rows, next } = this.#checked(() => this.#tables.page((after as PageCursor | undefined) ?? FIRST_PAGE));
    return { bytes: encodeSnapshotChunk({ state: this.#checkpoint.state, ...rows }), next };
  }

  beginImport(): void {
    const set = otherSet(this.#checkpoint.set);
    this.#sql.exec(dropCheckpointTables(set));
    this.#staging = this.#openTables(set);
    this.#stagedState = undefined;
    this.#stagedRanges = RangeHashes.ofNothing();
  }

  importChunk(bytes: Uint8Array): void {
    invariant(this.#staging !== undefined, "an import has begun");
    const chunk = decodeSnapshotChunk(bytes);
    this.#storage.transactionSync(() => this.#staging?.insert(chunk));
    for (const entry of chunk.entries) this.#stagedRanges.added(entry);
    this.#stagedState = { ...chunk.state, ranges: this.#stagedRanges.all() };
  }

  finishImport(meta: SnapshotMeta): void {
    const staging = this.#staging;
    const state = this.#stagedState;
    invariant(staging !== undefined && state !== undefined, "something was imported");
    const old = this.#checkpoint.set;
    const checkpoint: CheckpointMeta = { index: meta.index, set: otherSet(old), state, isChecked: true };
    this.#storage.transactionSync(() => {
      this.#run("DELETE FROM log");
      this.#run("DELETE FROM journal");
      this.#saveMeta("compacted", meta);
      this.#saveMeta("checkpoint", checkpoint);
      this.#sql.exec(dropCheckpointTables(old));
    });
    this.#tables = staging;
    this.#staging = undefined;
    this.#journaled = 0;
    this.#checkpoint = checkpoint;
    this.#snapshot = meta;
    this.#lastIndex = meta.index;
    this.#commitIndex = meta.index;
    this.logBytes = 0;
  }

  /** Stored at once: whatever the deployment's variables say later, this is how the replica's log began. */
  #found(membership: Membership): SnapshotMeta {
    const start: SnapshotMeta = { index: 0, term: 0, membership };
    this.#saveMeta("compacted", start);
    return start;
  }

  /** What is stored is not to be trusted: the next instance begins anew. */
  condemn(): void {
    this.#saveMeta("condemned", true);
  }

  /** The instance before this one may have ended in the middle of a checkpoint. */
  #finishCheckpoint(): void {
    const rows = this.#sql.exec<JournalRow>("SELECT data, checksum FROM journal ORDER BY part").toArray();
    const { journaled = 0 } = this.#checkpoint;
    const parts = rows.map(({ data }) => new Uint8Array(data));
    const isIntact = parts.length === journaled && parts.every((part, at) => hashBytes(part) === rows[at]?.checksum);
    if (journaled > 0 && !isIntact) {
      this.condemn();
      return;
    }
    if (rows.length === 0) return;
    this.#storage.transactionSync(() => {
      if (journaled > 0) for (const part of parts) this.#tables.writeRows(decodeJournalPart(part));
      this.#endJournal();
    });
  }

  #endJournal(): void {
    this.#run("DELETE FROM journal");
    this.#journaled = 0;
    if (this.#checkpoint.journaled === undefined) return;
    this.#checkpoint = { ...this.#checkpoint, journaled: undefined };
    this.#saveMeta("checkpoint", this.#checkpoint);
  }

  /**
   * Settles what is damaged before anything is used. Only the end of the log is lost where that can be, or else everything:
   * then the replica starts like one that joins, except that it knows how far it has acknowledged.
   */
  #recover(isCheckpointLost: boolean): Recovery | undefined {
    const hasRows = this.#sql.exec("SELECT 1 FROM log LIMIT 1").toArray().length > 0;
    const isCondemned =
      this.#meta("condemned") === true || (isCheckpointLost && this.#hasMeta("checkpoint")) || !this.#areMarksIntact();
    if (!isCondemned && !hasRows) return undefined;
    const recovery = recoveryOf({
      rows: this.#logRows(),
      compacted: this.#snapshot,
      checkpointIndex: this.#checkpoint.index,
      hardState: this.#hardState,
      isCondemned,
    });
    if (recovery === undefined) return undefined;
    const { lost } = recovery;
    this.#storage.transactionSync(() => {
      if (recovery.kind === "cut") this.#run("DELETE FROM log WHERE idx >= ?", recovery.from);
      else this.#beginAnew();
      this.saveHardState({ ...this.#hardState, lost });
    });
    return recovery;
  }

  #beginAnew(): void {
    // The newest that can be read. Until it has caught up it is no candidate, whomever it takes for members.
    let { membership } = this.#snapshot;
    for (const row of this.#logRows()) {
      const entry = readLogRow(row);
      if (entry?.kind === "config") membership = decodeMembership(entry.data);
    }
    this.#run("DELETE FROM log");
    this.#run("DELETE FROM journal");
    this.#run("DELETE FROM meta WHERE name IN ('condemned', 'checkpoint')");
    this.#sql.exec(dropCheckpointTables("a"));
    this.#sql.exec(dropCheckpointTables("b"));
    this.#snapshot = this.#found(membership);
    this.#checkpoint = NO_CHECKPOINT;
    this.#tables = this.#openTables("a");
  }

  /**
   * Code from before there were hashes of the state has left none. Where the rows are few enough to be read while a replica opens they
   * are summed up, once; otherwise it has none until it gets a snapshot.
   */
  #sumUpRanges(): void {
    const { state } = this.#checkpoint;
    if (state.ranges !== undefined || state.revision === 0 || state.bytes > SUM_UP_BYTES_MAX) return;
    const ranges = RangeHashes.ofNothing();
    try {
      for (const entry of this.#tables.allEntries()) ranges.added(entry);
    } catch (error) {
      if (!(error instanceof DamagedStorageError)) throw error;
      this.condemn();
      return;
    }
    this.#checkpoint = { ...this.#checkpoint, state: { ...state, ranges: ranges.all() } };
  }

  *#logRows(): Generator<LogRow> {
    for (const row of this.#sql.exec<SqlLogRow>("SELECT * FROM log ORDER BY idx")) yield logRowOf(row);
  }

  #areMarksIntact(): boolean {
    try {
      this.#tables.marks();
      return true;
    } catch (error) {
      if (error instanceof DamagedStorageError) return false;
      throw error;
    }
  }

  #logEntryOf(row: SqlLogRow): LogEntry {
    const entry = readLogRow(logRowOf(row));
    if (entry !== undefined) return entry;
    // Opened again, it knows what to do with it.
    const error = new DamagedStorageError(`the log holds a damaged row, at ${row.idx}`);
    this.#onDamage(error);
    throw error;
  }

  #checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof DamagedStorageError) {
        this.condemn();
        this.#onDamage(error);
      }
      throw error;
    }
  }

  /** Undefined: there is none, or none that can be read. */
  #checkpointMeta(): CheckpointMeta | undefined {
    try {
      return this.#meta<CheckpointMeta>("checkpoint");
    } catch (error) {
      if (error instanceof DamagedStorageError) return undefined;
      throw error;
    }
  }

  #openTables(set: TableSet): CheckpointTables {
    return new CheckpointTables(this.#sql, set, (rows) => {
      this.rowsWritten += rows;
    });
  }

  #meta<T>(name: string): T | undefined {
    const row = this.#sql.exec<{ value: string }>("SELECT value FROM meta WHERE name = ?", name).toArray()[0];
    if (row === undefined) return undefined;
    const value = readMeta(row.value);
    if (value === undefined) throw new DamagedStorageError(`the row ${name} is damaged`);
    return value as T;
  }

  #hasMeta(name: string): boolean {
    return this.#sql.exec("SELECT 1 FROM meta WHERE name = ?", name).toArray().length > 0;
  }

  #saveMeta(name: string, value: unknown): void {
    this.#run(
      "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
      name,
      (hasJournal(value) ? HAS_JOURNAL : "") + writeMeta(value),
    );
  }

  #run(query: string, ...bindings: SqlStorageValue[]): void {
    this.rowsWritten += this.#sql.exec(query, ...bindings).rowsWritten;
  }
}

function logRowOf({ idx, term, kind, commit_idx, data, checksum }: SqlLogRow): LogRow {
  return { index: idx, term, kind, commitIndex: commit_idx, data: new Uint8Array(data), checksum };
}

/**
 * The checksum is a field of the value, so that code from before there was one reads it, and writes it without. Whatever is
 * no object has none.
 */
function writeMeta(value: unknown): string {
  const text = JSON.stringify(value);
  return typeof value === "object" ? JSON.stringify({ ...value, checksum: hash32(text) }) : text;
}

function hasJournal(value: unknown): boolean {
  return typeof value === "object" && value !== null && "journaled" in value && value.journaled !== undefined;
}

/** Undefined: damaged. */
function readMeta(text: string): unknown {
  let stored: unknown;
  try {
    stored = JSON.parse(text.startsWith(HAS_JOURNAL) ? text.slice(HAS_JOURNAL.length) : text);
  } catch {
    return undefined;
  }
  if (typeof stored !== "object" || stored === null || !("checksum" in stored)) return stored;
  const { checksum, ...value } = stored;
  return hash32(JSON.stringify(value)) === checksum ? value : undefined;
}
