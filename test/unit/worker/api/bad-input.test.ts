// Bad input to the routes of the data model: what is refused, as what, and that nothing was asked of a replica.

import { describe, expect, test } from "vitest";
import { TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX } from "../../../../durable/store/limits.ts";
import { decodeCursor, encodeCursor } from "../../../../worker/api/cursor.ts";
import { JSON_BODY_BYTES_MAX, JSON_DEPTH_MAX, SMALL_BODY_BYTES_MAX } from "../../../../worker/api/request-body.ts";
import { BATCH_OPERATIONS_MAX, LOCK_TTL_MS_MAX } from "../../../../worker/api/schemas.ts";
import { bytesOfValue, valueOfBytes } from "../../../../worker/api/values.ts";
import { targetIn } from "../../../../worker/routes/key-request.ts";
import { TRANSACTION_BODY_BYTES_MAX } from "../../../../worker/routes/transactions.ts";
import { type Body, problemOf, setUp } from "../fake-edge.ts";

const json = (body: unknown) => JSON.stringify(body);
const operation = (one: object) => json({ operations: [one] });
const key = "k".repeat(1_025);
const nested = `${"[".repeat(JSON_DEPTH_MAX + 1)}${"]".repeat(JSON_DEPTH_MAX + 1)}`;
const deep = `{"operations":[{"op":"set","key":"k","value":{"json":${nested}}}]}`;
const many = Array.from({ length: BATCH_OPERATIONS_MAX + 1 }, () => ({ op: "get", key: "k" }));
const spaces = (bytes: number) => " ".repeat(bytes);
const half = new Uint8Array([0x7b, 0xff, 0x7d]);

/** Name, request, status, slug, what the detail says. */
const REFUSED: [string, string, string, number, string, RegExp, Body?, Record<string, string>?][] = [
  ["no body", "POST", "/v1/batch", 400, "malformed-body", /JSON/],
  ["no JSON", "POST", "/v1/batch", 400, "malformed-body", /JSON/, "{"],
  ["invalid UTF-8", "POST", "/v1/batch", 400, "malformed-body", /UTF-8/, half],
  ["half a surrogate pair", "POST", "/v1/batch", 400, "malformed-body", /surrogate/, '{"operations":["\\ud800"]}'],
  ["an infinite number", "POST", "/v1/batch", 400, "malformed-body", /too large/, '{"operations":[1e999]}'],
  ["a body that is nested too deep", "POST", "/v1/batch", 400, "malformed-body", /levels deep/, deep],
  ["a body that is too large", "POST", "/v1/batch", 413, "body-too-large", /8388608/, spaces(JSON_BODY_BYTES_MAX + 1)],
  [
    "an unknown field",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /nope/,
    json({ operations: [{ op: "get", key: "k" }], nope: 1 }),
  ],
  [
    "an unknown field of an operation",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /^operations\[0\].*ifversion/,
    operation({ op: "delete", key: "k", ifversion: 1 }),
  ],
  ["no operations", "POST", "/v1/batch", 400, "malformed-body", /^operations: /, json({ operations: [] })],
  ["too many operations", "POST", "/v1/batch", 400, "malformed-body", /^operations: /, json({ operations: many })],
  [
    "an unknown operation",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /^operations\[0\]\.op/,
    operation({ op: "drop" }),
  ],
  [
    "a long key",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /^operations\[0\]\.key.*1024/,
    operation({ op: "get", key }),
  ],
  ["an empty key", "POST", "/v1/batch", 400, "malformed-body", /key/, operation({ op: "get", key: "" })],
  [
    "a key with a dot segment",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /segment/,
    operation({ op: "get", key: "a/../b" }),
  ],
  [
    "metadata with white space around it",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /white space/,
    operation({ op: "set", key: "k", value: { text: "a" }, metadata: "m " }),
  ],
  ["no value", "POST", "/v1/batch", 400, "malformed-body", /value/, operation({ op: "set", key: "k" })],
  [
    "two values",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /value: expected one/,
    operation({ op: "set", key: "k", value: { text: "a", json: 1 } }),
  ],
  [
    "what is not base64",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /value\.base64/,
    operation({ op: "set", key: "k", value: { base64: "a" } }),
  ],
  [
    "a negative TTL",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /ttlMs/,
    operation({ op: "touch", key: "k", ttlMs: -1 }),
  ],
  [
    "a TTL of half",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /ttlMs/,
    operation({ op: "touch", key: "k", ttlMs: 0.5 }),
  ],
  [
    "a TTL that overflows",
    "POST",
    "/v1/batch",
    400,
    "malformed-body",
    /ttlMs/,
    operation({ op: "touch", key: "k", ttlMs: 1e300 }),
  ],
  ["a query", "POST", "/v1/batch?x=1", 400, "malformed-query", /x/, operation({ op: "get", key: "k" })],
  [
    "a malformed namespace",
    "POST",
    "/v1/batch",
    400,
    "malformed-namespace",
    /Halo-Namespace/,
    operation({ op: "get", key: "k" }),
    { "Halo-Namespace": "A" },
  ],
  [
    "a malformed level",
    "POST",
    "/v1/batch",
    400,
    "malformed-consistency",
    /fast/,
    operation({ op: "get", key: "k" }),
    { "Halo-Consistency": "fast" },
  ],

  ["not a number", "POST", "/v1/counters/c", 400, "malformed-body", /^by: /, json({ by: "NaN" })],
  ["more than 64 bits", "POST", "/v1/counters/c", 400, "malformed-body", /^by: /, json({ by: "9223372036854775808" })],
  ["a number instead of its text", "POST", "/v1/counters/c", 400, "malformed-body", /^by: /, json({ by: 1 })],
  ["infinity", "POST", "/v1/counters/c", 400, "malformed-body", /^by: /, json({ by: "1e999", float: true })],
  [
    "bounds the wrong way round",
    "POST",
    "/v1/counters/c",
    400,
    "malformed-body",
    /^min: /,
    json({ min: "2", max: "1" }),
  ],
  ["a long number", "POST", "/v1/counters/c", 400, "malformed-body", /^by: /, json({ by: "1".repeat(65) })],
  ["a large body", "POST", "/v1/counters/c", 413, "body-too-large", /65536/, spaces(SMALL_BODY_BYTES_MAX + 1)],
  [
    "a garbled lifetime",
    "POST",
    "/v1/counters/c",
    400,
    "malformed-ttl",
    /max-age/,
    "{}",
    { "Cache-Control": "max-age=x" },
  ],

  ["a large value", "POST", "/v1/append/a", 413, "value-too-large", /1048576/, new Uint8Array(VALUE_BYTES_MAX + 1)],
  [
    "a content coding",
    "POST",
    "/v1/append/a",
    415,
    "unsupported-encoding",
    /coding/,
    "x",
    { "Content-Encoding": "gzip" },
  ],
  [
    "a garbled lifetime",
    "POST",
    "/v1/touch/t",
    400,
    "malformed-ttl",
    /Halo-Sliding-TTL/,
    undefined,
    { "Halo-Sliding-TTL": "0" },
  ],
  ["a long key", "POST", `/v1/touch/${key}`, 414, "key-too-long", /1025/],
  ["a query", "POST", "/v1/touch/t?x", 400, "unexpected-query", /%3F/],

  ["an unknown parameter", "GET", "/v1/scan?prefx=a", 400, "malformed-query", /prefx/],
  ["a parameter twice", "GET", "/v1/scan?prefix=a&prefix=b", 400, "malformed-query", /twice/],
  ["a prefix that is not UTF-8", "GET", "/v1/scan?prefix=%FF", 400, "malformed-query", /UTF-8/],
  ["a limit of nothing", "GET", "/v1/scan?limit=0", 400, "malformed-query", /^limit: .*1 to 1000/],
  ["a limit that is too high", "GET", "/v1/scan?limit=1001", 400, "malformed-query", /^limit: /],
  ["a limit that is no number", "GET", "/v1/scan?limit=1e2", 400, "malformed-query", /^limit: /],
  ["a made-up cursor", "GET", "/v1/scan?cursor=abc", 400, "malformed-cursor", /cursor/],
  ["an endless cursor", "GET", `/v1/scan?cursor=${"a".repeat(5_000)}`, 400, "malformed-cursor", /cursor/],
  [
    "a garbled bookmark",
    "GET",
    "/v1/scan",
    400,
    "malformed-bookmark",
    /bookmark/i,
    undefined,
    { "Halo-Bookmark": "x" },
  ],
  ["a limit", "GET", "/v1/count?limit=1", 400, "malformed-query", /limit/],

  ["no scope", "POST", "/v1/purge", 400, "malformed-body", /expected keys, tags/, "{}"],
  ["a tag with a comma", "POST", "/v1/purge", 400, "malformed-body", /^tags\[0\]/, json({ tags: ["a,b"] })],
  ["an empty prefix", "POST", "/v1/purge", 400, "malformed-body", /^prefixes\[0\]/, json({ prefixes: [""] })],
  ["a long prefix", "POST", "/v1/purge", 400, "malformed-body", /prefixes/, json({ prefixes: [key] })],
  ["all that is false", "POST", "/v1/purge", 400, "malformed-body", /^all/, json({ all: false })],
  ["too many tags", "POST", "/v1/purge", 400, "malformed-body", /^tags/, json({ tags: many.map((_, at) => `t${at}`) })],

  ["no time", "POST", "/v1/locks/l", 400, "malformed-body", /^ttlMs/, "{}"],
  ["too much time", "POST", "/v1/locks/l", 400, "malformed-body", /^ttlMs/, json({ ttlMs: LOCK_TTL_MS_MAX + 1 })],
  ["no token", "PUT", "/v1/locks/l", 400, "malformed-body", /^token/, json({ ttlMs: 1 })],
  ["no token", "DELETE", "/v1/locks/l", 400, "malformed-condition", /Halo-Lock-Token/],
  [
    "a garbled token",
    "DELETE",
    "/v1/locks/l",
    400,
    "malformed-condition",
    /Halo-Lock-Token/,
    undefined,
    { "Halo-Lock-Token": "1e3" },
  ],
  ["no name", "POST", "/v1/locks/", 400, "malformed-key", /empty/, json({ ttlMs: 1 })],

  ["a budget of nothing", "POST", "/v1/limits/l", 400, "malformed-body", /^limit/, json({ limit: 0, windowMs: 1 })],
  [
    "a negative cost",
    "POST",
    "/v1/limits/l",
    400,
    "malformed-body",
    /^cost/,
    json({ limit: 1, windowMs: 1, cost: -1 }),
  ],
  ["a long window", "POST", "/v1/limits/l", 400, "malformed-body", /^windowMs/, json({ limit: 1, windowMs: 1e9 })],
  [
    "an algorithm",
    "POST",
    "/v1/limits/l",
    400,
    "malformed-body",
    /^algorithm/,
    json({ limit: 1, windowMs: 1, algorithm: "x" }),
  ],

  ["nothing to do", "POST", "/v1/transactions", 400, "malformed-body", /then or else/, json({ compare: [] })],
  [
    "an idempotency key inside",
    "POST",
    "/v1/transactions",
    400,
    "malformed-body",
    /^then\[0\].*idempotencyKey/,
    `{"then":[{"op":"delete","key":"a","idempotencyKey":"x"}]}`,
  ],
  [
    "two slots",
    "POST",
    "/v1/transactions",
    400,
    "cross-slot",
    /hash tag/,
    `{"compare":[{"key":"a","ifAbsent":true}],"then":[{"op":"delete","key":"b"}]}`,
  ],
  [
    "a value to compare with that is too long",
    "POST",
    "/v1/transactions",
    400,
    "malformed-condition",
    /^compare\[0\]: ifValue/,
    `{"compare":[{"key":"a","ifValue":{"text":"${"x".repeat(4_097)}"}}],"then":[{"op":"delete","key":"a"}]}`,
  ],
  [
    "more than one entry of the log can hold",
    "POST",
    "/v1/transactions",
    413,
    "body-too-large",
    new RegExp(String(TRANSACTION_BYTES_MAX)),
    `{"then":[${["a", "b"].map((name) => `{"op":"set","key":"{k}${name}","value":{"text":"${"x".repeat(700_000)}"}}`)}]}`,
  ],
  [
    "a large body",
    "POST",
    "/v1/transactions",
    413,
    "body-too-large",
    /2400000/,
    spaces(TRANSACTION_BODY_BYTES_MAX + 1),
  ],
];

describe("what is refused, with what was expected, before anything is asked of a replica", () => {
  test.each(REFUSED)("%s: %s %s: %i %s", async (_name, method, path, status, slug, detail, body, headers = {}) => {
    const { call, port } = setUp();
    for (const kind of ["onBatch", "onScan", "onPurge", "onFill"] as const) {
      port[kind] = () => new Error("a replica was asked");
    }
    const response = await call(method, path, headers, body);
    const found = await problemOf(response);
    expect([response.status, found.type]).toEqual([status, `/problems/${slug}`]);
    expect(found.detail).toMatch(detail);
    expect(port.calls).toEqual([]);
  });

  test("a body of unannounced length is cut off as soon as it is over the limit", async () => {
    const { call } = setUp();
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(SMALL_BODY_BYTES_MAX / 4));
      },
    });
    const response = await call("POST", "/v1/counters/c", {}, endless);
    expect((await problemOf(response)).type).toBe("/problems/body-too-large");
    expect(pulled).toBeLessThan(8);
  });
});

describe("an operation of a batch that cannot be done", () => {
  test.each([
    ["value-too-large", { op: "set", key: "k", value: { text: "x".repeat(VALUE_BYTES_MAX + 1) } }],
    ["malformed-condition", { op: "delete", key: "k", ifValue: { text: "x".repeat(4_097) } }],
    ["malformed-body", { op: "set", key: "k", value: { text: "x" }, slidingMs: 1, ttlMs: 1 }],
    ["malformed-body", { op: "increment", key: "k", by: "one" }],
    ["malformed-body", { op: "set", key: "k", value: { text: "x" }, metadata: "\u20ac" }],
  ])("%s is its own result, and the others are done", async (slug, refused) => {
    const { call, port } = setUp();
    port.onBatch = (_, { operations }) => ({
      status: "ok",
      items: operations.map(() => ({ kind: "entry" })),
      level: "strong",
      clockMs: 0,
      from: { shard: 0, replica: 0, role: "leader", term: 1, index: 1 },
    });
    const response = await call("POST", "/v1/batch", {}, json({ operations: [refused, { op: "get", key: "k" }] }));
    expect(await response.json()).toMatchObject({
      results: [{ problem: slug }, { status: 404, problem: "not-found" }],
    });
  });
});

describe("a value in JSON", () => {
  test("comes back as it was, whatever its bytes are, a byte order mark included", () => {
    for (const bytes of [[], [0xef, 0xbb, 0xbf, 0x41], [0xff, 0x00], [0xe2, 0x82, 0xac]].map((list) =>
      Uint8Array.from(list),
    )) {
      expect(bytesOfValue(valueOfBytes(bytes))).toEqual(bytes);
    }
    const large = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251);
    expect(bytesOfValue(valueOfBytes(large))).toEqual(large);
    expect(new TextDecoder().decode(bytesOfValue({ json: null }))).toBe("null");
  });
});

describe("a cursor", () => {
  const scope = { cluster: "c", namespace: "", prefix: "p" };

  test("is read back, whatever the key is", () => {
    for (const name of ["p", "p.q.r", "päß/\u{1f600}", "p\n", "p".repeat(1_024), "€".repeat(341)]) {
      const position = targetIn("", name);
      expect(decodeCursor(scope, encodeCursor(scope, position))).toEqual({ ok: true, value: position });
    }
    const tenant = { ...scope, namespace: "tenant" };
    const position = targetIn("tenant", "p1");
    expect(decodeCursor(tenant, encodeCursor(tenant, position))).toEqual({ ok: true, value: position });
  });

  test("is of one cluster, namespace and prefix", () => {
    const cursor = encodeCursor(scope, targetIn("", "p1"));
    for (const other of [{ cluster: "d" }, { namespace: "tenant" }, { prefix: "p1" }]) {
      expect(decodeCursor({ ...scope, ...other }, cursor)).toMatchObject({ ok: false });
    }
  });
});
