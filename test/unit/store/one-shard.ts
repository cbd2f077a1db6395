// A store over a table in memory, with short forms of mutations. Everything is in one slot.

import type {
  AppendMutation,
  BeginFillMutation,
  DeleteMutation,
  IncrementMutation,
  LimitMutation,
  Mutation,
  Outcome,
  PurgeMutation,
  PurgeScope,
  PutMutation,
  ReleaseFillMutation,
  StageMutation,
  TouchMutation,
  TransactionMutation,
} from "../../../durable/store/command.ts";
import type { Entry } from "../../../durable/store/entry.ts";
import { systemKey } from "../../../durable/store/keyspace.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { bytesOf } from "./arbitraries.ts";
import { CheckpointTable } from "./checkpoint-table.ts";

export const SLOT = 7;
export const START_MS = 1_000_000;

type Options<T> = Partial<Omit<T, "kind" | "slot" | "key">>;

export function put(key: string, text: string, options: Options<PutMutation> = {}): PutMutation {
  return { kind: "put", slot: SLOT, key, value: bytesOf(text), contentType: "text/plain", ...options };
}

export function remove(key: string, options: Options<DeleteMutation> = {}): DeleteMutation {
  return { kind: "delete", slot: SLOT, key, ...options };
}

export function touch(key: string, options: Options<TouchMutation> = {}): TouchMutation {
  return { kind: "touch", slot: SLOT, key, ...options };
}

export function increment(key: string, by: string, options: Options<IncrementMutation> = {}): IncrementMutation {
  return { kind: "increment", slot: SLOT, key, by, ...options };
}

export function append(key: string, text: string, options: Options<AppendMutation> = {}): AppendMutation {
  return { kind: "append", slot: SLOT, key, value: bytesOf(text), contentType: "text/plain", ...options };
}

export function stage(key: string, upload: string, part: number, text: string): StageMutation {
  return { kind: "stage", slot: SLOT, key, upload, part, value: bytesOf(text) };
}

export function beginFill(key: string, leaseMs = 100, options: Options<BeginFillMutation> = {}): BeginFillMutation {
  return { kind: "begin_fill", slot: SLOT, key, leaseMs, ...options };
}

export function releaseFill(key: string, token: number): ReleaseFillMutation {
  return { kind: "release_fill", slot: SLOT, key, token };
}

export function limit(name: string, options: Options<LimitMutation> = {}): LimitMutation {
  const key = systemKey("limit", "", name);
  return { kind: "limit", slot: SLOT, key, limit: 10, windowMs: 1_000, cost: 1, algorithm: "fixed_window", ...options };
}

export function transaction(options: Options<TransactionMutation> = {}): TransactionMutation {
  return { kind: "transaction", slot: SLOT, key: "a", compare: [], onSuccess: [], onFailure: [], ...options };
}

export function purge(scope: PurgeScope, isSoft = false): PurgeMutation {
  return { kind: "purge", scope, isSoft };
}

export function tag(name: string, namespace = ""): PurgeScope {
  return { kind: "tag", namespace, tag: name };
}

export function prefix(text: string, namespace = ""): PurgeScope {
  return { kind: "prefix", namespace, prefix: text };
}

export class OneShard {
  table = new CheckpointTable();
  store = new Store(this.table, EMPTY_STORE_STATE);

  apply(stampMs: number, ...mutations: Mutation[]): Outcome[] {
    return this.store.apply({ stampMs, mutations });
  }

  /** At START_MS, or where the clock is by now. */
  do(mutation: Mutation): Outcome {
    const [outcome] = this.apply(START_MS, mutation);
    if (outcome === undefined) throw new Error("one outcome for one mutation");
    return outcome;
  }

  read(key: string, nowMs = 0): Entry | undefined {
    return this.store.read(SLOT, key, nowMs);
  }

  text(key: string, nowMs = 0): string | undefined {
    const entry = this.read(key, nowMs);
    return entry && String.fromCharCode(...entry.value);
  }

  /** The row as it is, dead or alive. */
  row(key: string): Entry | undefined {
    return this.store.find(SLOT, key);
  }

  checkpoint(): void {
    const delta = this.store.checkpointDelta();
    this.table.write(delta);
    this.store.markCheckpointed(delta);
  }

  restart(): void {
    this.checkpoint();
    this.store = new Store(this.table, this.table.state);
  }
}
