// Halo's own eviction as a policy to compare: the production store, walk, sketch and choice of victims, over a table in memory.
// Rows go into the table at checkpoints, as in a replica, at a size that stands to the capacity as in production.

import type { CheckpointReader, Entry, EntryHead, RowPosition } from "../../durable/store/entry.ts";
import { EVICTION_START_SHARE, EVICTION_STOP_SHARE } from "../../durable/store/eviction/budget.ts";
import { EvictionPolicy } from "../../durable/store/eviction/policy.ts";
import { Sweep } from "../../durable/store/eviction/sweep.ts";
import { compareKeys } from "../../durable/store/keyspace.ts";
import { accountedBytes } from "../../durable/store/sizes.ts";
import { EMPTY_STORE_STATE, Store } from "../../durable/store/store.ts";
import { slotOf } from "../../routing/slots.ts";
import type { Policy, Room } from "./policies.ts";

/** Of the capacity: what is dirty at a checkpoint (8,192 rows of 100,000 in a small shard), and what one slice looks at. */
const DIRTY_SHARE = 0.08;
const SLICE_SHARE = 0.01;

const BYTES = new Uint8Array(128 * 1024);

interface Key {
  readonly slot: number;
  readonly key: string;
  /** In the order of rows. */
  rank: number;
}

export function haloRowBytes(key: number, valueBytes: number): number {
  return accountedBytes({ key: nameOf(key), value: BYTES.subarray(0, valueBytes), contentType: "" } as Entry);
}

function nameOf(key: number): string {
  return `key:${String(key).padStart(7, "0")}`;
}

/** Rows by rank: the order is known beforehand, because the keys are. */
class MemoryTable implements CheckpointReader {
  readonly #byName = new Map<string, Key>();
  readonly #rows: (Entry | undefined)[];

  constructor(keys: readonly Key[]) {
    const sorted = keys.toSorted((one, other) => one.slot - other.slot || compareKeys(one.key, other.key));
    sorted.forEach((key, rank) => {
      key.rank = rank;
      this.#byName.set(key.key, key);
    });
    this.#rows = new Array(keys.length);
  }

  entry(_slot: number, key: string): Entry | undefined {
    return this.#rows[this.#rankOf(key)];
  }

  headsAfter({ key }: RowPosition, limit: number): readonly EntryHead[] {
    const heads: EntryHead[] = [];
    for (let rank = this.#rankOf(key) + 1; rank < this.#rows.length && heads.length < limit; rank++) {
      const row = this.#rows[rank];
      if (row !== undefined) heads.push({ ...row, size: row.value.byteLength });
    }
    return heads;
  }

  write(store: Store): void {
    const delta = store.checkpointDelta();
    const { upserts, removals } = delta;
    for (const entry of upserts) this.#rows[this.#rankOf(entry.key)] = entry;
    for (const { key } of removals) this.#rows[this.#rankOf(key)] = undefined;
    store.markCheckpointed(delta);
  }

  idempotency(): undefined {
    return undefined;
  }

  records(): readonly [] {
    return [];
  }

  heads(): readonly EntryHead[] {
    return [];
  }

  marks(): readonly [] {
    return [];
  }

  #rankOf(key: string): number {
    return this.#byName.get(key)?.rank ?? -1;
  }
}

export function halo({ trace, bytesMax }: Room): Policy {
  const keys: Key[] = Array.from({ length: trace.universe }, (_, key) => {
    return { key: nameOf(key), slot: slotOf(nameOf(key)), rank: 0 };
  });
  const table = new MemoryTable(keys);
  // What the clean cache holds decides nothing; the table is memory already.
  const store = new Store(table, EMPTY_STORE_STATE, { cacheBytesMax: 0 });
  const policy = new EvictionPolicy(1);
  const sliceRows = Math.max(16, Math.ceil(trace.capacity * SLICE_SHARE));
  let sweep = new Sweep(store, table);
  let at = 0;

  const evict = () => {
    const excess = store.usage.bytes - bytesMax * EVICTION_STOP_SHARE;
    let rows = sweep.next(sliceRows);
    if (rows === undefined) {
      sweep = new Sweep(store, table);
      rows = [];
    }
    const victims = policy.victims(rows, store.state, excess);
    store.apply({ stampMs: at, mutations: [{ kind: "reclaim", rows: victims, evicts: true }] });
  };

  return {
    request: (number) => {
      at++;
      const { key, slot } = keys[number] ?? { key: "", slot: 0 };
      const isHit = store.read(slot, key, at) !== undefined;
      policy.noteRead(key, isHit, store.usage.keys);
      if (isHit) return true;
      const value = BYTES.subarray(0, trace.valueBytes(number));
      store.apply({ stampMs: at, mutations: [{ kind: "put", slot, key, value, contentType: "" }] });
      if (store.usage.bytes > bytesMax * EVICTION_START_SHARE) {
        policy.fit(store.usage.keys);
        while (store.usage.bytes > bytesMax * EVICTION_STOP_SHARE) evict();
      }
      if (store.dirtyKeys >= trace.capacity * DIRTY_SHARE) table.write(store);
      return false;
    },
  };
}
