// A cluster's client on one real store: what a shard would say, without replicas and without waiting.

import type { KeyMutation } from "../../../../durable/store/command.ts";
import { EMPTY_STORE_STATE, Store } from "../../../../durable/store/store.ts";
import { validateMutation } from "../../../../durable/store/validate.ts";
import type { WriteResult } from "../../../../worker/clients/call-plan.ts";
import type { BatchAnswer, BatchOperation } from "../../../../worker/clients/operations.ts";
import { CheckpointTable } from "../../store/checkpoint-table.ts";
import { from } from "../fake-world.ts";

export class StoreClient {
  nowMs: number;
  calls = 0;
  isDown = false;
  readonly store = new Store(new CheckpointTable(), EMPTY_STORE_STATE);

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  async write(mutation: KeyMutation): Promise<WriteResult> {
    this.calls += 1;
    if (this.isDown) return { status: "unavailable", reason: "down", term: 0 };
    const problem = validateMutation(mutation);
    if (problem !== undefined) return { status: "invalid", reason: problem };
    const [outcome] = this.store.apply({ stampMs: this.nowMs, mutations: [mutation] });
    if (outcome === undefined) throw new Error("one outcome for one mutation");
    return { status: "ok", outcome, from: from(0), clockMs: this.nowMs };
  }

  /** Gets only. */
  async batch(operations: readonly BatchOperation[]): Promise<BatchAnswer> {
    this.calls += 1;
    const items = operations.map(({ slot, key }) => {
      if (this.isDown) return { status: "unavailable", reason: "down", term: 0 } as const;
      const entry = this.store.read(slot, key, this.nowMs);
      return {
        kind: "entry",
        ...(entry === undefined ? {} : { entry: { ...entry, size: entry.value.length } }),
      } as const;
    });
    return { items, from: [], level: "strong", clockMs: this.nowMs };
  }
}
