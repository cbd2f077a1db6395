// The sketch as its users rely on it: never too low between two ageings, seldom too high, of bounded size.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COUNT_MAX, FrequencySketch, SKETCH_BYTES_MAX } from "../../../../durable/store/eviction/frequency-sketch.ts";

describe("estimates", () => {
  test("are never below the true count, up to the most that a counter holds, whatever else is counted", () => {
    // Fewer notes than bring on an ageing of the smallest sketch.
    const notes = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 2_000 });
    fc.assert(
      fc.property(notes, fc.integer(), (keys, seed) => {
        const sketch = new FrequencySketch(seed);
        const counts = new Map<number, number>();
        for (const key of keys) {
          sketch.note(`key-${key}`);
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
        for (const [key, count] of counts) {
          expect(sketch.estimate(`key-${key}`)).toBeGreaterThanOrEqual(Math.min(count, COUNT_MAX));
        }
      }),
    );
  });

  test("are exact for all but a few of the keys that the sketch is made for", () => {
    const keys = 10_000;
    const sketch = new FrequencySketch(1);
    sketch.fit(keys);
    for (let round = 0; round < 3; round++) for (let key = 0; key < keys; key++) sketch.note(`key-${key}`);
    let wrong = 0;
    for (let key = 0; key < keys; key++) if (sketch.estimate(`key-${key}`) !== 3) wrong++;
    expect(wrong).toBeLessThan(keys / 20);
    let unseen = 0;
    for (let key = 0; key < keys; key++) if (sketch.estimate(`other-${key}`) > 0) unseen++;
    expect(unseen).toBeLessThan(keys / 2);
  });

  test("stay what they were when the sketch grows", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 500 }), (keys) => {
        const sketch = new FrequencySketch(7);
        for (const key of keys) sketch.note(key);
        const before = keys.map((key) => sketch.estimate(key));
        sketch.fit(100_000);
        expect(keys.map((key) => sketch.estimate(key))).toEqual(before);
      }),
    );
  });

  test("halve as time goes on, so that what was popular once gives way", () => {
    const sketch = new FrequencySketch(3);
    for (let time = 0; time < COUNT_MAX; time++) sketch.note("once");
    for (let other = 0; other < 20_000; other++) sketch.note(`other-${other % 50}`);
    expect(sketch.estimate("once")).toBeLessThan(3);
    expect(sketch.estimate("other-1")).toBeGreaterThan(6);
  });

  test("depend on the seed: who does not know it cannot choose keys that collide", () => {
    const collisions = (seed: number) => {
      const sketch = new FrequencySketch(seed);
      for (let time = 0; time < 5; time++) sketch.note("victim");
      return Array.from({ length: 20_000 }, (_, key) => `k${key}`).filter((key) => sketch.estimate(key) > 0);
    };
    const [one, other] = [collisions(1), collisions(2)];
    expect(one.filter((key) => other.includes(key)).length).toBeLessThanOrEqual(Math.min(one.length, other.length) / 2);
  });
});

test("the memory follows the number of keys and ends at 2 MiB", () => {
  const sketch = new FrequencySketch(1);
  expect(sketch.bytes).toBe(2_048);
  sketch.fit(10_000);
  expect(sketch.bytes).toBeLessThanOrEqual(128 * 1024);
  sketch.fit(100_000_000);
  expect(sketch.bytes).toBe(SKETCH_BYTES_MAX);
  expect(SKETCH_BYTES_MAX).toBe(2 * 1024 * 1024);
});
