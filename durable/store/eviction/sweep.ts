// Pure. A walk over every row of a shard in bounded steps, while the rows change under it.
//
//   pass:   rows that are not in the table yet  ──▶  the table, in order of slots and keys
//
// What the caller may rely on: a row that was there when the pass began, and still is when it ends, was seen as it was at some
// moment between. Rows go from memory into the table at checkpoints, wherever their place there is: so memory comes first, and
// what a checkpoint takes out of it before it was seen is seen in the table. A row of the table that was changed since is seen
// as it is in memory.

import type { CheckpointReader, Entry, EntryHead, RowPosition } from "../entry.ts";
import type { Store } from "../store.ts";

/** Before every row. */
const START: RowPosition = { slot: -1, key: "" };

export class Sweep {
  readonly #store: Store;
  readonly #reader: Pick<CheckpointReader, "headsAfter">;
  /** Rows in memory that are still to be seen; a live iterator of the store's map. Undefined: the walk is in the table. */
  #unwritten: Iterator<Entry> | undefined;
  #after = START;

  constructor(store: Store, reader: Pick<CheckpointReader, "headsAfter">) {
    this.#store = store;
    this.#reader = reader;
    this.#unwritten = store.unwritten.upserts[Symbol.iterator]();
  }

  /** At most `limit` more rows, some perhaps seen before; undefined: the pass is over. Empty says nothing. */
  next(limit: number): readonly EntryHead[] | undefined {
    return this.#unwritten === undefined ? this.#nextInTable(limit) : this.#nextInMemory(this.#unwritten, limit);
  }

  #nextInMemory(unwritten: Iterator<Entry>, limit: number): readonly EntryHead[] {
    const heads: EntryHead[] = [];
    while (heads.length < limit) {
      const next = unwritten.next();
      if (next.done === true) {
        this.#unwritten = undefined;
        break;
      }
      heads.push(headOf(next.value));
    }
    return heads;
  }

  #nextInTable(limit: number): readonly EntryHead[] | undefined {
    const stored = this.#reader.headsAfter(this.#after, limit);
    const last = stored.at(-1);
    if (last === undefined) return undefined;
    this.#after = { slot: last.slot, key: last.key };
    const heads: EntryHead[] = [];
    for (const head of stored) {
      const current = this.#store.isUnwritten(head.key) ? this.#changed(head) : head;
      if (current !== undefined) heads.push(current);
    }
    return heads;
  }

  #changed({ slot, key }: EntryHead): EntryHead | undefined {
    const entry = this.#store.find(slot, key);
    return entry === undefined ? undefined : headOf(entry);
  }
}

function headOf({ value, ...rest }: Entry): EntryHead {
  return { ...rest, size: value.byteLength };
}
