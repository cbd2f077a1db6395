// What really happened to one shard: the committed log as the first replica to apply an entry had it, and from it the
// history of every key. Nothing in the system sees this; the checkers compare what replicas and clients saw with it.

import type { LogEntry } from "../../../durable/replication/entry.ts";
import { decodeBatch } from "../../../durable/store/codec.ts";
import type { Mutation, Outcome } from "../../../durable/store/command.ts";
import type { CheckpointReader } from "../../../durable/store/entry.ts";
import type { SlotTable } from "../../../durable/store/slots.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { slotOf } from "../../../routing/slots.ts";
import { applyUnseen } from "../core-probe.ts";
import { textOf } from "../values.ts";
import { LogModel } from "./log-model.ts";
import type { Report } from "./report.ts";

export interface CommittedEntry {
  readonly entry: LogEntry;
  /** Term of the replica that applied it first: it was committed in this term or before. */
  readonly committedByTerm: number;
  /** Hash of the state after it. */
  readonly stateHash: number;
}

/** The state of a key after the entries from `fromIndex` up to, not including, `toIndex`. */
export interface KeyState {
  readonly fromIndex: number;
  toIndex: number;
  /** Absent: there was no entry. */
  readonly value?: string | undefined;
  readonly version?: number | undefined;
  readonly expiresMs?: number | undefined;
}

/** The shard owns the slot from the entry at `fromIndex` up to, not including, the one at `toIndex`. */
export interface SlotSpan {
  readonly fromIndex: number;
  toIndex: number;
  /** Epoch of the move that brought it here; 0: it was here from the start. */
  readonly move: number;
}

/** What the logs of several shards between which slots move know together: a write that is repeated at another one. */
export interface SharedTruth {
  /** By value: the version as which it was stored. */
  readonly versions: Map<string, number>;
  readonly deletions: Set<string>;
  /** Slots that move, with their first owners. */
  readonly firstOwners: ReadonlyMap<number, number>;
}

const NOTHING_STORED: CheckpointReader = {
  entry: () => undefined,
  idempotency: () => undefined,
  records: () => [],
  heads: () => [],
  headsAfter: () => [],
  marks: () => [],
};

export class GroundTruth {
  readonly shard: number;
  /** `entries[i]` is the entry at index i + 1. */
  readonly entries: CommittedEntry[] = [];
  /** When a write at this index was first acknowledged: the moment the answer left its replica. */
  readonly acknowledgedMs = new Map<number, number>();
  readonly #keys: readonly string[];
  readonly #store = new Store(NOTHING_STORED, EMPTY_STORE_STATE);
  readonly #states = new Map<string, KeyState[]>();
  readonly #indexOfValue = new Map<string, number>();
  /** Where deletions were applied that carried an idempotency key. */
  readonly #deletions = new Map<string, number>();
  /** Highest stamp of the entries up to index i + 1. */
  readonly #stamps: number[] = [];
  readonly #report: Report;
  /** What the same log means to somebody else. */
  readonly model: LogModel;
  readonly #shared: SharedTruth | undefined;
  /** By slot, of those that move. */
  readonly #spans = new Map<number, SlotSpan[]>();

  /** `otherKeys`: no registers, but part of the state all the same. `shared`: where slots move. */
  constructor(
    shard: number,
    keys: readonly string[],
    report: Report,
    model = new LogModel(keys, report),
    otherKeys: readonly string[] = [],
    shared?: SharedTruth,
  ) {
    this.shard = shard;
    this.#keys = [...keys, ...otherKeys];
    this.#report = report;
    this.model = model;
    this.#shared = shared;
    for (const [slot, owner] of shared?.firstOwners ?? []) {
      const toIndex = Number.POSITIVE_INFINITY;
      this.#spans.set(slot, owner === shard ? [{ fromIndex: 0, toIndex, move: 0 }] : []);
    }
    for (const key of keys) this.#states.set(key, [{ fromIndex: 0, toIndex: Number.POSITIVE_INFINITY }]);
  }

  /** What the log says of slots. */
  get slots(): SlotTable {
    return this.#store.marks.slots;
  }

  get lastIndex(): number {
    return this.entries.length;
  }

  at(index: number): CommittedEntry | undefined {
    return this.entries[index - 1];
  }

  /** The next committed entry. */
  append(entry: LogEntry, committedByTerm: number): void {
    let latestStampMs = this.#stamps.at(-1) ?? 0;
    if (entry.kind === "batch") {
      const { mutations, stampMs } = decodeBatch(entry.data);
      latestStampMs = Math.max(latestStampMs, stampMs);
      const outcomes = applyUnseen(this.#store, { mutations, stampMs });
      this.model.append(entry.index, { mutations, stampMs }, outcomes);
      for (const mutation of mutations) if (mutation.kind === "move") this.#noteSpan(entry.index, mutation.slot);
      for (const [position, mutation] of mutations.entries()) this.#note(entry.index, mutation, outcomes[position]);
    }
    this.#stamps.push(latestStampMs);
    this.entries.push({ entry, committedByTerm, stateHash: stateHash(this.#store, this.#keys) });
  }

  hashOf(store: Store): number {
    return stateHash(store, this.#keys);
  }

  /** Where in the log the value was stored; undefined: it is not committed. */
  indexOf(value: string): number | undefined {
    return this.#indexOfValue.get(value);
  }

  /** Where the deletion with this idempotency key took effect; undefined: it found nothing, or is not committed. */
  indexOfDeletion(idempotencyId: string): number | undefined {
    return this.#deletions.get(idempotencyId);
  }

  /** The shard's time once the entry at `index` is applied. */
  stampAt(index: number): number {
    return this.#stamps[index - 1] ?? 0;
  }

  /** When the shard has owned the slot, in order. */
  spansOf(slot: number): readonly SlotSpan[] {
    return this.#spans.get(slot) ?? [];
  }

  statesOf(key: string): readonly KeyState[] {
    return this.#states.get(key) ?? [];
  }

  /** The state of the key that holds after the entry at `index`. */
  stateAt(key: string, index: number): KeyState | undefined {
    return this.statesOf(key).findLast(({ fromIndex, toIndex }) => fromIndex <= index && index < toIndex);
  }

  #noteSpan(index: number, slot: number): void {
    const spans = this.#spans.get(slot);
    if (spans === undefined || !this.slots.isFounded) return;
    const last = spans.at(-1);
    const isOwner = last?.toIndex === Number.POSITIVE_INFINITY;
    if (this.slots.owns(slot) === isOwner) return;
    if (isOwner && last !== undefined) last.toIndex = index;
    else spans.push({ fromIndex: index, toIndex: Number.POSITIVE_INFINITY, move: this.slots.ownedSince(slot) });
  }

  #note(index: number, mutation: Mutation, outcome: Outcome | undefined): void {
    if (mutation.kind !== "put" && mutation.kind !== "delete") return;
    const isStored = outcome?.kind === "stored" && mutation.kind === "put";
    const isDeleted = outcome?.kind === "deleted" && outcome.existed;
    if (!isStored && !isDeleted) return;
    const states = this.#states.get(mutation.key);
    const last = states?.at(-1);
    if (states === undefined || last === undefined) return;
    const toIndex = Number.POSITIVE_INFINITY;
    if (!isStored) {
      // A repeated deletion returns the remembered outcome and changes nothing, whatever was written in between.
      const { idempotency } = mutation;
      if (idempotency !== undefined && this.#deletions.has(idempotency.id)) return;
      if (idempotency !== undefined && this.#shared?.deletions.has(idempotency.id) === true) return;
      if (idempotency !== undefined) this.#deletions.set(idempotency.id, index);
      if (idempotency !== undefined) this.#shared?.deletions.add(idempotency.id);
      last.toIndex = index;
      states.push({ fromIndex: index, toIndex });
      return;
    }
    const { version, expiresMs } = outcome;
    const value = textOf(mutation.value);
    // A repeated write returns the remembered outcome, the old version, and changes nothing.
    if (states.some((state) => state.version === version && state.value === value)) return;
    if (this.#shared?.versions.get(value) === version) return;
    this.#shared?.versions.set(value, version);
    if (this.#indexOfValue.has(value)) this.#report(`${value} was applied twice, at ${index} again`);
    last.toIndex = index;
    states.push({ fromIndex: index, toIndex, value, version, expiresMs });
    this.#indexOfValue.set(value, index);
  }
}

/** Over everything that the workload's keys hold. */
function stateHash(store: Store, keys: readonly string[]): number {
  // What the replicas compare among themselves must be the same wherever the state is: anything else is a false alarm.
  let hash = store.stateHash() ?? 0;
  for (const key of keys) {
    const entry = store.read(slotOf(key), key, 0);
    hash = Math.imul(hash ^ (entry?.version ?? 0), 16_777_619);
    if (entry === undefined) continue;
    hash = Math.imul(hash ^ ((entry.expiresMs ?? 1) % 4_294_967_291), 16_777_619);
    for (const byte of entry.value) hash = Math.imul(hash ^ byte, 16_777_619);
  }
  return hash;
}
