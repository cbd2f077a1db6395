// Scoped tokens through the edge: who is let in, to which routes, and what a refusal says.

import { describe, expect, test } from "vitest";
import { SCOPES, type Scope } from "../../../../worker/access/principal.ts";
import { parseScopedTokens } from "../../../../worker/access/scoped-tokens.ts";
import { ROUTES } from "../../../../worker/routes/route-table.ts";
import { problemOf, setUp, TOKEN } from "../fake-edge.ts";
import { from, readOk, stored } from "../fake-world.ts";
import { bearer, exampleOf, scoped, tokensVariable } from "./tokens.ts";

const reader = scoped("reader", { scopes: ["read"] });

function edgeWith(...tokens: { readonly entry: object }[]) {
  const edge = setUp(tokensVariable(...tokens));
  edge.port.onRead = () => readOk(from(0));
  edge.port.onWrite = () => stored(from(0));
  return edge;
}

describe("a scoped token", () => {
  test("is let in by its hash, which is all that the deployment has of it", async () => {
    const { call } = edgeWith(reader);
    expect(JSON.stringify(reader.entry)).not.toContain("s".repeat(32));
    expect((await call("GET", "/v1/kv/k", bearer(reader.token))).status).toBe(404);
    expect((await call("GET", "/v1/kv/k", bearer(reader.entry.sha256))).status).toBe(401);
  });

  test("of another secret, id or shape is nobody's", async () => {
    const { call } = edgeWith(reader);
    for (const token of [
      scoped("reader", {}, "t".repeat(32)).token,
      scoped("writer", {}).token,
      `${reader.token}x`,
      reader.token.slice(0, -1),
      "halo_reader_",
      `halo_reader_${"é".repeat(32)}`,
    ]) {
      const problem = await problemOf(await call("GET", "/v1/kv/k", bearer(token)));
      expect(problem).toMatchObject({ status: 401, type: "/problems/unauthorized" });
    }
  });

  test("ends at its expiry, to the millisecond", async () => {
    const short = scoped("short", { scopes: ["read"], expires: new Date(1_000_500).toISOString() });
    const { call, clock } = edgeWith(short);
    expect((await call("GET", "/v1/kv/k", bearer(short.token))).status).toBe(404);
    clock.nowMs = 1_000_500;
    const problem = await problemOf(await call("GET", "/v1/kv/k", bearer(short.token)));
    expect(problem).toMatchObject({ status: 401, detail: "the token has expired" });
  });

  test("is replaced without a moment in which neither is good: two entries of one id are both live", async () => {
    const old = scoped("app", { scopes: ["read"] }, "o".repeat(32));
    const young = scoped("app", { scopes: ["read"] }, "y".repeat(32));
    const during = edgeWith(old, young);
    for (const { token } of [old, young])
      expect((await during.call("GET", "/v1/kv/k", bearer(token))).status).toBe(404);
    const after = edgeWith(young);
    expect((await after.call("GET", "/v1/kv/k", bearer(old.token))).status).toBe(401);
    expect((await after.call("GET", "/v1/kv/k", bearer(young.token))).status).toBe(404);
  });

  test("opens a deployment that has no root token, for what it may do", async () => {
    const edge = setUp({ HALO_TOKEN: "", ...tokensVariable(reader) });
    edge.port.onRead = () => readOk(from(0));
    expect((await edge.call("GET", "/v1/kv/k", bearer(reader.token))).status).toBe(404);
    expect((await edge.call("PUT", "/v1/kv/k", bearer(reader.token), "v")).status).toBe(403);
    expect((await edge.call("GET", "/v1/kv/k", bearer(TOKEN))).status).toBe(401);
  });

  test("is told which scope it lacks, and nothing of what others have", async () => {
    const { call } = edgeWith(reader, scoped("secret-writer", { scopes: ["write"], prefixes: ["secret/"] }));
    const refusal = await call("PUT", "/v1/kv/secret/1", bearer(reader.token), "v");
    expect(refusal.headers.get("WWW-Authenticate")).toBe('Bearer realm="halo", error="insufficient_scope"');
    const problem = await problemOf(refusal);
    expect(problem).toMatchObject({ status: 403, detail: "the token lacks the scope write" });
    const limited = scoped("limited", { scopes: ["read", "write"], prefixes: ["mine/"] });
    const other = edgeWith(limited, reader);
    const outside = await problemOf(await other.call("PUT", "/v1/kv/secret/1", bearer(limited.token), "v"));
    expect(outside).toMatchObject({ status: 403, type: "/problems/forbidden" });
    expect(JSON.stringify(outside)).not.toMatch(/mine|reader|secret/);
    expect(other.port.calls).toEqual([]);
  });

  test("with a prefix is stopped on a key that only looks like one within it", async () => {
    const limited = scoped("limited", { scopes: ["read", "write"], prefixes: ["mine/"] });
    const { call, port } = edgeWith(limited);
    for (const path of ["/v1/kv/mine", "/v1/kv/%2Fmine/1", "/v1/kv/MINE/1", "/v1/kv/x/../yours", "/v1/kv/mine/../x"]) {
      const { status } = await call("GET", path, bearer(limited.token));
      // The last one is the key `x`, once the client's URL parser has followed the dots.
      expect([path, status]).toEqual([path, 403]);
    }
    expect(port.calls).toEqual([]);
    expect((await call("GET", "/v1/kv/mine%2F1", bearer(limited.token))).status).toBe(404);
  });
});

describe("every route", () => {
  const operations = ROUTES.flatMap(({ path, methods }) =>
    Object.entries(methods).map(([method, { scope }]) => [method, exampleOf(path), scope] as const),
  );

  // What every token may ask needs none in particular.
  const scopedOperations = operations.filter(([, , scope]) => [scope].flat().length < SCOPES.length);
  test.each(scopedOperations)(
    "%s %s is refused to a token without its scope, before anything is asked",
    async (method, path, scope) => {
      const wanted: readonly Scope[] = [scope].flat();
      const others = SCOPES.filter((one) => !wanted.includes(one));
      const token = scoped("other", { scopes: others });
      const { call, port, admin, audited } = setUp(tokensVariable(token));
      const before = admin.current;
      const reply = await call(
        method,
        path,
        bearer(token.token),
        method === "GET" || method === "HEAD" ? undefined : "{}",
      );
      expect(reply.status).toBe(403);
      expect([port.calls, admin.current, audited]).toEqual([[], before, []]);
    },
  );

  const BODIES: Record<string, object> = {
    "POST /v1/batch": { operations: [{ op: "set", key: "yours", value: { text: "v" } }] },
    "POST /v1/transactions": { else: [{ op: "set", key: "yours", value: { text: "v" } }] },
    "POST /v1/purge": { keys: ["mine/1", "yours"] },
    "POST /v1/locks/yours": { ttlMs: 1_000 },
    "PUT /v1/locks/yours": { token: 1, ttlMs: 1_000 },
    "POST /v1/limits/yours": { limit: 1, windowMs: 1_000 },
  };
  const OF_NO_KEY = ["/v1/status", "/v1/whoami"];
  const onKeys = ROUTES.filter(({ path }) => path.startsWith("/v1/") && !OF_NO_KEY.includes(path)).flatMap(
    ({ path, methods }) => Object.keys(methods).map((method) => [method, exampleOf(path, "yours")] as const),
  );

  test.each(onKeys)("%s %s does nothing to a key outside of the token's prefix", async (method, path) => {
    const token = scoped("limited", { scopes: ["read", "write", "purge"], prefixes: ["mine/"] });
    const { call, port } = setUp(tokensVariable(token));
    const asked: string[] = [];
    port.onBatch =
      port.onScan =
      port.onPurge =
      port.onFill =
      port.onPart =
        () => {
          asked.push("asked");
          return "silence";
        };
    const body = BODIES[`${method} ${path}`];
    const headers = { ...bearer(token.token), "Halo-Lock-Token": "1", "Halo-Fill-Token": "1" };
    const takesBody = method !== "GET" && method !== "HEAD";
    const reply = await call(method, path, headers, takesBody ? JSON.stringify(body ?? {}) : undefined);
    const text = await reply.text();
    if (path === "/v1/batch") expect(text).toContain('"status":403');
    else expect(reply.status).toBe(403);
    expect([port.calls, asked]).toEqual([[], []]);
  });

  test("GET /v1/kv/ with a fill, and a value in parts, are refused as well", async () => {
    const token = scoped("limited", { scopes: ["read", "write"], prefixes: ["mine/"] });
    const { call, port } = setUp(tokensVariable(token));
    const fill = await call("GET", "/v1/kv/yours", { ...bearer(token.token), "Halo-Fill": "lease" });
    expect(fill.status).toBe(403);
    const large = new Uint8Array(3 * 1024 * 1024);
    expect((await call("PUT", "/v1/kv/yours", bearer(token.token), large)).status).toBe(403);
    expect(port.calls).toEqual([]);
  });
});

describe("HALO_TOKENS", () => {
  const entry = scoped("a", { scopes: ["read"] }).entry;
  const bad: [string, unknown, RegExp][] = [
    ["no JSON", "[", /^HALO_TOKENS: expected a JSON list$/],
    ["no list", "{}", /HALO_TOKENS/],
    ["a token in place of its hash", [{ ...entry, sha256: "halo_a_secret" }], /0\.sha256: expected 64/],
    ["an unknown scope", [{ ...entry, scopes: ["root"] }], /0\.scopes\.0: expected read, write, purge, observe, admin/],
    ["no scope", [{ ...entry, scopes: [] }], /0\.scopes/],
    ["no namespace at all", [{ ...entry, namespaces: [] }], /0\.namespaces/],
    ["a namespace that cannot be", [{ ...entry, namespaces: ["A"] }], /0\.namespaces\.0/],
    ["an empty prefix", [{ ...entry, prefixes: [""] }], /0\.prefixes\.0/],
    ["a date that is none", [{ ...entry, expires: "tomorrow" }], /0\.expires/],
    ["an unknown field", [{ ...entry, scope: "read" }], /scope/],
    ["administration of a prefix", [{ ...entry, scopes: ["admin"], prefixes: ["a/"] }], /of the whole cluster/],
    ["three of one id", [entry, entry, entry], /a: expected at most two/],
    ["a rate of nothing", [{ ...entry, ratePerSecond: 0 }], /0\.ratePerSecond/],
  ];
  test.each(bad)("with %s is refused in one line that repeats none of it", (_name, variable, expected) => {
    const text = typeof variable === "string" ? variable : JSON.stringify(variable);
    const result = parseScopedTokens(text);
    if (result.ok) throw new Error("expected a problem");
    expect(result.problem).toMatch(expected);
    expect(result.problem).not.toMatch(/halo_a_secret|[0-9a-f]{64}/);
  });

  test("that is wrong closes the deployment's configuration as a whole", () => {
    expect(() => setUp({ HALO_TOKENS: "[{}]" })).toThrow("HALO_TOKENS: 0.id");
  });
});
