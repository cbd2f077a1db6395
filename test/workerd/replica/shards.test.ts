// A shard that is added in real Durable Objects: it comes to be only when it is published, and founds its group.

import { evictAllDurableObjects, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import { createDirectoryClient } from "../../../durable/directory-client.ts";
import { changeTopology, type TopologyBindings } from "../../../durable/topology-admin.ts";
import type { Topology } from "../../../routing/topology.ts";
import type { TopologyChange } from "../../../routing/topology-change.ts";
import { TopologyView } from "../../../routing/topology-view.ts";
import { statusesOf, stubOf } from "./cluster.ts";

const bindings = env as unknown as TopologyBindings & { readonly HALO_CLUSTER: string };
const directory = createDirectoryClient(bindings.DIRECTORY, bindings.HALO_CLUSTER);
const ADD: TopologyChange = { kind: "add_shard", replicas: 3, regions: ["weur", "enam", "apac"] };

afterEach(async () => {
  await reset();
});

async function change(step: TopologyChange, expectedEpoch: number): Promise<Topology> {
  const reply = await changeTopology(bindings, bindings.HALO_CLUSTER, step, expectedEpoch);
  if (reply.status !== "ok") throw new Error(JSON.stringify(reply));
  expect(reply.untold).toEqual([]);
  return reply.topology;
}

function addedIn(topology: Topology) {
  const added = new TopologyView(topology).shards.find(({ createdIn }) => createdIn === topology.epoch);
  if (added === undefined) throw new Error("no shard was added");
  return added;
}

test("each replica of a new shard takes all of them for voters, and the sources of its slots know of it", async () => {
  const topology = await change(ADD, 0);
  const added = addedIn(topology);
  const voters = added.replicas.map(({ replica, generation }) => `${replica}.${generation}`);
  const statuses = await statusesOf(added);
  expect(statuses.map((status) => status.voters)).toEqual([voters, voters, voters]);
  expect(statuses.map(({ isSettled, epoch }) => [isSettled, epoch])).toEqual(statuses.map(() => [true, 1]));
  for (const view of new TopologyView(topology).shards) {
    expect((await statusesOf(view)).map(({ epoch }) => epoch)).toEqual(view.replicas.map(() => 1));
  }
});

test("a replica of a new shard that is restarted is the voter that it was, whatever the topology is by then", async () => {
  const first = await change(ADD, 0);
  const { shard, replicas } = addedIn(first);
  const second = await change({ kind: "replace_replica", shard, replica: 0, region: "oc" }, first.epoch);
  await evictAllDurableObjects();
  const after = new TopologyView(second).shard(shard);
  if (after === undefined) throw new Error(`no shard ${shard}`);
  const [replaced, ...kept] = await statusesOf(after);
  for (const { voters } of kept) expect(voters).toContain("1.2");
  expect([replicas[0]?.generation, replaced?.generation]).toEqual([2, 3]);
});

test("a replica of a shard that was never published does not come to be", async () => {
  const name = `halo:${bindings.HALO_CLUSTER}:s9:r0:g2`;
  const answer = await stubOf(name)
    .ping(name)
    .then(() => "it answered", String);
  expect(answer).toContain("is not part of the topology");
});

test("a change that cannot be made is refused with its code, a stale epoch with the current topology", async () => {
  const before = await directory.read();
  const refusalOf = (step: TopologyChange, epoch: number) =>
    changeTopology(bindings, bindings.HALO_CLUSTER, step, epoch);
  expect(await refusalOf({ kind: "drain_shard", shard: 99 }, 0)).toMatchObject({
    status: "refused",
    code: "unknown_shard",
  });
  expect(await refusalOf({ kind: "cancel_moves" }, 0)).toMatchObject({ status: "refused", code: "nothing_to_change" });
  expect(await refusalOf(ADD, 7)).toEqual({ status: "epoch_conflict", current: before });
  expect(await directory.read()).toEqual(before);
});
