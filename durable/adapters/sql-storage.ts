// ReplicaStorage on a Durable Object's SQLite. Synchronous by design: what happens between two awaits is one transaction.

import type { ReplicaStorage, SnapshotCursor } from "../ports.ts";
import type { LogEntry } from "../replication/entry.ts";
import { entryBytes } from "../replication/entry.ts";
import { invariant } from "../replication/invariant.ts";
import type { HardState } from "../replication/log-reader.ts";
import type { Membership } from "../replication/membership.ts";
import type { SnapshotMeta } from "../replication/message.ts";
import type {
  CheckpointDelta,
  Entry,
  EntryHead,
  IdempotencyRecord,
  Mark,
  RowPosition,
  StoreState,
} from "../store/entry.ts";
import type { KeyRange } from "../store/keyspace.ts";
import { decodeSnapshotChunk, encodeSnapshotChunk } from "../store/snapshot-codec.ts";
import { EMPTY_STORE_STATE } from "../store/store.ts";
import { CheckpointTables, FIRST_PAGE, type PageCursor } from "./checkpoint-tables.ts";
import { MeteredSql } from "./metered-sql.ts";
import { blob, checkpointSchema, dropCheckpointTables, META_SCHEMA, otherSet, type TableSet } from "./schema.ts";

type LogRow = Record<"idx" | "term" | "commit_idx", number> & { kind: LogEntry["kind"]; data: ArrayBuffer };

interface CheckpointMeta {
  readonly index: number;
  readonly set: TableSet;
  readonly state: StoreState;
}

/** SQLite's page and record overhead is not counted; this is the log's payload. */
export class SqlReplicaStorage implements ReplicaStorage {
  readonly #storage: DurableObjectStorage;
  readonly #sql: MeteredSql;
  #tables: CheckpointTables;
  #staging: CheckpointTables | undefined;
  #stagedState: StoreState | undefined;
  #checkpoint: CheckpointMeta;
  #hardState: HardState;
  #snapshot: SnapshotMeta;
  #lastIndex: number;
  #commitIndex: number;
  rowsWritten = 0;
  logBytes: number;

  /** `bootstrap`: the members to start with, used only the first time that this replica exists. */
  constructor(storage: DurableObjectStorage, bootstrap: Membership) {
    this.#storage = storage;
    this.#sql = new MeteredSql(storage.sql);
    this.#sql.exec(META_SCHEMA);
    this.#hardState = this.#meta<HardState>("hard_state") ?? { term: 0, quiesced: true };
    this.#snapshot = this.#meta<SnapshotMeta>("compacted") ?? this.#found(bootstrap);
    this.#checkpoint = this.#meta<CheckpointMeta>("checkpoint") ?? { index: 0, set: "a", state: EMPTY_STORE_STATE };
    this.#tables = this.#openTables(this.#checkpoint.set);
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
    for (const row of this.#sql.exec<LogRow>("SELECT * FROM log WHERE idx BETWEEN ? AND ? ORDER BY idx", from, to)) {
      const entry = logEntryOf(row);
      bytes += entryBytes(entry);
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  configEntries(): readonly LogEntry[] {
    return this.#sql.exec<LogRow>("SELECT * FROM log WHERE kind = 'config' ORDER BY idx").toArray().map(logEntryOf);
  }

  appendLog(entries: readonly LogEntry[], commitIndex: number): void {
    const first = entries[0];
    if (first === undefined) return;
    invariant(first.index <= this.#lastIndex + 1, "log rows are contiguous");
    if (first.index <= this.#lastIndex) this.#run("DELETE FROM log WHERE idx >= ?", first.index);
    for (const entry of entries) {
      this.#run(
        "INSERT INTO log (idx, term, kind, commit_idx, data) VALUES (?, ?, ?, ?, ?)",
        entry.index,
        entry.term,
        entry.kind,
        commitIndex,
        blob(entry.data),
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
    return this.#tables.entry(slot, key);
  }

  idempotency(slot: number, key: string, id: string): IdempotencyRecord | undefined {
    return this.#tables.idempotency(slot, key, id);
  }

  records(slot: number, after: Pick<IdempotencyRecord, "key" | "id">, limit: number): readonly IdempotencyRecord[] {
    return this.#tables.records(slot, after, limit);
  }

  heads(slot: number, range: KeyRange, limit: number): readonly EntryHead[] {
    return this.#tables.heads(slot, range, limit);
  }

  headsAfter(after: RowPosition, limit: number): readonly EntryHead[] {
    return this.#tables.headsAfter(after, limit);
  }

  marks(): readonly Mark[] {
    return this.#tables.marks();
  }

  saveCheckpoint(delta: CheckpointDelta, index: number): void {
    invariant(index >= this.#checkpoint.index, "checkpoints move forward");
    const checkpoint: CheckpointMeta = { index, set: this.#checkpoint.set, state: delta.state };
    this.#storage.transactionSync(() => {
      this.#tables.write(delta);
      this.#saveMeta("checkpoint", checkpoint);
    });
    this.#checkpoint = checkpoint;
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
    const { rows, next } = this.#tables.page((after as PageCursor | undefined) ?? FIRST_PAGE);
    return { bytes: encodeSnapshotChunk({ state: this.#checkpoint.state, ...rows }), next };
  }

  beginImport(): void {
    const set = otherSet(this.#checkpoint.set);
    this.#sql.exec(dropCheckpointTables(set));
    this.#staging = this.#openTables(set);
    this.#stagedState = undefined;
  }

  importChunk(bytes: Uint8Array): void {
    invariant(this.#staging !== undefined, "an import has begun");
    const chunk = decodeSnapshotChunk(bytes);
    this.#storage.transactionSync(() => this.#staging?.insert(chunk));
    this.#stagedState = chunk.state;
  }

  finishImport(meta: SnapshotMeta): void {
    const staging = this.#staging;
    const state = this.#stagedState;
    invariant(staging !== undefined && state !== undefined, "something was imported");
    const old = this.#checkpoint.set;
    const checkpoint: CheckpointMeta = { index: meta.index, set: otherSet(old), state };
    this.#storage.transactionSync(() => {
      this.#run("DELETE FROM log");
      this.#saveMeta("compacted", meta);
      this.#saveMeta("checkpoint", checkpoint);
      this.#sql.exec(dropCheckpointTables(old));
    });
    this.#tables = staging;
    this.#staging = undefined;
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

  #openTables(set: TableSet): CheckpointTables {
    this.#sql.exec(checkpointSchema(set));
    return new CheckpointTables(this.#sql, set, (rows) => {
      this.rowsWritten += rows;
    });
  }

  #meta<T>(name: string): T | undefined {
    const row = this.#sql.exec<{ value: string }>("SELECT value FROM meta WHERE name = ?", name).toArray()[0];
    return row === undefined ? undefined : (JSON.parse(row.value) as T);
  }

  #saveMeta(name: string, value: unknown): void {
    this.#run(
      "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
      name,
      JSON.stringify(value),
    );
  }

  #run(query: string, ...bindings: SqlStorageValue[]): void {
    this.rowsWritten += this.#sql.exec(query, ...bindings).rowsWritten;
  }
}

function logEntryOf(row: LogRow): LogEntry {
  return { index: row.idx, term: row.term, kind: row.kind, data: new Uint8Array(row.data) };
}
