// The administrative routes on real objects.
//
// On a busy machine a replica may not answer a view within its second, and a leader may lose its lease in between two calls: what is
// asserted of two replies is what holds all the same, and whatever may be refused for now is asked again.

import { reset, runInDurableObject } from "cloudflare:test";
import { afterAll, describe, expect, test } from "vitest";
import { slotOf } from "../../../routing/slots.ts";
import {
  type BackgroundReply,
  backgroundReplySchema,
  type ClusterView,
  clusterChangeSchema,
  clusterViewSchema,
  keyViewSchema,
  slotsViewSchema,
  transferReplySchema,
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
      view.shards.every(
        // One that was deposed may not have heard of it yet.
        ({ replicas }) =>
          replicas.filter(({ role }) => role === "leader").length === 1 && replicas.every(({ lag }) => lag === 0),
      ),
    );
    expect(shards.map(({ shard }) => shard)).toEqual(topologyView().shards.map(({ shard }) => shard));
    expect(shards.reduce((sum, { slots }) => sum + slots, 0)).toBe(1_024);
    expect(shards.reduce((sum, { keys }) => sum + keys, 0)).toBe(Object.keys(KEYS).length);
    expect([underReplicated, defaults, moves]).toEqual([
      [],
      { consistency: "strong", balance: "nearest" },
      { pending: [], cancelled: [] },
    ]);
    for (const { leader, replicas, bytes, keys } of shards) {
      expect(replicas.filter(({ role }) => role === "leader").map(({ name }) => name)).toEqual([leader]);
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
    const events = eventsOf(await call("GET", "/admin/v1/events?interval_ms=500"));
    const { value: first } = await events.next();
    let view = clusterViewSchema.parse(first?.data);
    expect(view.shards.map((found) => found.shard)).toEqual(topologyView().shards.map((found) => found.shard));
    const change = await until(
      async () => {
        // Race: whoever led in the view before may not lead any more, and then nobody hears of the wish. So each view is asked anew.
        const leader = view.shards.find((found) => found.shard === shard.shard)?.leader;
        const other = shard.replicas.find(({ name }) => name !== leader);
        if (typeof leader === "string") await stubOf(leader).transferLeadership(leader, other?.replica ?? 0);
        const { value: event } = await events.next();
        view = clusterViewSchema.safeParse(event?.data).data ?? view;
        return clusterChangeSchema.safeParse(event?.data).data;
      },
      // Of another shard, or that nobody leads for now, may be said as well.
      (found) => found?.kind === "leader" && found.shard === shard.shard && / leads in term \d+$/.test(found.text),
    );
    expect(shard.replicas.map(({ name }) => name)).toContain(change?.text.split(" ")[0]);
    await events.return(undefined);
  });
});

/** Asked again where the answer is that it may yet be: the leader is about to change, or has just done so. */
async function handOver(shard: number, to: number): Promise<{ leader: string; term: number }> {
  const reply = await until(
    () => call("POST", `/admin/v1/shards/${shard}/transfer`, { json: { to } }),
    ({ status }) => status !== 503,
  );
  return transferReplySchema.parse(await jsonOf(reply));
}

describe("a shard", () => {
  test("has its leadership handed over, there and back", async () => {
    const { shard, replicas } = shardOf("admin/0");
    for (const to of [1, 2, 0]) {
      const { leader, term } = await handOver(shard, to);
      expect(leader).toBe(replicas[to]?.name);
      const seen = await until(
        async () => (await cluster()).shards.find((found) => found.shard === shard),
        (found) => found !== undefined && found.leader !== null && (found.term ?? 0) >= term,
      );
      // Race: in a later term somebody else may have been elected.
      if (seen?.term === term) expect(seen.leader).toBe(leader);
    }
  });

  test("has its leadership handed over although the group sleeps", async () => {
    const { shard, replicas } = shardOf("admin/0");
    await until(cluster, ({ shards }) =>
      shards.every((found) => found.shard !== shard || found.replicas.every(({ quiesced }) => quiesced === true)),
    );
    expect((await handOver(shard, 1)).leader).toBe(replicas[1]?.name);
  });
});

describe("a key", () => {
  test("is shown as every replica has it", async () => {
    const put = await until(
      () =>
        call("PUT", "/v1/kv/admin/shown", {
          body: "hello",
          headers: { "Content-Type": "text/plain", "Cache-Tag": "one, two", "Cache-Control": "max-age=600" },
        }),
      ({ status }) => status < 300,
    );
    const version = Number(/\d+/.exec(put.headers.get("ETag") ?? "")?.[0]);
    await ignore(put);
    const reply = await until(
      async () => {
        const inspected = await call("GET", "/admin/v1/keys/admin/shown?value=true");
        return inspected.status === 503 ? undefined : keyViewSchema.parse(await jsonOf(inspected));
      },
      (found) => found?.replicas.every((replica) => replica.version === version) === true,
    );
    const view = keyViewSchema.parse(reply);
    expect(view).toMatchObject({ key: "admin/shown", namespace: "", slot: slotOf("admin/shown") });
    expect(view.entry).toMatchObject({ version, size: 5, value: { text: "hello" }, tags: ["one", "two"] });
    expect(view.entry?.expiresMs).toBe((view.entry?.modifiedMs ?? 0) + 600_000);
    expect(view.replicas.map((replica) => replica.version)).toEqual([version, version, version]);
  });
});

describe("background work", () => {
  test("is paused everywhere, seen to be, kept by instances that come after, and let go on", async () => {
    const json = { paused: true, forMs: 600_000 };
    const tell = async (body: object) => {
      const reply = await call("POST", "/admin/v1/background", { json: body });
      return reply.status === 503 ? undefined : backgroundReplySchema.parse(await jsonOf(reply));
    };
    const isToldToAll = (reply: BackgroundReply | undefined) => reply?.untold.length === 0;
    const paused = await until(() => tell(json), isToldToAll);
    expect(paused?.paused).toBe(true);
    // A view whose Directory has not answered in time knows of no pause.
    const seen = await until(cluster, ({ background }) => background.paused);
    expect(seen.background.untilMs).toBe(paused?.untilMs);
    const [shard] = topologyView().shards;
    const kept = () =>
      runInDurableObject(stubOf(shard?.replicas[0]?.name ?? ""), (_, { storage }) =>
        storage.kv.get<number>("paused_until"),
      );
    expect((await kept()) ?? 0).toBeGreaterThan(Date.now() + 500_000);
    await until(() => tell({ paused: false }), isToldToAll);
    expect((await cluster()).background).toEqual({ paused: false, untilMs: null });
    expect((await kept()) ?? 0).toBeLessThanOrEqual(Date.now());
  });
});
