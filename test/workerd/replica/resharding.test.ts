// A slot that moves from one shard to another in real Durable Objects, while clients use what is in it.

import { reset, runInDurableObject, SELF } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { createDirectoryClient } from "../../../durable/directory-client.ts";
import type { TopologyBindings } from "../../../durable/topology-admin.ts";
import { withLists } from "../../../routing/slot-moves.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { Topology } from "../../../routing/topology.ts";
import { type ShardView, TopologyView } from "../../../routing/topology-view.ts";
import { leaderOf, put, servedFrom, statusesOf, stubOf, TOKEN, text, until } from "./cluster.ts";

const bindings = env as unknown as TopologyBindings & { readonly HALO_CLUSTER: string };
const directory = createDirectoryClient(bindings.DIRECTORY, bindings.HALO_CLUSTER);
const KEYS = Array.from({ length: 6 }, (_, number) => `{moving}/${number}`);
const SLOT = slotOf("{moving}");

// The edge of this isolate never goes back to an older epoch, so each test goes on from the one before.
afterAll(async () => {
  await reset();
});

function api(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return SELF.fetch(`https://halo.test/v1/${path}`, {
    method,
    headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json", ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
}

/** Wishes for the move of the slot to the next shard, and tells the source. */
async function moveOn(): Promise<{ readonly from: ShardView; readonly to: ShardView; readonly epoch: number }> {
  const topology = await directory.read();
  const view = new TopologyView(topology);
  const from = view.ownerOf(SLOT);
  const to = view.shards.find(({ shard }) => shard !== from.shard);
  if (to === undefined) throw new Error("there is another shard");
  const epoch = topology.epoch + 1;
  const planned = withLists(topology, [{ slot: SLOT, from: from.shard, to: to.shard, epoch }], []);
  expect(await directory.publish(planned, topology.epoch)).toMatchObject({ status: "ok" });
  for (const { name } of from.replicas) await stubOf(name).topologyChanged(name, epoch);
  return { from, to, epoch };
}

async function recorded(to: ShardView): Promise<Topology> {
  return until(
    () => directory.read(),
    ({ slots, moves }) => slots[SLOT] === to.shard && moves === undefined,
  );
}

/** Each client counts up one key, and adds one to a counter by requests that it sends twice. */
class Load {
  readonly problems: string[] = [];
  readonly acknowledged = new Map<string, number>();
  counted = 0;
  /** Not known from an earlier load. */
  readonly #id = crypto.randomUUID();
  #isOver = false;
  readonly #clients: Promise<unknown>;

  constructor() {
    this.#clients = Promise.all([...KEYS.map((key) => this.#register(key)), this.#counter()]);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#clients;
  }

  async #register(key: string): Promise<void> {
    const path = encodeURIComponent(key);
    for (let number = 1; !this.#isOver && this.problems.length === 0; number++) {
      const written = await put(path, String(number), { "Idempotency-Key": `${this.#id}-${key}-${number}` });
      if (written.ok) this.acknowledged.set(key, number);
      else this.problems.push(`write ${number} of ${key}: ${written.status} ${await written.text()}`);
      const read = await text(path);
      if (written.ok && read !== String(number)) this.problems.push(`${key} is ${read}, acknowledged was ${number}`);
      await scheduler.wait(2);
    }
  }

  async #counter(): Promise<void> {
    const path = `counters/${encodeURIComponent("{moving}/count")}`;
    while (!this.#isOver && this.problems.length === 0) {
      const id = { "Idempotency-Key": `${this.#id}-${this.counted + 1}` };
      const first = await api("POST", path, { by: "1" }, id);
      await scheduler.wait(5);
      const again = await api("POST", path, { by: "1" }, id);
      const values = await Promise.all([first, again].map(async (reply) => `${reply.status} ${await reply.text()}`));
      if (!first.ok || values[0] !== values[1]) this.problems.push(`counted: ${values.join(", then ")}`);
      else this.counted++;
    }
  }
}

describe("a slot that moves under load", () => {
  test("takes its rows, tags, lifetimes, locks and idempotency records along, and nobody is refused", async () => {
    await put(encodeURIComponent("{moving}/tagged"), "tagged", { "Cache-Tag": "moved-tag" });
    await put(encodeURIComponent("{moving}/short"), "short", { "Cache-Control": "max-age=600" });
    const locked = await api("POST", `locks/${encodeURIComponent("{moving}/lock")}`, { ttlMs: 60_000 });
    const { token } = (await locked.json()) as { readonly token: number };
    const tag = (await api("GET", `kv/${encodeURIComponent("{moving}/tagged")}`)).headers.get("ETag");
    const load = new Load();
    onTestFinished(() => load.end());
    const { from, to, epoch } = await moveOn();
    const topology = await recorded(to);
    expect(new TopologyView(topology).movedAt(SLOT)).toBe(epoch);
    await scheduler.wait(50);
    await load.end();

    expect(load.problems).toEqual([]);
    for (const [key, number] of load.acknowledged) expect(await text(encodeURIComponent(key))).toBe(String(number));
    expect(await text(encodeURIComponent("{moving}/count"))).toBe(String(load.counted));
    const read = await api("GET", `kv/${encodeURIComponent("{moving}/tagged")}`);
    expect(read.headers.get("ETag")).toBe(tag);
    expect(servedFrom(read).shard).toBe(to.shard);
    const short = await api("GET", `kv/${encodeURIComponent("{moving}/short")}`);
    expect(short.headers.get("Cache-Control")).toContain("max-age=600");
    // The lock is held, by the same token; a new one has a higher.
    const path = `locks/${encodeURIComponent("{moving}/lock")}`;
    expect((await api("POST", path, { ttlMs: 1_000 })).status).toBe(409);
    expect((await api("DELETE", path, undefined, { "Halo-Lock-Token": String(token) })).status).toBe(204);
    const next = (await (await api("POST", path, { ttlMs: 1_000 })).json()) as { readonly token: number };
    expect(next.token).toBeGreaterThan(token);
    // A purge reaches it where it is.
    expect((await api("POST", "purge", { tags: ["moved-tag"] })).ok).toBe(true);
    expect(await text(encodeURIComponent("{moving}/tagged"))).toBe(404);
    const { counters, moves } = await leaderOf(from);
    expect(counters.slots_given).toBe(1);
    expect(moves).toMatchObject({ pending: 0 });
    expect((await leaderOf(to)).counters.slots_taken).toBe(1);
  });

  test("arrives although the leader that gives it is reset in the middle, and comes back", async () => {
    const before = Number(await text(encodeURIComponent("{moving}/count")));
    const load = new Load();
    onTestFinished(() => load.end());
    await until(
      async () => load.counted + load.problems.length,
      (count) => count > 2,
    );
    const { from, to } = await moveOn();
    const giving = await until(
      () => statusesOf(from),
      (all) => all.some(({ role, moves }) => role === "leader" && moves !== undefined && moves.pending > 0),
    );
    const { name } = giving.find(({ role }) => role === "leader") ?? {};
    if (name === undefined) throw new Error("somebody leads");
    await runInDurableObject(stubOf(name), (_, state) => state.abort("reset by the test")).catch(() => undefined);
    await recorded(to);
    const back = await moveOn();
    expect(back.from.shard).toBe(to.shard);
    await recorded(back.to);
    await scheduler.wait(20);
    await load.end();
    expect(load.problems).toEqual([]);
    for (const [key, number] of load.acknowledged) expect(await text(encodeURIComponent(key))).toBe(String(number));
    expect(await text(encodeURIComponent("{moving}/count"))).toBe(String(before + load.counted));
  });
});
