// The shape of a cluster that changes over HTTP, in real Durable Objects: slots move, moves are cancelled in the middle, and
// whatever goes over many shards meanwhile (scans, counts, purges, batches, sessions) is complete.

import { reset, SELF } from "cloudflare:test";
import { afterAll, describe, expect, test } from "vitest";
import type { Topology } from "../../../routing/topology.ts";
import { TOKEN, until } from "../replica/cluster.ts";

interface Report {
  readonly topology: Topology;
  readonly progress: Record<"pending" | "cancelled", readonly { readonly slots: number }[]>;
}

const ADMIN = "/admin/v1/topology";
/** About one slot in eighty, and so many of them. */
const LIGHT = { kind: "add_shard", replicas: 3, regions: ["weur", "enam", "apac"], weight: 0.05 };
const LIGHT_SLOTS = 12;
const NAMES = Array.from({ length: 60 }, (_, number) => `shape/${String(number).padStart(3, "0")}`);

// The edge of this isolate never goes back to an older epoch, so each test goes on from the one before.
afterAll(async () => {
  await reset();
});

async function api(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  // Without a pause the isolate never gets to its timers, those of its objects included.
  await scheduler.wait(5);
  return SELF.fetch(`https://halo.test${path}`, {
    method,
    headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json", ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
}

async function report(): Promise<Report> {
  return (await api("GET", ADMIN)).json();
}

async function change(wanted: object): Promise<void> {
  const { topology } = await report();
  const reply = await api("POST", ADMIN, { ...wanted, epoch: topology.epoch });
  expect(reply.status, await reply.clone().text()).toBe(200);
}

function calm(): Promise<Report> {
  return until(report, ({ progress }) => progress.pending.length + progress.cancelled.length === 0);
}

function leftOf({ progress }: Report): number {
  return progress.pending.reduce((sum, { slots }) => sum + slots, 0);
}

async function store(names: readonly string[], value: string): Promise<void> {
  const operations = names.map((key) => ({ op: "set", key, value: { text: value }, tags: [`tag-${key.at(-1)}`] }));
  // On a busy machine the groups' first elections may take longer than a request waits.
  await until(
    async () => {
      const reply = await api("POST", "/v1/batch", { operations });
      return ((await reply.json()) as { readonly results?: readonly { readonly status: number }[] }).results ?? [];
    },
    (results) => results.length === names.length && results.every(({ status }) => status < 300),
  );
}

/** A page at a time, so that slots move between the pages. */
async function scanAll(): Promise<readonly string[]> {
  const keys: string[] = [];
  let cursor = "";
  do {
    const reply = await api("GET", `/v1/scan?prefix=shape/&limit=20${cursor === "" ? "" : `&cursor=${cursor}`}`);
    expect(reply.status, await reply.clone().text()).toBe(200);
    const page = (await reply.json()) as {
      readonly items: readonly { readonly key: string }[];
      readonly cursor?: string;
    };
    keys.push(...page.items.map(({ key }) => key));
    cursor = page.cursor ?? "";
  } while (cursor !== "");
  return keys.sort();
}

async function count(): Promise<number> {
  return ((await (await api("GET", "/v1/count?prefix=shape/")).json()) as { readonly count: number }).count;
}

describe("while slots move to a shard that was added", () => {
  test("scans, counts and batches are complete, and a session sees its writes", async () => {
    await store(NAMES, "first");
    await change(LIGHT);
    let bookmark = "";
    let rounds = 0;
    for (let state = await report(); rounds < 10 && leftOf(state) > 0; state = await report()) {
      expect(await scanAll()).toEqual(NAMES);
      expect(await count()).toBe(NAMES.length);
      const name = NAMES[(rounds * 7) % NAMES.length] ?? "";
      const written = await api("PUT", `/v1/kv/${name}`, `round ${rounds}`);
      expect(written.ok).toBe(true);
      bookmark = written.headers.get("Halo-Bookmark") ?? "";
      const session = { "Halo-Consistency": "session", "Halo-Bookmark": bookmark };
      expect(await (await api("GET", `/v1/kv/${name}`, undefined, session)).text()).toBe(`"round ${rounds}"`);
      rounds++;
    }
    expect(rounds).toBeGreaterThan(0);
    const { topology } = await calm();
    expect(topology.slots.filter((owner) => owner === 4)).toHaveLength(LIGHT_SLOTS);
    expect(await scanAll()).toEqual(NAMES);
    expect(bookmark).toMatch(/\.1ekf-0-[0-9a-z]+$/);
  });
});

describe("moves that are cancelled in the middle", () => {
  test("stay where they are or are made, and every key is there once", async () => {
    await store(NAMES, "second");
    await change(LIGHT);
    // At once: some are under way, and one or the other may be decided before its source hears of this.
    await until(
      async () => (await api("DELETE", `${ADMIN}/moves?epoch=${(await report()).topology.epoch}`)).status,
      (status) => status === 200,
    );
    const { topology } = await calm();
    expect(topology.slots.filter((owner) => owner === 5).length).toBeLessThanOrEqual(LIGHT_SLOTS);
    expect(await scanAll()).toEqual(NAMES);
    expect(await count()).toBe(NAMES.length);
  });

  test("are planned again by a rebalance, under purges that take away what they name and nothing else", async () => {
    await change({ kind: "rebalance" });
    const left = new Set(NAMES);
    for (let digit = 0; digit < 10; digit += 2) {
      const reply = await api("POST", "/v1/purge", { tags: [`tag-${digit}`] });
      expect(reply.status, await reply.clone().text()).toBe(200);
      for (const name of NAMES) if (name.endsWith(String(digit))) left.delete(name);
      expect(await scanAll()).toEqual([...left]);
    }
    await calm();
    expect(await scanAll()).toEqual([...left]);
  });
});

describe("a shard that is drained", () => {
  test("gives back what it had, can be removed, and its number is not used again", async () => {
    await store(NAMES, "third");
    await change({ kind: "drain_shard", shard: 5 });
    const early = await api("POST", ADMIN, { kind: "remove_shard", shard: 5, epoch: (await report()).topology.epoch });
    expect(early.status).toBe(409);
    await calm();
    await change({ kind: "remove_shard", shard: 5 });
    expect(await scanAll()).toEqual(NAMES);
    expect(await count()).toBe(NAMES.length);
    const dry = await api("POST", `${ADMIN}?dry_run=true`, { ...LIGHT, epoch: (await report()).topology.epoch });
    const { plan } = (await dry.json()) as {
      readonly plan: { readonly shards: readonly { readonly shard: number }[] };
    };
    expect(plan.shards.map(({ shard }) => shard)).toEqual([0, 1, 2, 3, 4, 6]);
  });
});
