// The limits of docs/api.md over HTTP, that are not in bad-input.test.ts: one step beyond each is its problem type, and nothing is
// asked of a replica; what only a shard can know is full comes back as what it is.

import { describe, expect, test } from "vitest";
import type { BatchItem, WriteReply } from "../../../../durable/protocol.ts";
import {
  FILL_LEASE_MS_MAX,
  LARGE_VALUE_BYTES_MAX,
  METADATA_BYTES_MAX,
  PURGE_SCOPES_MAX,
  TAG_CHARS_MAX,
  TAGS_MAX,
  TRANSACTION_OPERATIONS_MAX,
  TTL_MS_MAX,
} from "../../../../durable/store/limits.ts";
import { PURGE_KEYS_MAX } from "../../../../worker/api/schemas.ts";
import { IDEMPOTENCY_KEY_CHARS_MAX } from "../../../../worker/routes/idempotency.ts";
import { CONTENT_TYPE_CHARS_MAX } from "../../../../worker/routes/kv-write.ts";
import { PART_RETRIES_MAX } from "../../../../worker/routes/large-value.ts";
import { type Body, problemOf, setUp } from "../fake-edge.ts";
import { from, stored } from "../fake-world.ts";

const TTL_SECONDS_MAX = TTL_MS_MAX / 1_000;
const GET = { op: "get", key: "k" };
const LEASE = { "Halo-Fill": "lease" };
const json = (body: unknown) => JSON.stringify(body);
const list = (count: number, of: (at: number) => unknown = (at) => `x${at}`) =>
  Array.from({ length: count }, (_, at) => of(at));
const tags = (count: number, chars = 1) => list(count, (at) => `${at}`.padStart(chars, "t")).join(", ");
const longType = `a/${"b".repeat(CONTENT_TYPE_CHARS_MAX - 1)}`;

/** Name, request, slug, what the detail says. */
type Refused = [string, string, string, string, RegExp, Record<string, string>, Body?];

const BEYOND: Refused[] = [
  [
    "metadata",
    "PUT",
    "/v1/kv/k",
    "malformed-metadata",
    /4096/,
    { "Halo-Metadata": "m".repeat(METADATA_BYTES_MAX + 1) },
  ],
  ["tags", "PUT", "/v1/kv/k", "malformed-tags", /64/, { "Cache-Tag": tags(TAGS_MAX + 1) }],
  ["a tag", "PUT", "/v1/kv/k", "malformed-tags", /128/, { "Cache-Tag": tags(1, TAG_CHARS_MAX + 1) }],
  ["an empty tag", "PUT", "/v1/kv/k", "malformed-tags", /1 to 128/, { "Cache-Tag": "a,,b" }],
  ["a tag with a space", "PUT", "/v1/kv/k", "malformed-tags", /ASCII/, { "Cache-Tag": "a b" }],
  [
    "a lifetime",
    "PUT",
    "/v1/kv/k",
    "malformed-ttl",
    /315360000/,
    { "Cache-Control": `max-age=${TTL_SECONDS_MAX + 1}` },
  ],
  ["a lifetime that overflows", "PUT", "/v1/kv/k", "malformed-ttl", /max-age/, { "Cache-Control": "max-age=9e99" }],
  ["a negative lifetime", "PUT", "/v1/kv/k", "malformed-ttl", /max-age/, { "Cache-Control": "max-age=-1" }],
  [
    "a sliding lifetime",
    "PUT",
    "/v1/kv/k",
    "malformed-ttl",
    /Sliding/,
    { "Halo-Sliding-TTL": `${TTL_SECONDS_MAX + 1}` },
  ],
  ["a content type", "PUT", "/v1/kv/k", "malformed-content-type", /255/, { "Content-Type": longType }],
  ["a value", "PUT", "/v1/kv/k", "value-too-large", /16777217/, { "Content-Length": `${LARGE_VALUE_BYTES_MAX + 1}` }],
  [
    "an id",
    "PUT",
    "/v1/kv/k",
    "malformed-idempotency-key",
    /255/,
    { "Idempotency-Key": "i".repeat(IDEMPOTENCY_KEY_CHARS_MAX + 1) },
  ],
  [
    "a fill's id",
    "GET",
    "/v1/kv/k",
    "malformed-idempotency-key",
    /255/,
    { ...LEASE, "Idempotency-Key": "i".repeat(IDEMPOTENCY_KEY_CHARS_MAX + 1) },
  ],
  ["a fill's lease", "GET", "/v1/kv/k", "malformed-fill", /60000/, { "Halo-Fill": `lease=${FILL_LEASE_MS_MAX + 1}` }],
  ["a fill's lease of nothing", "GET", "/v1/kv/k", "malformed-fill", /1 to/, { "Halo-Fill": "lease=0" }],
  ["a fill's wait", "GET", "/v1/kv/k", "malformed-fill", /30000/, { ...LEASE, "Halo-Fill-Wait": "30001" }],
  ["a fill's eagerness", "GET", "/v1/kv/k", "malformed-fill", /0 to 100/, { ...LEASE, "Halo-Fill-Early": "101" }],
  ["a fill's token", "PUT", "/v1/kv/k", "malformed-fill", /token/, { "Halo-Fill-Token": "9007199254740993" }],
  ["no token to give back", "DELETE", "/v1/fills/k", "malformed-fill", /Halo-Fill-Token/, {}],
  [
    "a garbled token to give back",
    "DELETE",
    "/v1/fills/k",
    "malformed-fill",
    /Halo-Fill-Token/,
    { "Halo-Fill-Token": "-1" },
  ],
  ["tags in JSON", "POST", "/v1/batch", "malformed-body", /tags/, {}, batch({ tags: list(TAGS_MAX + 1) })],
  [
    "a tag in JSON",
    "POST",
    "/v1/batch",
    "malformed-body",
    /tags/,
    {},
    batch({ tags: ["t".repeat(TAG_CHARS_MAX + 1)] }),
  ],
  [
    "a point in time",
    "POST",
    "/v1/batch",
    "malformed-body",
    /expiresAtMs/,
    {},
    batch({ expiresAtMs: 9_000_000_000_001 }),
  ],
  ["keys of a purge", "POST", "/v1/purge", "malformed-body", /^keys/, {}, json({ keys: list(PURGE_KEYS_MAX + 1) })],
  [
    "tags and prefixes",
    "POST",
    "/v1/purge",
    "malformed-body",
    /at most 100/,
    {},
    json({ tags: list(PURGE_SCOPES_MAX), prefixes: ["p"] }),
  ],
  [
    "operations",
    "POST",
    "/v1/transactions",
    "malformed-body",
    /^then/,
    {},
    transaction(
      [],
      list(TRANSACTION_OPERATIONS_MAX + 1, () => GET),
    ),
  ],
  [
    "comparisons",
    "POST",
    "/v1/transactions",
    "malformed-body",
    /^compare/,
    {},
    transaction(
      list(TRANSACTION_OPERATIONS_MAX + 1, () => ({ key: "k", ifAbsent: true })),
      [GET],
    ),
  ],
];

function transaction(compare: readonly unknown[], operations: readonly unknown[]): string {
  return `{"compare": ${json(compare)}, "then": ${json(operations)}}`;
}

function batch(options: object): string {
  return json({ operations: [{ op: "set", key: "k", value: { text: "v" }, ...options }] });
}

describe("beyond a limit", () => {
  test.each(BEYOND)(
    "%s: %s %s is %s",
    async (_name, method, path, slug, detail, headers, body = method === "PUT" ? "v" : undefined) => {
      const { call, port } = setUp();
      const response = await call(method, path, headers, body);
      expect(await problemOf(response)).toMatchObject({
        type: `/problems/${slug}`,
        detail: expect.stringMatching(detail),
      });
      expect(port.calls).toEqual([]);
    },
  );

  test.each<readonly [string, Record<string, string>]>([
    ["metadata", { "Halo-Metadata": "m".repeat(METADATA_BYTES_MAX) }],
    ["tags", { "Cache-Tag": tags(TAGS_MAX, TAG_CHARS_MAX) }],
    ["a lifetime", { "Cache-Control": `max-age=${TTL_SECONDS_MAX}` }],
    ["a content type", { "Content-Type": longType.slice(0, -1) }],
    ["an id", { "Idempotency-Key": "i".repeat(IDEMPOTENCY_KEY_CHARS_MAX) }],
  ])("%s as long as it may be is accepted", async (_name, headers) => {
    const { call, port } = setUp();
    port.onWrite = () => stored(from(0));
    expect((await call("PUT", "/v1/kv/k", headers, "v")).status).toBe(201);
  });
});

describe("what a shard has no room for", () => {
  const full: WriteReply = { status: "full", reason: "the quota is used up" };
  const tableFull: WriteReply = { status: "ok", outcome: { kind: "table_full" }, from: from(0), clockMs: 1 };
  const large = new Uint8Array(1_500_000);

  test.each<readonly [string, WriteReply, number, string, Body]>([
    ["a value", full, 507, "storage-full", "v"],
    ["a part of a value", full, 507, "storage-full", large],
    ["a value of one namespace more", tableFull, 503, "table-full", "v"],
    ["a part of one namespace more", tableFull, 503, "table-full", large],
    [
      "a value beyond its namespace's limit",
      { status: "invalid", reason: "the limit", code: "value_too_large" },
      413,
      "value-too-large",
      "v",
    ],
    [
      "a part beyond its namespace's limit, by a replica of before it said so",
      { status: "invalid", reason: "the limit" },
      400,
      "refused-by-replica",
      large,
    ],
    ["a part that is shed", { status: "overloaded", retryAfterMs: 1 }, 503, "overloaded", large],
  ])("%s is refused as that", async (_name, reply, status, slug, body) => {
    const { call, port, clock } = setUp();
    port.onWrite = () => reply;
    const answered = call("PUT", "/v1/kv/k", {}, body);
    // As long as a part that is shed is sent again.
    await clock.advance(PART_RETRIES_MAX);
    const response = await answered;
    expect([response.status, (await problemOf(response)).type]).toEqual([status, `/problems/${slug}`]);
  });

  test("an item of a batch is refused by itself", async () => {
    const { call, port } = setUp();
    const items: BatchItem[] = [
      { kind: "full", reason: "the quota is used up" },
      { kind: "invalid", reason: "the limit", code: "value_too_large" },
      { kind: "outcome", outcome: { kind: "table_full" } },
      { kind: "outcome", outcome: { kind: "stored", version: 1, created: true } },
    ];
    port.onBatch = () => ({ status: "ok", items, level: "strong", clockMs: 1, from: from(0) });
    const operations = ["a", "b", "c", "d"].map((key) => ({ op: "set", key, value: { text: "v" } }));
    const reply = await call("POST", "/v1/batch", {}, json({ operations }));
    expect(await reply.json()).toMatchObject({
      results: [
        { status: 507, problem: "storage-full" },
        { status: 413, problem: "value-too-large" },
        { status: 503, problem: "table-full" },
        { status: 201 },
      ],
    });
  });

  test("a purge is told shard by shard", async () => {
    const { call, port } = setUp();
    port.onPurge = () => ({ status: "ok", outcomes: [{ kind: "table_full" }], from: from(0) });
    const reply = await call("POST", "/v1/purge", {}, json({ tags: ["t"] }));
    expect(await problemOf(reply)).toMatchObject({
      type: "/problems/purge-incomplete",
      shards: [{ shard: 0, status: "table-full" }],
    });
  });

  test("a fill is shed, to come again", async () => {
    const { call, port } = setUp();
    port.onFill = () => ({ status: "overloaded", retryAfterMs: 1_000 });
    const reply = await call("GET", "/v1/kv/k", LEASE);
    expect([reply.status, reply.headers.get("Retry-After")]).toEqual([503, "1"]);
  });
});
