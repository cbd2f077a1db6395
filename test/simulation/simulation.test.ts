// The simulator itself: the same seed gives the same run to the last event, and seeds that once found a bug stay green.

import { describe, expect, it } from "vitest";
import seeds from "./seeds.json" with { type: "json" };
import { simulate } from "./simulation.ts";
import { drawSwarm } from "./swarm.ts";

/** A few worlds in every test run; the search for more is `npm run sim -- --runs N`. */
const SMOKE_SEEDS = Array.from({ length: 12 }, (_, seed) => seed + 1);

describe("simulation", () => {
  it("gives a byte-identical trace for the same seed", async () => {
    const first = await simulate(7);
    const second = await simulate(7);
    expect(first.events).toBeGreaterThan(1_000);
    expect(second.traceHash).toBe(first.traceHash);
    expect(second.events).toBe(first.events);
  });

  it("gives the same trace whether or not somebody reads along", async () => {
    const lines: string[] = [];
    const read = await simulate(8, { keepsText: true, onLine: (line) => lines.push(line) });
    const unread = await simulate(8);
    expect(lines.length).toBeGreaterThan(100);
    expect(read.traceHash).toBe(unread.traceHash);
  });

  it("gives other traces for other seeds", async () => {
    const hashes = [await simulate(21), await simulate(22), await simulate(23)].map(({ traceHash }) => traceHash);
    expect(new Set(hashes).size).toBe(3);
  });

  it("draws worlds that differ in size and in faults", () => {
    const worlds = Array.from({ length: 200 }, (_, seed) => drawSwarm(seed));
    expect(new Set(worlds.map(({ cluster }) => cluster.replicas))).toEqual(new Set([3, 5]));
    expect(new Set(worlds.map(({ cluster }) => cluster.weights.length))).toEqual(new Set([1, 2]));
    expect(worlds.some(({ faults }) => faults.zombie !== undefined && faults.freeze === undefined)).toBe(true);
  });

  it.each(SMOKE_SEEDS)("keeps every promise in the world of seed %i", async (seed) => {
    const { violations, operations } = await simulate(seed);
    expect(violations).toEqual([]);
    expect(operations).toBeGreaterThan(0);
  });

  it.each(seeds)("keeps every promise in the world of seed $seed ($found)", async ({ seed }) => {
    expect((await simulate(seed)).violations).toEqual([]);
  });
});
