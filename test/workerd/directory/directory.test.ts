// The Directory in real workerd: what it promises to its clients, what survives an eviction, and that nothing reaches
// the itty-durable object inside it except through the two methods.

import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test } from "vitest";
import type { Directory } from "../../../durable/directory.ts";
import { createDirectoryClient, directoryName } from "../../../durable/directory-client.ts";
import { parseClusterConfig } from "../../../routing/cluster-config.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";

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

/** The next epoch after `topology`, in which all slots belong to `owner`. */
function successorOf(topology: Topology, owner = 0): Topology {
  return { ...topology, epoch: topology.epoch + 1, slots: topology.slots.map(() => owner) };
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
      [0, 1, 2, 3, 0, 1, 2, 3].map((owner) => client.publish(successorOf(seedTopology(), owner), 0)),
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
    ["gives slots to nobody", (seed) => successorOf(seed, 77), /^slots\.0: shard 77 is not among the shards/],
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

describe("the guard", () => {
  test.each([
    ["GET", "/do/call/read"],
    ["GET", "/do/call/publish"],
    ["GET", "/do/call/destroy"],
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
    expect(methods.sort()).toEqual(["constructor", "fetch", "health", "noteSweep", "publish", "read", "reportHealth"]);
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

  test("refuses what is no report", async () => {
    expect(await client.reportHealth({ reporter: "", region: "weur", replicas: [] })).toBe(false);
    expect(await client.health()).toMatchObject({ reporters: 0 });
  });
});
