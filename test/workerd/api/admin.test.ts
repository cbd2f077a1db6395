// The administrative routes on real objects.

import { reset } from "cloudflare:test";
import { afterAll, describe, expect, test } from "vitest";
import {
  type ClusterView,
  clusterChangeSchema,
  clusterViewSchema,
  slotsViewSchema,
} from "../../../worker/api/admin-schemas.ts";
import { shardOf, stubOf, topologyView, until } from "../replica/cluster.ts";
import { call, fill, jsonOf } from "./edge.ts";

afterAll(async () => {
  await reset();
});

const KEYS = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`admin/${at}`, `value ${at}`]));

async function cluster(): Promise<ClusterView> {
  return clusterViewSchema.parse(await jsonOf(await call("GET", "/admin/v1/cluster")));
}

/** The events of a stream, which may come in any pieces. */
async function* eventsOf({ body }: Response) {
  let text = "";
  for await (const piece of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const [, name = "", data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (name !== "") yield { name, data: JSON.parse(data) as unknown };
    }
  }
}

describe("the cluster", () => {
  test("shows every replica of every shard, one leader each, and what they hold", async () => {
    await fill(KEYS);
    const { shards, underReplicated, defaults, moves } = await until(cluster, (view) =>
      view.shards.every(({ leader, replicas }) => leader !== null && replicas.every(({ lag }) => lag === 0)),
    );
    expect(shards.map(({ shard }) => shard)).toEqual(topologyView().shards.map(({ shard }) => shard));
    expect(shards.reduce((sum, { slots }) => sum + slots, 0)).toBe(1_024);
    expect(shards.reduce((sum, { keys }) => sum + keys, 0)).toBe(Object.keys(KEYS).length);
    expect([underReplicated, defaults, moves]).toEqual([
      [],
      { consistency: "strong", balance: "nearest" },
      { pending: [], cancelled: [] },
    ]);
    for (const { replicas, bytes, keys } of shards) {
      expect(replicas.filter(({ role }) => role === "leader")).toHaveLength(1);
      // Nobody has said where to ask.
      expect(replicas.map(({ colo }) => colo)).toEqual([null, null, null]);
      expect(replicas.map((replica) => [replica.keys, replica.bytes])).toEqual(replicas.map(() => [keys, bytes]));
    }
  });

  test("says which shard owns each slot", async () => {
    const slots = slotsViewSchema.parse(await jsonOf(await call("GET", "/admin/v1/slots")));
    expect(slots).toEqual({ epoch: 0, owners: [...topologyView().topology.slots], moving: [] });
  });

  test("is a stream of events, in which a leader hands over", async () => {
    const shard = shardOf("admin/0");
    const { leader } = (await cluster()).shards.find((found) => found.shard === shard.shard) ?? {};
    const response = await call("GET", "/admin/v1/events?interval_ms=500");
    const events = eventsOf(response);
    const { value: first } = await events.next();
    const view = clusterViewSchema.parse(first?.data);
    expect(view.shards.map((found) => found.shard)).toEqual(topologyView().shards.map((found) => found.shard));
    const other = shard.replicas.find(({ name }) => name !== leader);
    const change = await until(
      async () => {
        await stubOf(leader ?? "").transferLeadership(leader ?? "", other?.replica ?? 0);
        return clusterChangeSchema.safeParse((await events.next()).value?.data).data;
      },
      (found) => found?.kind === "leader" && found.text.startsWith(other?.name ?? "?"),
    );
    expect(change?.shard).toBe(shard.shard);
    await events.return(undefined);
  });
});
