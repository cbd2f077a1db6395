// Whether a write finds room: the shard's storage budget and its namespaces' limits, asked at the leader before anything is
// proposed. Platform-free. Refuses only what adds bytes; whatever makes room or changes times always passes. What is in flight
// is not counted, so the budget can be passed by what the queues hold, which is bounded.

import { SLOT_COUNT } from "../routing/slots.ts";
import type { ArrivalSize, Refusal } from "./protocol.ts";
import { LEADER_WAIT_MS, type ReplicaContext } from "./replica-context.ts";
import type { KeyMutation, Lifetime, TransactionOperation } from "./store/command.ts";
import { EVICTION_START_SHARE, EVICTION_STOP_SHARE, STORAGE_BYTES_MAX_DEFAULT } from "./store/eviction/budget.ts";
import { parsePartKey } from "./store/keyspace.ts";
import {
  type Growth,
  growthsOf,
  isEvictableNamespace,
  type Namespaces,
  NO_NAMESPACES,
  quotaNamespaceOf,
  shardQuotaBytes,
  withDefaultLifetime,
} from "./store/namespace-settings.ts";
import { accountedBytes } from "./store/sizes.ts";

export interface StorageOptions {
  /** Of one replica, as `accountedBytes` counts. */
  readonly storageBytesMax: number;
  readonly namespaces: Namespaces;
}

export const DEFAULT_STORAGE_OPTIONS: StorageOptions = {
  storageBytesMax: STORAGE_BYTES_MAX_DEFAULT,
  namespaces: NO_NAMESPACES,
};

export type Admitted = { readonly status: "admitted"; readonly mutation: KeyMutation } | Refusal;

/** A namespace that holds more than its quota, and by how much until eviction stops. */
export interface Excess {
  readonly namespace: string;
  readonly bytes: number;
}

export class Admission {
  readonly #context: ReplicaContext;
  readonly #bytesMax: number;
  readonly #namespaces: Namespaces;
  /** A whole pass over the rows found nothing to evict; counts only while the shard is above its budget. */
  isExhausted = false;
  /**
   * By namespace, the room that a refused write needs. Between the mark at which eviction starts and the quota there is room for
   * small values only: a larger one would be refused for ever, with nothing that begins to make its room.
   */
  readonly #wanted = new Map<string, number>();
  /** Parts of large values may have come since somebody looked for those that belong to none. */
  mayHaveParts = true;
  /** A write was refused for want of room, of the shard or of its namespace, since somebody last looked at all rows. */
  isShort = false;

  constructor(context: ReplicaContext) {
    const { storageBytesMax, namespaces } = context.options.storage ?? DEFAULT_STORAGE_OPTIONS;
    this.#context = context;
    this.#bytesMax = storageBytesMax;
    this.#namespaces = namespaces;
  }

  /** The mutation as it is to be proposed, with its namespace's defaults, or why it is not. */
  admit(mutation: KeyMutation): Admitted {
    const { eviction, store } = this.#context;
    eviction.noteWrite(mutation.key);
    if (mutation.kind === "stage") this.mayHaveParts = true;
    const isNearlyFull = store.usage.bytes >= this.#bytesMax * EVICTION_START_SHARE;
    if (!isNearlyFull && this.#namespaces.size === 0) return { status: "admitted", mutation };
    if (!this.#isRepeated(mutation)) {
      const limit = this.#limitRefusal(mutation);
      if (limit !== undefined) return limit;
      const noRoom = this.#roomRefusal(growthsOf(mutation));
      if (noRoom !== undefined) {
        this.isShort = true;
        return noRoom;
      }
    }
    return { status: "admitted", mutation: this.#withDefaults(mutation) };
  }

  /** Bytes to be evicted until eviction stops; 0: it need not start. `isUnderWay`: it has started. */
  excessBytes(isUnderWay: boolean): number {
    const { bytes } = this.#context.store.usage;
    const start = this.#bytesMax * (isUnderWay ? EVICTION_STOP_SHARE : EVICTION_START_SHARE);
    return bytes > start ? bytes - this.#bytesMax * EVICTION_STOP_SHARE : 0;
  }

  /** Namespaces above their quota whose rows may be evicted for it. */
  excesses(isUnderWay: boolean): readonly Excess[] {
    if (this.#namespaces.size === 0) return [];
    const found: Excess[] = [];
    for (const [namespace, settings] of this.#namespaces) {
      const quota = shardQuotaBytes(settings, this.#slotShare());
      const { bytes } = this.#context.store.usage.of(namespace);
      const start = quota * (isUnderWay ? EVICTION_STOP_SHARE : EVICTION_START_SHARE);
      const roomy = quota - (this.#wanted.get(namespace) ?? 0);
      if (bytes <= roomy) this.#wanted.delete(namespace);
      if (settings.evict !== false && bytes > Math.min(start, roomy))
        found.push({ namespace, bytes: bytes - Math.min(quota * EVICTION_STOP_SHARE, roomy) });
    }
    return found;
  }

  /**
   * Why a slot cannot come here, beside what was promised to others; undefined: it can. A shard that evicts is always nearly full
   * and can take a slot all the same, or a cluster of caches could never be changed: so what may be evicted, here and of what
   * comes, is no reason against it. Quotas are none either: they bound what the cluster's writers may add, and a move adds nothing.
   */
  arrivalProblem(size: ArrivalSize, promised: readonly ArrivalSize[]): string | undefined {
    const { usage } = this.#context.store;
    const coming = [size, ...promised];
    const kept = [...this.#namespaces.keys()].filter((name) => !isEvictableNamespace(this.#namespaces, name));
    const keptBytes = kept.reduce((sum, name) => sum + usage.of(name).bytes, 0);
    const bytes = usage.bytes + coming.reduce((sum, each) => sum + each.bytes, 0);
    const least = keptBytes + coming.reduce((sum, each) => sum + each.keptBytes, 0);
    if (bytes <= this.#bytesMax || least <= this.#bytesMax * EVICTION_STOP_SHARE) return undefined;
    return `${size.bytes} bytes do not fit into the storage budget of ${this.#bytesMax}: ${least} could not be evicted`;
  }

  /** Whether no eviction takes the row: a part goes with its value. */
  isKept(key: string): boolean {
    return !this.isEvictable(parsePartKey(key)?.key ?? key);
  }

  isEvictable(key: string): boolean {
    const namespace = quotaNamespaceOf(key);
    return namespace !== undefined && isEvictableNamespace(this.#namespaces, namespace);
  }

  /** It was done before, adds nothing, and gets the outcome of then: a refusal would say that it was not done. */
  #isRepeated({ slot, key, idempotency }: KeyMutation): boolean {
    return idempotency !== undefined && this.#context.store.remembered(slot, key, idempotency.id) !== undefined;
  }

  #limitRefusal(mutation: KeyMutation): Refusal | undefined {
    if (this.#namespaces.size === 0) return undefined;
    if (mutation.kind !== "transaction") return this.#valueRefusal(growthsOf(mutation));
    const { onSuccess, onFailure } = mutation;
    // One of them is done: what the one appends does not count in the other.
    return this.#valueRefusal(onSuccess.flatMap(growthsOf)) ?? this.#valueRefusal(onFailure.flatMap(growthsOf));
  }

  #valueRefusal(growths: readonly Growth[]): Refusal | undefined {
    const sizes = new Map<string, number>();
    for (const { slot, key, valueBytes: written, isAppended } of growths) {
      const namespace = quotaNamespaceOf(key) ?? "";
      const max = this.#namespaces.get(namespace)?.maxValueBytes;
      if (max === undefined) continue;
      const present = isAppended === true ? (sizes.get(key) ?? this.#valueBytes(slot, key)) : 0;
      const valueBytes = present + written;
      sizes.set(key, valueBytes);
      if (valueBytes <= max) continue;
      const reason = `the value has ${valueBytes} bytes; expected at most ${max}, the limit of its namespace "${namespace}"`;
      return { status: "invalid", reason, code: "value_too_large" };
    }
    return undefined;
  }

  #roomRefusal(growths: readonly Growth[]): Refusal | undefined {
    const { usage } = this.#context.store;
    const added = new Map<string, number>();
    let addedInAll = 0;
    for (const growth of growths) {
      const bytes = Math.max(0, growth.rowBytes - this.#presentBytes(growth));
      const namespace = quotaNamespaceOf(growth.key);
      if (namespace !== undefined) added.set(namespace, (added.get(namespace) ?? 0) + bytes);
      addedInAll += bytes;
    }
    if (addedInAll === 0) return undefined;
    for (const [namespace, bytes] of added) {
      const quota = shardQuotaBytes(this.#namespaces.get(namespace), this.#slotShare());
      if (usage.of(namespace).bytes + bytes <= quota) continue;
      if (bytes <= quota && isEvictableNamespace(this.#namespaces, namespace)) {
        this.#wanted.set(namespace, Math.max(bytes, this.#wanted.get(namespace) ?? 0));
        return this.#evictionIsBehind();
      }
      return { status: "full", reason: `the quota of the namespace "${namespace}" is used up in this shard` };
    }
    if (usage.bytes + addedInAll <= this.#bytesMax) return undefined;
    if (!this.isExhausted) return this.#evictionIsBehind();
    return { status: "full", reason: "the shard's storage budget is used up, and nothing in it may be evicted" };
  }

  /** Room is being made: the same write a little later finds it. */
  #evictionIsBehind(): Refusal {
    return { status: "overloaded", retryAfterMs: LEADER_WAIT_MS };
  }

  /** Of what an append would find. */
  #valueBytes(slot: number, key: string): number {
    return this.#context.store.read(slot, key, 0)?.value.byteLength ?? 0;
  }

  #presentBytes({ slot, key }: Growth): number {
    const present = this.#context.store.find(slot, key);
    return present === undefined ? 0 : accountedBytes(present);
  }

  #withDefaults(mutation: KeyMutation): KeyMutation {
    if (mutation.kind !== "transaction") return this.#lasting(mutation);
    const { onSuccess, onFailure } = mutation;
    const lasting = (operation: TransactionOperation) => this.#lasting(operation);
    return { ...mutation, onSuccess: onSuccess.map(lasting), onFailure: onFailure.map(lasting) };
  }

  #lasting<T extends KeyMutation | TransactionOperation>(written: T): T {
    if (written.kind !== "put" && written.kind !== "increment" && written.kind !== "append") return written;
    return withDefaultLifetime(written as T & Lifetime, this.#namespaces.get(quotaNamespaceOf(written.key) ?? ""));
  }

  #slotShare(): number {
    const { options, ports } = this.#context;
    return ports.ownership.slotsOf(options.shard) / SLOT_COUNT;
  }
}
