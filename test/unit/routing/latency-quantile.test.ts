import fc from "fast-check";
import { expect, test } from "vitest";
import { LatencyQuantile, SAMPLES_MIN, SAMPLES_PER_HALVING } from "../../../routing/latency-quantile.ts";

test("says nothing before there is enough to say", () => {
  const quantile = new LatencyQuantile();
  for (let sample = 1; sample < SAMPLES_MIN; sample++) quantile.add(5);
  expect(quantile.at(0.95)).toBeUndefined();
  quantile.add(5);
  expect(quantile.at(0.95)).toBeGreaterThanOrEqual(5);
});

test("is never below the exact quantile, and at most a quarter above", () => {
  const latency = fc.integer({ min: 1, max: 10_000 });
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: SAMPLES_MIN, maxLength: 300 }),
      fc.constantFrom(0.5, 0.9, 0.95, 0.99),
      (latencies, share) => {
        const quantile = new LatencyQuantile();
        for (const sample of latencies) quantile.add(sample);
        const sorted = latencies.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(latencies.length * share - 1e-9) - 1] ?? Number.NaN;
        const estimate = quantile.at(share) ?? Number.NaN;
        expect(estimate).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        expect(estimate).toBeLessThanOrEqual(exact * 1.25 * (1 + 1e-9));
      },
    ),
  );
});

test("forgets a slow hour after some thousands of fast answers", () => {
  const quantile = new LatencyQuantile();
  for (let sample = 0; sample < 10_000; sample++) quantile.add(900);
  expect(quantile.at(0.95)).toBeGreaterThan(800);
  for (let sample = 0; sample < 6 * SAMPLES_PER_HALVING; sample++) quantile.add(4);
  expect(quantile.at(0.95)).toBeLessThan(6);
});

test("takes what is off its scale for its ends", () => {
  const quantile = new LatencyQuantile();
  for (let sample = 0; sample < SAMPLES_MIN; sample++) quantile.add(0);
  expect(quantile.at(0.99)).toBe(1);
  for (let sample = 0; sample < 1_000; sample++) quantile.add(1e9);
  expect(quantile.at(0.99)).toBeGreaterThan(10_000);
});
