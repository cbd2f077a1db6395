// The tables of one replica, and the only place that names them. WITHOUT ROWID makes an upsert one row written instead of
// two; there is no index on expiry, because every index update is billed as a row.
//
// The checkpoint lives in one of two table sets, `a` and `b`: a snapshot is staged into the other one, and taking it over
// is a rename in `meta`, not a second copy of every row.

import type { MeteredSql } from "./metered-sql.ts";

export type TableSet = "a" | "b";

export const META_SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS log (
    idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, kind TEXT NOT NULL, commit_idx INTEGER NOT NULL, data BLOB NOT NULL,
    checksum INTEGER
  );
  CREATE TABLE IF NOT EXISTS journal (part INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL);
`;

export function checkpointSchema(set: TableSet): string {
  return `
    CREATE TABLE IF NOT EXISTS entries_${set} (
      slot INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL,
      content_type TEXT NOT NULL, created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL, expires_ms INTEGER,
      extras BLOB, checksum INTEGER,
      PRIMARY KEY (slot, key)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS idempotency_${set} (
      slot INTEGER NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, fingerprint TEXT NOT NULL,
      outcome BLOB NOT NULL, expires_ms INTEGER NOT NULL, sequence INTEGER NOT NULL,
      checksum INTEGER,
      PRIMARY KEY (slot, key, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS marks_${set} (
      kind TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, checksum INTEGER, PRIMARY KEY (kind, name)
    ) WITHOUT ROWID;
  `;
}

export function dropCheckpointTables(set: TableSet): string {
  return `DROP TABLE IF EXISTS entries_${set}; DROP TABLE IF EXISTS idempotency_${set}; DROP TABLE IF EXISTS marks_${set};`;
}

/** The same tables as code from before there were checksums has made them get the column. Returns whether it was missing. */
export function addChecksumColumn(sql: Pick<MeteredSql, "exec">, table: string): boolean {
  const columns = sql.exec<{ name: string }>(`SELECT name FROM pragma_table_info('${table}')`).toArray();
  if (columns.some(({ name }) => name === "checksum")) return false;
  sql.exec(`ALTER TABLE ${table} ADD COLUMN checksum INTEGER`);
  return true;
}

export function otherSet(set: TableSet): TableSet {
  return set === "a" ? "b" : "a";
}

/** The platform binds views as well as buffers; its types know only buffers. Binding the view saves a copy. */
export function blob(bytes: Uint8Array): ArrayBuffer {
  return bytes as unknown as ArrayBuffer;
}
