// Hot keys through the Worker: what L1 answers, what it must not, and what it takes off the objects. The replicas of this
// project's configuration call a key hot at a rate that the tests reach in a moment (vitest.config.ts).

import { reset } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { call, ignore, jsonOf } from "./edge.ts";

afterEach(async () => {
  await reset();
});

interface Seen {
  readonly status: number;
  readonly text: string;
  readonly level: string | null;
  readonly servedBy: string;
}

async function get(key: string, level: string, headers: Record<string, string> = {}): Promise<Seen> {
  const reply = await call("GET", `/v1/kv/${key}`, { headers: { "Halo-Consistency": level, ...headers } });
  const servedBy = reply.headers.get("Halo-Served-By") ?? "";
  expect(reply.headers.has("Halo-Remark")).toBe(false);
  return { status: reply.status, text: await reply.text(), level: reply.headers.get("Halo-Consistency"), servedBy };
}

async function put(key: string, body: string, headers: Record<string, string> = {}): Promise<string> {
  const reply = await call("PUT", `/v1/kv/${key}`, { body, headers });
  await ignore(reply);
  expect([201, 204]).toContain(reply.status);
  return reply.headers.get("Halo-Bookmark") ?? "";
}

const isFromL1 = ({ servedBy }: Seen) => /, l1=[0-9]+$/.test(servedBy);

/** Asks until L1 answers, which it does once the key is hot. */
async function heat(key: string, level = "eventual"): Promise<Seen> {
  for (let asked = 0; asked < 2_000; asked += 20) {
    const seen = await Promise.all(Array.from({ length: 20 }, () => get(key, level)));
    const found = seen.find(isFromL1);
    if (found !== undefined) return found;
  }
  throw new Error(`${key} did not become hot`);
}

interface Status {
  readonly shards: readonly {
    readonly replicas: readonly {
      readonly counters: { readonly reads: number };
      readonly hotKeys: readonly { readonly key: string; readonly readsPerSecond: number }[];
    }[];
  }[];
}

async function replicas() {
  const { shards } = await jsonOf<Status>(await call("GET", "/v1/status"));
  return shards.flatMap((shard) => shard.replicas);
}

/** Asks on until a replica says so: it forgets what nobody has asked for in the last moment, and this machine may take longer. */
async function toldAsHot(key: string): Promise<void> {
  for (let asked = 0; asked < 2_000; asked += 20) {
    const [hot] = await Promise.all([replicas(), ...Array.from({ length: 20 }, () => get(key, "bounded=0"))]);
    if (hot.some(({ hotKeys }) => hotKeys.some((one) => one.key === key))) return;
  }
  throw new Error(`no replica says that ${key} is hot`);
}

describe("a hot key", () => {
  test("is answered from L1 with its level, its age and its provenance", async () => {
    await put("k", "v", { "Cache-Control": "max-age=60" });
    const seen = await heat("k");
    expect(seen).toMatchObject({ status: 200, text: "v", level: "eventual" });
    expect(seen.servedBy).toMatch(/^shard=\d+, replica=\d+, role=(leader|follower), term=\d+, index=\d+, l1=\d+$/);
    const bounded = await heat("k", "bounded=900");
    expect(bounded).toMatchObject({ text: "v", level: "bounded" });
    await toldAsHot("k");
  });

  test("is not answered from L1 for a strong read, for a bound of 0, nor for a session that has seen more", async () => {
    await put("k", "v1");
    await heat("k");
    const bookmark = await put("{k}other", "elsewhere in the same shard");
    await heat("k");
    for (let at = 0; at < 20; at++) {
      expect(isFromL1(await get("k", "strong"))).toBe(false);
      expect(isFromL1(await get("k", "bounded=0"))).toBe(false);
      expect((await get("k", "session", { "Halo-Bookmark": bookmark })).status).toBe(200);
    }
    const session = await heat("k", "session");
    expect(session).toMatchObject({ text: "v1", level: "session" });
  });

  test("is read as it was written, by strong reads at once and by everybody in the isolate that wrote it", async () => {
    await put("k", "v0");
    await heat("k");
    for (let at = 1; at <= 20; at++) {
      const storm = Array.from({ length: 20 }, () => get("k", "eventual"));
      await put("k", `v${at}`);
      expect(await get("k", "strong")).toMatchObject({ text: `v${at}` });
      await Promise.all(storm);
      const after = await get("k", "eventual");
      // A follower may be behind; L1 is not: its copies from before the write are gone.
      if (isFromL1(after)) expect(after.text).toBe(`v${at}`);
    }
  });

  test("that was deleted or purged comes from L1 as gone", async () => {
    await put("k", "v", { "Cache-Tag": "t" });
    await heat("k");
    await ignore(await call("POST", "/v1/purge", { json: { tags: ["t"] } }));
    expect(await heat("k")).toMatchObject({ status: 404 });
    await put("k", "v2");
    expect(await heat("k")).toMatchObject({ status: 200, text: "v2" });
    await ignore(await call("DELETE", "/v1/kv/k"));
    expect(await heat("k")).toMatchObject({ status: 404 });
    expect(await get("k", "strong")).toMatchObject({ status: 404 });
  });

  test("keeps its namespace: the same name elsewhere is another key", async () => {
    await put("k", "default's");
    await put("k", "other's", { "Halo-Namespace": "other" });
    await heat("k");
    const reply = await call("GET", "/v1/kv/k", {
      headers: { "Halo-Consistency": "eventual", "Halo-Namespace": "other" },
    });
    expect(await reply.text()).toBe("other's");
    const denied = await call("GET", "/v1/kv/k", { headers: { Authorization: "Bearer wrong" } });
    await ignore(denied);
    expect(denied.status).toBe(401);
  });

  test("answers conditional reads and ranges from L1 as the shard would", async () => {
    await put("k", "0123456789");
    await heat("k");
    const etag = (await call("GET", "/v1/kv/k")).headers.get("ETag") ?? "";
    const ask = (headers: Record<string, string>) =>
      call("GET", "/v1/kv/k", { headers: { "Halo-Consistency": "eventual", ...headers } });
    await heat("k");
    const same = await ask({ "If-None-Match": etag });
    expect([same.status, await same.text()]).toEqual([304, ""]);
    const part = await ask({ Range: "bytes=2-4" });
    expect([part.status, await part.text()]).toEqual([206, "234"]);
    const head = await call("HEAD", "/v1/kv/k", { headers: { "Halo-Consistency": "eventual" } });
    await ignore(head);
    expect([head.status, head.headers.get("Content-Length")]).toEqual([200, "10"]);
  });
});

test("one key is served at 20 times what its objects are asked, and no object sheds", async () => {
  await put("k", "v");
  await heat("k");
  const readsOf = async () => (await replicas()).reduce((sum, { counters }) => sum + counters.reads, 0);
  const before = await readsOf();
  let asked = 0;
  // Rounds of requests that are under way together, as in a stampede.
  while (asked < 4_000) {
    const seen = await Promise.all(Array.from({ length: 100 }, () => get("k", "bounded=1000")));
    for (const { status, text } of seen) expect([status, text]).toEqual([200, "v"]);
    asked += seen.length;
    expect((await get("k", "strong")).text).toBe("v");
  }
  const strong = asked / 100;
  expect((await readsOf()) - before - strong).toBeLessThan(asked / 20);
});
