import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hash32 } from "../../../routing/hash.ts";
import { hashTagProblem, SLOT_COUNT, slotOf } from "../../../routing/slots.ts";

/** Hardly anything but braces: nested, doubled, empty, unbalanced. */
const keysOfBraces = fc.string({ unit: fc.constantFrom("{", "}", "a", "b", "\n"), maxLength: 10 });
/** A proper hash tag, said once more by other means. */
const TAG = /^[^{]*\{([^}]+)\}/;

describe("slotOf", () => {
  test("is the hash modulo 1024, for ever", () => {
    expect(slotOf("user:42")).toBe(919);
    expect(slotOf("ключ/значение/長い鍵")).toBe(235);
  });

  test("hashes only what is between the first { and the first } after it", () => {
    expect(slotOf("user:{42}:name")).toBe(slotOf("42"));
    expect(slotOf("{42}")).toBe(slotOf("42"));
    expect(slotOf("a{b}c{d}e")).toBe(slotOf("b"));
    expect(slotOf("a{{b}}c")).toBe(slotOf("{b"));
    expect(slotOf("a}{b}")).toBe(slotOf("b"));
  });

  test("hashes the whole key when the tag is empty or not closed, as Redis Cluster does", () => {
    for (const key of ["foo{}{bar}", "{}", "foo{bar", "foo}bar{"]) {
      expect(slotOf(key)).toBe(hash32(key) % SLOT_COUNT);
    }
  });

  test("is total and in range for any string", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), (key) => {
        const slot = slotOf(key);
        expect(Number.isInteger(slot) && slot >= 0 && slot < SLOT_COUNT).toBe(true);
      }),
    );
  });

  test("gives keys with the same tag the same slot whatever is around it", () => {
    const outside = fc.string().map((text) => text.replaceAll(/[{}]/g, ""));
    const tag = fc
      .string({ minLength: 1 })
      .map((text) => text.replaceAll("}", ""))
      .filter((text) => text !== "");
    fc.assert(
      fc.property(outside, tag, fc.string(), (before, inside, after) => {
        expect(slotOf(`${before}{${inside}}${after}`)).toBe(slotOf(`{${inside}}`));
      }),
    );
  });

  test("counts what is between the first { and the next }, and the whole key where that is empty or never closed", () => {
    fc.assert(
      fc.property(keysOfBraces, (key) => {
        const tag = TAG.exec(key)?.[1];
        expect(slotOf(key)).toBe(hash32(tag ?? key) % SLOT_COUNT);
      }),
      { numRuns: 500 },
    );
  });

  test.each(["user:", "", "a/long/path/with/a/number/at/the/end/", "ключ:", "🌒"])(
    "spreads consecutive keys after %j evenly over the slots",
    (prefix) => {
      const counts = new Array<number>(SLOT_COUNT).fill(0);
      const keys = SLOT_COUNT * 40;
      for (let index = 0; index < keys; index++) {
        const slot = slotOf(`${prefix}${index}`);
        counts[slot] = (counts[slot] ?? 0) + 1;
      }
      // Chi-squared with 1,023 degrees of freedom: mean 1,023, standard deviation 45; five of them either way.
      const chiSquared = counts.reduce((sum, count) => sum + (count - 40) ** 2 / 40, 0);
      expect(chiSquared).toBeGreaterThan(1_023 - 5 * 45);
      expect(chiSquared).toBeLessThan(1_023 + 5 * 45);
    },
  );
});

describe("hashTagProblem", () => {
  test("finds something wrong with exactly the keys that have a { and no proper tag", () => {
    fc.assert(
      fc.property(keysOfBraces, (key) => {
        expect(hashTagProblem(key) === undefined).toBe(!key.includes("{") || TAG.test(key));
      }),
      { numRuns: 500 },
    );
  });

  test.each(["plain", "", "a}b", "{a}", "a{b}c", "a{b}{}", "a{b}c{", "{{}"])("finds nothing wrong with %j", (key) => {
    expect(hashTagProblem(key)).toBeUndefined();
  });

  test.each(["{", "a{b", "a}b{c"])("says that the tag in %j is never closed", (key) => {
    expect(hashTagProblem(key)).toMatch(/has no closing "}"; expected \{tag\}/);
  });

  test.each(["{}", "a{}b", "{}{a}"])("says that the tag in %j is empty", (key) => {
    expect(hashTagProblem(key)).toMatch(/is empty; expected \{tag\}/);
  });
});
