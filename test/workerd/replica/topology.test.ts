// A topology that changes under the edge: stale senders are told, and heal themselves in one more hop.

import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import type { Directory } from "../../../durable/directory.ts";
import { createDirectoryClient } from "../../../durable/directory-client.ts";
import { readUrl, readUrlBase, STATUS_REFUSED } from "../../../durable/http/read-wire.ts";
import { PROTOCOL_VERSION } from "../../../durable/protocol.ts";
import { slotOf } from "../../../routing/slots.ts";
import { put, shardOf, stubOf, topologyView, until } from "./cluster.ts";

const bindings = env as unknown as { readonly DIRECTORY: DurableObjectNamespace<Directory> };

afterEach(async () => {
  await reset();
});

test("a replica that learns of a newer epoch from a caller answers for slots that it lost with the new topology", async () => {
  const { topology } = topologyView();
  const key = "moved";
  const slot = slotOf(key);
  const from = shardOf(key);
  const to = topologyView().shards.find(({ shard }) => shard !== from.shard);
  if (to === undefined) throw new Error("the test needs two shards");
  const move = { slot, from: from.shard, to: to.shard, epoch: 1 };
  const directory = createDirectoryClient(bindings.DIRECTORY, topology.cluster);
  expect(await directory.publish({ ...topology, epoch: 1, moves: [move] }, 0)).toMatchObject({ status: "ok" });
  await Promise.all(from.replicas.map(({ name }) => stubOf(name).topologyChanged(name, 1)));
  const published = await until(
    () => directory.read(),
    ({ epoch }) => epoch === 2,
  );
  expect(published.slots[slot]).toBe(to.shard);

  const [old] = from.replicas;
  if (old === undefined) throw new Error("a shard has replicas");
  const read = { v: PROTOCOL_VERSION, to: old.name, slot, key, level: "strong" } as const;
  const refusal = await stubOf(old.name).fetch(readUrl(readUrlBase(old.name), { ...read, epoch: 2 }));
  expect(refusal.status).toBe(STATUS_REFUSED);
  expect(await refusal.json()).toMatchObject({ status: "wrong_owner", topology: published });

  // The edge of this isolate still routes by epoch 0 and meets the old owner, which now knows better.
  const response = await put(key, "at its new home");
  expect(response.status).toBe(201);
  expect(response.headers.get("Halo-Served-By")).toContain(`shard=${to.shard},`);
});
