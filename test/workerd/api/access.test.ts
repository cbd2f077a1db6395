// Access on real objects, in the real runtime: hashes, signatures and the audit log in the cluster's own log.

import { reset, SELF } from "cloudflare:test";
import { SignJWT } from "jose";
import { afterAll, describe, expect, test } from "vitest";
import { signUrl } from "../../../client/signing.ts";
import { call, ignore, jsonOf, type Result } from "./edge.ts";

afterAll(async () => {
  await reset();
});

const SIGNING_KEY = "signing-key-of-the-tests-0123456789";
const of = (id: string) => ({ Authorization: `Bearer halo_${id}_${"s".repeat(32)}` });
const json = { "Content-Type": "application/json" };

async function statusOf(reply: Promise<Response>): Promise<number> {
  const response = await reply;
  await ignore(response);
  return response.status;
}

interface Audited {
  readonly entries: {
    readonly id: number;
    readonly principal: string;
    readonly action: string;
    readonly outcome: string;
  }[];
  readonly missing: number[];
  readonly cursor?: string;
}

describe("a scoped token", () => {
  test("works on its keys, through every kind of operation, and on no others", async () => {
    const headers = of("limited");
    for (const [key, isAllowed] of [
      ["mine/1", true],
      ["yours/1", false],
    ] as const) {
      const expected = (status: number) => (isAllowed ? status : 403);
      expect(await statusOf(call("PUT", `/v1/kv/${key}`, { headers, body: "value" }))).toBe(expected(201));
      expect(await statusOf(call("GET", `/v1/kv/${key}`, { headers }))).toBe(expected(200));
      expect(await statusOf(call("POST", `/v1/touch/${key}`, { headers }))).toBe(expected(204));
      expect(
        await statusOf(call("POST", `/v1/counters/${key}-n`, { headers: { ...headers, ...json }, json: {} })),
      ).toBe(expected(200));
      expect(await statusOf(call("POST", `/v1/locks/${key}`, { headers, json: { ttlMs: 1_000 } }))).toBe(expected(201));
      expect(await statusOf(call("GET", `/v1/scan?prefix=${key}`, { headers }))).toBe(expected(200));
      expect(await statusOf(call("POST", "/v1/purge", { headers, json: { keys: [key] } }))).toBe(expected(200));
    }
    const operations = ["mine/2", "yours/2"].map((key) => ({ op: "set", key, value: { text: "v" } }));
    const batch = await jsonOf<{ results: Result[] }>(
      await call("POST", "/v1/batch", { headers, json: { operations } }),
    );
    expect(batch.results.map(({ status }) => status)).toEqual([201, 403]);
    expect(await statusOf(call("GET", "/v1/kv/yours/2"))).toBe(404);
  });

  test("with a quota is stopped when the cluster's count says so", async () => {
    const headers = of("daily");
    const statuses: number[] = [];
    for (let at = 0; at < 5; at++) statuses.push(await statusOf(call("GET", "/v1/kv/nothing", { headers })));
    expect(statuses).toEqual([404, 404, 404, 429, 429]);
  });
});

test("a signed token is checked in workerd, and one of another key is not let in", async () => {
  const signedWith = (key: string) =>
    new SignJWT({ scope: "read write", prefix: ["jwt/"] })
      .setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("5m")
      .sign(new TextEncoder().encode(key));
  const headers = { Authorization: `Bearer ${await signedWith(SIGNING_KEY)}` };
  expect(await statusOf(call("PUT", "/v1/kv/jwt/1", { headers, body: "v" }))).toBe(201);
  expect(await statusOf(call("GET", "/v1/kv/jwt/1", { headers }))).toBe(200);
  expect(await statusOf(call("GET", "/v1/kv/other", { headers }))).toBe(403);
  const foreign = { Authorization: `Bearer ${await signedWith(`${SIGNING_KEY}x`)}` };
  expect(await statusOf(call("GET", "/v1/kv/jwt/1", { headers: foreign }))).toBe(401);
});

test("a signed URL writes and reads a key of a namespace, large values too, with no header at all", async () => {
  const sign = (method: "GET" | "PUT") =>
    signUrl({
      origin: "https://halo.test",
      method,
      key: "files/ä ?.bin",
      namespace: "uploads",
      expires: new Date(Date.now() + 60_000),
      signingKey: SIGNING_KEY,
    });
  const body = new Uint8Array(2_500_000).fill(7);
  expect(await statusOf(SELF.fetch(await sign("PUT"), { method: "PUT", body }))).toBe(201);
  const reply = await SELF.fetch(await sign("GET"));
  expect([reply.status, (await reply.arrayBuffer()).byteLength]).toEqual([200, body.length]);
  expect(reply.headers.get("Content-Security-Policy")).toContain("sandbox");
  expect(await statusOf(SELF.fetch(await sign("PUT")))).toBe(401);
});

test("a page of a named origin sees values, whose headers come from a replica", async () => {
  expect(await statusOf(call("PUT", "/v1/kv/cors", { body: "v" }))).toBe(201);
  const reply = await call("GET", "/v1/kv/cors", { headers: { Origin: "https://app.example.com" } });
  expect([reply.status, await reply.text()]).toEqual([200, "v"]);
  expect(reply.headers.get("Access-Control-Allow-Origin")).toBe("https://app.example.com");
  expect(reply.headers.get("ETag")).not.toBeNull();
});

describe("the audit log", () => {
  const audit = async (query = "") =>
    jsonOf<Audited>(await call("GET", `/admin/v1/audit${query}`, { headers: of("admin") }));

  test("is kept by the cluster: who changed its shape or tried to, page by page", async () => {
    for (const [headers, epoch] of [
      [of("admin"), 7],
      [{}, 8],
      [of("admin"), 9],
    ] as const) {
      const moves = await call("DELETE", `/admin/v1/topology/moves?epoch=${epoch}`, { headers });
      expect(await statusOf(Promise.resolve(moves))).toBe(409);
    }
    const first = await audit("?limit=2");
    expect(first.entries).toMatchObject([
      { id: 3, principal: "token:admin", action: "topology.change", outcome: "epoch-conflict" },
      { id: 2, principal: "root" },
    ]);
    const second = await audit(`?limit=2&cursor=${first.cursor}`);
    expect([second.entries.map(({ id }) => id), second.missing, second.cursor]).toEqual([[1], [], undefined]);
  });

  test("has the purges apart, and no route for data can read, write or take away any of it", async () => {
    expect(await statusOf(call("POST", "/v1/purge", { json: { all: true } }))).toBe(200);
    const purges = async () => (await audit("?log=purge")).entries.filter(({ action }) => action === "purge").length;
    // Nobody waits for the record of a purge.
    await expect.poll(purges).toBeGreaterThan(0);
    const before = (await audit()).entries;
    expect(before.length).toBe(3);
    const key = "%02audit%01%01%7Baudit%7Dadmin/1";
    expect(await statusOf(call("GET", `/v1/kv/${key}`))).toBe(404);
    expect(await statusOf(call("PUT", `/v1/kv/${key}`, { body: "forged" }))).toBe(201);
    expect(await statusOf(call("DELETE", `/v1/kv/${key}`))).toBe(204);
    const operations = [{ op: "delete", key: decodeURIComponent(key) }];
    expect(await statusOf(call("POST", "/v1/batch", { json: { operations } }))).toBe(200);
    const scanned = await jsonOf<{ items: { key: string }[] }>(await call("GET", "/v1/scan?prefix=%02audit"));
    expect(scanned.items).toEqual([]);
    expect((await audit()).entries).toEqual(before);
  });

  test("is for administrators", async () => {
    expect(await statusOf(call("GET", "/admin/v1/audit", { headers: of("limited") }))).toBe(403);
    expect(await statusOf(call("GET", "/v1/kv/k", { headers: of("admin") }))).toBe(403);
  });
});
