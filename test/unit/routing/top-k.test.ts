import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TopK } from "../../../routing/top-k.ts";

/** Keys of a skewed stream: key `i` about 1/(i+1) as often as key 0. */
const zipfKey = fc.double({ min: 0, max: 1, noNaN: true }).map((u) => `k${Math.floor(300 ** u) - 1}`);
const stream = fc.array(zipfKey, { minLength: 1, maxLength: 2_000 });

function exactCounts(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

describe("the most frequent keys", () => {
  test("are counted exactly while there is a counter for each", () => {
    const top = new TopK(3);
    for (const key of ["a", "b", "a", "c", "a", "b"]) top.note(key);
    expect(top.list()).toEqual([
      { key: "a", count: 3, atLeast: 3 },
      { key: "b", count: 2, atLeast: 2 },
      { key: "c", count: 1, atLeast: 1 },
    ]);
  });

  test("are bracketed by count and error, and every key above 1/capacity of the stream is among them", () => {
    fc.assert(
      fc.property(stream, fc.integer({ min: 1, max: 40 }), (keys, capacity) => {
        const top = new TopK(capacity);
        for (const key of keys) top.note(key);
        const exact = exactCounts(keys);
        const listed = top.list();
        expect(listed.length).toBe(Math.min(capacity, exact.size));
        for (const { key, count, atLeast } of listed) {
          const noted = exact.get(key) ?? 0;
          expect(count).toBeGreaterThanOrEqual(noted);
          expect(atLeast).toBeLessThanOrEqual(noted);
          expect(count - atLeast).toBeLessThanOrEqual(keys.length / capacity);
        }
        const found = new Set(listed.map(({ key }) => key));
        const frequent = [...exact].filter(([, count]) => count > keys.length / capacity);
        expect(frequent.filter(([key]) => !found.has(key))).toEqual([]);
      }),
    );
  });

  test("lose by halves what they were, and are never taken for more frequent than they have been", () => {
    const steps = fc.array(fc.oneof({ weight: 30, arbitrary: zipfKey }, fc.constant(undefined)), { maxLength: 2_000 });
    fc.assert(
      fc.property(steps, (keys) => {
        const top = new TopK(16);
        const exact = new Map<string, number>();
        for (const key of keys) {
          if (key === undefined) {
            top.decay(0.5);
            for (const [each, count] of exact) exact.set(each, count / 2);
          } else {
            exact.set(key, (exact.get(key) ?? 0) + 1);
            expect(top.note(key)).toBeLessThanOrEqual((exact.get(key) ?? 0) + 1e-9);
          }
        }
        for (const { key, count } of top.list()) {
          // A counter that was given up was of less than one half, and so was the next one.
          expect(count + 1).toBeGreaterThanOrEqual(exact.get(key) ?? 0);
        }
      }),
    );
  });

  test("are forgotten when nobody asks for them any more", () => {
    const top = new TopK(4);
    for (let i = 0; i < 100; i++) top.note("once");
    for (let i = 0; i < 8; i++) top.decay(0.5);
    expect(top.list()).toEqual([]);
    top.note("now");
    expect(top.list()).toEqual([{ key: "now", count: 1, atLeast: 1 }]);
  });

  test("can be noted many times at once", () => {
    const top = new TopK(2);
    expect([top.note("a", 5), top.note("b"), top.note("c", 3)]).toEqual([5, 1, 3]);
    expect(top.list()).toEqual([
      { key: "a", count: 5, atLeast: 5 },
      { key: "c", count: 4, atLeast: 3 },
    ]);
  });
});
