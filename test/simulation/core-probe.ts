// Gives the checkers sight of what the production classes keep private: the replication core of a ShardReplica, and each
// batch that a store applies. The classes run unchanged; only the way into them is watched.

import { Replica } from "../../durable/replication/replica.ts";
import type { Batch, Outcome } from "../../durable/store/command.ts";
import { Store } from "../../durable/store/store.ts";

/** Runs `create` and returns the core that ticked first in it, which every ShardReplica does in its constructor. */
export function withCore<T>(create: () => T): { readonly value: T; readonly core: Replica } {
  const { tick } = Replica.prototype;
  let core: Replica | undefined;
  Replica.prototype.tick = function (this: Replica, nowMs: number): void {
    core ??= this;
    tick.call(this, nowMs);
  };
  try {
    const value = create();
    if (core === undefined) throw new Error("no core ticked");
    return { value, core };
  } finally {
    Replica.prototype.tick = tick;
  }
}

type ApplyListener = (store: Store, batch: Batch, outcomes: readonly Outcome[]) => void;

let applyListener: ApplyListener | undefined;

const { apply } = Store.prototype;
Store.prototype.apply = function (this: Store, batch: Batch): Outcome[] {
  const outcomes = apply.call(this, batch);
  applyListener?.(this, batch, outcomes);
  return outcomes;
};

/** One simulation at a time listens. */
export function listenToStores(listener: ApplyListener | undefined): void {
  applyListener = listener;
}

/** Applies without telling the listener: for stores that belong to a checker. */
export function applyUnseen(store: Store, batch: Batch): Outcome[] {
  return apply.call(store, batch);
}
