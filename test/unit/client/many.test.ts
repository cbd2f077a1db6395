// Many keys: batches, scans, purges and transactions.

import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import {
  bytes,
  type Counted,
  type Entry,
  HaloBatchError,
  HaloCounterError,
  HaloTransactionFailedError,
  type ItemResult,
  json,
  op,
  type ScanItem,
  text,
} from "../../../client/index.ts";
import { connect, type User } from "./connect.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a batch", () => {
  test("gives each operation a result of its own type, failures beside successes", async () => {
    const { halo } = connect();
    await halo.set("word", "x", text);
    const results = await halo.batch([
      op.get("word", text),
      op.increment("n", 2),
      op.increment("word"),
      op.delete("none"),
    ]);
    expectTypeOf(results[0]).toEqualTypeOf<ItemResult<Entry<string> | undefined>>();
    expectTypeOf(results[1]).toEqualTypeOf<ItemResult<Counted>>();
    expectTypeOf(results[3]).toEqualTypeOf<ItemResult<boolean>>();
    expect(results[0]).toMatchObject({ ok: true, value: { value: "x", version: 1 } });
    expect(results[1]).toMatchObject({ ok: true, value: { value: 2n, created: true } });
    expect(results[2]).toMatchObject({ ok: false, error: expect.any(HaloCounterError) });
    expect(results[3]).toEqual({ ok: true, value: false });
  });

  test("sends again only what was turned away, and does everything once", async () => {
    const { halo, edge } = connect();
    edge.itemFailures.set("b", [
      { status: 503, problem: "unavailable" },
      { status: 503, problem: "unknown-outcome" },
    ]);
    const done = halo.batch([op.increment("a"), op.increment("b"), op.increment("c")]);
    await vi.runAllTimersAsync();
    expect((await done).map((result) => result.ok && result.value.value)).toEqual([1n, 1n, 1n]);
    const sent = edge.seen.map(({ body }) => JSON.parse(new TextDecoder().decode(body)).operations.length);
    expect(sent).toEqual([3, 1, 1]);
  });

  test("that was lost on the way is repeated under the keys of its operations", async () => {
    const { halo, edge } = connect();
    edge.failNext("lost");
    const done = halo.batch([op.increment("a"), op.increment("b")]);
    await vi.runAllTimersAsync();
    await done;
    expect([edge.entry("a")?.value, edge.entry("b")?.value]).toEqual(["1", "1"]);
  });

  test("reads and writes thousands of keys in requests of at most a thousand, of any bytes", async () => {
    const { halo, edge } = connect();
    const keys = Array.from({ length: 2_500 }, (_, at) => `k${at}`);
    await halo.mset(
      keys.map((key, at) => [key, Uint8Array.of(at, 0xff)] as const),
      bytes,
      { ttlSeconds: 60 },
    );
    expect(edge.seen).toHaveLength(3);
    const entries = await halo.mget([...keys, "none"], bytes);
    expect(entries).toHaveLength(2_501);
    expect(entries[2_499]?.value).toEqual(Uint8Array.of(2_499, 0xff));
    expect(entries[2_500]).toBeUndefined();
    expect(await halo.mget([], text)).toEqual([]);
  });

  test("of which some failed rejects with all results", async () => {
    const { halo, edge } = connect();
    edge.itemFailures.set("b", Array(9).fill({ status: 503, problem: "unavailable" }));
    const done = halo.mget(["a", "b"], text).catch((found) => found);
    await vi.runAllTimersAsync();
    const error = await done;
    expect(error).toBeInstanceOf(HaloBatchError);
    expect(error).toMatchObject({ slug: "unavailable", results: [{ ok: true }, { ok: false }] });
  });
});

describe("a scan", () => {
  test("gives every key once, page by page, with values where a codec is given", async () => {
    const { halo, edge } = connect();
    await halo.mset(
      Array.from({ length: 25 }, (_, at) => [`user:${at}`, { name: `${at}` }] as const),
      json<User>(),
    );
    await halo.set("other", "x", text);
    const names: string[] = [];
    for await (const item of halo.scan({ prefix: "user:", pageSize: 10, values: json<User>() })) {
      expectTypeOf(item).toEqualTypeOf<ScanItem<User>>();
      names.push(item.value?.name ?? "");
    }
    expect(new Set(names).size).toBe(25);
    expect(edge.requests.filter((line) => line.startsWith("GET /v1/scan"))).toHaveLength(3);
    expect(await halo.count({ prefix: "user:" })).toBe(25);
    expect(await halo.count()).toBe(26);
  });

  test("can stop, and go on later from its cursor", async () => {
    const { halo } = connect();
    await halo.mset(
      [
        ["a", "1"],
        ["b", "2"],
        ["c", "3"],
      ] as const,
      text,
    );
    const first = await halo.scanPage({ pageSize: 2 });
    const rest = await halo.scanPage({ pageSize: 2, cursor: first.cursor });
    expect([...first.items, ...rest.items].map(({ key }) => key)).toEqual(["a", "b", "c"]);
    expect(rest.cursor).toBeUndefined();
  });
});

test("a purge is repeated until every shard has done it", async () => {
  const { halo, edge } = connect();
  await halo.set("k", "v", text, { tags: ["t"] });
  edge.failNext({ status: 503, slug: "purge-incomplete" });
  const purged = halo.purge({ tags: ["t"] });
  await vi.runAllTimersAsync();
  expect(await purged).toEqual({ shards: [{ shard: 0, status: "done" }] });
  expect(await halo.get("k", text)).toBeUndefined();
});

describe("a transaction", () => {
  test("does one branch and gives its results with their types", async () => {
    const { halo, edge } = connect();
    const { version } = await halo.set("{a}x", "v", text);
    const request = {
      compare: [{ key: "{a}x", ifVersion: version }],
      onSuccess: [op.increment("{a}n"), op.set("{a}x", "w", text)],
      onFailure: [op.get("{a}x", text)],
    } as const;
    const done = await halo.transaction(request);
    if (!done.succeeded) throw new Error("expected it to succeed");
    expectTypeOf(done.results[0]).toEqualTypeOf<Counted>();
    expect(done.results[0].value).toBe(1n);
    const not = await halo.transaction(request);
    if (not.succeeded) throw new Error("expected it not to succeed");
    expectTypeOf(not.results[0]).toEqualTypeOf<Entry<string> | undefined>();
    expect(not.results[0]?.value).toBe("w");
    expect(edge.entry("{a}n")?.value).toBe("1");
  });

  test("that cannot be done says where and why, and changes nothing", async () => {
    const { halo, edge } = connect();
    await halo.set("{a}x", "word", text);
    const error = await halo
      .transaction({ onSuccess: [op.set("{a}y", "1", text), op.increment("{a}x")] })
      .catch((found) => found);
    expect(error).toBeInstanceOf(HaloTransactionFailedError);
    expect(error).toMatchObject({ at: 1, problem: "not-a-number" });
    expect(edge.entry("{a}y")).toBeUndefined();
  });

  test("whose reply is lost is done once", async () => {
    const { halo, edge } = connect();
    edge.failNext("lost");
    const done = halo.transaction({ onSuccess: [op.increment("{a}n")] });
    await vi.runAllTimersAsync();
    expect((await done).results[0]?.value).toBe(1n);
  });
});
