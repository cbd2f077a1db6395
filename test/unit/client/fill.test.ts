// getOrSet on the fill lease: one loader in the world, nobody waits for ever, and a loaded value is never withheld.

import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import { type Filled, HaloFillRefusedError, HaloTimeoutError, text } from "../../../client/index.ts";
import { clientOf, connect } from "./connect.ts";
import { FakeEdge } from "./fake-edge.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function later<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value));
}

function fail(message: string): never {
  throw new Error(message);
}

const FRESH = { ttlSeconds: 10, staleWhileRevalidateSeconds: 20, staleIfErrorSeconds: 40 };

describe("a miss", () => {
  test("of 1,000 callers in four Workers runs one loader, and all get its value", async () => {
    const edge = new FakeEdge();
    const workers = Array.from({ length: 4 }, () => clientOf(edge));
    let loads = 0;
    const load = () => later(100, `loaded ${++loads}`);
    const calls = Array.from({ length: 1_000 }, (_, at) =>
      (workers[at % 4] ?? clientOf(edge)).getOrSet("page", load, text, { ttlSeconds: 60 }),
    );
    await vi.advanceTimersByTimeAsync(1_000);
    const values = (await Promise.all(calls)).map(({ value }) => value);
    expect(loads).toBe(1);
    expect(new Set(values)).toEqual(new Set(["loaded 1"]));
    expect(values).toHaveLength(1_000);
  });

  test("is loaded and stored, with lifetime, tags and metadata, and is a hit from then on", async () => {
    const { halo, edge } = connect();
    const options = { ttlSeconds: 60, tags: ["t"], metadata: "m" };
    const first = halo.getOrSet("k", ({ key }) => `value of ${key}`, text, options);
    expectTypeOf(first).resolves.toEqualTypeOf<Filled<string>>();
    expect(await first).toEqual({ value: "value of k", source: "loaded", version: 1 });
    expect(await halo.getOrSet("k", () => "another", text)).toEqual({
      value: "value of k",
      source: "cache",
      version: 1,
    });
    expect(await halo.get("k", text)).toMatchObject({ lifetimeSeconds: 60, tags: ["t"], metadata: "m" });
    expect(edge.requests.slice(0, 2)).toEqual(["GET /v1/kv/k", "PUT /v1/kv/k"]);
  });

  test("whose loader dies passes on when its lease ends", async () => {
    const edge = new FakeEdge();
    const dead = clientOf(edge).getOrSet("k", () => new Promise<string>(() => undefined), text, { leaseMs: 1_000 });
    const failed = dead.catch((error) => error);
    await vi.advanceTimersByTimeAsync(0);
    const next = clientOf(edge).getOrSet("k", () => "from the next", text);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(await next).toMatchObject({ value: "from the next", source: "loaded" });
    expect(await failed).toMatchObject({ slug: "loader-timeout" });
  });

  test("gives the loader a signal that aborts with its lease", async () => {
    const { halo } = connect();
    let signal: AbortSignal | undefined;
    const load = (context: { signal: AbortSignal }) => {
      signal = context.signal;
      return new Promise<string>(() => undefined);
    };
    const failed = halo.getOrSet("k", load, text, { leaseMs: 500 }).catch((error) => error);
    await vi.advanceTimersByTimeAsync(499);
    expect(signal?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(signal?.aborted).toBe(true);
    expect(await failed).toBeInstanceOf(HaloTimeoutError);
  });

  test.each(["load", "throw"] as const)(
    "that waits in vain for another's loader does what it was told: %s",
    async (then) => {
      const edge = new FakeEdge();
      const slow = clientOf(edge).getOrSet("k", () => later(9_000, "slow"), text);
      await vi.advanceTimersByTimeAsync(0);
      const waiting = clientOf(edge)
        .getOrSet("k", () => "own", text, { waitMs: 200, onWaitTimeout: then })
        .catch((error) => error);
      await vi.advanceTimersByTimeAsync(300);
      const expected = then === "load" ? { value: "own", source: "unstored" } : { slug: "fill-wait-timeout" };
      expect(await waiting).toMatchObject(expected);
      expect(edge.entry("k")).toBeUndefined();
      await vi.advanceTimersByTimeAsync(9_000);
      expect(await slow).toMatchObject({ value: "slow", source: "loaded" });
    },
  );

  test("waits longer than an attempt may take, if it was told to", async () => {
    const edge = new FakeEdge();
    const slow = clientOf(edge).getOrSet("k", () => later(9_000, "slow"), text);
    await vi.advanceTimersByTimeAsync(0);
    const waiting = clientOf(edge, { attemptMs: 100, deadlineMs: 100 }).getOrSet("k", () => "own", text, {
      waitMs: 9_500,
    });
    await vi.advanceTimersByTimeAsync(9_000);
    expect((await waiting).value).toBe("slow");
    expect((await slow).source).toBe("loaded");
  });

  test("whose fill is refused, since the key was written meanwhile, returns what it loaded and stores nothing", async () => {
    const { halo, edge } = connect();
    const filling = halo.getOrSet("k", () => later(100, "old"), text);
    await vi.advanceTimersByTimeAsync(50);
    await halo.set("k", "new", text);
    await vi.advanceTimersByTimeAsync(100);
    const filled = await filling;
    expect(filled).toMatchObject({ value: "old", source: "unstored" });
    expect(filled.storeError).toBeInstanceOf(HaloFillRefusedError);
    expect(edge.entry("k")?.value).toBe("new");
  });

  test("cannot bring back what a purge took away while it loaded", async () => {
    const { halo, edge } = connect();
    await halo.set("k", "first", text, { ...FRESH, tags: ["t"] });
    await vi.advanceTimersByTimeAsync(10_000);
    const refreshing = halo.getOrSet("k", () => later(100, "from before the purge"), text, FRESH);
    await vi.advanceTimersByTimeAsync(50);
    await halo.purge({ tags: ["t"] });
    await vi.advanceTimersByTimeAsync(100);
    expect((await refreshing).source).toBe("unstored");
    expect(edge.entry("k")).toBeUndefined();
  });

  test("returns what it loaded even where the cache cannot take it", async () => {
    const { halo, edge } = connect({ retry: { attemptsMax: 1 } });
    const filling = halo.getOrSet("k", () => later(10, "v"), text);
    await vi.advanceTimersByTimeAsync(5);
    edge.failNext({ status: 507, slug: "namespace-full" });
    await vi.advanceTimersByTimeAsync(10);
    expect(await filling).toMatchObject({ value: "v", source: "unstored", storeError: { name: "HaloFullError" } });
  });

  test("whose fill's reply is lost is filled once", async () => {
    const { halo, edge } = connect();
    const filling = halo.getOrSet("k", () => later(10, "v"), text);
    await vi.advanceTimersByTimeAsync(5);
    edge.failNext("lost");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await filling).toMatchObject({ value: "v", source: "loaded", version: 1 });
  });

  test("rejects with the loader's own error", async () => {
    const { halo, edge } = connect();
    const error = new Error("the origin is down");
    await expect(halo.getOrSet("k", () => Promise.reject(error), text)).rejects.toBe(error);
    await expect(
      halo.getOrSet(
        "j",
        () => {
          throw error;
        },
        text,
      ),
    ).rejects.toBe(error);
    const given = ["k", "j"].flatMap((key) => [`GET /v1/kv/${key}`, `DELETE /v1/fills/${key}`]);
    expect(edge.requests).toEqual(given);
  });

  test.each([
    ["its loader fails", () => Promise.reject(new Error("down")), text],
    ["its loader's value cannot be written", () => later(0, "v"), { ...text, encode: () => fail("unwritable") }],
  ] as const)("passes on at once where %s", async (_how, load, codec) => {
    const edge = new FakeEdge();
    const failing = clientOf(edge)
      .getOrSet("k", () => later(10, undefined).then(load), codec, { leaseMs: 60_000 })
      .catch((error) => error);
    await vi.advanceTimersByTimeAsync(5);
    const next = clientOf(edge).getOrSet("k", () => "from the next", text, { waitMs: 30_000 });
    await vi.advanceTimersByTimeAsync(100);
    expect(await failing).toBeInstanceOf(Error);
    expect(await next).toMatchObject({ value: "from the next", source: "loaded" });
  });

  test("gives its right back although the caller has given up, and behind the reply where it can", async () => {
    const edge = new FakeEdge();
    const behind: Promise<void>[] = [];
    const waitUntil = (promise: Promise<void>) => behind.push(promise);
    for (const options of [{}, { waitUntil }]) {
      const controller = new AbortController();
      const load = () => later(1_000, "v");
      const { signal } = controller;
      const filling = clientOf(edge)
        .getOrSet("k", load, text, { signal, ...options })
        .catch((error) => error);
      await vi.advanceTimersByTimeAsync(10);
      controller.abort();
      expect(await filling).toMatchObject({ name: "AbortError" });
      await vi.advanceTimersByTimeAsync(0);
      expect(edge.requests.at(-1)).toBe("DELETE /v1/fills/k");
    }
    expect(behind).toHaveLength(1);
  });

  test("whose right cannot be given back rejects with the loader's error all the same, and soon", async () => {
    const { halo, edge } = connect();
    const failing = halo.getOrSet("k", () => later(10, "").then(() => fail("down")), text).catch((error) => error);
    await vi.advanceTimersByTimeAsync(5);
    edge.failNext("hang", "hang", "hang");
    await vi.advanceTimersByTimeAsync(1_100);
    expect(await failing).toMatchObject({ message: "down" });
  });

  test("whose reply is lost asks again and gets the same right", async () => {
    const { halo, edge } = connect();
    edge.failNext("lost");
    const filling = halo.getOrSet("k", () => "v", text, { leaseMs: 60_000, waitMs: 0, onWaitTimeout: "throw" });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await filling).toMatchObject({ value: "v", source: "loaded" });
  });

  test("ends with the caller's signal", async () => {
    const { halo } = connect();
    const controller = new AbortController();
    const filling = halo.getOrSet("k", () => later(1_000, "v"), text, { signal: controller.signal }).catch((e) => e);
    await vi.advanceTimersByTimeAsync(10);
    controller.abort();
    expect(await filling).toMatchObject({ name: "AbortError" });
  });
});

describe("a stale value", () => {
  async function stale() {
    const { halo, edge } = connect();
    await halo.set("k", "old", text, FRESH);
    await vi.advanceTimersByTimeAsync(10_000);
    return { halo, edge };
  }

  test("is served at once, and refreshed behind the reply", async () => {
    const { halo, edge } = await stale();
    const behind: Promise<void>[] = [];
    const options = { ...FRESH, waitUntil: (refresh: Promise<void>) => behind.push(refresh) };
    expect(await halo.getOrSet("k", () => later(100, "new"), text, options)).toMatchObject({
      value: "old",
      source: "stale",
    });
    expect(await halo.getOrSet("k", () => "unused", text, options)).toMatchObject({ value: "old", source: "stale" });
    expect(behind).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(100);
    await Promise.all(behind);
    expect(edge.entry("k")?.value).toBe("new");
    expect(await halo.getOrSet("k", () => "unused", text)).toMatchObject({ value: "new", source: "cache" });
  });

  test("is refreshed although the caller's request has ended", async () => {
    const { halo, edge } = await stale();
    const controller = new AbortController();
    const behind: Promise<void>[] = [];
    const options = {
      ...FRESH,
      signal: controller.signal,
      waitUntil: (promise: Promise<void>) => behind.push(promise),
    };
    await halo.getOrSet("k", () => later(100, "new"), text, options);
    controller.abort();
    await vi.advanceTimersByTimeAsync(100);
    await Promise.all(behind);
    expect(edge.entry("k")?.value).toBe("new");
  });

  test("without waitUntil is refreshed before the reply, which nothing could cancel", async () => {
    const { halo } = await stale();
    expect(await halo.getOrSet("k", () => "new", text, FRESH)).toMatchObject({ value: "new", source: "loaded" });
  });

  test("is served where its refresh fails, and the failure is told", async () => {
    const { halo } = await stale();
    const errors: unknown[] = [];
    const options = { ...FRESH, onRefreshError: (error: unknown) => errors.push(error) };
    const error = new Error("the origin is down");
    const filled = await halo.getOrSet("k", () => Promise.reject(error), text, options);
    expect(filled).toMatchObject({ value: "old", source: "stale" });
    expect(errors).toEqual([error]);
  });

  test("whose refresh fails in the background rejects nothing, and the failure is told", async () => {
    const { halo } = await stale();
    const errors: unknown[] = [];
    const behind: Promise<void>[] = [];
    await halo.getOrSet("k", () => Promise.reject(new Error("down")), text, {
      ...FRESH,
      waitUntil: (refresh) => behind.push(refresh),
      onRefreshError: (error) => errors.push(error),
    });
    await expect(Promise.all(behind)).resolves.toBeDefined();
    expect(errors).toMatchObject([{ message: "down" }]);
  });

  test("past its window is served only where loading fails, and only where stale-if-error was asked for", async () => {
    const { halo } = await stale();
    await vi.advanceTimersByTimeAsync(20_000);
    const down = () => Promise.reject(new Error("down"));
    expect(await halo.getOrSet("k", down, text, FRESH)).toMatchObject({ value: "old", source: "stale" });
    await vi.advanceTimersByTimeAsync(10_000);
    await expect(halo.getOrSet("k", down, text)).rejects.toThrow("down");
  });
});

test("an early refresh serves what is fresh and loads behind it", async () => {
  const { halo, edge } = connect();
  await halo.set("k", "fresh", text, FRESH);
  const behind: Promise<void>[] = [];
  const options = { ...FRESH, earlyRefresh: 1, waitUntil: (refresh: Promise<void>) => behind.push(refresh) };
  expect(await halo.getOrSet("k", () => "newer", text, options)).toMatchObject({ value: "fresh", source: "cache" });
  await Promise.all(behind);
  expect(edge.entry("k")?.value).toBe("newer");
});
