// What the source of a move sends: a copy of the slot's rows and idempotency records in chunks while writes go on, what changed
// meanwhile, and at the end what all of it must add up to. Keeps no timer and makes no call. Platform-free.
//
//   rows in the table ──▶ chunks ──▶ keys changed since ──▶ … ──▶ (frozen) last keys ──▶ count and digest
//
// Rows go as the source shows them: what a purge has taken is not sent, what one has made stale is sent stale. So the target
// needs none of the source's purges. A purge while the copy is under way has the rows looked at once more.

import type { ArrivalSize } from "./protocol.ts";
import type { ImportMutation, Mutation, TransactionOperation } from "./store/command.ts";
import { rowDigest } from "./store/commands/moves.ts";
import type { CheckpointReader, Entry, EntryHead, IdempotencyRecord } from "./store/entry.ts";
import { partKey } from "./store/keyspace.ts";
import { accountedBytes, accountedHeadBytes, entryBytes, idempotencyRecordBytes, removalBytes } from "./store/sizes.ts";
import type { Store } from "./store/store.ts";

/** One log entry at the target, beside others; not so large that heartbeats wait for it. */
export const CHUNK_BYTES_TARGET = 512 * 1024;
/** Rows, removals or records of one chunk, whatever their size: what applying them takes stays short. */
export const CHUNK_ITEMS_MAX = 512;
/** Keys and records changed and not sent yet. Beyond that the slot is written faster than it can be sent: begin anew later. */
export const CHANGED_MAX = 20_000;
/** Rows looked at in one step: a few milliseconds. */
const LOOK_ROWS = 256;

export type Chunk = Pick<ImportMutation, "chunk" | "rows" | "removals" | "records">;

export interface Total {
  readonly chunks: number;
  readonly rows: number;
  readonly digest: number;
}

export class SlotCopy {
  readonly slot: number;
  readonly #store: Store;
  readonly #reader: Pick<CheckpointReader, "heads" | "records">;
  #chunks = 0;
  /** Keys whose rows are to be sent as they are by then. */
  readonly #changed = new Set<string>();
  readonly #changedRecords = new Map<string, Pick<IdempotencyRecord, "key" | "id">>();
  /** Next key of the table; undefined: all have been looked at. */
  #nextKey: string | undefined = "";
  #nextRecord: Pick<IdempotencyRecord, "key" | "id"> | undefined = { key: "", id: "" };
  /** The same for the look at what purges have changed; undefined: none is needed. */
  #recheckKey: string | undefined;

  /** Told of every batch that is applied from now on. */
  constructor(store: Store, reader: Pick<CheckpointReader, "heads" | "records">, slot: number) {
    this.#store = store;
    this.#reader = reader;
    this.slot = slot;
    // What is not in the table yet counts as changed: the walk leaves it out, wherever a checkpoint may put it meanwhile.
    for (const entry of store.unwritten.upserts) if (entry.slot === slot) this.#changed.add(entry.key);
    for (const record of store.unwrittenRecords) if (record.slot === slot) this.#changeRecord(record);
  }

  /** Keys and records that are still to be sent, those not counted that no walk has come to. */
  get changed(): number {
    return this.#changed.size + this.#changedRecords.size;
  }

  /** Everything was looked at once, and after the last purge. */
  get hasWalked(): boolean {
    return this.#nextKey === undefined && this.#nextRecord === undefined && this.#recheckKey === undefined;
  }

  get isOverrun(): boolean {
    return this.changed > CHANGED_MAX;
  }

  applied(mutations: readonly Mutation[]): void {
    for (const mutation of mutations) this.#noteChange(mutation);
  }

  #noteChange(mutation: Mutation | TransactionOperation): void {
    switch (mutation.kind) {
      case "purge":
        this.#recheckKey = "";
        for (const entry of this.#store.unwritten.upserts) if (entry.slot === this.slot) this.#recheck(entry);
        return;
      case "reclaim":
        for (const { slot, key } of mutation.rows) if (slot === this.slot) this.#changed.add(key);
        return;
      case "forget_purges":
      case "found_slots":
      case "move":
      case "import":
      case "get":
        return;
    }
    if (mutation.slot !== this.slot) return;
    const { key, idempotency } = mutation;
    if (idempotency !== undefined) this.#changeRecord({ key, id: idempotency.id });
    if (mutation.kind === "transaction") {
      for (const operation of [...mutation.onSuccess, ...mutation.onFailure]) this.#noteChange(operation);
    } else if (mutation.kind === "stage") this.#changed.add(partKey(key, mutation.upload, mutation.part));
    else this.#changed.add(key);
  }

  #changeRecord({ key, id }: Pick<IdempotencyRecord, "key" | "id">): void {
    this.#changedRecords.set(`${key.length}:${key}${id}`, { key, id });
  }

  #recheck(row: Omit<Entry, "value">): void {
    if (this.#store.marks.survivor(row) !== row) this.#changed.add(row.key);
  }

  /** The next chunk, which is to be sent until it arrives; undefined: there is nothing to send at this moment. */
  next(): Chunk | undefined {
    if (this.hasWalked && this.changed === 0) return undefined;
    this.#chunks += 1;
    const chunk = new ChunkBuilder(this.#chunks);
    this.#walkPurged();
    if (this.#nextKey !== undefined) this.#walkRows(chunk, this.#nextKey);
    // A small slot is one chunk.
    if (this.#nextKey === undefined && this.#nextRecord !== undefined) this.#walkRecords(chunk, this.#nextRecord);
    this.#takeChanged(chunk);
    return chunk;
  }

  #walkPurged(): void {
    if (this.#recheckKey === undefined) return;
    const heads = this.#reader.heads(this.slot, { from: this.#recheckKey }, LOOK_ROWS);
    for (const head of heads) if (!this.#store.isUnwritten(head.key)) this.#recheck(head);
    this.#recheckKey = after(heads.length < LOOK_ROWS ? undefined : heads.at(-1)?.key);
  }

  #walkRows(chunk: ChunkBuilder, from: string): void {
    const heads = this.#reader.heads(this.slot, { from }, LOOK_ROWS);
    for (const { key } of heads) {
      if (chunk.isFull) return;
      this.#nextKey = after(key);
      // It has been changed since the copy began, or was not in the table then: it is among the changed ones.
      if (!this.#store.isUnwritten(key)) this.#take(chunk, key, false);
    }
    if (heads.length < LOOK_ROWS) this.#nextKey = undefined;
  }

  #walkRecords(chunk: ChunkBuilder, from: Pick<IdempotencyRecord, "key" | "id">): void {
    const records = this.#reader.records(this.slot, from, LOOK_ROWS);
    for (const { key, id } of records) {
      if (chunk.isFull) return;
      this.#nextRecord = { key, id };
      chunk.addRecord(this.#store.remembered(this.slot, key, id));
    }
    if (records.length < LOOK_ROWS) this.#nextRecord = undefined;
  }

  #takeChanged(chunk: ChunkBuilder): void {
    for (const key of this.#changed) {
      if (chunk.isFull) return;
      this.#changed.delete(key);
      this.#take(chunk, key, true);
    }
    for (const [name, { key, id }] of this.#changedRecords) {
      if (chunk.isFull) return;
      this.#changedRecords.delete(name);
      chunk.addRecord(this.#store.remembered(this.slot, key, id));
    }
  }

  #take(chunk: ChunkBuilder, key: string, mayHaveGone: boolean): void {
    const row = this.#store.find(this.slot, key);
    const shown = row === undefined ? undefined : this.#store.marks.survivor(row);
    if (shown !== undefined) chunk.addRow(shown);
    else if (mayHaveGone) chunk.addRemoval(key);
  }

  /** What the target must have room for, as budgets count it. In steps, as `total`; a moving picture while writes go on. */
  *size(isKept: (key: string) => boolean): Generator<undefined, ArrivalSize> {
    let bytes = 0;
    let keptBytes = 0;
    for (const at of this.#shownHeads()) {
      if (at === undefined) yield undefined;
      else {
        const accounted = "value" in at ? accountedBytes(at) : accountedHeadBytes(at);
        bytes += accounted;
        if (isKept(at.key)) keptBytes += accounted;
      }
    }
    return { bytes, keptBytes };
  }

  /** What the target must have when everything has been sent. Of a frozen slot, in steps: whoever asks lets others run between. */
  *total(): Generator<undefined, Total> {
    let rows = 0;
    let digest = 0;
    for (const at of this.#shownHeads()) {
      if (at === undefined) yield undefined;
      else {
        rows += 1;
        digest = (digest + rowDigest(at)) >>> 0;
      }
    }
    return { chunks: this.#chunks, rows, digest };
  }

  /** Every row that is shown, as it is shown; undefined after every few of them, if there are more. */
  *#shownHeads(): Generator<Entry | EntryHead | undefined> {
    const { marks } = this.#store;
    const unwritten = [...this.#store.unwritten.upserts].filter(({ slot }) => slot === this.slot);
    // A checkpoint may bring them into the table while this goes on.
    const seen = new Set(unwritten.map(({ key }) => key));
    for (const entry of unwritten) {
      const shown = marks.survivor(entry);
      if (shown !== undefined) yield shown;
    }
    for (let from: string | undefined = ""; from !== undefined; ) {
      const heads = this.#reader.heads(this.slot, { from }, LOOK_ROWS);
      for (const head of heads) {
        if (seen.has(head.key) || this.#store.isUnwritten(head.key)) continue;
        const shown = marks.survivor(head);
        if (shown !== undefined) yield shown;
      }
      from = after(heads.length < LOOK_ROWS ? undefined : heads.at(-1)?.key);
      if (from !== undefined) yield undefined;
    }
  }
}

class ChunkBuilder implements Chunk {
  readonly chunk: number;
  readonly rows: Entry[] = [];
  readonly removals: string[] = [];
  readonly records: IdempotencyRecord[] = [];
  #bytes = 0;

  constructor(chunk: number) {
    this.chunk = chunk;
  }

  get isFull(): boolean {
    const items = this.rows.length + this.removals.length + this.records.length;
    return items >= CHUNK_ITEMS_MAX || this.#bytes >= CHUNK_BYTES_TARGET;
  }

  addRow(row: Entry): void {
    this.rows.push(row);
    this.#bytes += entryBytes(row);
  }

  addRemoval(key: string): void {
    this.removals.push(key);
    this.#bytes += removalBytes(key);
  }

  /** Undefined: it counts no more. */
  addRecord(record: IdempotencyRecord | undefined): void {
    if (record === undefined) return;
    this.records.push(record);
    this.#bytes += idempotencyRecordBytes(record);
  }
}

/** The least key above `key`. */
function after(key: string | undefined): string | undefined {
  return key === undefined ? undefined : `${key}\u0000`;
}
