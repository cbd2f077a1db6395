// What the baselines have in common: they serve the paths that Halo serves, `/v1/kv/{key}`, and start with the data set
// that the benchmark expects. Each baseline is the least code that does its one thing: no authorization, no checks.

import { DATA_SET_KEYS, keyName, valueText } from "../data-set.ts";

const PATH_PREFIX = "/v1/kv/";
const encoder = new TextEncoder();

export function keyOf(request: Request): string {
  return decodeURIComponent(new URL(request.url).pathname.slice(PATH_PREFIX.length));
}

export function* dataSet(): Generator<readonly [key: string, value: Uint8Array]> {
  for (let number = 0; number < DATA_SET_KEYS; number += 1) {
    yield [keyName(number), encoder.encode(valueText(number, 0))];
  }
}

/** A table of entries in one object. A PUT writes one row: `WITHOUT ROWID` leaves no second index to write. */
export class EntryTable {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    storage.transactionSync(() => this.#fill());
  }

  put(key: string, value: ArrayBuffer): void {
    this.#sql.exec(
      "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }

  get(key: string): ArrayBuffer | undefined {
    const [row] = this.#sql.exec<{ value: ArrayBuffer }>("SELECT value FROM entries WHERE key = ?", key);
    return row?.value;
  }

  #fill(): void {
    this.#sql.exec("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID");
    if (this.#sql.exec<{ present: number }>("SELECT count(*) AS present FROM entries").one().present > 0) return;
    for (const [key, value] of dataSet()) this.#sql.exec("INSERT INTO entries (key, value) VALUES (?, ?)", key, value);
  }
}

export function entryReply(value: BodyInit | undefined): Response {
  return value === undefined ? new Response("no such entry", { status: 404 }) : new Response(value);
}
