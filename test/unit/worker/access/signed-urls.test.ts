// Signed URLs through the edge: one key, one method, one namespace, until then.

import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { signUrl, type UrlToSign } from "../../../../client/signing.ts";
import { SIGNED_URL_SECONDS_MAX } from "../../../../worker/access/signed-urls.ts";
import { targetIn } from "../../../../worker/routes/key-request.ts";
import { problemOf, setUp } from "../fake-edge.ts";
import { from, readOk, stored } from "../fake-world.ts";
import { bearer, OTHER_SIGNING_KEY, SIGNING_KEY, scoped, tokensVariable } from "./tokens.ts";

const NOW_S = 1_000;
const HTML = { contentType: "text/html", version: 1, createdMs: 0, modifiedMs: 0, size: 1 };

function edge(variables: Record<string, string> = {}) {
  const made = setUp({ HALO_SIGNING_KEY: SIGNING_KEY, ...variables });
  made.port.onRead = () => readOk(from(0), { entry: { ...HTML, value: new Uint8Array([60]) } });
  made.port.onWrite = () => stored(from(0));
  const open = (url: string, init: RequestInit = {}) => made.app.request(url, init);
  return { ...made, open };
}

const sign = (rest: Partial<UrlToSign> = {}) =>
  signUrl({
    origin: "https://halo.test",
    method: "GET",
    key: "avatars/7",
    expires: new Date((NOW_S + 60) * 1_000),
    signingKey: SIGNING_KEY,
    ...rest,
  });

describe("a signed URL", () => {
  test("reads its key without a token, by GET and by HEAD", async () => {
    const { open, port } = edge();
    const url = await sign();
    expect((await open(url)).status).toBe(200);
    expect((await open(url, { method: "HEAD" })).status).toBe(200);
    expect(port.calls.map(({ request }) => (request as { key: string }).key)).toEqual(["avatars/7", "avatars/7"]);
  });

  test("writes its key by PUT, and that only", async () => {
    const { open } = edge();
    const url = await sign({ method: "PUT" });
    expect((await open(url, { method: "PUT", body: "v" })).status).toBe(201);
    for (const method of ["GET", "HEAD", "DELETE", "POST"]) expect((await open(url, { method })).status).toBe(401);
    expect((await open(await sign(), { method: "PUT", body: "v" })).status).toBe(401);
  });

  test("for writing shows nothing of what it replaces, and one for reading takes no right to load", async () => {
    const { open, port } = edge();
    const put = await open(await sign({ method: "PUT" }), {
      method: "PUT",
      body: "v",
      headers: { "Halo-Return": "previous" },
    });
    expect((await problemOf(put)).detail).toBe("the token lacks the scope read");
    const fill = await open(await sign(), { headers: { "Halo-Fill": "lease" } });
    expect((await problemOf(fill)).detail).toBe("the token lacks the scope write");
    expect(port.calls).toEqual([]);
  });

  test("ends when it says, however often it was used before", async () => {
    const { open, clock } = edge();
    const url = await sign();
    for (let round = 0; round < 3; round++) expect((await open(url)).status).toBe(200);
    clock.nowMs = (NOW_S + 60) * 1_000;
    expect(await problemOf(await open(url))).toMatchObject({ status: 401, detail: "the URL has expired" });
  });

  test("of more than seven days is refused", async () => {
    const { open } = edge();
    const until = (seconds: number) => sign({ expires: new Date((NOW_S + seconds) * 1_000) });
    expect((await open(await until(SIGNED_URL_SECONDS_MAX))).status).toBe(200);
    expect((await open(await until(SIGNED_URL_SECONDS_MAX + 1))).status).toBe(401);
  });

  test("is good for no other key, namespace or time than those that were signed", async () => {
    const { open, port } = edge();
    const url = await sign({ namespace: "users" });
    const altered = [
      url.replace("avatars/7", "avatars/8"),
      url.replace("avatars/7", "avatars/7%0A"),
      url.replace("halo-namespace=users", "halo-namespace=admins"),
      url.replace("&halo-namespace=users", ""),
      url.replace(`halo-expires=${NOW_S + 60}`, `halo-expires=${NOW_S + 600}`),
      url.replace(/halo-signature=./, "halo-signature=_"),
      await sign({ namespace: "users", signingKey: OTHER_SIGNING_KEY }),
    ];
    for (const one of altered) expect([one, (await open(one)).status]).toEqual([one, 401]);
    expect(port.calls).toEqual([]);
    expect((await open(url)).status).toBe(200);
  });

  test("leads nowhere else by a header, a second parameter or another route", async () => {
    const { open, port } = edge();
    const url = await sign();
    expect((await open(url, { headers: { "Halo-Namespace": "admins" } })).status).toBe(400);
    expect((await open(`${url}&halo-expires=9`)).status).toBe(400);
    expect((await open(`${url}&x=1`)).status).toBe(400);
    const elsewhere = ["/v1/locks/", "/v1/touch/", "/v1/counters/", "/admin/v1/topology?x=", "/v1/scan?x="];
    for (const path of elsewhere) {
      expect((await open(url.replace("/v1/kv/", `${path}v1/kv/`))).status).toBe(401);
      expect((await open(url.replace("/v1/kv/", path))).status).toBe(401);
    }
    expect(port.calls).toEqual([]);
  });

  test("counts for nothing beside a token, whose rights hold", async () => {
    const { open } = edge(tokensVariable(scoped("other", { scopes: ["read"], prefixes: ["x/"] })));
    const url = await sign();
    expect((await open(url, { headers: bearer("wrong") })).status).toBe(401);
    const { token } = scoped("other", {});
    expect((await open(url, { headers: bearer(token) })).status).toBe(400);
  });

  test("opens a value as a page without scripts, with an origin of its own, kept by no shared cache", async () => {
    const { open } = edge();
    const { headers } = await open(await sign());
    expect(headers.get("Content-Security-Policy")).toBe("sandbox; default-src 'none'");
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(headers.get("Referrer-Policy")).toBe("no-referrer");
    expect(headers.get("Cache-Control")).toMatch(/private|no-store/);
  });

  test("of the previous signing key is good until that is gone", async () => {
    const url = await sign({ signingKey: OTHER_SIGNING_KEY });
    expect((await edge({ HALO_SIGNING_KEY_PREVIOUS: OTHER_SIGNING_KEY }).open(url)).status).toBe(200);
    expect((await edge().open(url)).status).toBe(401);
  });

  test("is the HMAC that the documentation says", async () => {
    const url = new URL(await sign({ namespace: "users" }));
    const text = `halo-url-v1\nGET\n${NOW_S + 60}\nusers\navatars/7`;
    const expected = createHmac("sha256", SIGNING_KEY).update(text).digest("base64url");
    expect(url.searchParams.get("halo-signature")).toBe(expected);
  });

  test("can be made for any key that there can be, and leads to that key", async () => {
    const { open, port } = edge();
    const char = fc.oneof(
      fc.constantFrom("/", "?", "#", "%", " ", "\n", "é", "\u{1f600}", "+", "&", "="),
      fc.string({ minLength: 1, maxLength: 1 }),
    );
    const keys = fc.array(char, { minLength: 1, maxLength: 8 }).map((chars) => chars.join(""));
    const isKey = (key: string) =>
      key.split("/").every((segment) => segment !== "." && segment !== "..") && !/[{}]/.test(key);
    await fc.assert(
      fc.asyncProperty(keys.filter(isKey), async (key) => {
        port.calls.length = 0;
        expect((await open(await sign({ key }))).status).toBe(200);
        const asked = port.calls.map(({ request }) => (request as { key: string }).key);
        expect(asked).toEqual([targetIn("", key).key]);
      }),
      { numRuns: 200 },
    );
  });
});
