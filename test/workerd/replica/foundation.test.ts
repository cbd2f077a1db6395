// A deployment whose variables were edited after the cluster was founded, in real workerd.

import { evictAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import { createDirectoryClient } from "../../../durable/directory-client.ts";
import type { TopologyBindings } from "../../../durable/topology-admin.ts";
import { parseClusterConfig } from "../../../routing/cluster-config.ts";
import { type Foundation, foundationOf } from "../../../routing/foundation.ts";
import { put, request, shardOf, statusesOf, stubOf, text, until } from "./cluster.ts";

const bindings = env as unknown as TopologyBindings & { readonly HALO_CLUSTER: string };
const client = createDirectoryClient(bindings.DIRECTORY, bindings.HALO_CLUSTER);
const shard = shardOf("founded");

afterEach(async () => {
  await reset();
});

function variables(): Foundation {
  const parsed = parseClusterConfig(env);
  if (!parsed.ok) throw new Error(parsed.problem);
  return foundationOf(parsed.config);
}

/** As if the cluster had been founded with three shards. */
function other(): Foundation {
  return { ...variables(), weights: [1, 1, 1] };
}

function remembered(name: string): Promise<Foundation | undefined> {
  return runInDurableObject(stubOf(name), (_: CacheReplica, { storage }: DurableObjectState) =>
    storage.kv.get<Foundation>("foundation"),
  );
}

test("objects and the Directory remember the variables with which they came to be", async () => {
  await until(
    () => put("founded", "here"),
    ({ ok }) => ok,
  );
  for (const { name } of shard.replicas) {
    expect(
      await until(
        () => remembered(name),
        (found) => found !== undefined,
      ),
    ).toEqual(variables());
  }
  expect(await client.found(other())).toEqual(variables());
});

test("a Worker whose variables are others is told which, by every object of before; put back, all is as it was", async () => {
  await until(
    () => put("founded", "here"),
    ({ ok }) => ok,
  );
  const set = async (foundation: Foundation) => {
    for (const { name } of shard.replicas) {
      await runInDurableObject(stubOf(name), (_: CacheReplica, { storage }: DurableObjectState) => {
        storage.kv.put("foundation", foundation);
      });
    }
    await evictAllDurableObjects();
  };
  await set(other());
  for (const method of ["GET", "PUT", "DELETE"]) {
    const reply = await request(method, "founded", method === "PUT" ? { body: "lost" } : {});
    expect(reply.status).toBe(500);
    expect(await reply.json()).toMatchObject({
      type: "/problems/misconfigured",
      detail: expect.stringMatching(/HALO_SHARDS was 3 and is 4;.*halo shard add/),
    });
  }
  // An operator sees who they are all the same.
  for (const { lastIndex } of await statusesOf(shard)) expect(lastIndex).toBeGreaterThan(0);
  await set(variables());
  expect(
    await until(
      () => text("founded"),
      (found) => found !== 503,
    ),
  ).toBe("here");
});

test("an object that comes to be by edited variables learns it from the Directory before it serves anybody", async () => {
  await client.found(other());
  // Nothing that is acknowledged here would ever be found again.
  const replies = await Promise.all(
    ["PUT", "GET", "PUT"].map((method) => request(method, "founded", method === "PUT" ? { body: "lost" } : {})),
  );
  expect(replies.map(({ status }) => status)).toEqual([500, 500, 500]);
  expect(await replies[0]?.json()).toMatchObject({ type: "/problems/misconfigured" });
  expect(await remembered(shard.replicas[0]?.name ?? "")).toEqual(other());
});

test("the Directory goes on with the epoch 0 with which the cluster was founded", async () => {
  await client.found(other());
  await evictAllDurableObjects();
  expect((await client.read()).shards).toHaveLength(3);
});
