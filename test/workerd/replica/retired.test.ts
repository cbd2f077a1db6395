// Objects of a shard that was removed, in real workerd: what they hold is deleted, and they never come back as anything.

import { evictAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, describe, expect, test } from "vitest";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import { createDirectoryClient } from "../../../durable/directory-client.ts";
import { sweep } from "../../../durable/health-sweep.ts";
import { PROTOCOL_VERSION } from "../../../durable/protocol.ts";
import { sweepPorts } from "../../../durable/sweep-runner.ts";
import { changeTopology, type TopologyBindings } from "../../../durable/topology-admin.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { TopologyChange } from "../../../routing/topology-change.ts";
import { put, readFrom, shardOf, statusOf, stubOf, text, topologyView, until } from "./cluster.ts";

const bindings = env as unknown as TopologyBindings & { readonly HALO_CLUSTER: string };
const directory = createDirectoryClient(bindings.DIRECTORY, bindings.HALO_CLUSTER);
const KEY = "retired/key";
/** What an object keeps that was wiped. */
const KEPT = ["retired", "topology"];

// The edge of this isolate never goes back to an older epoch, so each test goes on from the one before.
afterAll(async () => {
  await reset();
});

/** A founding shard: a router that starts with epoch 0 takes it for one that is there. */
const shard = shardOf(KEY);

async function change(wanted: TopologyChange): Promise<void> {
  const reply = await changeTopology(bindings, bindings.HALO_CLUSTER, wanted, (await directory.read()).epoch);
  if (reply.status !== "ok") throw new Error(JSON.stringify(reply));
}

/** Moves the key's slot as it is done; the other slots, which nobody uses, are moved on paper: 255 of them would take a minute. */
async function remove(): Promise<number> {
  const slot = slotOf(KEY);
  await change({ kind: "move_slots", to: (shard.shard + 1) % 4, slots: [slot] });
  await until(
    async () => (await directory.read()).moves?.length ?? 0,
    (pending) => pending === 0,
  );
  await change({ kind: "drain_shard", shard: shard.shard });
  await directory.completeMoves((await directory.read()).moves ?? []);
  await change({ kind: "remove_shard", shard: shard.shard });
  return (await directory.read()).epoch;
}

/** Everything that the object stores. */
function stored(name: string): Promise<{ keys: readonly string[]; tables: readonly unknown[] }> {
  return runInDurableObject(stubOf(name), (_: CacheReplica, state: DurableObjectState) => ({
    keys: [...state.storage.kv.list()].map(([key]) => key),
    tables: state.storage.sql
      .exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .toArray()
      .map(({ name }) => name),
  }));
}

async function sweepOnce() {
  return sweep(sweepPorts(bindings, bindings.HALO_CLUSTER), { replaceAfterMs: 0 });
}

async function failureOf(call: Promise<unknown>): Promise<string> {
  return call.then((answer) => `answered ${JSON.stringify(answer)}`, String);
}

describe("an object of a removed shard", () => {
  test("is not wiped on anybody's word: only where the Directory's document says so", async () => {
    await until(
      () => put(KEY, "there"),
      ({ ok }) => ok,
    );
    for (const { name } of shard.replicas) {
      expect([await stubOf(name).retire(name, 0), await stubOf(name).retire(name, 7)]).toEqual(["refused", "refused"]);
    }
    expect((await put(KEY, "still there")).ok).toBe(true);
    const epoch = await remove();
    const other = topologyView().shards.find((kept) => kept.shard !== shard.shard)?.replicas[0]?.name ?? "";
    expect(await stubOf(other).retire(other, epoch)).toBe("refused");
  });

  test("ends first where a replica is running in it", async () => {
    const { epoch } = await directory.read();
    const name = shard.replicas[2]?.name ?? "";
    // The end may come before the answer does.
    const answers: string[] = [];
    const ask = () =>
      stubOf(name)
        .retire(name, epoch)
        .catch(() => "ending");
    await until(
      async () => answers.push(await ask()),
      () => answers.at(-1) === "wiped",
    );
    expect(answers[0]).toBe("ending");
    expect(await stored(name)).toEqual({ keys: KEPT, tables: [] });
  });

  test("goes on where it has died in the middle", async () => {
    const { epoch } = await directory.read();
    const name = shard.replicas[0]?.name ?? "";
    await evictAllDurableObjects();
    // As an instance that has ended after it was marked.
    await runInDurableObject(stubOf(name), (_: CacheReplica, state: DurableObjectState) => {
      state.storage.kv.put("retired", { isWiped: false });
    });
    await evictAllDurableObjects();
    expect(await failureOf(stubOf(name).ping(name))).toMatch(/was removed/);
    expect((await stored(name)).tables).toContain("log");
    expect([await stubOf(name).retire(name, epoch), await stubOf(name).retire(name, epoch)]).toEqual([
      "wiped",
      "wiped",
    ]);
    await evictAllDurableObjects();
    expect(await stored(name)).toEqual({ keys: KEPT, tables: [] });
  });

  test("keeps nothing but the mark that says so, is nobody's peer, and sends routers on", async () => {
    const { epoch } = await directory.read();
    await until(sweepOnce, ({ unwiped }) => unwiped === undefined);
    expect((await directory.read()).retired).toBeUndefined();
    await evictAllDurableObjects();
    for (const { name } of shard.replicas) {
      expect(await stored(name)).toEqual({ keys: KEPT, tables: [] });
      // Late messages: of a peer that was out of reach, of a router that starts with epoch 0.
      const vote = { kind: "vote", from: "2.1", to: "0.1", term: 99, lastIndex: 99, lastTerm: 98, isPreVote: false };
      expect(await failureOf(stubOf(name).receive(name, vote as never))).toMatch(/was removed/);
      expect(await failureOf(stubOf(name).ping(name))).toMatch(/was removed/);
      expect(await failureOf(statusOf(name))).toMatch(/was removed/);
      const read = { v: PROTOCOL_VERSION, to: name, epoch: 0, slot: slotOf(KEY), key: KEY, level: "eventual" } as const;
      const answer = await readFrom(name, read);
      if (!("topology" in answer)) throw new Error(JSON.stringify(answer));
      expect(answer.topology.epoch).toBeGreaterThanOrEqual(epoch);
      expect(await stored(name)).toEqual({ keys: KEPT, tables: [] });
    }
    expect(await text(KEY)).toBe("still there");
  });
});
