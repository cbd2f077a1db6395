// Pages of other origins: who may see replies, and that a preflight needs no token.

import { describe, expect, test } from "vitest";
import { CORS_ORIGINS_MAX, parseCorsOrigins } from "../../../../worker/access/cors.ts";
import { ROUTES } from "../../../../worker/routes/route-table.ts";
import { setUp, TOKEN } from "../fake-edge.ts";
import { from, readOk } from "../fake-world.ts";
import { bearer, exampleOf } from "./tokens.ts";

const ORIGIN = "https://app.example.com";
const ALLOW = "Access-Control-Allow-Origin";

function edge(origins: string) {
  const made = setUp({ HALO_CORS_ORIGINS: origins });
  made.port.onRead = () => readOk(from(0));
  const preflight = (path: string, origin = ORIGIN) =>
    made.app.request(path, {
      method: "OPTIONS",
      headers: {
        Origin: origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,halo-namespace",
      },
    });
  const read = (origin: string, headers: Record<string, string> = bearer(TOKEN)) =>
    made.app.request("/v1/kv/k", { headers: { Origin: origin, ...headers } });
  return { ...made, preflight, read };
}

describe("a preflight", () => {
  test("is answered without a token, with the methods of the route and the headers of the API", async () => {
    const { preflight, port } = edge(ORIGIN);
    const reply = await preflight("/v1/kv/k");
    expect([reply.status, await reply.text()]).toEqual([204, ""]);
    expect(reply.headers.get(ALLOW)).toBe(ORIGIN);
    expect(reply.headers.get("Access-Control-Allow-Methods")).toBe("GET, HEAD, PUT, DELETE");
    expect(reply.headers.get("Access-Control-Allow-Headers")).toMatch(/Authorization.*Halo-Namespace/);
    expect(port.calls).toEqual([]);
  });

  test("of another origin says nothing", async () => {
    const { preflight } = edge(ORIGIN);
    for (const origin of [
      "https://evil.example",
      "https://app.example.com.evil.example",
      "null",
      `${ORIGIN}:8443`,
      "",
    ]) {
      const { headers } = await preflight("/v1/kv/k", origin);
      expect([origin, headers.get(ALLOW)]).toEqual([origin, null]);
    }
  });

  test("for administration is refused, whatever the origin", async () => {
    for (const { path } of ROUTES.filter((route) => route.path.startsWith("/admin/"))) {
      const reply = await edge("*").preflight(exampleOf(path));
      expect([path, reply.status, reply.headers.get(ALLOW)]).toEqual([path, 401, null]);
    }
  });
});

describe("a reply", () => {
  test("is shown to the pages that are named, errors included, with the headers of Halo", async () => {
    const { read } = edge(`https://other.example, ${ORIGIN}`);
    for (const [headers, status] of [
      [bearer(TOKEN), 404],
      [{}, 401],
    ] as const) {
      const reply = await read(ORIGIN, headers);
      expect([reply.status, reply.headers.get(ALLOW), reply.headers.get("Vary")]).toEqual([status, ORIGIN, "Origin"]);
      expect(reply.headers.get("Access-Control-Expose-Headers")).toMatch(
        /Halo-Bookmark.*Halo-Existed.*Halo-Previous-Version.*Halo-Fill-Until.*ETag.*Retry-After/,
      );
    }
  });

  test("is shown to no other, and caches are told that it depends on the origin", async () => {
    const { headers } = await edge(ORIGIN).read("https://evil.example");
    expect([headers.get(ALLOW), headers.get("Vary")]).toEqual([null, "Origin"]);
  });

  test("never goes with a browser's own credentials, not even where every origin may see it", async () => {
    for (const origins of ["*", ORIGIN]) {
      const { preflight, read } = edge(origins);
      for (const reply of [await preflight("/v1/kv/k"), await read(ORIGIN)]) {
        expect(reply.headers.get("Access-Control-Allow-Credentials")).toBeNull();
      }
    }
    const reply = await edge("*").read(ORIGIN, { Cookie: `token=${TOKEN}; Authorization=Bearer ${TOKEN}` });
    expect(reply.status).toBe(401);
  });

  test("to a request without an origin, or where nobody is named, is as it always was", async () => {
    const plain = await edge(ORIGIN).call("GET", "/v1/kv/k");
    expect([plain.headers.get(ALLOW), plain.headers.get("Vary")]).toEqual([null, null]);
    const closed = await edge("").read(ORIGIN);
    expect([closed.status, closed.headers.get(ALLOW)]).toEqual([404, null]);
    expect((await edge("").preflight("/v1/kv/k")).headers.get(ALLOW)).toBeNull();
  });
});

describe("HALO_CORS_ORIGINS", () => {
  test.each([
    "app.example.com",
    "https://app.example.com/",
    "https://app.example.com/path",
    "https://*.example.com",
    "https://APP.example.com",
    "https://a.example,*",
    "null",
    "ftp://a.example",
    Array.from({ length: CORS_ORIGINS_MAX + 1 }, (_, at) => `https://a${at}.example`).join(","),
  ])("%s is refused", (variable) => {
    expect(parseCorsOrigins(variable)).toMatchObject({
      ok: false,
      problem: expect.stringContaining("HALO_CORS_ORIGINS"),
    });
  });
});
