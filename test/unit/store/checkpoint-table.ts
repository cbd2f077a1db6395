// The table of a shard as a map: what SQLite is in the object. Applies checkpoint deltas and answers the store's reads.

import type {
  CheckpointDelta,
  CheckpointReader,
  Entry,
  IdempotencyRecord,
  StoreState,
} from "../../../durable/store/entry.ts";
import type { SnapshotChunk } from "../../../durable/store/snapshot-codec.ts";
import { EMPTY_STORE_STATE } from "../../../durable/store/store.ts";

export class CheckpointTable implements CheckpointReader {
  state: StoreState = EMPTY_STORE_STATE;
  readonly #entries = new Map<string, Entry>();
  readonly #records = new Map<string, IdempotencyRecord>();

  entry(slot: number, key: string): Entry | undefined {
    return this.#entries.get(JSON.stringify([slot, key]));
  }

  idempotency(slot: number, key: string, id: string): IdempotencyRecord | undefined {
    return this.#records.get(JSON.stringify([slot, key, id]));
  }

  get entryCount(): number {
    return this.#entries.size;
  }

  get recordCount(): number {
    return this.#records.size;
  }

  /** All rows, as a snapshot carries them. */
  get rows(): { readonly entries: readonly Entry[]; readonly idempotency: readonly IdempotencyRecord[] } {
    return { entries: [...this.#entries.values()], idempotency: [...this.#records.values()] };
  }

  /** Takes over rows of a snapshot; its state comes with the last of them. */
  import({ state, entries, idempotency }: SnapshotChunk): void {
    this.#insert(entries, idempotency);
    this.state = state;
  }

  write(delta: CheckpointDelta): void {
    this.#insert(delta.upserts, delta.idempotencyUpserts);
    for (const { slot, key } of delta.removals) this.#entries.delete(JSON.stringify([slot, key]));
    for (const [recordKey, record] of this.#records) {
      const isExpired = record.expiresMs <= delta.idempotencyExpiredMs;
      if (isExpired || record.sequence <= delta.idempotencyEvictedSequence) this.#records.delete(recordKey);
    }
    this.state = delta.state;
  }

  /** Drops rows that expired, as a background sweep would. */
  reclaimExpired(): void {
    for (const [entryKey, { expiresMs }] of this.#entries) {
      if (expiresMs !== undefined && expiresMs <= this.state.clockMs) this.#entries.delete(entryKey);
    }
  }

  #insert(entries: readonly Entry[], records: readonly IdempotencyRecord[]): void {
    for (const entry of entries) this.#entries.set(JSON.stringify([entry.slot, entry.key]), entry);
    for (const record of records) this.#records.set(JSON.stringify([record.slot, record.key, record.id]), record);
  }
}
