import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { decodeBatch, encodeBatch } from "../../../durable/store/codec.ts";
import type { Mutation } from "../../../durable/store/command.ts";
import { partKey, storedKey, systemKey } from "../../../durable/store/keyspace.ts";
import {
  CONDITION_VERSIONS_MAX,
  CONTENT_TYPE_BYTES_MAX,
  EXPECTED_VALUE_BYTES_MAX,
  FILL_LEASE_MS_MAX,
  FINGERPRINT_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  KEY_BYTES_MAX,
  LARGE_VALUE_BYTES_MAX,
  LIMIT_MAX,
  LIMIT_WINDOW_MS_MAX,
  METADATA_BYTES_MAX,
  PART_BYTES_MAX,
  PARTS_MAX,
  RECLAIM_ROWS_MAX,
  TAG_CHARS_MAX,
  TAGS_MAX,
  TIME_MS_MAX,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  TTL_MS_MAX,
  UPLOAD_CHARS_MAX,
  VALUE_BYTES_MAX,
} from "../../../durable/store/limits.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { utf8Length, validateMutation } from "../../../durable/store/validate.ts";
import { anyMutations, strangeMutations } from "./arbitraries.ts";
import { CheckpointTable } from "./checkpoint-table.ts";
import {
  append,
  beginFill,
  increment,
  limit,
  prefix,
  purge,
  put,
  releaseFill,
  remove,
  SLOT,
  stage,
  tag,
  touch,
  transaction,
} from "./one-shard.ts";

// Seconds of work, beside whatever else the machine does.
vi.setConfig({ testTimeout: 60_000 });

type Fields = Record<string, unknown>;

/** As it may arrive from an edge that runs other code than its types say. */
function untyped(mutation: Mutation, fields: Fields): Mutation {
  return { ...mutation, ...fields } as unknown as Mutation;
}

const PUT = put("k", "1");
const PARTS = { upload: "u-1", count: 1, bytes: 1 };
const GET = { kind: "get", slot: SLOT, key: "k" } as const;
const LONGEST_NAMESPACE = "n".repeat(64);
const LONGEST_KEY = "é".repeat(KEY_BYTES_MAX / 2);

describe("validateMutation", () => {
  it("accepts every mutation that keeps the limits", () => {
    fc.assert(
      fc.property(fc.oneof(anyMutations, strangeMutations), (mutation) => {
        expect(validateMutation(mutation)).toBeUndefined();
      }),
    );
  });

  it.each<[string, Mutation, Fields]>([
    ["a key of the most bytes", PUT, { key: LONGEST_KEY }],
    ["the same in the longest namespace", PUT, { key: storedKey(LONGEST_NAMESPACE, LONGEST_KEY) }],
    ["a limit of the longest name", limit("l"), { key: systemKey("limit", LONGEST_NAMESPACE, LONGEST_KEY) }],
    ["a lock of the longest name", PUT, { key: systemKey("lock", LONGEST_NAMESPACE, LONGEST_KEY) }],
    ["the delete of a limit", remove("l"), { key: systemKey("limit", "", "l") }],
    ["a value of the most bytes", PUT, { value: new Uint8Array(VALUE_BYTES_MAX) }],
    ["an empty value", PUT, { value: new Uint8Array(0) }],
    ["a content type of the most characters", PUT, { contentType: "t".repeat(CONTENT_TYPE_BYTES_MAX) }],
    ["the longest ttl", PUT, { ttlMs: TTL_MS_MAX }],
    ["a ttl of 0", PUT, { ttlMs: 0 }],
    ["the latest expiry", PUT, { expiresAtMs: TIME_MS_MAX, staleIfErrorMs: TTL_MS_MAX }],
    ["the longest sliding time", PUT, { slidingMs: TTL_MS_MAX }],
    ["the most versions", PUT, { ifMatch: new Array(CONDITION_VERSIONS_MAX).fill(1) }],
    ["the longest value to compare with", PUT, { ifValue: new Uint8Array(EXPECTED_VALUE_BYTES_MAX) }],
    ["the longest metadata", PUT, { metadata: "ÿ".repeat(METADATA_BYTES_MAX) }],
    ["the most and longest tags", PUT, { tags: new Array(TAGS_MAX).fill("t".repeat(TAG_CHARS_MAX)) }],
    [
      "the longest idempotency key and fingerprint",
      PUT,
      { idempotency: { id: "i".repeat(IDEMPOTENCY_KEY_BYTES_MAX), fingerprint: "f".repeat(FINGERPRINT_BYTES_MAX) } },
    ],
    [
      "the largest value in parts",
      put("k", ""),
      { parts: { upload: "u".repeat(UPLOAD_CHARS_MAX), count: PARTS_MAX, bytes: LARGE_VALUE_BYTES_MAX } },
    ],
    ["the last part", stage("k", "u", PARTS_MAX - 1, "1"), { value: new Uint8Array(PART_BYTES_MAX) }],
    ["the longest lease", beginFill("k", FILL_LEASE_MS_MAX), {}],
    ["the largest limit", limit("l", { limit: LIMIT_MAX, cost: LIMIT_MAX, windowMs: LIMIT_WINDOW_MS_MAX }), {}],
    ["the ends of 64 bits", increment("k", "9223372036854775807", { min: "-9223372036854775808" }), {}],
    ["equal bounds", increment("k", "1", { min: "5", max: "5" }), {}],
    ["any finite number where floats are asked for", increment("k", "-1.5e-300", { isFloat: true }), {}],
    [
      "the most operations",
      transaction({ compare: new Array(TRANSACTION_OPERATIONS_MAX).fill({ slot: SLOT, key: "k" }) }),
      {},
    ],
    ["a purge of a whole namespace", purge(prefix("", LONGEST_NAMESPACE)), {}],
    ["a purge of the longest prefix", purge(prefix(LONGEST_KEY)), {}],
    ["a purge of the longest tag", purge(tag("t".repeat(TAG_CHARS_MAX), "ns")), {}],
    [
      "the most rows to reclaim",
      { kind: "reclaim", rows: new Array(RECLAIM_ROWS_MAX).fill({ slot: 1, key: partKey("k", "u", 0), version: 1 }) },
      {},
    ],
  ])("accepts %s", (_what, mutation, fields) => {
    expect(validateMutation(untyped(mutation, fields))).toBeUndefined();
  });

  it.each<[string, Mutation, Fields, string]>([
    ["an unknown kind", PUT, { kind: "intent" }, 'kind: expected one that this replica knows, got "intent"'],
    ["a kind that is an object", PUT, { kind: {} }, "kind: expected one that this replica knows, got object"],
    ["a negative slot", PUT, { slot: -1 }, "slot: expected a whole number"],
    ["a slot of minus zero", PUT, { slot: -0 }, "slot: expected a whole number"],
    ["an empty key", PUT, { key: "" }, "key: expected 1 to 1024 bytes of UTF-8, got 0"],
    ["an empty key in a namespace", PUT, { key: storedKey("ns", "") }, "key: expected 1 to 1024 bytes of UTF-8, got 0"],
    ["a key too long in bytes", PUT, { key: "€".repeat(342) }, "key: expected 1 to 1024 bytes of UTF-8, got 1026"],
    [
      "the same in a namespace",
      PUT,
      { key: storedKey("ns", "€".repeat(342)) },
      "key: expected 1 to 1024 bytes of UTF-8, got 1026",
    ],
    ["a lone surrogate in a key", PUT, { key: "a\ud800" }, "key: expected well-formed Unicode text"],
    ["a key that is bytes", PUT, { key: new Uint8Array(1) }, "key: expected well-formed Unicode text"],
    ["half of a namespace", PUT, { key: "\u0001ns" }, "key: expected a namespace between its marks"],
    [
      "a put to a limit",
      PUT,
      { key: systemKey("limit", "", "l") },
      "key: expected one of kind value, lock, audit for put",
    ],
    ["a put to a part", PUT, { key: partKey("k", "u", 0) }, "key: expected a namespace between its marks"],
    ["a limit on a value", limit("l"), { key: "k" }, "key: expected one of kind limit, quota for limit"],
    [
      "an increment of a lock",
      increment("k", "1"),
      { key: systemKey("lock", "", "l") },
      "key: expected one of kind value",
    ],
    ["an append to a limit", append("k", "1"), { key: systemKey("limit", "", "l") }, "key: expected one of kind value"],
    ["a fill of a lock", beginFill("k"), { key: systemKey("lock", "", "l") }, "key: expected one of kind value"],
    [
      "a part of a lock",
      stage("k", "u", 0, "1"),
      { key: systemKey("lock", "", "l") },
      "key: expected one of kind value",
    ],
    ["a value that is text", PUT, { value: "text" }, "value: expected bytes"],
    [
      "a value that is too large",
      PUT,
      { value: new Uint8Array(VALUE_BYTES_MAX + 1) },
      "value: expected at most 1048576",
    ],
    ["a content type that is too long", PUT, { contentType: "t".repeat(256) }, "contentType: expected at most 255"],
    ["a line break in a content type", PUT, { contentType: "a\r\nb: c" }, "contentType: expected"],
    ["a negative ttl", PUT, { ttlMs: -1 }, "ttlMs: expected a whole number from 0 to"],
    ["a fractional ttl", PUT, { ttlMs: 0.5 }, "ttlMs: expected a whole number from 0 to"],
    [
      "a ttl that is no number",
      PUT,
      { ttlMs: Number.NaN },
      "ttlMs: expected a whole number from 0 to 315360000000, got NaN",
    ],
    ["an endless ttl", PUT, { ttlMs: Number.POSITIVE_INFINITY }, "got Infinity"],
    ["a ttl that is a bigint", PUT, { ttlMs: 5n }, "ttlMs: expected a whole number"],
    ["a ttl that is null", PUT, { ttlMs: null }, "ttlMs: expected a whole number"],
    ["a ttl that is too long", PUT, { ttlMs: TTL_MS_MAX + 1 }, "ttlMs: expected a whole number from 0 to"],
    [
      "an expiry that is too late",
      PUT,
      { expiresAtMs: TIME_MS_MAX + 1 },
      "expiresAtMs: expected a whole number from 0 to",
    ],
    ["a window without a time before it", PUT, { staleIfErrorMs: 5 }, "expected a time after which it is stale"],
    [
      "a window that is too long",
      PUT,
      { ttlMs: 1, staleWhileRevalidateMs: TTL_MS_MAX + 1 },
      "staleWhileRevalidateMs: expected",
    ],
    ["a sliding time beside another", PUT, { ttlMs: 1, slidingMs: 1 }, "slidingMs: expected no other time"],
    ["a sliding time of 0", PUT, { slidingMs: 0 }, "slidingMs: expected a whole number from 1"],
    ["versions that are text", PUT, { ifMatch: ["1"] }, 'ifMatch: expected "any" or a list of versions'],
    ["versions with a hole", PUT, { ifMatch: new Array(2) }, 'ifMatch: expected "any" or a list of versions'],
    [
      "too many versions",
      PUT,
      { ifNoneMatch: new Array(65).fill(1) },
      "ifNoneMatch: expected at most 64 versions, got 65",
    ],
    [
      "a value to compare with that is too long",
      PUT,
      { ifValue: new Uint8Array(4097) },
      "ifValue: expected at most 4096 bytes",
    ],
    ["a source version below 0", PUT, { sourceVersion: -1 }, "sourceVersion: expected a whole number"],
    [
      "an empty idempotency key",
      PUT,
      { idempotency: { id: "", fingerprint: "f" } },
      "idempotency id: expected 1 to 255",
    ],
    [
      "an idempotency key too long",
      PUT,
      { idempotency: { id: "i".repeat(256), fingerprint: "f" } },
      "idempotency id: expected 1 to 255",
    ],
    ["an empty fingerprint", PUT, { idempotency: { id: "i", fingerprint: "" } }, "fingerprint: expected 1 to 128"],
    ["an idempotency key that is null", PUT, { idempotency: null }, "idempotency: expected an id and a fingerprint"],
    ["metadata that is too long", PUT, { metadata: "m".repeat(4097) }, "metadata: expected at most 4096 characters"],
    ["a line break in metadata", PUT, { metadata: "a\nb" }, "metadata: expected"],
    ["too many tags", PUT, { tags: new Array(65).fill("t") }, "tags: expected a list of at most 64"],
    ["a tag that is too long", PUT, { tags: ["t".repeat(129)] }, "tags: expected 1 to 128 visible ASCII characters"],
    ["an empty tag", PUT, { tags: [""] }, "tags: expected 1 to 128"],
    ["a comma in a tag", PUT, { tags: ["a,b"] }, "without commas"],
    ["a tag that is not ASCII", PUT, { tags: ["ä"] }, "visible ASCII"],
    ["tags with a hole", PUT, { tags: new Array(1) }, "tags: expected 1 to 128"],
    ["a token of 0", PUT, { fillToken: 0 }, "fillToken: expected a whole number from 1"],
    ["a flag that is text", PUT, { returnPrevious: "yes" }, "returnPrevious: expected a boolean"],
    ["parts beside a value", PUT, { parts: PARTS }, "value: expected none beside parts"],
    ["parts that are null", PUT, { parts: null }, "parts: expected an upload"],
    [
      "too many parts",
      put("k", ""),
      { parts: { ...PARTS, count: 17 } },
      "parts.count: expected a whole number from 1 to 16",
    ],
    [
      "a value too large in parts",
      put("k", ""),
      { parts: { ...PARTS, bytes: LARGE_VALUE_BYTES_MAX + 1 } },
      "parts.bytes: expected",
    ],
    [
      "a mark in an upload",
      put("k", ""),
      { parts: { ...PARTS, upload: "a\u0001b" } },
      "upload: expected 1 to 36 letters",
    ],
    ["an upload that is too long", stage("k", "u".repeat(37), 0, "1"), {}, "upload: expected 1 to 36 letters"],
    ["a part beyond the last", stage("k", "u", PARTS_MAX, "1"), {}, "part: expected a whole number from 0 to 15"],
    [
      "a part that is too large",
      stage("k", "u", 0, "1"),
      { value: new Uint8Array(PART_BYTES_MAX + 1) },
      "value: expected at most",
    ],
    ["an access with a time", touch("k", { isAccess: true, ttlMs: 5 }), {}, "isAccess: expected no time beside it"],
    ["a soft purge with a time", touch("k", { softens: true, ttlMs: 5 }), {}, "softens: expected no time beside it"],
    ["a soft purge that is an access", touch("k", { softens: true, isAccess: true }), {}, "isAccess: expected no"],
    ["a touch with half a time", touch("k"), { ttlMs: 0.5 }, "ttlMs: expected"],
    ["a lease whose holder has no name", beginFill("k"), { holder: "" }, "holder: expected 1 to 255 characters"],
    ["a lease whose holder has a long name", beginFill("k"), { holder: "h".repeat(256) }, "holder: expected 1 to 255"],
    ["a right given back without a token", releaseFill("k", 0), {}, "token: expected a whole number from 1 to"],
    [
      "a right given back on a condition",
      releaseFill("k", 1),
      { ifMatch: [1] },
      "release_fill: expected no conditions",
    ],
    ["a lease without a time", beginFill("k"), { leaseMs: 0 }, "leaseMs: expected a whole number from 1 to 60000"],
    [
      "a lease that is too long",
      beginFill("k", FILL_LEASE_MS_MAX + 1),
      {},
      "leaseMs: expected a whole number from 1 to 60000",
    ],
    ["a condition of a fill", beginFill("k"), { ifMatch: "any" }, "begin_fill: expected no conditions"],
    ["a condition of a limit", limit("l"), { sourceVersion: 1 }, "limit: expected no conditions"],
    ["a condition of a part", stage("k", "u", 0, "1"), { ifNoneMatch: [1] }, "stage: expected no conditions"],
    [
      "a condition beside a transaction's own",
      transaction(),
      { ifValue: new Uint8Array(1) },
      "transaction: expected no conditions",
    ],
    ["an increment by nothing", increment("k", "1"), { by: undefined }, "by: expected decimal text"],
    ["an increment by a number", increment("k", "1"), { by: 1 }, "by: expected the decimal text of a 64-bit integer"],
    [
      "an increment by too much",
      increment("k", "9223372036854775808"),
      {},
      "by: expected the decimal text of a 64-bit integer",
    ],
    ["an increment by a fraction", increment("k", "0.5"), {}, "by: expected the decimal text of a 64-bit integer"],
    [
      "an increment by NaN",
      increment("k", "NaN", { isFloat: true }),
      {},
      "by: expected the decimal text of a finite number",
    ],
    [
      "an increment by infinity",
      increment("k", "1e309", { isFloat: true }),
      {},
      "by: expected the decimal text of a finite number",
    ],
    ["a start that is no number", increment("k", "1", { initial: "x" }), {}, "initial: expected"],
    ["bounds in the wrong order", increment("k", "1", { min: "2", max: "1" }), {}, "min: expected no more than max"],
    [
      "floats in the wrong order",
      increment("k", "1", { min: "2e1", max: "1e1", isFloat: true }),
      {},
      "min: expected no more than max",
    ],
    ["a clamp that is text", increment("k", "1"), { clamps: "yes" }, "clamps: expected a boolean"],
    [
      "an unknown algorithm",
      limit("l"),
      { algorithm: "leaky_bucket" },
      'algorithm: expected "fixed_window" or "sliding_window"',
    ],
    ["a limit of 0", limit("l", { limit: 0 }), {}, "limit: expected a whole number from 1"],
    ["a limit that is too high", limit("l", { limit: LIMIT_MAX + 1 }), {}, "limit: expected a whole number from 1"],
    ["a window of 0", limit("l", { windowMs: 0 }), {}, "windowMs: expected a whole number from 1"],
    ["a window that is too long", limit("l", { windowMs: LIMIT_WINDOW_MS_MAX + 1 }), {}, "windowMs: expected"],
    ["a negative cost", limit("l", { cost: -1 }), {}, "cost: expected a whole number from 0"],
    [
      "too many operations",
      transaction({ onFailure: new Array(65).fill(GET) }),
      {},
      "onFailure: expected a list of at most 64",
    ],
    [
      "too many comparisons",
      transaction({ compare: new Array(65).fill(GET) }),
      {},
      "compare: expected a list of at most 64",
    ],
    ["operations that are no list", transaction(), { onSuccess: {} }, "onSuccess: expected a list"],
    [
      "operations with a hole",
      transaction(),
      { onSuccess: new Array(1) },
      "transaction: expected objects in its lists",
    ],
    ["a comparison that is null", transaction(), { compare: [null] }, "transaction: expected objects in its lists"],
    [
      "another slot",
      transaction({ onSuccess: [{ ...GET, slot: 8 }] }),
      {},
      "transaction: expected all keys in one slot",
    ],
    [
      "a bad key in a comparison",
      transaction({ compare: [{ slot: SLOT, key: "" }] }),
      {},
      "key: expected 1 to 1024 bytes",
    ],
    [
      "a transaction in a transaction",
      transaction(),
      { onSuccess: [transaction()] },
      'expected no "transaction" in it',
    ],
    ["a limit in a transaction", transaction(), { onSuccess: [{ ...limit("l") }] }, 'expected no "limit" in it'],
    [
      "a fill in a transaction",
      transaction({ onSuccess: [put("k", "1", { fillToken: 1 })] }),
      {},
      "transaction: expected no fill in it",
    ],
    [
      "an idempotency key of one operation",
      transaction({ onSuccess: [put("k", "1", { idempotency: { id: "i", fingerprint: "f" } })] }),
      {},
      "transaction: expected an idempotency key for the whole only",
    ],
    ["a bad operation", transaction({ onFailure: [touch("k", { slidingMs: 0 })] }), {}, "slidingMs: expected"],
    [
      "too many bytes in a transaction",
      transaction({
        onSuccess: [
          put("k", "", { value: new Uint8Array(TRANSACTION_BYTES_MAX - VALUE_BYTES_MAX) }),
          put("l", "", { value: new Uint8Array(VALUE_BYTES_MAX) }),
        ],
      }),
      {},
      "transaction: expected at most 1200000 bytes, got about",
    ],
    [
      "a purge of an unknown scope",
      purge(tag("t")),
      { scope: { kind: "all" } },
      'scope: expected one of kind "tag" or "prefix"',
    ],
    ["a purge of nothing", purge(tag("t")), { scope: null }, "scope: expected"],
    ["a purge of a bad namespace", purge(prefix("", "A B")), {}, "namespace: expected lower-case letters"],
    ["a purge of a bad tag", purge(tag("a,b")), {}, "tag: expected 1 to 128"],
    [
      "a purge of a prefix that is too long",
      purge(prefix(`${LONGEST_KEY}a`)),
      {},
      "prefix: expected 0 to 1024 bytes of UTF-8, got 1025",
    ],
    ["a lone surrogate in a prefix", purge(prefix("\udfff")), {}, "prefix: expected well-formed Unicode text"],
    ["a purge that is neither soft nor hard", purge(tag("t")), { isSoft: undefined }, "isSoft: expected a boolean"],
    [
      "too many rows",
      { kind: "reclaim", rows: new Array(RECLAIM_ROWS_MAX + 1).fill({ slot: 1, key: "k", version: 1 }) },
      {},
      "rows: expected a list of at most 1000",
    ],
    [
      "rows with a hole",
      { kind: "reclaim", rows: new Array(1) },
      {},
      "rows: expected a slot, a key and a version in each",
    ],
    ["a softening that is text", { kind: "reclaim", rows: [] }, { softens: "yes" }, "softens: expected a boolean"],
    ["an eviction that is text", { kind: "reclaim", rows: [] }, { evicts: "yes" }, "evicts: expected a boolean"],
    [
      "a revision that is no number",
      { kind: "forget_purges", revision: 1 },
      { revision: "1" },
      "revision: expected a whole number",
    ],
  ])("refuses %s and says what was expected", (_what, mutation, fields, expected) => {
    expect(validateMutation(untyped(mutation, fields))).toContain(expected);
  });

  it("answers in a short and well-formed message whatever was sent", () => {
    const problem = validateMutation(untyped(PUT, { kind: `\ud800${"x".repeat(10_000)}` }));
    expect(problem?.isWellFormed()).toBe(true);
    expect(problem?.length).toBeLessThan(200);
  });

  it.each([undefined, null, 5, "put", [], Symbol("put")])("refuses %s, which is no mutation at all", (what) => {
    expect(validateMutation(what as unknown as Mutation)).toEqual(expect.any(String));
  });
});

/** What structured clone can bring in place of a field. */
const strangers = fc.constantFrom<unknown>(
  null,
  undefined,
  "",
  "a",
  "any",
  "\ud800",
  "\u0001x",
  "\u0002part\u0001u\u00010\u0001a",
  Number.NaN,
  -0,
  -1,
  0,
  0.5,
  1,
  2 ** 53,
  Number.POSITIVE_INFINITY,
  1n,
  true,
  false,
  {},
  [],
  new Array(2),
  [null],
  [undefined, 1],
  ["a"],
  new Uint8Array(2),
  new Date(0),
  new Map([["a", 1]]),
);

/** The mutation with one of its fields, however deep, replaced or added. */
const damaged = fc
  .tuple(fc.oneof(anyMutations, strangeMutations), fc.infiniteStream(fc.nat()), strangers, fc.boolean())
  .map(([mutation, choices, stranger, goesDeep]) => damagedAt(mutation, choices, stranger, goesDeep) as Mutation);

function damagedAt(value: unknown, choices: Iterator<number>, stranger: unknown, goesDeep: boolean): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return stranger;
  const names = Object.keys(value);
  const name = names[choices.next().value % Math.max(1, names.length)];
  if (name === undefined) return stranger;
  const field = (value as Record<string, unknown>)[name];
  const isDeeper = goesDeep && typeof field === "object" && field !== null;
  const replaced = isDeeper ? damagedAt(field, choices, stranger, goesDeep) : stranger;
  if (!Array.isArray(value)) return { ...value, [name]: replaced };
  const copy = [...value];
  copy[Number(name)] = replaced;
  return copy;
}

describe("whatever arrives", () => {
  it("is refused, or is applied alike by the leader, who has the object, and the followers, who have its bytes", () => {
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(fc.array(damaged, { minLength: 1, maxLength: 4 }), (all) => {
        const valid = all.filter((mutation) => validateMutation(mutation) === undefined);
        accepted += valid.length;
        refused += all.length - valid.length;
        const batch = { stampMs: 1_000, mutations: valid };
        const [leader, follower] = [0, 1].map(() => new Store(new CheckpointTable(), EMPTY_STORE_STATE));
        const outcomes = leader?.apply(batch);
        expect(follower?.apply(decodeBatch(encodeBatch(batch)))).toEqual(outcomes);
        expect(follower?.state).toEqual(leader?.state);
        const delta = leader?.checkpointDelta();
        expect(follower?.checkpointDelta()).toEqual(delta);
      }),
      { numRuns: 1_000 },
    );
    expect(Math.min(accepted, refused)).toBeGreaterThan(50);
  });
});

describe("utf8Length", () => {
  it("counts the bytes that an encoder writes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).byteLength);
      }),
    );
  });
});
