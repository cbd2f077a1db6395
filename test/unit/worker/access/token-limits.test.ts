// Rates and quotas of one token.

import { describe, expect, test } from "vitest";
import { principalWith } from "../../../../worker/access/principal.ts";
import type { ScopedToken } from "../../../../worker/access/scoped-tokens.ts";
import { DAY_MS, LEASE_MAX, TokenLimits, UNMETERED_MS } from "../../../../worker/access/token-limits.ts";
import { setUp } from "../fake-edge.ts";
import { from, readOk } from "../fake-world.ts";
import { StoreClient } from "./store-client.ts";
import { bearer, scoped, tokensVariable } from "./tokens.ts";

const tokenWith = (limits: Partial<ScopedToken>): ScopedToken => ({
  principal: principalWith({ id: "token:t", kind: "token", scopes: ["read"] }),
  sha256: "",
  ...limits,
});

function limitsOn(shard: StoreClient) {
  const unmetered: string[] = [];
  const limits = new TokenLimits({ client: shard, now: () => shard.nowMs, onUnmetered: (id) => unmetered.push(id) });
  return { limits, unmetered };
}

/** How many of `tries` requests pass, one after the other. */
async function passing(limits: TokenLimits, token: ScopedToken, tries: number): Promise<number> {
  let passed = 0;
  for (let at = 0; at < tries; at++) if ((await limits.take(token)) === undefined) passed += 1;
  return passed;
}

describe("a rate", () => {
  test("lets a second's worth through at once and then as much as time brings, asking nobody", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const { limits } = limitsOn(shard);
    const token = tokenWith({ ratePerSecond: 5 });
    expect(await passing(limits, token, 20)).toBe(5);
    shard.nowMs += 400;
    expect(await passing(limits, token, 20)).toBe(2);
    shard.nowMs += 60_000;
    expect(await passing(limits, token, 20)).toBe(5);
    expect(shard.calls).toBe(0);
  });

  test("of less than one a second still lets one through now and then", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const { limits } = limitsOn(shard);
    const token = tokenWith({ ratePerSecond: 0.5 });
    expect(await passing(limits, token, 3)).toBe(1);
    shard.nowMs += 1_999;
    expect(await passing(limits, token, 3)).toBe(0);
    shard.nowMs += 1;
    expect(await passing(limits, token, 3)).toBe(1);
  });

  test("is not taken back by a clock that goes back", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const { limits } = limitsOn(shard);
    const token = tokenWith({ ratePerSecond: 1 });
    expect(await passing(limits, token, 2)).toBe(1);
    shard.nowMs -= 60_000;
    expect(await passing(limits, token, 2)).toBe(0);
    shard.nowMs += 1_000;
    expect(await passing(limits, token, 2)).toBe(1);
  });
});

describe("a quota", () => {
  test("is never passed, by however many isolates, and costs a call for each lease", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const token = tokenWith({ quotaPerDay: 5_000 });
    const isolates = [limitsOn(shard), limitsOn(shard), limitsOn(shard)];
    let passed = 0;
    for (let round = 0; round < 2_500; round++)
      for (const { limits } of isolates) passed += await passing(limits, token, 1);
    expect(passed).toBe(5_000);
    expect(shard.calls).toBeLessThan(5_000 / 5 + 20);
  });

  test("is never passed by requests that all find the lease used up at once", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const { limits } = limitsOn(shard);
    const token = tokenWith({ quotaPerDay: 2_500 });
    const verdicts = await Promise.all(Array.from({ length: 4_000 }, () => limits.take(token)));
    const passed = verdicts.filter((verdict) => verdict === undefined).length;
    expect(passed).toBeLessThanOrEqual(2_500);
    // What the one whole lease brought beyond the first request is still there.
    expect(passed + (await passing(limits, token, 100))).toBe(2_500);
  });

  test("says until when it is used up, asks nobody until then, and begins anew with the day", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const { limits } = limitsOn(shard);
    const token = tokenWith({ quotaPerDay: 2 });
    expect(await passing(limits, token, 2)).toBe(2);
    const verdict = await limits.take(token);
    const seconds = String(Math.ceil((DAY_MS - 1) / 1_000));
    expect(verdict?.headers).toEqual({
      "Retry-After": seconds,
      RateLimit: `"day";r=0;t=${seconds}`,
      "RateLimit-Policy": '"day";q=2;w=86400',
    });
    const { calls } = shard;
    expect(await passing(limits, token, 50)).toBe(0);
    expect(shard.calls).toBe(calls);
    shard.nowMs = 11 * DAY_MS;
    expect(await passing(limits, token, 3)).toBe(2);
  });

  test("lets through uncounted what it cannot ask for, says so, and asks again after a while", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const { limits, unmetered } = limitsOn(shard);
    const token = tokenWith({ quotaPerDay: 2 });
    shard.isDown = true;
    expect(await passing(limits, token, 10)).toBe(10);
    expect([unmetered, shard.calls]).toEqual([["token:t"], 1]);
    shard.isDown = false;
    shard.nowMs += UNMETERED_MS;
    expect(await passing(limits, token, 10)).toBe(2);
  });

  test("of a large number is leased in bounded pieces", async () => {
    const shard = new StoreClient(10 * DAY_MS + 1);
    const { limits } = limitsOn(shard);
    expect(await passing(limits, tokenWith({ quotaPerDay: 1_000_000_000 }), LEASE_MAX + 1)).toBe(LEASE_MAX + 1);
    expect(shard.calls).toBe(2);
  });
});

test("who has asked too often gets 429 with Retry-After and the RateLimit fields, and nothing is done", async () => {
  const token = scoped("slow", { scopes: ["read"], ratePerSecond: 1 });
  const { call, port } = setUp(tokensVariable(token));
  port.onRead = () => readOk(from(0));
  expect((await call("GET", "/v1/kv/k", bearer(token.token))).status).toBe(404);
  const reply = await call("GET", "/v1/kv/k", bearer(token.token));
  expect([reply.status, ((await reply.json()) as { type: string }).type]).toEqual([429, "/problems/rate-limited"]);
  expect(Object.fromEntries(reply.headers)).toMatchObject({
    "retry-after": "1",
    ratelimit: '"rate";r=0;t=1',
    "ratelimit-policy": '"rate";q=1;w=1',
  });
  expect(port.calls).toHaveLength(1);
});

test("two entries of one id, while it is replaced, share one rate", async () => {
  const [old, young] = ["o", "y"].map((char) => scoped("app", { scopes: ["read"], ratePerSecond: 1 }, char.repeat(32)));
  if (old === undefined || young === undefined) throw new Error("two were made");
  const { call, port } = setUp(tokensVariable(old, young));
  port.onRead = () => readOk(from(0));
  expect((await call("GET", "/v1/kv/k", bearer(old.token))).status).toBe(404);
  expect((await call("GET", "/v1/kv/k", bearer(young.token))).status).toBe(429);
});
