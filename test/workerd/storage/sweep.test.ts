// The walk of the housekeeper on real SQLite: the order of its rows is the walk's order, whatever is in the keys.

import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import { SqlReplicaStorage } from "../../../durable/adapters/sql-storage.ts";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import type { PutMutation } from "../../../durable/store/command.ts";
import { Sweep } from "../../../durable/store/eviction/sweep.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { slotOf } from "../../../routing/slots.ts";

const { REPLICA } = env as unknown as { readonly REPLICA: DurableObjectNamespace<CacheReplica> };

afterEach(async () => {
  await reset();
});

function put(key: string): PutMutation {
  return { kind: "put", slot: slotOf(key), key, value: new Uint8Array(100), contentType: "" };
}

test("sees every row that stays, those included that a checkpoint moves and those that are changed, and none that are gone", async () => {
  await runInDurableObject(REPLICA.getByName("swept"), (_, state) => {
    const storage = new SqlReplicaStorage(state.storage, { voters: ["0.1"], learners: [] });
    const store = new Store(storage, EMPTY_STORE_STATE);
    const checkpoint = (index: number) => {
      const delta = store.checkpointDelta();
      storage.saveCheckpoint(delta, index);
      store.markCheckpointed(delta);
    };
    const names = ["", "é", "\u{1F600}", "\uffff", "\u0001a\u0001b"].flatMap((prefix) =>
      Array.from({ length: 200 }, (_, number) => `${prefix}${number}`),
    );
    const [stored, unwritten] = [names.slice(0, 700), names.slice(700)];
    store.apply({ stampMs: 1, mutations: stored.map(put) });
    checkpoint(1);
    store.apply({ stampMs: 1, mutations: unwritten.map(put) });
    const sweep = new Sweep(store, storage);
    const seen = new Set<string>();
    const gone = new Set<string>();
    for (let step = 0; ; step++) {
      const heads = sweep.next(64);
      if (heads === undefined) break;
      for (const head of heads) {
        expect(gone.has(head.key)).toBe(false);
        expect(head.version).toBe(store.find(head.slot, head.key)?.version);
        seen.add(head.key);
      }
      if (step === 2) checkpoint(2);
      const key = names[step * 31] ?? "";
      store.apply({ stampMs: 1, mutations: [{ kind: "delete", slot: slotOf(key), key }, put(names[step * 17] ?? "")] });
      if (store.find(slotOf(key), key) === undefined) gone.add(key);
      for (const back of [names[step * 17] ?? ""]) gone.delete(back);
    }
    for (const key of names) if (store.find(slotOf(key), key) !== undefined) expect(seen.has(key), key).toBe(true);
    expect(gone.size).toBeGreaterThan(5);
  });
});
