// The administrative routes on real objects.

import { reset } from "cloudflare:test";
import { afterAll, describe, expect, test } from "vitest";
import { slotOf } from "../../../routing/slots.ts";
import {
  type ClusterView,
  clusterChangeSchema,
  clusterViewSchema,
  keyViewSchema,
  slotsViewSchema,
} from "../../../worker/api/admin-schemas.ts";
import { shardOf, stubOf, topologyView, until } from "../replica/cluster.ts";
import { batch, call, ignore, jsonOf } from "./edge.ts";

afterAll(async () => {
  await reset();
});

const KEYS = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`admin/${at}`, `value ${at}`]));

async function cluster(): Promise<ClusterView> {
  return clusterViewSchema.parse(await jsonOf(await call("GET", "/admin/v1/cluster")));
}

async function store(entries: Record<string, string>): Promise<void> {
  const operations = Object.entries(entries).map(([key, text]) => ({ op: "set", key, value: { text } }));
  // On a busy machine the groups' first elections may take longer than a request waits.
  await until(
    () => batch(operations),
    (results) => results.every(({ status }) => status < 300),
  );
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
    await store(KEYS);
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

describe("a shard", () => {
  test("has its leadership handed over, there and back", async () => {
    const { shard, replicas } = shardOf("admin/0");
    for (const to of [1, 2, 0]) {
      const reply = await call("POST", `/admin/v1/shards/${shard}/transfer`, { json: { to } });
      expect((await jsonOf(reply)).leader).toBe(replicas[to]?.name);
      expect((await cluster()).shards.find((found) => found.shard === shard)?.leader).toBe(replicas[to]?.name);
    }
  });

  test("has its leadership handed over although the group sleeps", async () => {
    const { shard, replicas } = shardOf("admin/0");
    await until(cluster, ({ shards }) =>
      shards.every((found) => found.shard !== shard || found.replicas.every(({ quiesced }) => quiesced === true)),
    );
    const reply = await call("POST", `/admin/v1/shards/${shard}/transfer`, { json: { to: 1 } });
    expect((await jsonOf(reply)).leader).toBe(replicas[1]?.name);
  });
});

describe("a key", () => {
  test("is shown as every replica has it", async () => {
    const put = await call("PUT", "/v1/kv/admin/shown", {
      body: "hello",
      headers: { "Content-Type": "text/plain", "Cache-Tag": "one, two", "Cache-Control": "max-age=600" },
    });
    const version = Number(/\d+/.exec(put.headers.get("ETag") ?? "")?.[0]);
    await ignore(put);
    const view = await until(
      async () => keyViewSchema.parse(await jsonOf(await call("GET", "/admin/v1/keys/admin/shown?value=true"))),
      ({ replicas }) => replicas.every((replica) => replica.version !== null),
    );
    expect(view).toMatchObject({ key: "admin/shown", namespace: "", slot: slotOf("admin/shown") });
    expect(view.entry).toMatchObject({ version, size: 5, value: { text: "hello" }, tags: ["one", "two"] });
    expect(view.entry?.expiresMs).toBe((view.entry?.modifiedMs ?? 0) + 600_000);
    expect(view.replicas.map((replica) => replica.version)).toEqual([version, version, version]);
  });
});
