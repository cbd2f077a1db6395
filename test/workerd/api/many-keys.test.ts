// Batches, counters, transactions, scans and purges: through the Worker, on real objects, over several shards.

import { reset } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { slotOf } from "../../../routing/slots.ts";
import { statusesOf, topologyView } from "../replica/cluster.ts";
import { batch, call, fill, jsonOf, read } from "./edge.ts";

afterEach(async () => {
  await reset();
});

interface Page {
  readonly items: readonly { readonly key: string; readonly value?: { readonly text?: string } }[];
  readonly cursor?: string;
}

/** Every page of a scan; `between` runs after each. */
async function scanAll(query: string, between?: () => Promise<void>): Promise<Page["items"]> {
  const items: Page["items"][number][] = [];
  let cursor: string | undefined;
  do {
    const page: Page = await jsonOf<Page>(
      await call("GET", `/v1/scan?${query}${cursor === undefined ? "" : `&cursor=${cursor}`}`),
    );
    items.push(...page.items);
    cursor = page.cursor;
    await between?.();
  } while (cursor !== undefined);
  return items;
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${at}`);
}

/** What all replicas have been asked so far. */
async function readsOfAll(): Promise<Map<number, number>> {
  const reads = new Map<number, number>();
  for (const shard of topologyView().shards) {
    const statuses = await statusesOf(shard);
    reads.set(
      shard.shard,
      statuses.reduce((sum, { counters }) => sum + (counters.reads ?? 0), 0),
    );
  }
  return reads;
}

describe("a batch", () => {
  test("of 50 gets costs at most one call a shard", async () => {
    const keys = numbered("key-", 50);
    await fill(Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
    const before = await readsOfAll();
    const results = await batch(keys.map((key) => ({ op: "get", key })));
    const after = await readsOfAll();
    expect(results.map(({ value }) => value)).toEqual(keys.map((key) => ({ text: `value of ${key}` })));
    const shards = new Set(keys.map((key) => topologyView().ownerOf(slotOf(key)).shard));
    expect(shards.size).toBeGreaterThan(1);
    for (const [shard, reads] of after) expect(reads - (before.get(shard) ?? 0)).toBeLessThanOrEqual(1);
  });

  test("answers each operation with its own status, in order, reads after the writes", async () => {
    const results = await batch([
      { op: "set", key: "a", value: { text: "1" } },
      { op: "get", key: "a" },
      { op: "set", key: "a", value: { text: "2" }, ifAbsent: true },
      { op: "increment", key: "a", by: "41" },
      { op: "get", key: "nothing" },
      { op: "delete", key: "nothing" },
      { op: "set", key: "j", value: { json: { b: [1, null] } }, returnPrevious: true },
      { op: "append", key: "bytes", value: { base64: "/w==" } },
      { op: "get", key: "bytes" },
      { op: "touch", key: "nothing", ttlMs: 1_000 },
      { op: "increment", key: "j" },
    ]);
    expect(results).toMatchObject([
      { status: 201, created: true },
      { status: 200, value: { text: "42" } },
      { status: 412, problem: "precondition-failed" },
      { status: 200, value: "42", created: false },
      { status: 404, problem: "not-found" },
      { status: 204, existed: false },
      { status: 201 },
      { status: 201 },
      { status: 200, value: { base64: "/w==" }, contentType: "application/octet-stream" },
      { status: 404, problem: "not-found" },
      { status: 409, problem: "not-a-number" },
    ]);
    expect(results[2]?.version).toBe(results[0]?.version);
    expect(await read("j")).toBe('{"b":[1,null]}');
  });

  test("repeated with its idempotency keys has the same outcome, and does nothing again", async () => {
    const operations = [
      { op: "increment", key: "n", idempotencyKey: "once" },
      { op: "append", key: "l", value: { text: "x" }, idempotencyKey: "once" },
    ];
    const first = await batch(operations);
    expect(await batch(operations)).toEqual(first);
    expect([await read("n"), await read("l")]).toEqual(["1", "x"]);
    const [other] = await batch([{ op: "increment", key: "n", by: "2", idempotencyKey: "once" }]);
    expect(other).toMatchObject({ status: 422, problem: "idempotency-conflict" });
  });
});

describe("a counter", () => {
  const add = async (key: string, json: object = {}) => jsonOf(await call("POST", `/v1/counters/${key}`, { json }));

  test("is exact to 64 bits, and refuses to leave them", async () => {
    expect(await add("c", { initial: "9223372036854775800", by: "6" })).toMatchObject({
      value: "9223372036854775806",
      created: true,
    });
    expect(await add("c")).toMatchObject({ value: "9223372036854775807", created: false });
    const over = await call("POST", "/v1/counters/c");
    expect(await jsonOf(over, 409)).toMatchObject({ type: "/problems/out-of-range" });
    expect(await read("c")).toBe("9223372036854775807");
    expect(await add("c", { by: "-9223372036854775807" })).toMatchObject({ value: "0" });
  });

  test("loses no increment of many at once", async () => {
    await Promise.all(Array.from({ length: 100 }, () => add("many")));
    expect(await read("many")).toBe("100");
  });

  test("stops at a bound, or refuses, as it was told; a float stays a float", async () => {
    expect(await add("b", { by: "7", max: "5", onBound: "clamp" })).toMatchObject({ value: "5" });
    const refused = await call("POST", "/v1/counters/b", { json: { max: "5" } });
    expect(await jsonOf(refused, 409)).toMatchObject({ type: "/problems/out-of-range" });
    expect(await add("f", { by: "0.5", float: true })).toMatchObject({ value: "0.5" });
  });
});

interface Transaction {
  readonly compare?: readonly object[];
  readonly onSuccess: readonly object[];
  readonly onFailure?: readonly object[];
}

describe("a transaction", () => {
  const transact = ({ compare, onSuccess, onFailure }: Transaction, headers: Record<string, string> = {}) => {
    // biome-ignore lint/suspicious/noThenProperty: the contract's name, of an array that no `await` ever sees
    const json = { compare, then: onSuccess, else: onFailure };
    return call("POST", "/v1/transactions", { json, headers });
  };

  test("moves an amount from one key to another, all of it or none, while others do the same", async () => {
    await fill({ "{bank}a": "100", "{bank}b": "0" });
    const move = {
      onSuccess: [
        { op: "increment", key: "{bank}a", by: "-7", min: "0" },
        { op: "increment", key: "{bank}b", by: "7" },
      ],
    };
    const replies = await Promise.all(Array.from({ length: 20 }, () => transact(move)));
    const statuses = await Promise.all(replies.map(async (reply) => ((await reply.text()) ? reply.status : 0)));
    expect(statuses.filter((status) => status === 200)).toHaveLength(14);
    expect(statuses.filter((status) => status === 409)).toHaveLength(6);
    expect([await read("{bank}a"), await read("{bank}b")]).toEqual(["2", "98"]);
  });

  test("does what `then` says where all comparisons hold, and `else` otherwise", async () => {
    await fill({ "{t}x": "1" });
    const json = {
      compare: [
        { key: "{t}x", ifValue: { text: "1" } },
        { key: "{t}y", ifAbsent: true },
      ],
      onSuccess: [
        { op: "set", key: "{t}y", value: { text: "then" } },
        { op: "get", key: "{t}y" },
      ],
      onFailure: [{ op: "get", key: "{t}x" }],
    };
    expect(await jsonOf(await transact(json))).toMatchObject({
      succeeded: true,
      results: [{ status: 201 }, { status: 200, value: { text: "then" } }],
    });
    expect(await jsonOf(await transact(json))).toMatchObject({
      succeeded: false,
      results: [{ status: 200, value: { text: "1" } }],
    });
  });

  test("says which operation could not be done, and has done none", async () => {
    await fill({ "{t}x": "text" });
    const failed = await transact({
      onSuccess: [
        { op: "set", key: "{t}y", value: { text: "y" } },
        { op: "increment", key: "{t}x" },
      ],
    });
    expect(await jsonOf(failed, 409)).toMatchObject({
      type: "/problems/transaction-failed",
      at: 1,
      detail: "operation 1: the value is not the decimal text of such a number; nothing was changed",
      result: { status: 409, problem: "not-a-number" },
    });
    expect(await read("{t}y")).toBe(404);
  });

  test("over keys of two slots is refused before it is sent", async () => {
    const refused = await transact({
      onSuccess: [
        { op: "delete", key: "a" },
        { op: "delete", key: "b" },
      ],
    });
    expect(await jsonOf(refused, 400)).toMatchObject({ type: "/problems/cross-slot" });
  });

  test("repeated with its Idempotency-Key is done once", async () => {
    const json = { onSuccess: [{ op: "increment", key: "{t}n" }] };
    const first = await jsonOf(await transact(json, { "Idempotency-Key": "once" }));
    expect(await jsonOf(await transact(json, { "Idempotency-Key": "once" }))).toEqual(first);
    expect(await read("{t}n")).toBe("1");
  });
});

describe("a scan", () => {
  test("over several shards sees each key exactly once while others are written and deleted", async () => {
    const lasting = numbered("k/", 300);
    await fill(Object.fromEntries(lasting.map((key) => [key, key])));
    let round = 0;
    const items = await scanAll("prefix=k/&limit=40", async () => {
      const fleeting = numbered(`k/new-${round++}-`, 20);
      await fill(Object.fromEntries(fleeting.map((key) => [key, key])));
      await batch(fleeting.slice(10).map((key) => ({ op: "delete", key })));
    });
    const keys = items.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.filter((key) => !key.includes("new")).sort()).toEqual(lasting.toSorted());
    expect(round).toBeGreaterThan(5);
  });

  test("gives values on demand, of one namespace and prefix, and counts them", async () => {
    await fill({ "p/1": "one", "p/2": "two", "q/1": "other" });
    const headers = { "Halo-Namespace": "tenant" };
    await batch([{ op: "set", key: "p/1", value: { text: "of the tenant" } }], headers);
    const items = await scanAll("prefix=p/&values=true&limit=1");
    expect(items.map(({ key, value }) => [key, value?.text]).sort()).toEqual([
      ["p/1", "one"],
      ["p/2", "two"],
    ]);
    const own = await jsonOf<Page>(await call("GET", "/v1/scan?values=true", { headers }));
    expect(own.items).toMatchObject([{ key: "p/1", value: { text: "of the tenant" } }]);
    expect(own.cursor).toBeUndefined();
    expect(await jsonOf(await call("GET", "/v1/count"))).toEqual({ count: 3 });
    expect(await jsonOf(await call("GET", "/v1/count?prefix=q%2F"))).toEqual({ count: 1 });
  });

  test("refuses a cursor of another scan, or one that was changed", async () => {
    await fill({ "p/1": "one", "p/2": "two" });
    const { cursor = "" } = await jsonOf<Page>(await call("GET", "/v1/scan?prefix=p/&limit=1"));
    expect(cursor).not.toBe("");
    const changed = `${cursor.slice(0, 6)}${cursor[6] === "A" ? "B" : "A"}${cursor.slice(7)}`;
    for (const query of [`prefix=q/&cursor=${cursor}`, `prefix=p/&cursor=${changed}`, "prefix=p/&cursor=x"]) {
      expect(await jsonOf(await call("GET", `/v1/scan?${query}`), 400)).toMatchObject({
        type: "/problems/malformed-cursor",
      });
    }
  });
});

describe("a purge", () => {
  const purge = async (json: object, headers: Record<string, string> = {}) =>
    jsonOf<{ shards: { status: string }[] }>(await call("POST", "/v1/purge", { json, headers }));

  test("by tag, prefix, key or namespace is seen by the next strong read, and by nothing outside its scope", async () => {
    const keys = numbered("p/", 20);
    await fill(Object.fromEntries(keys.map((key) => [key, "v"])), { tags: ["red", "all"] });
    await fill({ other: "v", blue: "v" }, { tags: ["blue"] });
    const { shards } = await purge({ tags: ["red"] });
    expect(shards.map(({ status }) => status)).toEqual(topologyView().shards.map(() => "done"));
    expect((await batch(keys.map((key) => ({ op: "get", key })))).map(({ status }) => status)).toEqual(
      keys.map(() => 404),
    );
    expect([await read("other"), await read("blue")]).toEqual(["v", "v"]);
    // What is written after it is not concerned.
    await fill({ "p/0": "again" }, { tags: ["red"] });
    expect(await read("p/0")).toBe("again");
    await purge({ prefixes: ["p/"] });
    expect([await read("p/0"), await read("other")]).toEqual([404, "v"]);
    await purge({ keys: ["other", "nothing"] });
    expect([await read("other"), await read("blue")]).toEqual([404, "v"]);
    const tenant = { "Halo-Namespace": "tenant" };
    await batch([{ op: "set", key: "blue", value: { text: "theirs" } }], tenant);
    await purge({ all: true });
    expect([await read("blue"), await read("blue", tenant)]).toEqual([404, "theirs"]);
  });

  test("that is soft leaves the stale value to whoever takes it", async () => {
    const stale = { "Cache-Control": "max-stale" };
    await fill({ soft: "v" }, { tags: ["t"] });
    await fill({ window: "v" }, { tags: ["t"], ttlMs: 60_000, staleWhileRevalidateMs: 60_000 });
    await purge({ tags: ["t"], soft: true });
    expect([await read("soft"), await read("soft", stale)]).toEqual([404, "v"]);
    const window = await call("GET", "/v1/kv/window");
    expect([await window.text(), window.headers.get("Halo-Stale")]).toEqual(["v", "revalidate"]);
  });

  test("that is soft by key makes these keys stale and no others, whatever is done to them until they are written", async () => {
    const lasting = { ttlMs: 60_000, staleWhileRevalidateMs: 60_000 };
    await fill({ one: "v", two: "v", three: "v" }, lasting);
    const { shards } = await purge({ keys: ["one", "two", "nothing"], soft: true });
    expect(shards.every(({ status }) => status === "done")).toBe(true);
    const stale = async (key: string) => (await call("GET", `/v1/kv/${key}`)).headers.get("Halo-Stale");
    expect([await stale("one"), await stale("two"), await stale("three")]).toEqual(["revalidate", "revalidate", null]);
    await call("POST", "/v1/touch/one", { headers: { "Cache-Control": "max-age=60, stale-while-revalidate=60" } });
    await fill({ two: "new" }, lasting);
    expect([await stale("one"), await stale("two"), await read("two")]).toEqual(["revalidate", null, "new"]);
  });
});
