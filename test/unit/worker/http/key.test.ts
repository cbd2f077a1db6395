import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteLength, KEY_BYTES_MAX, keyOf } from "../../../../worker/http/key.ts";

const urlOf = (path: string) => `https://cache.example/v1/kv/${path}`;

describe("the key of a request", () => {
  const accepted: [string, string][] = [
    ["greeting", "greeting"],
    ["a/b//c/", "a/b//c/"],
    ["v1/kv/again", "v1/kv/again"],
    ["a%20b%2Fc%3Fd%23e", "a b/c?d#e"],
    ["gr%C3%BC%C3%9Fe", "grüße"],
    ["%F0%9F%8C%92", "🌒"],
    ["100%25", "100%"],
    ["a+b", "a+b"],
    ["user:{42}:name", "user:{42}:name"],
    ["%00", "\0"],
    ["a%2F...%2F.b%2F..c%2Fd.", "a/.../.b/..c/d."],
    ["k".repeat(KEY_BYTES_MAX), "k".repeat(KEY_BYTES_MAX)],
  ];
  for (const [path, key] of accepted) {
    it(`reads ${path.slice(0, 40)}`, () => {
      expect(keyOf(urlOf(path))).toEqual({ ok: true, value: key });
    });
  }

  const refusedPaths: [string, string][] = [
    ["", "malformed-key"],
    ["%", "malformed-key"],
    ["a%2", "malformed-key"],
    ["a%zz", "malformed-key"],
    ["%FF", "malformed-key"],
    ["%C3", "malformed-key"],
    ["%C0%80", "malformed-key"],
    ["%ED%A0%80", "malformed-key"],
    ["grüße", "malformed-key"],
    ["{}", "malformed-key"],
    ["a{b", "malformed-key"],
    ["a%7Bb", "malformed-key"],
    ["a%2F..%2Fb", "malformed-key"],
    ["%2E", "malformed-key"],
    ["a%2F%2e", "malformed-key"],
    ["..%2Fa", "malformed-key"],
    ["a?b=c", "unexpected-query"],
    ["a?", "unexpected-query"],
    ["k".repeat(KEY_BYTES_MAX + 1), "key-too-long"],
    ["%C3%BC".repeat(KEY_BYTES_MAX / 2 + 1), "key-too-long"],
  ];
  for (const [path, slug] of refusedPaths) {
    it(`refuses ${JSON.stringify(path.slice(0, 40))} as ${slug}`, () => {
      expect(keyOf(urlOf(path))).toMatchObject({ ok: false, problem: { slug } });
    });
  }

  it("refuses a path without a key", () => {
    expect(keyOf("https://cache.example/v1/kv")).toMatchObject({ ok: false, problem: { slug: "malformed-key" } });
  });

  it("gets back any UTF-8 text that was percent-encoded", () => {
    const keys = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
      .filter((key) => !/[{}]|(?:^|\/)\.\.?(?:\/|$)/.test(key));
    fc.assert(
      fc.property(keys, (key) => {
        expect(keyOf(urlOf(encodeURIComponent(key)))).toEqual({ ok: true, value: key });
      }),
    );
  });

  it("gets back any key with proper hash tags, however much of it is percent-encoded", () => {
    const plain = fc.string({
      unit: fc.constantFrom("a", "Z", "0", "/", "-", "ü", "🌒", " ", "?", "%", "#"),
      maxLength: 8,
    });
    const keys = fc
      .tuple(plain, fc.string({ unit: fc.constantFrom("a", "{", "ß"), minLength: 1, maxLength: 4 }), plain)
      .map(([before, tag, after]) => `${before}{${tag}}${after}`);
    fc.assert(
      fc.property(keys, fc.infiniteStream(fc.boolean()), (key, isSpared) => {
        // What a URL may hold as it is, may also be left as it is.
        const path = [...key]
          .map((char) => (/[a-zA-Z0-9/{}-]/.test(char) && isSpared.next().value ? char : encodeURIComponent(char)))
          .join("");
        expect(keyOf(urlOf(path))).toEqual({ ok: true, value: key });
      }),
    );
  });

  it("is a key within the limits or a refusal, for any text in its place, and never throws", () => {
    const paths = fc.oneof(
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.string({ unit: fc.constantFrom("%", "C", "3", "B", "C", "7", "D", "{", "}", "a", "/", "?"), maxLength: 30 }),
    );
    fc.assert(
      fc.property(paths, (path) => {
        const read = keyOf(urlOf(path));
        if (!read.ok) {
          expect(["malformed-key", "key-too-long", "unexpected-query"]).toContain(read.problem.slug);
          return;
        }
        expect(read.value.isWellFormed() && read.value !== "").toBe(true);
        expect(keyOf(urlOf(encodeURIComponent(read.value)))).toEqual(read);
      }),
      { numRuns: 500 },
    );
  });

  it("counts bytes as UTF-8 does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(byteLength(text)).toBe(new TextEncoder().encode(text).length);
      }),
    );
  });
});
