// Real Durable Objects in real workerd: what the replicas promise through eviction, abort and sleep.

import { abortAllDurableObjects, evictAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test } from "vitest";
import { parseServedBy } from "../../../durable/http/served-by.ts";
import { leaderOf, put, request, shardOf, statusesOf, stubOf, text, until } from "./cluster.ts";

afterEach(async () => {
  await reset();
});

describe("a write", () => {
  test("is on every replica's log soon after it was acknowledged by a majority", async () => {
    const response = await put("user/1", "ada");
    expect(response.status).toBe(201);
    const index = parseServedBy(response.headers.get("Halo-Served-By") ?? "")?.index ?? Number.NaN;
    const statuses = await until(
      () => statusesOf(shardOf("user/1")),
      (all) => all.every(({ appliedIndex }) => appliedIndex >= index),
    );
    expect(statuses.map(({ keys }) => keys)).toEqual([1, 1, 1]);
  });

  test("keeps bytes, content type and size as they were sent", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    await put("binary", bytes, { "Content-Type": "image/png" });
    const response = await request("GET", "binary");
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
    expect(response.headers.get("Content-Type")).toBe("image/png");
    const head = await request("HEAD", "binary");
    expect(head.headers.get("Content-Length")).toBe("256");
    expect(await head.text()).toBe("");
  });

  test("of the largest allowed value fits a log row, and one byte more is refused", async () => {
    const largest = new Uint8Array(1024 * 1024).fill(7);
    expect((await put("large", largest)).status).toBe(201);
    expect((await (await request("GET", "large")).arrayBuffer()).byteLength).toBe(largest.byteLength);
    const refused = await put("larger", new Uint8Array(1024 * 1024 + 1));
    expect(refused.status).toBe(413);
    await refused.body?.cancel();
    expect(await text("larger")).toBe(404);
  });

  test("shares its batch with the writes that arrive while another batch is in flight", async () => {
    await put("warm", "up");
    const keys = Array.from({ length: 64 }, (_, i) => `{warm}/${i}`);
    const before = await leaderOf(shardOf("warm"));
    const responses = await Promise.all(keys.map((key) => put(encodeURIComponent(key), key)));
    expect(responses.map(({ status }) => status)).toEqual(keys.map(() => 201));
    const after = await leaderOf(shardOf("warm"));
    const batches = (after.counters.batches ?? 0) - (before.counters.batches ?? 0);
    expect((after.counters.mutations ?? 0) - (before.counters.mutations ?? 0)).toBe(64);
    expect(batches).toBeLessThan(32);
  });
});

describe("a read", () => {
  test("at each level finds a value that every replica has, and says what it met", async () => {
    const written = await put("levels", "here");
    const bookmark = written.headers.get("Halo-Bookmark") ?? "";
    for (const level of ["strong", "session", "bounded=60000", "eventual"]) {
      const headers = { "Halo-Consistency": level, "Halo-Bookmark": bookmark };
      const response = await until(
        () => request("GET", "levels", { headers }),
        ({ status }) => status === 200,
      );
      expect(await response.text()).toBe("here");
      expect(response.headers.get("Halo-Consistency")).toMatch(/^(strong|session|bounded|eventual)$/);
    }
  });

  test("with a bookmark that this shard never gave out is refused", async () => {
    const written = await put("future", "here");
    const bookmark = (written.headers.get("Halo-Bookmark") ?? "").replace(/-[0-9a-z]+$/, "-zzzz");
    const headers = { "Halo-Consistency": "session", "Halo-Bookmark": bookmark };
    const response = await request("GET", "future", { headers });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ status: 400 });
  });
});

describe("a restarted group", () => {
  test("still has every acknowledged write when all objects lose their memory", async () => {
    for (let i = 0; i < 20; i++) await put(`{evicted}/${i}`, `value ${i}`);
    await evictAllDurableObjects();
    for (let i = 0; i < 20; i++) expect(await text(`{evicted}/${i}`)).toBe(`value ${i}`);
  });

  test("starts a new term and accepts writes when all objects are reset at once", async () => {
    await put("reset", "before");
    const before = await leaderOf(shardOf("reset"));
    await abortAllDurableObjects();
    expect(await text("reset")).toBe("before");
    expect((await put("reset", "after")).status).toBe(204);
    expect(await text("reset")).toBe("after");
    expect((await leaderOf(shardOf("reset"))).term).toBeGreaterThan(before.term);
  });

  test("goes on when its leader alone is reset", async () => {
    await put("leaderless", "before");
    const shard = shardOf("leaderless");
    const { name } = await leaderOf(shard);
    await runInDurableObject(stubOf(name), (_, state) => state.abort("killed by the test")).catch(() => undefined);
    const written = await until(
      () => put("leaderless", "after", { "Idempotency-Key": "once" }),
      ({ status }) => status === 204,
    );
    expect(written.status).toBe(204);
    expect(await text("leaderless")).toBe("after");
  });
});

describe("an idle group", () => {
  test("sleeps with all its replicas, and wakes for the next request in the same data", async () => {
    await put("sleepy", "awake");
    const shard = shardOf("sleepy");
    const asleep = await until(
      () => statusesOf(shard),
      (all) => all.every(({ quiesced }) => quiesced),
    );
    expect(asleep.every(({ leaseRemainingMs }) => leaseRemainingMs === 0)).toBe(true);
    expect(await text("sleepy")).toBe("awake");
    expect((await put("sleepy", "again")).status).toBe(204);
  });

  test("wakes after its objects lost their memory in their sleep, at once instead of after a lease", async () => {
    await put("hibernated", "before");
    const shard = shardOf("hibernated");
    await until(
      () => statusesOf(shard),
      (all) => all.every(({ quiesced }) => quiesced),
    );
    await evictAllDurableObjects();
    expect(await text("hibernated")).toBe("before");
    const woken = await statusesOf(shard);
    expect(woken.filter(({ role }) => role === "leader")).toHaveLength(1);
  });
});
