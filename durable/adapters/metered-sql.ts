// The object's SQLite, counting the rows that are read, as the platform bills them. A cursor knows them when it has been read
// to its end: they are taken when the next statement begins, so a cursor that is still open then counts with what it had read.

type Cursor<Row extends Record<string, SqlStorageValue>> = SqlStorageCursor<Row>;

export class MeteredSql {
  readonly #sql: SqlStorage;
  #open: Pick<SqlStorageCursor<Record<string, SqlStorageValue>>, "rowsRead"> | undefined;
  #rowsRead = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  exec<Row extends Record<string, SqlStorageValue>>(query: string, ...bindings: SqlStorageValue[]): Cursor<Row> {
    this.#rowsRead += this.#open?.rowsRead ?? 0;
    const cursor = this.#sql.exec<Row>(query, ...bindings);
    this.#open = cursor;
    return cursor;
  }

  get rowsRead(): number {
    return this.#rowsRead + (this.#open?.rowsRead ?? 0);
  }

  /** Of the whole database. */
  get bytes(): number {
    return this.#sql.databaseSize;
  }
}
