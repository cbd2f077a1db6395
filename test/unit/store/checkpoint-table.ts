// The table of a shard as a map: what SQLite is in the object. Applies checkpoint deltas and answers the store's reads.

import type {
  CheckpointDelta,
  CheckpointReader,
  Entry,
  IdempotencyRecord,
  StoreState,
} from "../../../durable/store/entry.ts";
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

  write(delta: CheckpointDelta): void {
    for (const entry of delta.upserts) this.#entries.set(JSON.stringify([entry.slot, entry.key]), entry);
    for (const { slot, key } of delta.removals) this.#entries.delete(JSON.stringify([slot, key]));
    for (const record of delta.idempotencyUpserts) {
      this.#records.set(JSON.stringify([record.slot, record.key, record.id]), record);
    }
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
}
