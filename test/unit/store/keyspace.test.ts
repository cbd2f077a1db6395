import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareKeys,
  isSystemKey,
  KEY_OVERHEAD_BYTES_MAX,
  type KeyRange,
  NAMESPACE_CHARS_MAX,
  NAMESPACE_PATTERN,
  namespaceOf,
  parseKey,
  parsePartKey,
  partKey,
  rangesOf,
  storedKey,
  systemKey,
  userKey,
} from "../../../durable/store/keyspace.ts";

const namespaces = fc.constantFrom("", "n", "ns", "my.name_space-1");
/** Marks and their neighbours, surrogates and their neighbours, and anything. */
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "\u0000",
        "\u0001",
        "\u0002",
        "\u0003",
        "a",
        "\ud7ff",
        "\ue000",
        "\uffff",
        "\u{10000}",
        "\u{10ffff}",
      ),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    { maxLength: 5 },
  )
  .map((characters) => characters.join(""));
const keys = texts.filter((text) => text !== "");

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function isIn({ from, to }: KeyRange, key: string): boolean {
  return compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0);
}

describe("stored keys", () => {
  it("are given back as namespace and key, and are the same for the same only", () => {
    fc.assert(
      fc.property(namespaces, keys, namespaces, keys, (namespace, key, otherNamespace, otherKey) => {
        const stored = storedKey(namespace, key);
        expect(userKey(stored)).toEqual({ namespace, key });
        expect(namespaceOf(stored)).toBe(namespace);
        expect(isSystemKey(stored)).toBe(false);
        expect(parseKey(stored)).toEqual({ kind: "value", namespace, key });
        const isSame = namespace === otherNamespace && key === otherKey;
        expect(storedKey(otherNamespace, otherKey) === stored).toBe(isSame);
      }),
    );
  });

  it("of the default namespace are the keys themselves, unless they start with a mark", () => {
    expect(storedKey("", "greeting")).toBe("greeting");
    expect(storedKey("", "\u0002lock")).toBe("\u0001\u0001\u0002lock");
  });

  it("of locks and limits say kind, namespace and name, and are no keys of values", () => {
    fc.assert(
      fc.property(fc.constantFrom("lock" as const, "limit" as const), namespaces, keys, (kind, namespace, name) => {
        const stored = systemKey(kind, namespace, name);
        expect(isSystemKey(stored)).toBe(true);
        expect(parseKey(stored)).toEqual({ kind, namespace, key: name });
        expect(parsePartKey(stored)).toBeUndefined();
      }),
    );
  });

  it("of parts say whose part of which upload they are", () => {
    fc.assert(
      fc.property(namespaces, keys, fc.nat({ max: 15 }), (namespace, key, part) => {
        const owner = storedKey(namespace, key);
        const stored = partKey(owner, "u-1", part);
        expect(parsePartKey(stored)).toEqual({ key: owner, upload: "u-1", part });
        expect(isSystemKey(stored)).toBe(true);
        expect(parseKey(stored)).toBeUndefined();
        expect(parsePartKey(owner)).toBeUndefined();
      }),
    );
  });

  it("are longer than the user's by at most KEY_OVERHEAD_BYTES_MAX", () => {
    const namespace = "n".repeat(NAMESPACE_CHARS_MAX);
    expect(NAMESPACE_PATTERN.test(namespace)).toBe(true);
    const longest = [systemKey("limit", namespace, ""), systemKey("lock", namespace, ""), storedKey(namespace, "")];
    expect(Math.max(...longest.map((key) => utf8(key).length))).toBe(KEY_OVERHEAD_BYTES_MAX);
  });

  it.each([
    ["a namespace that does not end", "\u0001ns"],
    ["an unknown kind of own key", "\u0002cursor\u0001\u0001k"],
    ["an own key without a namespace", "\u0002lock\u0001k"],
    ["an own key of no kind", "\u0002\u0001\u0001k"],
    ["an own key that says it is a value", "\u0002value\u0001\u0001k"],
    ["a namespace that is no name", "\u0001Not A Name\u0001k"],
    ["half a surrogate pair where the namespace ends", "\u0001a\u{10000}"],
    ["an escaped key that needs no escaping", "\u0001\u0001k"],
  ])("are not made of %s", (_what, stored) => {
    expect(parseKey(stored)).toBeUndefined();
  });

  it.each(["", "A", "-a", "a-", "a b", "a/b", "ä", "a\n", "n".repeat(65)])("have no namespace named %j", (name) => {
    expect(NAMESPACE_PATTERN.test(name)).toBe(false);
  });
});

describe("compareKeys", () => {
  it("is the order of UTF-8 bytes", () => {
    fc.assert(
      fc.property(texts, texts, (left, right) => {
        expect(Math.sign(compareKeys(left, right))).toBe(Math.sign(Buffer.compare(utf8(left), utf8(right))));
      }),
      { numRuns: 1_000 },
    );
  });

  it("puts what needs surrogates after everything that needs none", () => {
    expect(compareKeys("\uffff", "\u{10000}")).toBeLessThan(0);
    expect("\uffff" < "\u{10000}").toBe(false);
  });
});

describe("rangesOf", () => {
  it("holds exactly the keys of the namespace that start with the prefix, each in one range, in order", () => {
    fc.assert(
      fc.property(namespaces, texts, namespaces, keys, fc.boolean(), (namespace, prefix, other, rest, isInside) => {
        const key = isInside ? prefix + rest : rest;
        const stored = storedKey(isInside ? namespace : other, key);
        const isMember = namespaceOf(stored) === namespace && key.startsWith(prefix);
        const ranges = rangesOf(namespace, prefix);
        expect(ranges.filter((range) => isIn(range, stored))).toHaveLength(isMember ? 1 : 0);
        for (const [at, { to }] of ranges.slice(0, -1).entries()) {
          expect(compareKeys(to ?? "", ranges[at + 1]?.from ?? "")).toBeLessThanOrEqual(0);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("holds no own key", () => {
    const own = [systemKey("lock", "", "a"), systemKey("limit", "ns", "a"), partKey("a", "u", 0)];
    for (const key of own) {
      for (const namespace of ["", "ns"]) {
        for (const prefix of ["", "\u0001", "\u0002", "a"]) {
          expect(rangesOf(namespace, prefix).some((range) => isIn(range, key))).toBe(false);
        }
      }
    }
  });

  it.each<[string, string | undefined]>([
    ["a", "b"],
    ["a\ud7ff", "a\ue000"],
    ["a\uffff", "a\u{10000}"],
    ["a\u{10ffff}", "b"],
    ["\u{10ffff}\u{10ffff}", undefined],
  ])("of the prefix %j ends at %j", (prefix, to) => {
    expect(rangesOf("", prefix)).toEqual([{ from: prefix, to }]);
  });
});
