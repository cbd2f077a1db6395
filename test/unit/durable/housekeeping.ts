// A leader's housekeeper over a real store and a table in memory, where the test is the replicated log: what is proposed waits
// until the test applies it, so that anything can come between.

import { Admission, type StorageOptions } from "../../../durable/admission.ts";
import { BackgroundPause } from "../../../durable/background-pause.ts";
import { Housekeeper, SLICE_INTERVAL_MS } from "../../../durable/housekeeper.ts";
import type { ReplicaContext } from "../../../durable/replica-context.ts";
import { decodeBatch } from "../../../durable/store/codec.ts";
import type { Batch, KeyMutation, Mutation, Outcome, PutMutation } from "../../../durable/store/command.ts";
import { EvictionPolicy } from "../../../durable/store/eviction/policy.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { SLOT_COUNT, slotOf } from "../../../routing/slots.ts";
import { CheckpointTable } from "../store/checkpoint-table.ts";

export const START_MS = 1_700_000_000_000;
const TURNS_MAX = 10_000;

export class Housekeeping {
  readonly table = new CheckpointTable();
  readonly store = new Store(this.table, EMPTY_STORE_STATE);
  readonly eviction = new EvictionPolicy(1);
  readonly background = new BackgroundPause();
  readonly admission: Admission;
  readonly housekeeper: Housekeeper;
  readonly counters = { checkpoints: 0, rows_reclaimed: 0, rows_evicted: 0 };
  /** Proposed by the housekeeper and not applied yet. */
  readonly log: Batch[] = [];
  /** Of all that it proposed, by kind. */
  readonly proposed: Mutation[] = [];
  readonly core = {
    role: "leader" as "leader" | "follower",
    asleep: false,
    canPropose: true,
    appliedIndex: 0,
    log: { lastIndex: 0 },
    activities: 0,
    propose: (_kind: "batch", data: Uint8Array, _nowMs: number, { isClients }: { readonly isClients: boolean }) => {
      const batch = decodeBatch(data);
      this.log.push(batch);
      this.proposed.push(...batch.mutations);
      if (isClients) this.core.activities += 1;
      this.core.log.lastIndex += 1;
      return { index: this.core.log.lastIndex, term: 1 };
    },
  };
  nowMs = START_MS;

  constructor(storage?: StorageOptions) {
    const parts = {
      core: this.core,
      store: this.store,
      counters: this.counters,
      eviction: this.eviction,
      background: this.background,
      options: { shard: 0, storage },
      ports: { storage: this.table, ownership: { slotsOf: () => SLOT_COUNT } },
    };
    const context = parts as unknown as ReplicaContext;
    this.admission = new Admission(context);
    this.housekeeper = new Housekeeper(Object.assign(context, { admission: this.admission }));
  }

  /** Clients' mutations, applied at once. */
  apply(...mutations: Mutation[]): Outcome[] {
    this.core.log.lastIndex += 1;
    this.core.appliedIndex = this.core.log.lastIndex;
    return this.store.apply({ stampMs: this.nowMs, mutations });
  }

  /** As a client's write at the leader: refused, or applied. */
  write(mutation: KeyMutation): Outcome | ReturnType<Admission["admit"]> {
    const admitted = this.admission.admit(mutation);
    return admitted.status === "admitted" ? (this.apply(admitted.mutation)[0] as Outcome) : admitted;
  }

  checkpoint(): void {
    const delta = this.store.checkpointDelta();
    this.table.write(delta);
    this.store.markCheckpointed(delta);
    this.counters.checkpoints += 1;
  }

  /** The end of one turn, a slice's interval after the last one. */
  turn(): void {
    this.nowMs += SLICE_INTERVAL_MS;
    this.housekeeper.turnEnded(this.nowMs);
  }

  /** What was proposed is committed and applied. */
  commit(): void {
    for (const batch of this.log.splice(0)) this.store.apply(batch);
    this.core.appliedIndex = this.core.log.lastIndex;
  }

  /** Turns, each with its commit, until the housekeeper has been still for some of them. Returns how many it took. */
  settle(): number {
    let still = 0;
    let reads = this.table.headReads;
    for (let turns = 1; turns < TURNS_MAX; turns++) {
      const before = this.proposed.length;
      this.turn();
      this.commit();
      still = this.proposed.length === before && this.table.headReads === reads ? still + 1 : 0;
      reads = this.table.headReads;
      if (still > 3) return turns;
    }
    throw new Error("the housekeeper never rests");
  }

  has(key: string): boolean {
    return this.store.find(slotOf(key), key) !== undefined;
  }
}

export function put(key: string, options: Partial<PutMutation> = {}): PutMutation {
  return { kind: "put", slot: slotOf(key), key, value: new Uint8Array(100), contentType: "", ...options };
}

export function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, number) => number);
}
