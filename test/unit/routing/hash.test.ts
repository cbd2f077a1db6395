// The hash must never change: it decides where every key of every cluster lives.

import { xxHash32 } from "js-xxhash";
import { expect, test } from "vitest";
import { hash32 } from "../../../routing/hash.ts";

// From an independent implementation of the XXH32 specification, seed 0.
const VECTORS = [
  ["", 0x02cc5d05],
  ["a", 0x550d7456],
  ["abc", 0x32d153ff],
  ["Nobody inspects the spammish repetition", 0xe2293b2f],
  ["x".repeat(33), 0x314b2587],
  ["€😀", 0xc01b53c6],
  ["ключ/значение/長い鍵", 0x627444eb],
] as const;

test.each(VECTORS)("the UTF-8 bytes of %j hash to the XXH32 of the specification", (text, hash) => {
  expect(hash32(text)).toBe(hash);
});

test("a text has the same hash however long it is and wherever its first character beyond ASCII stands", () => {
  const texts = ["k", "x".repeat(255), "x".repeat(256), "x".repeat(257), "é".repeat(256), `${"x".repeat(255)}é`];
  for (const text of texts) expect(hash32(text)).toBe(xxHash32(new TextEncoder().encode(text)));
});

test("an unpaired surrogate hashes as U+FFFD instead of failing", () => {
  expect(hash32("a\ud800b")).toBe(hash32("a\ufffdb"));
});
