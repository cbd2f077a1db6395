// One set of checkpoint tables: typed statements for reading, writing and paging through them. No transactions here.
// What is read is checked against its row's checksum, where it has one that counts; a damaged row throws DamagedStorageError.

import { DamagedStorageError } from "../damage.ts";
import { decodeOutcome, encodeOutcome } from "../store/codec.ts";
import type {
  CheckpointDelta,
  CheckpointRows,
  Entry,
  EntryHead,
  IdempotencyRecord,
  Mark,
  RowPosition,
} from "../store/entry.ts";
import { decodeExtras, decodeMark, encodeExtras, encodeMark } from "../store/entry-codec.ts";
import type { KeyRange } from "../store/keyspace.ts";
import { isHeadIntact, isRowIntact, markChecksum, recordChecksum, rowChecksum } from "../store/row-checksum.ts";
import { entryBytes, idempotencyRecordBytes, markBytes } from "../store/sizes.ts";
import { SNAPSHOT_CHUNK_BYTES_TARGET, type SnapshotChunk } from "../store/snapshot-codec.ts";
import type { MeteredSql } from "./metered-sql.ts";
import { addChecksumColumn, blob, checkpointSchema, type TableSet } from "./schema.ts";

type HeadRow = Record<"slot" | "version" | "created_ms" | "modified_ms" | "size", number> &
  Record<"key" | "content_type", string> & {
    expires_ms: number | null;
    extras: ArrayBuffer | null;
    checksum: number | null;
  };

/** In the order of HEAD_COLUMNS. */
type RawHead = [
  number,
  string,
  number,
  number,
  string,
  number,
  number,
  number | null,
  ArrayBuffer | null,
  number | null,
];

type EntryRow = Omit<HeadRow, "size"> & { value: ArrayBuffer };

type IdempotencyRow = Record<"slot" | "expires_ms" | "sequence", number> &
  Record<"key" | "id" | "fingerprint", string> & { outcome: ArrayBuffer; checksum: number | null };

interface MarkRow extends Record<string, SqlStorageValue> {
  readonly data: ArrayBuffer;
  readonly checksum: number | null;
}

type Rows = Pick<SnapshotChunk, "entries" | "idempotency" | "marks">;

const NO_ROWS: Rows = { entries: [], idempotency: [], marks: [] };

/** Where a page starts: after this row of this table. */
export interface PageCursor {
  readonly table: "entries" | "idempotency" | "marks";
  /** Of a mark: 0, its kind and its name. */
  readonly after: readonly [slot: number, key: string, id: string];
}

export const FIRST_PAGE: PageCursor = { table: "entries", after: [-1, "", ""] };

/** 10 parameters each, of the 100 that the platform allows in a statement: a statement costs more than a row. */
const ENTRIES_PER_STATEMENT = 10;

const HEAD_COLUMNS =
  "slot, key, version, LENGTH(value) AS size, content_type, created_ms, modified_ms, expires_ms, extras, checksum";

/** Rows fetched at most for one chunk, whatever their size. */
const CHUNK_ROWS_MAX = 5_000;

export class CheckpointTables {
  readonly #sql: Pick<MeteredSql, "exec">;
  readonly #set: TableSet;
  readonly #countRows: (rows: number) => void;
  /**
   * Whether checksums count. They do not where code from before there were any has written to tables that had some: it has
   * changed rows and left their checksums as they were.
   */
  isChecked = true;
  /** They had no checksums until now. */
  readonly isUpgraded: boolean;

  constructor(sql: Pick<MeteredSql, "exec">, set: TableSet, countRows: (rows: number) => void) {
    this.#sql = sql;
    this.#set = set;
    this.#countRows = countRows;
    sql.exec(checkpointSchema(set));
    const added = ["entries", "idempotency", "marks"].map((table) => addChecksumColumn(sql, `${table}_${set}`));
    this.isUpgraded = added.includes(true);
  }

  entry(slot: number, key: string): Entry | undefined {
    for (const row of this.#sql.exec<EntryRow>(
      `SELECT * FROM entries_${this.#set} WHERE slot = ? AND key = ?`,
      slot,
      key,
    )) {
      return this.#entryOf(row);
    }
    return undefined;
  }

  /** As they are, whatever their checksums say: whoever reads one of them for use checks it then. */
  *allEntries(): Generator<Entry> {
    for (const { value, ...row } of this.#sql.exec<EntryRow>(`SELECT * FROM entries_${this.#set}`)) {
      yield { ...this.#commonOf(row), value: new Uint8Array(value) };
    }
  }

  idempotency(slot: number, key: string, id: string): IdempotencyRecord | undefined {
    const query = `SELECT * FROM idempotency_${this.#set} WHERE slot = ? AND key = ? AND id = ?`;
    for (const row of this.#sql.exec<IdempotencyRow>(query, slot, key, id)) return this.#recordOf(row);
    return undefined;
  }

  records(
    slot: number,
    { key, id }: Pick<IdempotencyRecord, "key" | "id">,
    limit: number,
  ): readonly IdempotencyRecord[] {
    const query = `SELECT * FROM idempotency_${this.#set} WHERE slot = ? AND (key, id) > (?, ?) ORDER BY key, id LIMIT ?`;
    return Array.from(this.#sql.exec<IdempotencyRow>(query, slot, key, id, limit), (row) => this.#recordOf(row));
  }

  heads(slot: number, { from, to }: KeyRange, limit: number): readonly EntryHead[] {
    const query = `SELECT ${HEAD_COLUMNS} FROM entries_${this.#set} WHERE slot = ? AND key >= ?`;
    const rows =
      to === undefined
        ? this.#sql.exec<HeadRow>(`${query} ORDER BY key LIMIT ?`, slot, from, limit)
        : this.#sql.exec<HeadRow>(`${query} AND key < ? ORDER BY key LIMIT ?`, slot, from, to, limit);
    return rows.toArray().map((row) => this.#headOf(row));
  }

  headsAfter({ slot, key }: RowPosition, limit: number): readonly EntryHead[] {
    const query = `SELECT ${HEAD_COLUMNS} FROM entries_${this.#set} WHERE (slot, key) > (?, ?) ORDER BY slot, key LIMIT ?`;
    // Without column names: the platform builds such rows in a third of the time, and whoever walks reads very many.
    const rows = this.#sql.exec(query, slot, key, limit).raw<RawHead>();
    return Array.from(
      rows,
      ([slot, key, version, size, content_type, created_ms, modified_ms, expires_ms, extras, sum]) =>
        this.#headOf({
          slot,
          key,
          version,
          size,
          content_type,
          created_ms,
          modified_ms,
          expires_ms,
          extras,
          checksum: sum,
        }),
    );
  }

  /** All of them: they are few, and every read may need them. */
  marks(): readonly Mark[] {
    return Array.from(this.#sql.exec<MarkRow>(`SELECT data, checksum FROM marks_${this.#set}`), (row) =>
      this.#markOf(row),
    );
  }

  write(delta: CheckpointDelta): void {
    for (const { kind, name } of delta.markRemovals) {
      this.#run(`DELETE FROM marks_${this.#set} WHERE kind = ? AND name = ?`, kind, name);
    }
    this.writeRows(delta);
    this.insert({ ...NO_ROWS, marks: delta.markUpserts });
    this.#run(
      `DELETE FROM idempotency_${this.#set} WHERE expires_ms <= ? OR sequence <= ?`,
      delta.idempotencyExpiredMs,
      delta.idempotencyEvictedSequence,
    );
  }

  /** The faster, the more they are in the table's order. */
  writeRows({ upserts, removals, idempotencyUpserts }: CheckpointRows): void {
    for (const { slot, key } of removals) {
      this.#run(`DELETE FROM entries_${this.#set} WHERE slot = ? AND key = ?`, slot, key);
    }
    this.insert({ entries: upserts, idempotency: idempotencyUpserts, marks: [] });
  }

  insert({ entries, idempotency, marks }: Rows): void {
    for (let at = 0; at < entries.length; at += ENTRIES_PER_STATEMENT) {
      const some = entries.slice(at, at + ENTRIES_PER_STATEMENT);
      this.#run(this.#upsertOf(some.length), ...some.flatMap(bindingsOf));
    }
    for (const record of idempotency) {
      const outcome = encodeOutcome(record.outcome);
      this.#run(
        `INSERT OR REPLACE INTO idempotency_${this.#set}
         (slot, key, id, fingerprint, outcome, expires_ms, sequence, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        record.slot,
        record.key,
        record.id,
        record.fingerprint,
        blob(outcome),
        record.expiresMs,
        record.sequence,
        recordChecksum(record, outcome),
      );
    }
    for (const mark of marks) {
      const query = `INSERT OR REPLACE INTO marks_${this.#set} (kind, name, data, checksum) VALUES (?, ?, ?, ?)`;
      const data = encodeMark(mark);
      this.#run(query, mark.kind, mark.name, blob(data), markChecksum(data));
    }
  }

  /** As few texts as there are row counts, so that the platform keeps the statements prepared. */
  #upsertOf(rows: number): string {
    const values = new Array(rows).fill("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").join(", ");
    return `INSERT INTO entries_${this.#set}
      (slot, key, version, value, content_type, created_ms, modified_ms, expires_ms, extras, checksum) VALUES ${values}
      ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value, content_type = excluded.content_type,
        created_ms = excluded.created_ms, modified_ms = excluded.modified_ms, expires_ms = excluded.expires_ms,
        extras = excluded.extras, checksum = excluded.checksum`;
  }

  /** The rows after `cursor`, up to about one chunk's bytes, and the cursor after them; undefined: no more rows. */
  page(cursor: PageCursor): { readonly rows: Rows; readonly next?: PageCursor } {
    switch (cursor.table) {
      case "entries":
        return this.#pageOfEntries(cursor.after);
      case "idempotency":
        return this.#pageOfRecords(cursor.after);
      case "marks":
        return this.#pageOfMarks(cursor.after);
    }
  }

  #pageOfEntries([slot, key]: PageCursor["after"]): { readonly rows: Rows; readonly next: PageCursor } {
    const query = `SELECT * FROM entries_${this.#set} WHERE (slot, key) > (?, ?) ORDER BY slot, key LIMIT ?`;
    const entries = takeBytes(
      this.#sql.exec<EntryRow>(query, slot, key, CHUNK_ROWS_MAX),
      (row) => this.#entryOf(row),
      entryBytes,
    );
    const last = entries.at(-1);
    const next: PageCursor =
      last === undefined
        ? { table: "idempotency", after: [-1, "", ""] }
        : { table: "entries", after: [last.slot, last.key, ""] };
    return { rows: { ...NO_ROWS, entries }, next };
  }

  #pageOfRecords([slot, key, id]: PageCursor["after"]): { readonly rows: Rows; readonly next: PageCursor } {
    const query = `SELECT * FROM idempotency_${this.#set} WHERE (slot, key, id) > (?, ?, ?) ORDER BY slot, key, id LIMIT ?`;
    const idempotency = takeBytes(
      this.#sql.exec<IdempotencyRow>(query, slot, key, id, CHUNK_ROWS_MAX),
      (row) => this.#recordOf(row),
      idempotencyRecordBytes,
    );
    const last = idempotency.at(-1);
    const next: PageCursor =
      last === undefined
        ? { table: "marks", after: [-1, "", ""] }
        : { table: "idempotency", after: [last.slot, last.key, last.id] };
    return { rows: { ...NO_ROWS, idempotency }, next };
  }

  #pageOfMarks([, kind, name]: PageCursor["after"]): { readonly rows: Rows; readonly next?: PageCursor } {
    const query = `SELECT data, checksum FROM marks_${this.#set} WHERE (kind, name) > (?, ?) ORDER BY kind, name LIMIT ?`;
    const rows = this.#sql.exec<MarkRow>(query, kind, name, CHUNK_ROWS_MAX);
    const marks = takeBytes(rows, (row) => this.#markOf(row), markBytes);
    const last = marks.at(-1);
    if (last === undefined) return { rows: NO_ROWS };
    return { rows: { ...NO_ROWS, marks }, next: { table: "marks", after: [0, last.kind, last.name] } };
  }

  #entryOf(row: EntryRow): Entry {
    const entry = { ...this.#commonOf(row), value: new Uint8Array(row.value) };
    if (this.#counts(row) && !isRowIntact(entry, row.checksum)) throw damaged("entry", row);
    return entry;
  }

  #headOf(row: HeadRow): EntryHead {
    const common = this.#commonOf(row);
    if (this.#counts(row) && !isHeadIntact(common, row.checksum)) throw damaged("entry", row);
    return { ...common, size: row.size };
  }

  #commonOf(row: Omit<HeadRow, "size">): Omit<Entry, "value"> {
    try {
      return commonOf(row);
    } catch (error) {
      throw this.#counts(row) ? damaged("entry", row) : error;
    }
  }

  #recordOf(row: IdempotencyRow): IdempotencyRecord {
    const outcome = new Uint8Array(row.outcome);
    const { slot, key, id, fingerprint, expires_ms: expiresMs, sequence } = row;
    const rest = { slot, key, id, fingerprint, expiresMs, sequence };
    if (this.#counts(row) && recordChecksum(rest, outcome) !== row.checksum) throw damaged("idempotency record", row);
    return { ...rest, outcome: decodeOutcome(outcome) };
  }

  #markOf(row: MarkRow): Mark {
    const data = new Uint8Array(row.data);
    if (this.#counts(row) && markChecksum(data) !== row.checksum) throw damaged("mark", { slot: 0 });
    return decodeMark(data);
  }

  #counts<R extends { readonly checksum: number | null }>(row: R): row is R & { readonly checksum: number } {
    return this.isChecked && row.checksum !== null;
  }

  #run(query: string, ...bindings: SqlStorageValue[]): void {
    this.#countRows(this.#sql.exec(query, ...bindings).rowsWritten);
  }
}

function takeBytes<Row, T>(rows: Iterable<Row>, read: (row: Row) => T, bytesOf: (item: T) => number): T[] {
  const items: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    const item = read(row);
    items.push(item);
    bytes += bytesOf(item);
    if (bytes >= SNAPSHOT_CHUNK_BYTES_TARGET) break;
  }
  return items;
}

function bindingsOf(entry: Entry): SqlStorageValue[] {
  return [
    entry.slot,
    entry.key,
    entry.version,
    blob(entry.value),
    entry.contentType,
    entry.createdMs,
    entry.modifiedMs,
    entry.expiresMs ?? null,
    entry.extras === undefined ? null : blob(encodeExtras(entry.extras)),
    rowChecksum(entry),
  ];
}

/** Names of keys are the users' business, and this goes into logs. */
function damaged(what: string, { slot }: { readonly slot: number }): DamagedStorageError {
  return new DamagedStorageError(`the checkpoint holds a damaged ${what}, in slot ${slot}`);
}

function commonOf(row: Omit<HeadRow, "size" | "checksum">): Omit<Entry, "value"> {
  return {
    slot: row.slot,
    key: row.key,
    version: row.version,
    contentType: row.content_type,
    createdMs: row.created_ms,
    modifiedMs: row.modified_ms,
    expiresMs: row.expires_ms ?? undefined,
    extras: row.extras === null ? undefined : decodeExtras(new Uint8Array(row.extras)),
  };
}
