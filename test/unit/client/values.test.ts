// Single operations: what is sent, what comes back, and with which types.

import { describe, expect, expectTypeOf, test } from "vitest";
import {
  bytes,
  type Codec,
  type Entry,
  Halo,
  HaloCounterError,
  HaloDecodeError,
  HaloInvalidRequestError,
  HaloPreconditionFailedError,
  HaloUnauthorizedError,
  json,
  type Stored,
  text,
} from "../../../client/index.ts";
import { connect, type User } from "./connect.ts";

const user = json<User>();

describe("values", () => {
  test("come back as their codec wrote them, with version, age, lifetime, tags and metadata", async () => {
    const { halo } = connect();
    const stored = await halo.set("user:1", { name: "Ada" }, user, {
      ttlSeconds: 60,
      tags: ["users", "team:7"],
      metadata: "from the test",
    });
    expect(stored).toEqual({ version: 1, created: true });
    expect(await halo.get("user:1", user)).toEqual({
      value: { name: "Ada" },
      version: 1,
      contentType: "application/json",
      ageSeconds: 0,
      lifetimeSeconds: 60,
      isStale: false,
      tags: ["users", "team:7"],
      metadata: "from the test",
      sourceVersion: undefined,
      consistency: "strong",
    });
    expect(await halo.get("user:2", user)).toBeUndefined();
    expect(await halo.head("user:1")).toMatchObject({ version: 1, lifetimeSeconds: 60 });
    expect(await halo.head("user:2")).toBeUndefined();
  });

  test("of every byte survive the bytes codec, and text keeps a byte order mark", async () => {
    const { halo } = connect();
    const all = Uint8Array.from({ length: 256 }, (_, at) => at);
    await halo.set("bytes", all, bytes);
    expect((await halo.get("bytes", bytes))?.value).toEqual(all);
    await halo.set("text", "\ufeffä😀", text);
    expect((await halo.get("text", text))?.value).toBe("\ufeffä😀");
  });

  test("that are not what the codec expects reject as such, with the codec's own error", async () => {
    const { halo } = connect();
    await halo.set("k", "no json", text);
    const error = await halo.get("k", user).catch((found) => found);
    expect(error).toBeInstanceOf(HaloDecodeError);
    expect(error.cause).toBeInstanceOf(SyntaxError);
    await halo.set("k", { name: 7 }, json<object>());
    const checked = json((found) => {
      if (typeof (found as User).name !== "string") throw new TypeError("no name");
      return found as User;
    });
    await expect(halo.get("k", checked)).rejects.toThrow(HaloDecodeError);
  });

  test("have keys with any characters, and the request names exactly that key", async () => {
    const { halo, edge } = connect();
    for (const key of ["a/b c?d#e%f", "ü/😀", "{tag}:x", "a//b", ".hidden/..."]) {
      await halo.set(key, key, text);
      expect(edge.entry(key)?.value).toBe(key);
    }
  });

  test.each(["", ".", "a/../b", "a/.", "\ud800"])("cannot have the key %j, and nothing is sent", async (key) => {
    const { halo, edge } = connect();
    await expect(halo.set(key, "x", text)).rejects.toThrow(HaloInvalidRequestError);
    await expect(halo.mget([key], text)).rejects.toThrow(HaloInvalidRequestError);
    expect(edge.seen).toEqual([]);
  });

  test("take their lifetime and conditions along as headers", async () => {
    const { halo, edge } = connect();
    await halo.set("k", "v", text, {
      ttlSeconds: 1,
      staleWhileRevalidateSeconds: 2,
      staleIfErrorSeconds: 3,
      ifAbsent: true,
      sourceVersion: 9,
    });
    await halo.set("k", "w", text, { expiresAt: new Date(1_700_000_000_001), ifVersion: [1, 2], ifValue: "v" });
    await halo.touch("k", { slidingSeconds: 5 });
    const [first, second, third] = edge.seen.map(({ headers }) => headers);
    expect(first?.get("Cache-Control")).toBe("max-age=1, stale-while-revalidate=2, stale-if-error=3");
    expect(first?.get("If-None-Match")).toBe("*");
    expect(first?.get("Halo-Source-Version")).toBe("9");
    expect(second?.get("Expires")).toBe("Tue, 14 Nov 2023 22:13:21 GMT");
    expect(second?.get("If-Match")).toBe('"1", "2"');
    expect(second?.get("Halo-If-Value")).toBe(":dg==:");
    expect(third?.get("Halo-Sliding-TTL")).toBe("5");
  });

  test.each([
    { ttlSeconds: 1.5 },
    { ttlSeconds: -1 },
    { ttlSeconds: Number.NaN },
    { tags: ["a,b"] },
    { tags: [""] },
    { metadata: "ä" },
  ])("are refused with %j before anything is sent", async (options) => {
    const { halo, edge } = connect();
    await expect(halo.set("k", "v", text, options)).rejects.toThrow(HaloInvalidRequestError);
    expect(edge.seen).toEqual([]);
  });

  test("stream in and out, whole and in ranges", async () => {
    const { halo } = connect();
    await halo.setStream("file", new Blob(["0123456789"], { type: "text/plain" }));
    const whole = await halo.getStream("file");
    expect(whole?.contentType).toBe("text/plain");
    expect(await new Response(whole?.value).text()).toBe("0123456789");
    const part = await halo.getStream("file", { range: { start: 2, end: 4 } });
    expect(part?.range).toEqual({ start: 2, end: 4, total: 10 });
    expect(await new Response(part?.value).text()).toBe("234");
    const tail = await halo.getStream("file", { range: { start: -3 } });
    expect(await new Response(tail?.value).text()).toBe("789");
    await expect(halo.getStream("file", { range: { start: 10 } })).rejects.toMatchObject({ status: 416 });
    await expect(halo.getStream("file", { range: { start: 4, end: 2 } })).rejects.toThrow(HaloInvalidRequestError);
    await halo.setStream("made", () => new Response("again").body ?? new ReadableStream());
    expect((await halo.get("made", text))?.value).toBe("again");
    expect(await halo.getStream("none")).toBeUndefined();
  });
});

describe("changes", () => {
  test("whose condition fails say the current version", async () => {
    const { halo } = connect();
    await halo.set("k", "v", text);
    const error = await halo.set("k", "w", text, { ifVersion: 9 }).catch((found) => found);
    expect(error).toBeInstanceOf(HaloPreconditionFailedError);
    expect(error).toMatchObject({ slug: "precondition-failed", status: 412, version: 1 });
    await expect(halo.delete("k", { ifValue: "w" })).rejects.toThrow(HaloPreconditionFailedError);
    expect(await halo.compareAndSet("k", undefined, "w", text)).toEqual({ stored: false, version: 1 });
    expect(await halo.compareAndSet("none", 1, "w", text)).toEqual({ stored: false, version: undefined });
    expect(await halo.compareAndSet("k", 1, "w", text)).toEqual({ stored: true, version: 2 });
  });

  test("count exactly past what a number holds, and with fractions where asked", async () => {
    const { halo } = connect();
    expect(await halo.increment("n", 2n ** 62n)).toEqual({ value: 2n ** 62n, version: 1, created: true });
    expect((await halo.increment("n")).value).toBe(2n ** 62n + 1n);
    expect((await halo.increment("n", -1)).value).toBe(2n ** 62n);
    expect((await halo.incrementFloat("f", 0.5)).value).toBe(0.5);
    await halo.set("word", "x", text);
    await expect(halo.increment("word")).rejects.toThrow(HaloCounterError);
    await expect(halo.increment("n", 1, { max: 5 })).rejects.toMatchObject({ slug: "out-of-range" });
  });

  test("append, delete, touch, and give back what was there before", async () => {
    const { halo } = connect();
    expect(await halo.append("log", "a")).toMatchObject({ created: true });
    expect(await halo.append("log", "b")).toMatchObject({ created: false });
    expect(await halo.getAndSet("log", "c", text)).toBe("ab");
    expect(await halo.getAndSet("new", "x", text)).toBeUndefined();
    expect(await halo.getAndDelete("log", text)).toBe("c");
    expect(await halo.getAndDelete("log", text)).toBeUndefined();
    expect(await halo.delete("new")).toBe(true);
    expect(await halo.delete("new")).toBe(false);
    expect(await halo.touch("new", { ttlSeconds: 5 })).toBeUndefined();
    const { version } = await halo.set("kept", "x", text);
    expect(await halo.touch("kept", { ttlSeconds: 5 })).toBe(version);
    expect((await halo.head("kept"))?.lifetimeSeconds).toBe(5);
  });
});

describe("a client", () => {
  test("of a namespace sees and changes nothing else", async () => {
    const { halo, edge } = connect();
    await halo.namespace("a").set("k", "of a", text);
    expect(await halo.get("k", text)).toBeUndefined();
    expect(edge.entry("k", "a")?.value).toBe("of a");
  });

  test("asks for the level of the call before its own", async () => {
    const { halo, edge } = connect({ consistency: "eventual" });
    await halo.get("k", text);
    await halo.get("k", text, { consistency: { boundedMs: 250 } });
    expect(edge.seen.map(({ headers }) => headers.get("Halo-Consistency"))).toEqual(["eventual", "bounded=250"]);
  });

  test("without a valid token is told so, once", async () => {
    const { halo, edge } = connect({ token: "another" });
    await expect(halo.get("k", text)).rejects.toThrow(HaloUnauthorizedError);
    expect(edge.seen).toHaveLength(1);
  });

  test("refuses conditions and metadata that no header could carry, before anything is sent", async () => {
    const { halo, edge } = connect();
    for (const options of [{ ifVersion: [] }, { ifNotVersion: [] }, { metadata: " padded" }]) {
      await expect(halo.set("k", "v", text, options)).rejects.toThrow(HaloInvalidRequestError);
    }
    await expect(halo.delete("k", { ifVersion: [] })).rejects.toThrow(HaloInvalidRequestError);
    expect(edge.seen).toEqual([]);
  });

  test("keeps the path of its URL, asks no cache on the way and sends no token after a redirect", async () => {
    const seen: unknown[] = [];
    const halo = new Halo({
      url: "https://example.test/cache/",
      token: "t",
      retry: { attemptsMax: 1 },
      fetch: async (url, init) => {
        seen.push(url, init.redirect, init.cache);
        return new Response(null, { status: 302, headers: { Location: "https://evil.test/" } });
      },
    });
    await expect(halo.get("k", text)).rejects.toMatchObject({ slug: "http-302" });
    expect(seen).toEqual(["https://example.test/cache/v1/kv/k", "manual", "no-store"]);
  });
});

test("types follow the codec", () => {
  const { halo } = connect();
  expectTypeOf(halo.get("k", user)).resolves.toEqualTypeOf<Entry<User> | undefined>();
  expectTypeOf(halo.get("k", text)).resolves.toEqualTypeOf<Entry<string> | undefined>();
  expectTypeOf(halo.getAndDelete("k", bytes)).resolves.toEqualTypeOf<Uint8Array | undefined>();
  expectTypeOf(halo.mget(["k"], user)).resolves.toEqualTypeOf<(Entry<User> | undefined)[]>();
  expectTypeOf(halo.set("k", { name: "Ada" }, user)).resolves.toEqualTypeOf<Stored>();
  expectTypeOf(json<User>()).toEqualTypeOf<Codec<User>>();
  // @ts-expect-error a number is no user
  void (() => halo.set("k", 7, user));
  // @ts-expect-error there is no such level
  void (() => halo.get("k", text, { consistency: "weak" }));
  // @ts-expect-error a client needs a token, a binding or a transport
  void (() => new Halo({ url: "https://halo.test" }));
});
