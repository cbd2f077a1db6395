// The threats of docs/security.md that no other test is about, and that every one of them has a test that exists.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ROUTES, type RouteOperation } from "../../../../worker/routes/route-table.ts";
import { problemOf, setUp, TOKEN } from "../fake-edge.ts";
import { from, readOk, stored } from "../fake-world.ts";
import { bearer, exampleOf, OTHER_SIGNING_KEY, SIGNING_KEY, scoped, signed, tokensVariable } from "./tokens.ts";

const root = path.join(import.meta.dirname, "../../../..");
const threats = readFileSync(path.join(root, "docs/security.md"), "utf8");
/** The last cell of each row: the file, and the test's name in it. */
const PROOF = /`(test\/[^`]+\.test\.ts)`: ((?:"[^"]+"(?:, )?)+)/g;

const operations = ROUTES.flatMap(({ path: route, methods }) =>
  Object.entries(methods).map(([method, operation]) => ({
    method,
    route: exampleOf(route),
    operation,
  })),
);

/** Bytes and JSON; what is streamed has limits for its lines. */
function hasBoundedBody({ body }: RouteOperation): boolean {
  return body !== undefined && (typeof body.schema !== "string" || body.schema === "bytes");
}

describe("docs/security.md", () => {
  const rows = threats.split("\n").filter((line) => /^\| \d+ /.test(line));

  test("has a row for each threat, each with a test", () => {
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.filter((row) => [...row.matchAll(PROOF)].length === 0)).toEqual([]);
  });

  const named = rows.flatMap((row) =>
    [...row.matchAll(PROOF)].flatMap(([, file = "", names = ""]) =>
      [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => [file, name] as const),
    ),
  );

  test.each(named)("%s has the test '%s'", (file, name) => {
    const full = path.join(root, file);
    expect(existsSync(full)).toBe(true);
    expect(readFileSync(full, "utf8")).toContain(`"${name}"`);
  });
});

describe("a request", () => {
  test.each(operations)(
    "$method $route is let in by its Authorization header and by nothing else",
    async ({ method, route }) => {
      const { app, port, admin } = setUp();
      const before = admin.current;
      const disguises: Record<string, string>[] = [
        {},
        { Cookie: `Authorization=Bearer ${TOKEN}; HALO_TOKEN=${TOKEN}; token=${TOKEN}` },
        { Authorization: `Basic ${btoa(`root:${TOKEN}`)}` },
        { "X-Authorization": `Bearer ${TOKEN}`, "Proxy-Authorization": `Bearer ${TOKEN}`, "X-Api-Key": TOKEN },
        { "Cf-Access-Jwt-Assertion": TOKEN, Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" },
      ];
      for (const headers of disguises) {
        for (const query of ["", `?token=${TOKEN}&access_token=${TOKEN}`]) {
          const { status } = await app.request(`${route}${query}`, { method, headers });
          expect([headers, status]).toEqual([headers, 401]);
        }
      }
      expect([port.calls, admin.current]).toEqual([[], before]);
    },
  );

  const withBody = operations.filter(({ operation }) => hasBoundedBody(operation));
  test.each(withBody)(
    "$method $route with a body beyond its limit is refused before it is read",
    async ({ method, route }) => {
      const { call, port } = setUp();
      const untouched = new ReadableStream<Uint8Array>(
        {
          pull: () => {
            throw new Error("nobody was to read this");
          },
        },
        { highWaterMark: 0 },
      );
      const reply = await call(method, route, { "Content-Length": String(17 * 1024 * 1024) }, untouched);
      expect(reply.status).toBe(413);
      expect(port.calls).toEqual([]);
    },
  );

  test("takes no header of a client along to a replica, nor anything else that was not asked of the API", async () => {
    const { call, port } = setUp();
    port.onRead = () => readOk(from(0));
    await call("GET", "/v1/kv/k", {
      "Halo-Remark": "access, parts x 1 1",
      "Halo-Served-By": "forged",
      "X-Forwarded-For": "10.0.0.1",
      "Transfer-Encoding": "chunked",
      Host: "replica",
    });
    const [call0] = port.calls;
    const known = [
      "v",
      "to",
      "epoch",
      "slot",
      "key",
      "level",
      "boundMs",
      "maxStaleMs",
      "after",
      "omitValue",
      "omitValueOfVersions",
      "urgency",
      "alsoFor",
    ];
    expect(Object.keys(call0?.request ?? {}).filter((name) => !known.includes(name))).toEqual([]);
    expect(JSON.stringify(call0?.request)).not.toMatch(/forged|10\.0\.0\.1|chunked|parts/);
  });

  test("cannot put a line of its own into a reply's headers, by whatever field it comes", async () => {
    const { call, port } = setUp();
    const evil = "text/html\r\nSet-Cookie: a=b";
    for (const field of [{ contentType: evil }, { metadata: evil }, { tags: [evil] }]) {
      const operation = { op: "set", key: "k", value: { text: "v" }, ...field };
      for (const [route, body] of [
        ["/v1/batch", { operations: [operation] }],
        ["/v1/transactions", { else: [operation] }],
      ] as const) {
        const reply = await call("POST", route, {}, JSON.stringify(body));
        const { status = reply.status } =
          ((await reply.json()) as { results?: { status: number }[] }).results?.[0] ?? {};
        expect([route, field, status]).toEqual([route, field, 400]);
      }
    }
    expect(port.calls).toEqual([]);
  });
});

describe("a reply", () => {
  test.each(operations)(
    "of $method $route that has a body says what it is and is not to be guessed",
    async ({ method, route }) => {
      const { call, clock } = setUp();
      for (const headers of [{ Authorization: "" }, bearer("wrong"), {}]) {
        const replying = call(
          method,
          route,
          { ...headers, "Halo-Namespace": "!" },
          method === "GET" || method === "HEAD" ? undefined : "x",
        );
        await clock.advance(60_000);
        const reply = await replying;
        expect(reply.headers.get("X-Content-Type-Options")).toBe("nosniff");
        expect(reply.headers.get("Content-Type")).toMatch(/^(?:application\/(?:problem\+)?json|text\/event-stream)/);
        expect(reply.headers.get("Cache-Control")).toMatch(/no-store/);
        expect(reply.headers.get("Set-Cookie")).toBeNull();
        await reply.body?.cancel();
      }
    },
  );
});

describe("a secret", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("is in no reply, no line of a log and no record of the audit log, whatever goes wrong", async () => {
    const lines: unknown[] = [];
    for (const name of ["log", "info", "warn", "error", "debug"] as const) {
      vi.spyOn(console, name).mockImplementation((...line) => lines.push(line));
    }
    const token = scoped("app", { scopes: ["read", "admin", "purge"], expires: "2000-01-01T00:00:00Z" });
    const good = scoped("ops", { scopes: ["read", "admin", "purge"] }, "g".repeat(32));
    const edge = setUp({ HALO_SIGNING_KEY: SIGNING_KEY, ...tokensVariable(token, good) });
    edge.port.onRead = () => readOk(from(0));
    edge.port.onWrite = () => stored(from(0));
    const jwt = await signed({ scope: "read", ns: "wrong" }, 1_060);
    const secrets = [TOKEN, token.token, good.token, jwt, SIGNING_KEY, OTHER_SIGNING_KEY, "wrong-token-0123456789"];
    for (const secret of secrets) {
      for (const { method, route } of operations.filter(({ operation }) => operation.id !== "watchCluster")) {
        const replying = edge.call(
          method,
          `${route}?x=1`,
          bearer(secret),
          method === "GET" || method === "HEAD" ? undefined : "{",
        );
        await edge.clock.advance(60_000);
        const reply = await replying;
        lines.push(reply.status, [...reply.headers], await reply.text());
      }
    }
    // Something that nobody expected, with the secret in its message.
    Object.defineProperty(edge.topology, "view", {
      get: () => {
        throw new Error(`with ${TOKEN}`);
      },
    });
    const failed = await edge.call("GET", "/v1/kv/k");
    expect((await problemOf(failed)).status).toBe(500);
    lines.push(edge.internalErrors, edge.audited);
    const text = JSON.stringify(lines);
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(text).not.toContain("s".repeat(32));
    expect(text).not.toContain(token.entry.sha256);
    expect(text).not.toMatch(/\n +at |node_modules|\/work\//);
  });
});
