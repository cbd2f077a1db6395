import { decode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import type { Mutation, PutMutation, SlotMutation } from "../../../durable/store/command.ts";
import { encodeFrame, MalformedBytesError, UnknownCodecVersionError } from "../../../durable/store/framing.ts";
import { mutationFromWire, mutationToWire } from "../../../durable/store/mutation-codec.ts";
import { beginFill, prefix, purge, put, tag, transaction } from "./one-shard.ts";

const K = { slot: 5, key: "k" };
const V = Uint8Array.of(9);
const FULL_HEADER = {
  ifMatch: [1, 2],
  ifNoneMatch: "any" as const,
  idempotency: { id: "i", fingerprint: "f" },
  ifValue: Uint8Array.of(8),
  sourceVersion: 3,
};
const FULL_HEADER_WIRE = [[1, 2], true, "i", "f", Uint8Array.of(8), 3];
const WINDOWS = { ttlMs: 1, expiresAtMs: 2, staleWhileRevalidateMs: 3, staleIfErrorMs: 4, slidingMs: 5 };
const PUT: PutMutation = { kind: "put", ...K, value: V, contentType: "a/b" };

/**
 * Logs in the field hold these arrays: a change here needs a reader for both. New kinds and fields may be added, at the end.
 */
const GOLDEN: readonly (readonly [string, Exclude<Mutation, SlotMutation>, readonly unknown[]])[] = [
  ["a plain put", PUT, [0, 5, "k", null, V, "a/b"]],
  [
    "a put with everything",
    {
      ...PUT,
      ...FULL_HEADER,
      ...WINDOWS,
      parts: { upload: "u", count: 2, bytes: 7 },
      metadata: "m",
      tags: ["t", "v"],
      fillToken: 6,
      returnPrevious: true,
    },
    [0, 5, "k", FULL_HEADER_WIRE, V, "a/b", [1, 2, 3, 4, 5], ["u", 2, 7], "m", ["t", "v"], 6, true],
  ],
  ["a plain delete", { kind: "delete", ...K }, [1, 5, "k"]],
  [
    "a delete with everything",
    { kind: "delete", ...K, ...FULL_HEADER, returnPrevious: true },
    [1, 5, "k", FULL_HEADER_WIRE, true],
  ],
  ["a plain touch", { kind: "touch", ...K }, [2, 5, "k"]],
  ["an access", { kind: "touch", ...K, isAccess: true }, [2, 5, "k", null, null, true]],
  ["a soft purge of a key", { kind: "touch", ...K, softens: true }, [2, 5, "k", null, null, null, true]],
  ["a touch with a time", { kind: "touch", ...K, slidingMs: 5 }, [2, 5, "k", null, [null, null, null, null, 5]]],
  ["a plain increment", { kind: "increment", ...K, by: "1" }, [3, 5, "k", null, "1"]],
  [
    "an increment with everything",
    { kind: "increment", ...K, by: "1", isFloat: true, initial: "2", min: "3", max: "4", clamps: true, ttlMs: 5 },
    [3, 5, "k", null, "1", true, "2", "3", "4", true, [5]],
  ],
  ["an append", { kind: "append", ...K, value: V, contentType: "a/b", ttlMs: 1 }, [4, 5, "k", null, V, "a/b", [1]]],
  ["a part", { kind: "stage", ...K, upload: "u", part: 1, value: V }, [5, 5, "k", null, "u", 1, V]],
  ["a fill", { kind: "begin_fill", ...K, leaseMs: 9, isEarly: true }, [6, 5, "k", null, 9, true]],
  ["a fill by somebody", { kind: "begin_fill", ...K, leaseMs: 9, holder: "h" }, [6, 5, "k", null, 9, null, "h"]],
  ["a fill given back", { kind: "release_fill", ...K, token: 4 }, [13, 5, "k", null, 4]],
  [
    "a fixed window",
    { kind: "limit", ...K, limit: 1, windowMs: 2, cost: 3, algorithm: "fixed_window" },
    [7, 5, "k", null, 1, 2, 3, 0],
  ],
  [
    "a sliding window",
    { kind: "limit", ...K, limit: 1, windowMs: 2, cost: 3, algorithm: "sliding_window" },
    [7, 5, "k", null, 1, 2, 3, 1],
  ],
  [
    "a transaction",
    {
      kind: "transaction",
      ...K,
      compare: [K, { ...K, ifMatch: "any", sourceVersion: 2 }],
      onSuccess: [{ kind: "get", ...K }, PUT],
      onFailure: [{ kind: "delete", ...K }],
    },
    [
      8,
      5,
      "k",
      null,
      [
        [5, "k"],
        [5, "k", [true, null, null, null, null, 2]],
      ],
      [
        [12, 5, "k"],
        [0, 5, "k", null, V, "a/b"],
      ],
      [[1, 5, "k"]],
    ],
  ],
  ["a purge of a tag", purge(tag("t", "ns")), [9, 0, "ns", "t", false]],
  ["a soft purge of a prefix", purge(prefix("\ufeffp"), true), [9, 1, "", "\u0000\ufeffp", true]],
  ["a reclaim", { kind: "reclaim", rows: [{ ...K, version: 4 }] }, [10, [[5, "k", 4]]]],
  ["an eviction", { kind: "reclaim", rows: [{ ...K, version: 4 }], evicts: true }, [10, [[5, "k", 4]], true]],
  ["a softening", { kind: "reclaim", rows: [{ ...K, version: 4 }], softens: true }, [10, [[5, "k", 4]], null, true]],
  ["a forgetting", { kind: "forget_purges", revision: 4 }, [11, 4]],
];

/** As the decoder hands it over: absent fields are null. */
function throughBytes(wire: readonly unknown[]): unknown {
  return decode(encodeFrame(1, wire).subarray(1));
}

function errorOf(wire: unknown): unknown {
  try {
    mutationFromWire(wire);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each(GOLDEN)("%s", (_what, mutation, wire) => {
  it("stays what it was on the wire, and is read back whole", () => {
    expect(throughBytes(mutationToWire(mutation))).toEqual(wire);
    expect(mutationFromWire(wire)).toEqual(mutation);
  });

  it("is refused as newer with a field more than this code knows", () => {
    // The longest form of its kind, and one field behind.
    const longest = Math.max(
      ...GOLDEN.filter(([, , other]) => other[0] === wire[0]).map(([, , other]) => other.length),
    );
    const longer = [...wire, ...new Array(longest - wire.length).fill(null), "new"];
    expect(errorOf(longer)).toBeInstanceOf(UnknownCodecVersionError);
  });

  it("is malformed where any of its fields is of another type", () => {
    for (const at of wire.keys()) {
      const damaged = wire.map((field, index) => (index === at ? { not: "this" } : field));
      expect(errorOf(damaged)).toBeInstanceOf(MalformedBytesError);
    }
  });
});

describe("every kind", () => {
  it("has its bytes written down here", () => {
    const numbers = new Set(GOLDEN.map(([, , wire]) => wire[0]));
    // 12 is a get, which is an operation of a transaction only.
    expect([...numbers].sort((a, b) => Number(a) - Number(b))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13]);
    expect(errorOf([12, 5, "k"])).toBeInstanceOf(UnknownCodecVersionError);
  });
});

describe("flags that are false", () => {
  it("are written as absent, so that leader and follower read the same", () => {
    const told = { ...PUT, returnPrevious: false };
    expect(mutationToWire(told)).toEqual(mutationToWire(PUT));
    expect(mutationToWire({ ...beginFill("k"), isEarly: false })).toEqual(mutationToWire(beginFill("k")));
  });
});

describe("what only newer or damaged bytes say", () => {
  it.each<[string, unknown]>([
    ["an algorithm", [7, 5, "k", null, 1, 2, 3, 2]],
    ["a scope", [9, 2, "", "t", false]],
    ["a field of a header", [1, 5, "k", [null, null, null, null, null, null, "new"]]],
    ["a field of a lifetime", [2, 5, "k", null, [1, null, null, null, null, "new"]]],
    ["a field of parts", [0, 5, "k", null, V, "", null, ["u", 1, 1, "new"]]],
    ["a field of a row", [10, [[5, "k", 1, "new"]]]],
    ["a field of a comparison", [8, 5, "k", null, [[5, "k", null, "new"]], [], []]],
    ["a field of a get", [8, 5, "k", null, [], [[12, 5, "k", "new"]], []]],
    ["a kind of operation", [8, 5, "k", null, [], [[99, 5, "k"]], []]],
    ["a kind of mutation", [99, 5, "k"]],
  ])("is refused as newer: %s", (_what, wire) => {
    expect(errorOf(wire)).toBeInstanceOf(UnknownCodecVersionError);
  });

  it.each<[string, unknown]>([
    ["a flag that is false", [1, 5, "k", null, false]],
    ["an idempotency key without a fingerprint", [1, 5, "k", [null, null, "i"]]],
    ["a condition that is false", [1, 5, "k", [false]]],
    ["a version that is no number", [1, 5, "k", [["1"]]]],
    ["a tag that is no text", [0, 5, "k", null, V, "", null, null, null, [1]]],
    ["a transaction without its lists", [8, 5, "k"]],
    ...[5, 6, 7, 8, 9, 10, 11].map((kind): [string, unknown] => [
      `an operation of kind ${kind}`,
      [8, 5, "k", null, [], [[kind, 5, "k"]], []],
    ]),
  ])("is malformed: %s", (_what, wire) => {
    expect(errorOf(wire)).toBeInstanceOf(MalformedBytesError);
  });

  it("is refused however deep transactions stand in transactions", () => {
    let wire: unknown = [8, 5, "k", null, [], [], []];
    for (let depth = 0; depth < 50_000; depth++) wire = [8, 5, "k", null, [], [wire], []];
    expect(errorOf(wire)).toBeInstanceOf(MalformedBytesError);
  });
});

describe("a long key", () => {
  it("keeps its byte order mark in a transaction, in a row and in a purge", () => {
    const key = `\ufeff${"k".repeat(300)}`;
    const operations = transaction({
      compare: [{ slot: 1, key }],
      onSuccess: [put(key, "1"), { kind: "get", slot: 1, key }],
    });
    const rows: Exclude<Mutation, SlotMutation> = { kind: "reclaim", rows: [{ slot: 1, key, version: 1 }] };
    for (const mutation of [operations, rows, purge(prefix(key))]) {
      expect(mutationFromWire(throughBytes(mutationToWire(mutation)))).toEqual(mutation);
    }
  });
});
