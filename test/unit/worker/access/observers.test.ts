// Tokens with the scope `observe`: what they see of the cluster, and that they change nothing and read no value.

import { describe, expect, test, vi } from "vitest";
import { SCOPES, type Scope } from "../../../../worker/access/principal.ts";
import { parseScopedTokens } from "../../../../worker/access/scoped-tokens.ts";
import { ROUTES } from "../../../../worker/routes/route-table.ts";
import { problemOf, setUp, TOKEN } from "../fake-edge.ts";
import { connectionLost, from, readOk } from "../fake-world.ts";
import { bearer, exampleOf, scoped, tokensVariable } from "./tokens.ts";

const watcher = scoped("watcher", { scopes: ["observe"] });
const reader = scoped("reader", { scopes: ["observe", "read"] });

const operations = ROUTES.flatMap(({ path, methods }) =>
  Object.entries(methods).map(([method, { id, scope }]) => ({ id, method, path: exampleOf(path), scope })),
);

describe("an observer", () => {
  /** Nothing of it changes anything, and none of it holds a value. */
  const SEEN = [
    "headStatus",
    "hotKeys",
    "inspectKey",
    "metrics",
    "readAuditLog",
    "readCluster",
    "readCost",
    "readSlots",
    "readSlowLog",
    "readTopology",
    "status",
    "verifyReplicas",
    "watchCluster",
    "whoAmI",
  ];

  test("is let in to what shows the cluster, and to nothing else", async () => {
    const { call, port, admin, audited } = setUp(tokensVariable(watcher));
    const before = admin.current;
    port.onStatus = () => connectionLost();
    const letIn: string[] = [];
    for (const { id, method, path } of operations) {
      const body = method === "GET" || method === "HEAD" ? undefined : "{}";
      const reply = await call(method, path, bearer(watcher.token), body);
      if (reply.status !== 403) letIn.push(id);
      await reply.body?.cancel();
    }
    // A key is looked up with `read` beside it: the next test.
    expect(letIn.sort()).toEqual(SEEN.filter((id) => id !== "inspectKey"));
    expect([port.calls.filter(({ kind }) => kind === "write"), admin.current, audited]).toEqual([[], before, []]);
  });

  test("inspects a key only where it may read it", async () => {
    const { call, port } = setUp(tokensVariable(watcher, reader));
    port.onRead = () => readOk(from(0));
    const refused = await problemOf(await call("GET", "/admin/v1/keys/k", bearer(watcher.token)));
    expect(refused).toMatchObject({ status: 403, detail: "the token lacks the scope read" });
    expect(port.calls).toEqual([]);
    void call("GET", "/admin/v1/keys/k", bearer(reader.token));
    await vi.waitFor(() => expect(port.asked("read")).toEqual([0, 1, 2]));
  });

  test("sees the cluster as a whole, so its token has no namespaces and no prefixes", () => {
    for (const limits of [{ namespaces: ["shop"] }, { prefixes: ["a/"] }]) {
      const { entry } = scoped("limited", { scopes: ["observe", "read"], ...limits });
      const read = parseScopedTokens(JSON.stringify([entry]));
      expect(read).toMatchObject({ ok: false, problem: expect.stringContaining("of the whole cluster") });
    }
  });
});

describe("GET /v1/whoami", () => {
  test("says to every token who it is and what it may do", async () => {
    const tokens = SCOPES.map((scope) => [scope, scoped(scope, { scopes: [scope] })] as const);
    const { call } = setUp(tokensVariable(...tokens.map(([, token]) => token)));
    for (const [scope, { token }] of tokens) {
      const reply = await call("GET", "/v1/whoami", bearer(token));
      expect(await reply.json()).toEqual({ id: `token:${scope}`, kind: "token", scopes: [scope], cluster: "test" });
    }
    const root = await call("GET", "/v1/whoami", bearer(TOKEN));
    expect(await root.json()).toEqual({ id: "root", kind: "root", scopes: [...SCOPES], cluster: "test" });
    expect(root.headers.get("Cache-Control")).toBe("no-store");
  });

  test("asks every scope, so that no token is without it", () => {
    const wanted = operations.find(({ id }) => id === "whoAmI")?.scope as readonly Scope[];
    expect(wanted).toEqual(SCOPES);
  });
});
