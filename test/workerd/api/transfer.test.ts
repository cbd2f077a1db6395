// Export and import over HTTP, on real objects: what comes back is what was there.

import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importReplySchema } from "../../../worker/api/admin-schemas.ts";
import { until } from "../replica/cluster.ts";
import { batch, call, ignore, jsonOf, read } from "./edge.ts";

afterAll(async () => {
  await reset();
});

const KEYS = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`t/${at}`, `value ${at}`]));
const LARGE = new Uint8Array(2_500_000).map((_, at) => (at * 31) % 251);
const SHOP = { "Halo-Namespace": "shop" };

async function exported(query = ""): Promise<string> {
  const response = await call("GET", `/admin/v1/export${query}`);
  expect([response.status, response.headers.get("Content-Type")]).toEqual([200, "application/x-ndjson"]);
  return response.text();
}

async function imported(file: BodyInit, query = "") {
  return importReplySchema.parse(await jsonOf(await call("POST", `/admin/v1/import${query}`, { body: file })));
}

function linesOf(file: string): Record<string, unknown>[] {
  return file
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function empty(): Promise<void> {
  for (const headers of [{}, SHOP]) {
    await ignore(await call("POST", "/v1/purge", { json: { all: true }, headers }));
  }
}

beforeAll(async () => {
  const operations = Object.entries(KEYS).map(([key, text]) => ({ op: "set", key, value: { text } }));
  // On a busy machine the groups' first elections may take longer than a request waits.
  await until(
    () => batch(operations),
    (results) => results.every(({ status }) => status < 300),
  );
  await ignore(await call("PUT", "/v1/kv/t/large", { body: LARGE, headers: { "Content-Type": "image/x-made-up" } }));
  await ignore(
    await call("PUT", "/v1/kv/cart", {
      body: "socks",
      headers: {
        ...SHOP,
        "Content-Type": "text/plain",
        "Cache-Tag": "a, b",
        "Halo-Metadata": "of mine",
        "Halo-Source-Version": "12",
        "Cache-Control": "max-age=3600, stale-while-revalidate=60",
      },
    }),
  );
  await ignore(await call("PUT", "/v1/kv/sliding", { body: "s", headers: { "Halo-Sliding-TTL": "3600" } }));
});

describe("an export", () => {
  test("holds every key of every namespace once, and ends with its count", async () => {
    const lines = linesOf(await exported());
    const entries = lines.filter(({ type }) => type === "entry");
    expect(lines[0]).toMatchObject({ halo: "export", version: 1, cluster: "halo", namespace: null, cursor: null });
    expect(lines.at(-1)).toMatchObject({ type: "end", entries: 63, complete: true, cursor: null });
    expect(entries.map(({ namespace, key }) => `${namespace}/${key}`).sort()).toEqual(
      [...Object.keys(KEYS).map((key) => `/${key}`), "/t/large", "/sliding", "shop/cart"].sort(),
    );
    expect(lines.filter(({ type }) => type === "part").map(({ part }) => part)).toEqual([0, 1, 2]);
    expect(entries.find(({ key }) => key === "cart")).toMatchObject({
      value: btoa("socks"),
      contentType: "text/plain",
      tags: ["a", "b"],
      metadata: "of mine",
      sourceVersion: 12,
      staleWhileRevalidateMs: 60_000,
    });
  });

  test("of one namespace holds that alone", async () => {
    const [header, entry, end, ...rest] = linesOf(await exported("?namespace=shop"));
    expect([header?.namespace, entry?.key, end?.entries, rest]).toEqual(["shop", "cart", 1, []]);
    expect(linesOf(await exported("?namespace=")).at(-1)?.entries).toBe(62);
  });

  test("goes on from a cursor, and not from one of another", async () => {
    const shop = linesOf(await exported("?namespace=shop"));
    expect(shop.at(-1)?.cursor).toBeNull();
    expect((await call("GET", "/admin/v1/export?cursor=AAAA")).status).toBe(400);
  });
});

describe("an import", () => {
  test("into an empty cluster brings all of it back: values, lifetimes, tags, metadata, versions of the writers", async () => {
    const file = await exported();
    await empty();
    expect(await read("t/7")).toBe(404);
    expect(await imported(file)).toEqual({
      complete: true,
      start: null,
      entries: 63,
      stored: 63,
      skipped: 0,
      expired: 0,
      resumed: 0,
    });
    for (const [key, text] of Object.entries(KEYS)) expect(await read(key)).toBe(text);
    const large = await call("GET", "/v1/kv/t/large");
    expect(large.headers.get("Content-Type")).toBe("image/x-made-up");
    expect(new Uint8Array(await large.arrayBuffer())).toEqual(LARGE);
    const cart = await call("GET", "/v1/kv/cart", { headers: SHOP });
    expect(await cart.text()).toBe("socks");
    const { headers } = cart;
    expect([headers.get("Halo-Metadata"), headers.get("Halo-Source-Version"), headers.get("Cache-Tag")]).toEqual([
      "of mine",
      "12",
      "a, b",
    ]);
    const [before, after] = [file, await exported()].map((text) =>
      linesOf(text)
        .filter(({ type }) => type === "entry")
        // Its own version and the time of writing are the cluster's; a sliding lifetime begins anew.
        .map(({ version: _, modifiedMs: __, ...line }) =>
          line.slidingMs === undefined ? line : { ...line, expiresMs: 0 },
        )
        .map((line) => JSON.stringify(line))
        .sort(),
    );
    expect(after).toEqual(before);
  });

  test("done again changes nothing, and keeps what was written since", async () => {
    const file = await exported();
    await ignore(await call("PUT", "/v1/kv/t/1", { body: "newer" }));
    expect(await imported(file)).toMatchObject({ stored: 0, skipped: 63 });
    expect(await imported(file, "?mode=if-newer")).toMatchObject({ stored: 0, skipped: 63 });
    expect(await read("t/1")).toBe("newer");
    // The writer's own version is the same, so that what is there is the same.
    expect(await imported(file, "?mode=overwrite")).toMatchObject({ stored: 62, skipped: 1 });
    expect(await read("t/1")).toBe(KEYS["t/1"]);
  });

  test("if-newer brings back what has gone", async () => {
    await ignore(await call("PUT", "/v1/kv/t/2", { body: "later" }));
    const file = await exported();
    await ignore(await call("DELETE", "/v1/kv/t/2"));
    expect(await imported(file, "?mode=if-newer")).toMatchObject({ stored: 1, skipped: 62 });
    expect(await read("t/2")).toBe("later");
  });

  test("of a file that is altered, cut, or of a newer version changes nothing", async () => {
    const file = await exported("?namespace=shop");
    await empty();
    const bad: [string, string][] = [
      [file.replace(btoa("socks"), btoa("shoes")), "malformed-import"],
      [file.slice(0, -10), "malformed-import"],
      [file.replace(/\{"type":"end".*\n/, ""), "malformed-import"],
      [file.replace('"version":1', '"version":2'), "unsupported-import"],
      ["", "malformed-import"],
      ["{}\n", "malformed-import"],
    ];
    for (const [text, slug] of bad) {
      const problem = await jsonOf(await call("POST", "/admin/v1/import", { body: text }), 422);
      expect(problem).toMatchObject({ type: `/problems/${slug}`, stored: 0, skipped: 0, resume: null });
    }
    const cart = await call("GET", "/v1/kv/cart", { headers: SHOP });
    expect(cart.status).toBe(404);
    await ignore(cart);
  });
});
