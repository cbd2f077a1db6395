// The table of a shard as a map: what SQLite is in the object. Applies checkpoint deltas and answers the store's reads.

import type {
  CheckpointDelta,
  CheckpointReader,
  Entry,
  EntryHead,
  IdempotencyRecord,
  Mark,
  RowPosition,
  StoreState,
} from "../../../durable/store/entry.ts";
import { compareKeys, type KeyRange } from "../../../durable/store/keyspace.ts";
import { RangeHashes } from "../../../durable/store/range-hashes.ts";
import { decodeSnapshotChunk, encodeSnapshotChunk, type SnapshotChunk } from "../../../durable/store/snapshot-codec.ts";
import { EMPTY_STORE_STATE } from "../../../durable/store/store.ts";
import { idempotencyRowKey, Tables } from "../../simulation/disk.ts";

export class CheckpointTable implements CheckpointReader {
  state: StoreState = EMPTY_STORE_STATE;
  /** How often somebody walked on over the rows. */
  headReads = 0;
  readonly #tables = new Tables();

  entry(_slot: number, key: string): Entry | undefined {
    return this.#tables.entries.get(key);
  }

  idempotency(_slot: number, key: string, id: string): IdempotencyRecord | undefined {
    return this.#tables.idempotency.get(idempotencyRowKey(key, id));
  }

  records(slot: number, after: Pick<IdempotencyRecord, "key" | "id">, limit: number): readonly IdempotencyRecord[] {
    return this.#tables.records(slot, after, limit);
  }

  heads(slot: number, { from, to }: KeyRange, limit: number): readonly EntryHead[] {
    const isInside = (entry: Entry) =>
      entry.slot === slot && compareKeys(entry.key, from) >= 0 && (to === undefined || compareKeys(entry.key, to) < 0);
    return this.#tables.sortedEntries().filter(isInside).slice(0, limit).map(headOf);
  }

  headsAfter({ slot, key }: RowPosition, limit: number): readonly EntryHead[] {
    this.headReads += 1;
    const isAfter = (entry: Entry) => entry.slot > slot || (entry.slot === slot && compareKeys(entry.key, key) > 0);
    return this.#tables.sortedEntries().filter(isAfter).slice(0, limit).map(headOf);
  }

  marks(): readonly Mark[] {
    return [...this.#tables.marks.values()];
  }

  get entryCount(): number {
    return this.#tables.entries.size;
  }

  get recordCount(): number {
    return this.#tables.idempotency.size;
  }

  write(delta: CheckpointDelta): void {
    this.#tables.write(delta);
    this.state = delta.state;
  }

  /** All rows as a snapshot's chunks, `rows` in each, and the table that a receiver makes of their bytes. */
  throughSnapshot(rows: number): CheckpointTable {
    const { entries, idempotency, marks } = this.#tables;
    const copy = new CheckpointTable();
    const empty = { state: this.state, entries: [], idempotency: [], marks: [] };
    const chunks: SnapshotChunk[] = [
      ...slices(entries, rows).map((some) => ({ ...empty, entries: some })),
      ...slices(idempotency, rows).map((some) => ({ ...empty, idempotency: some })),
      ...slices(marks, rows).map((some) => ({ ...empty, marks: some })),
      empty,
    ];
    const ranges = RangeHashes.ofNothing();
    for (const chunk of chunks) {
      const received = decodeSnapshotChunk(encodeSnapshotChunk(chunk));
      copy.#tables.insert(received);
      for (const entry of received.entries) ranges.added(entry);
      copy.state = { ...received.state, ranges: ranges.all() };
    }
    return copy;
  }
}

function slices<T>(of: ReadonlyMap<string, T>, length: number): T[][] {
  const all = [...of.values()];
  return Array.from({ length: Math.ceil(all.length / length) }, (_, at) => all.slice(at * length, (at + 1) * length));
}

function headOf({ value, ...rest }: Entry): EntryHead {
  return { ...rest, size: value.byteLength };
}
