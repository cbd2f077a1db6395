// The Directory in real workerd: what it promises to its clients, what survives an eviction, and that nothing reaches
// the itty-durable object inside it except through the four methods.

import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test } from "vitest";
import type { Directory } from "../../../durable/directory.ts";
import { createDirectoryClient, directoryName } from "../../../durable/directory-client.ts";
import { parseClusterConfig } from "../../../routing/cluster-config.ts";
import { buildTopology, type SlotMove, type Topology } from "../../../routing/topology.ts";

const variables = env as unknown as {
  readonly DIRECTORY: DurableObjectNamespace<Directory>;
  readonly HALO_CLUSTER: string;
};
const client = createDirectoryClient(variables.DIRECTORY, variables.HALO_CLUSTER);

afterEach(async () => {
  await reset();
});

function seedTopology(): Topology {
  const parsed = parseClusterConfig(env);
  if (!parsed.ok) throw new Error(parsed.problem);
  return buildTopology(parsed.config);
}

function directoryStub(): DurableObjectStub<Directory> {
  return variables.DIRECTORY.getByName(directoryName(variables.HALO_CLUSTER));
}

/** The next epoch after `topology`, in which `shard` has another weight. */
function successorOf(topology: Topology, shard = 0): Topology {
  const shards = topology.shards.map((placement) =>
    placement.shard === shard ? { ...placement, weight: placement.weight + 0.25 } : placement,
  );
  return { ...topology, epoch: topology.epoch + 1, shards };
}

/** The next epoch, in which some slots of shard 0 are to move to shard 1. */
function movingFrom(topology: Topology): { readonly topology: Topology; readonly moves: readonly SlotMove[] } {
  const epoch = topology.epoch + 1;
  const moves = [...topology.slots.keys()]
    .filter((slot) => topology.slots[slot] === 0)
    .slice(0, 3)
    .map((slot): SlotMove => ({ slot, from: 0, to: 1, epoch }));
  return { topology: { ...topology, epoch, moves }, moves };
}

describe("read", () => {
  test("gives epoch 0 of the deployment's variables before anything was published", async () => {
    expect(await client.read()).toEqual(seedTopology());
  });

  test("writes nothing", async () => {
    await client.read();
    const stored = await runInDurableObject(directoryStub(), (_, state) => state.storage.list());
    expect([...stored.keys()]).toEqual([]);
  });
});

describe("publish", () => {
  test("replaces the topology that the publisher knew, one epoch at a time", async () => {
    const first = successorOf(seedTopology(), 1);
    expect(await client.publish(first, 0)).toEqual({ status: "ok", topology: first });
    expect(await client.read()).toEqual(first);
    const second = successorOf(first, 2);
    expect(await client.publish(second, 1)).toEqual({ status: "ok", topology: second });
    expect(await client.read()).toEqual(second);
  });

  test("answers the current topology to a publisher that knew an older one, and keeps it", async () => {
    const first = successorOf(seedTopology(), 1);
    await client.publish(first, 0);
    const late = successorOf(seedTopology(), 2);
    expect(await client.publish(late, 0)).toEqual({ status: "epoch_conflict", current: first });
    expect(await client.read()).toEqual(first);
  });

  test("lets exactly one of many concurrent publishers win", async () => {
    const replies = await Promise.all(
      [0, 1, 2, 3, 0, 1, 2, 3].map((shard) => client.publish(successorOf(seedTopology(), shard), 0)),
    );
    const winners = replies.filter((reply) => reply.status === "ok");
    expect(winners).toHaveLength(1);
    expect(replies.filter((reply) => reply.status === "epoch_conflict")).toHaveLength(replies.length - 1);
    expect(await client.read()).toEqual(winners[0]?.topology);
  });

  test.each<[string, (seed: Topology) => Topology, RegExp]>([
    ["skips an epoch", (seed) => ({ ...seed, epoch: 2 }), /^epoch: expected 1/],
    ["keeps the epoch", (seed) => seed, /^epoch: expected 1/],
    [
      "names another cluster",
      (seed) => ({ ...successorOf(seed), cluster: "other" }),
      /^cluster: this is the Directory of/,
    ],
    [
      "gives slots to nobody",
      (seed) => ({ ...successorOf(seed), slots: seed.slots.map(() => 77) }),
      /^slots\.0: shard 77 is not among the shards/,
    ],
    [
      "hands slots over without a move",
      (seed) => ({ ...successorOf(seed), slots: seed.slots.map(() => 0) }),
      /^slots\.\d+: expected shard/,
    ],
    ["has no shards", (seed) => ({ ...successorOf(seed), shards: [] }), /^shards: /],
  ])("refuses a document that %s, and changes nothing", async (_, spoil, problem) => {
    const reply = await client.publish(spoil(seedTopology()), 0);
    expect(reply).toEqual({ status: "invalid", problem: expect.stringMatching(problem) });
    expect(await client.read()).toEqual(seedTopology());
  });

  test("refuses what is no document at all as a value, too", async () => {
    for (const junk of [undefined, null, "x", 7, []]) {
      expect(await directoryStub().publish(junk, 0)).toMatchObject({ status: "invalid" });
    }
  });
});

test("the published topology survives an eviction, and the next epoch builds on it", async () => {
  const first = successorOf(seedTopology(), 3);
  await client.publish(first, 0);
  await evictDurableObject(directoryStub());
  expect(await client.read()).toEqual(first);
  await evictDurableObject(directoryStub());
  expect(await client.publish(successorOf(first), 0)).toMatchObject({ status: "epoch_conflict" });
  expect(await client.publish(successorOf(first), 1)).toMatchObject({ status: "ok" });
});

test("two clusters of one deployment do not share a document", async () => {
  await client.publish(successorOf(seedTopology()), 0);
  expect((await createDirectoryClient(variables.DIRECTORY, "another").read()).epoch).toBe(0);
});

describe("moves", () => {
  test("that are reported as completed change the owners and the epoch, once", async () => {
    const { topology, moves } = movingFrom(seedTopology());
    await client.publish(topology, 0);
    const [first, ...others] = moves;
    if (first === undefined) throw new Error("shard 0 has slots");
    const reply = await client.completeMoves([first]);
    expect(reply).toMatchObject({ status: "ok", topology: { epoch: 2, moves: others } });
    expect(await client.read()).toMatchObject({ epoch: 2, movedAt: [{ epoch: 1, slots: [first.slot] }] });
    expect((await client.read()).slots[first.slot]).toBe(1);
    expect(await client.completeMoves([first])).toEqual(reply);
    expect((await client.read()).epoch).toBe(2);
  });

  test("that several sources report at once are all recorded, whatever is published in between", async () => {
    const { topology, moves } = movingFrom(seedTopology());
    await client.publish(topology, 0);
    const replies = await Promise.all([
      ...moves.map((move) => client.completeMoves([move])),
      ...moves.map((move) => client.completeMoves([move])),
    ]);
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => "ok"));
    const recorded = await client.read();
    expect(recorded.epoch).toBe(1 + moves.length);
    expect(recorded.moves).toBeUndefined();
    expect(recorded.movedAt).toEqual([{ epoch: 1, slots: moves.map(({ slot }) => slot) }]);
    await evictDurableObject(directoryStub());
    expect(await client.read()).toEqual(recorded);
  });

  test("that were cancelled stay listed until their source has called them off, or made them", async () => {
    const { topology, moves } = movingFrom(seedTopology());
    await client.publish(topology, 0);
    const { moves: _, ...calm } = topology;
    const [made, ...others] = moves;
    if (made === undefined) throw new Error("shard 0 has slots");
    expect(await client.publish({ ...calm, epoch: 2, cancelled: moves }, 1)).toMatchObject({ status: "ok" });
    await client.completeMoves([made]);
    const reply = await client.settleCancelled(others);
    expect(reply).toMatchObject({ status: "ok", topology: { epoch: 4 } });
    expect(await client.settleCancelled(others)).toEqual(reply);
    const settled = await client.read();
    expect([settled.cancelled, settled.slots[made.slot]]).toEqual([undefined, 1]);
    expect(others.map(({ slot }) => settled.slots[slot])).toEqual(others.map(() => 0));
  });

  test("that cannot be, and reports that are none, change nothing", async () => {
    const { topology, moves } = movingFrom(seedTopology());
    await client.publish(topology, 0);
    const [first] = moves;
    if (first === undefined) throw new Error("shard 0 has slots");
    expect(await client.completeMoves([first, { ...first, slot: first.slot + 1, from: 3 }])).toMatchObject({
      status: "invalid",
    });
    expect(await client.settleCancelled([first])).toMatchObject({ status: "invalid" });
    for (const junk of [undefined, null, "x", [7], [{ ...first, slot: 1_024 }], [first, first]]) {
      expect(await directoryStub().completeMoves(junk as never)).toMatchObject({ status: "invalid" });
      expect(await directoryStub().settleCancelled(junk as never)).toMatchObject({ status: "invalid" });
    }
    expect(await client.read()).toEqual(topology);
  });
});

describe("the guard", () => {
  test.each([
    ["GET", "/do/call/read"],
    ["GET", "/do/call/publish"],
    ["GET", "/do/call/destroy"],
    ["GET", "/do/call/completeMoves"],
    ["GET", "/do/call/setAlarm"],
    ["GET", "/do/call/reset"],
    ["GET", "/do/set/topology"],
    ["GET", "/do/get-prop/topology"],
    ["GET", "/do/get-prop/state"],
    ["POST", "/do/call/destroy"],
    ["GET", "/"],
    ["GET", "//do/call/destroy"],
    ["GET", "/do/call/%64estroy"],
  ])("refuses %s %s, whatever its headers say, and the document stays", async (method, path) => {
    const published = successorOf(seedTopology());
    await client.publish(published, 0);
    const response = await directoryStub().fetch(`https://directory.invalid${path}`, {
      method,
      headers: { "do-name": directoryName(variables.HALO_CLUSTER), "do-content": JSON.stringify([null]) },
    });
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain("epoch");
    await evictDurableObject(directoryStub());
    expect(await client.read()).toEqual(published);
  });

  test("leaves these methods to call through the binding, and no others", async () => {
    // Remote calls reach the methods of the class, never what an instance holds.
    const methods = await runInDurableObject(directoryStub(), (directory) =>
      Object.getOwnPropertyNames(Object.getPrototypeOf(directory)),
    );
    expect(methods.sort()).toEqual([
      "completeMoves",
      "constructor",
      "fetch",
      "found",
      "health",
      "noteSweep",
      "pauseBackground",
      "publish",
      "read",
      "reportHealth",
      "settleCancelled",
      "settleWiped",
    ]);
  });

  test("sets no alarm", async () => {
    await client.publish(successorOf(seedTopology()), 0);
    expect(await runInDurableObject(directoryStub(), (_, state) => state.storage.getAlarm())).toBeNull();
  });
});

describe("health", () => {
  const dead = { name: "halo:halo:s0:r1:g1", state: "dead", forMs: 5_000 } as const;

  test("is what edges have reported, and nothing of it is stored", async () => {
    await client.reportHealth({ reporter: "one", region: "weur", replicas: [dead] });
    await client.reportHealth({ reporter: "two", region: "enam", replicas: [] });
    const { doubted, reporters } = await client.health();
    expect(reporters).toBe(2);
    expect(doubted).toMatchObject([{ name: dead.name, state: "dead", dead: 1, suspect: 0, regions: ["weur"] }]);
    const stored = await runInDurableObject(directoryStub(), (_, state) => state.storage.list());
    expect([...stored.keys()]).toEqual([]);
  });

  test("keeps what a sweep has found, also when the object loses its memory", async () => {
    const record = {
      atMs: 1,
      epoch: 0,
      nextShard: 2,
      unreachable: [],
      underReplicated: [{ shard: 0, missing: ["a"] }],
    };
    await client.noteSweep(record);
    await evictDurableObject(directoryStub());
    expect(await client.health()).toEqual({ doubted: [], reporters: 0, sweep: record });
    expect(await client.read()).toEqual(seedTopology());
  });

  test("keeps the newest of sweeps that overlap, and the newest replacement of any", async () => {
    const record = { epoch: 0, nextShard: 0, unreachable: [], underReplicated: [] };
    const replaced = { atMs: 6, name: "b", epoch: 1 };
    await client.noteSweep({ ...record, atMs: 5, replaced: { atMs: 2, name: "a", epoch: 0 } });
    await client.noteSweep({ ...record, atMs: 4, nextShard: 9, replaced });
    expect((await client.health()).sweep).toEqual({ ...record, atMs: 5, replaced });
    await client.noteSweep({ ...record, atMs: 7 });
    expect((await client.health()).sweep).toEqual({ ...record, atMs: 7, replaced });
  });

  test("refuses what is no report", async () => {
    expect(await client.reportHealth({ reporter: "", region: "weur", replicas: [] })).toBe(false);
    expect(await client.health()).toMatchObject({ reporters: 0 });
  });
});
