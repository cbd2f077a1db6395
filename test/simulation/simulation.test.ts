// The simulator itself: the same seed gives the same run to the last event, and a batch of seeds keeps every promise, those
// included that once found a bug. The batch runs on all cores; the search for more is `npm run sim -- --runs N`.

import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { COUNTED, coverageTable } from "./coverage.ts";
import { search } from "./search.ts";
import type { SeedReport } from "./search-worker.ts";
import seeds from "./seeds.json" with { type: "json" };
import { simulate } from "./simulation.ts";
import { drawSwarm, THEMES, WORKLOADS, type WorkloadName } from "./swarm.ts";

/** The same ones in every test run: about half a minute of two cores. */
const BATCH = Array.from({ length: 250 }, (_, at) => at + 1);
/** Worlds with what no world of the batch has: slots that are levelled out. */
const RARE = [532];
/** Of leases: some in which new leaders are cut off. */
const ASKED = [1, 2, 3, 4];
const KEPT = seeds.flatMap(({ seed, workload }) => (workload === undefined ? [seed] : []));

async function reportsOf(
  chosen: readonly number[],
  jobs: number,
  workload?: WorkloadName,
): Promise<readonly SeedReport[]> {
  const reports: SeedReport[] = [];
  await search({
    seeds: chosen,
    jobs,
    workload,
    onReport: (report) => {
      reports.push(report);
      return false;
    },
  });
  return reports.sort((left, right) => left.seed - right.seed);
}

describe("simulation", () => {
  it("gives a byte-identical trace for the same seed: twice, after other seeds, and in other threads", async () => {
    const first = await simulate(7);
    await simulate(21);
    const second = await simulate(7);
    expect(first.events).toBeGreaterThan(1_000);
    expect(second.traceHash).toBe(first.traceHash);
    expect(second.events).toBe(first.events);
    const [one] = await reportsOf([7], 1);
    // Two threads, each with the seed as its second one or later.
    const two = await reportsOf([21, 22, 7, 7], 2);
    const hashes = [one, ...two.filter(({ seed }) => seed === 7)].map((report) => report?.traceHash);
    expect(hashes).toEqual([first.traceHash, first.traceHash, first.traceHash]);
  });

  it("gives the same trace whether or not somebody reads along", async () => {
    const lines: string[] = [];
    const read = await simulate(8, { keepsText: true, onLine: (line) => lines.push(line) });
    const unread = await simulate(8);
    expect(lines.length).toBeGreaterThan(100);
    expect(read.traceHash).toBe(unread.traceHash);
  });

  it("gives other traces for other seeds", async () => {
    const hashes = (await reportsOf([21, 22, 23], 1)).map(({ traceHash }) => traceHash);
    expect(new Set(hashes).size).toBe(3);
  });

  it("draws worlds that differ in size, in faults and in themes", () => {
    const worlds = Array.from({ length: 200 }, (_, seed) => drawSwarm(seed));
    expect(new Set(worlds.map(({ cluster }) => cluster.replicas))).toEqual(new Set([3, 5]));
    expect(new Set(worlds.map(({ cluster }) => cluster.weights.length))).toEqual(new Set([1, 2, 3, 4]));
    expect(new Set(worlds.map(({ theme }) => theme))).toEqual(new Set([undefined, ...THEMES]));
    expect(worlds.some(({ faults }) => faults.zombie !== undefined && faults.freeze === undefined)).toBe(true);
  });

  it.each(WORKLOADS)(
    "keeps every promise in worlds of the workload %s that once broke one, or else in its first",
    async (name) => {
      const kept = seeds.flatMap(({ seed, workload }) => (workload === name ? [seed] : []));
      const reports = await reportsOf(kept.length > 0 ? kept : [1], availableParallelism(), name);
      expect(reports.flatMap(({ seed, violations }) => violations.map((violation) => ({ seed, violation })))).toEqual(
        [],
      );
      expect(reports.map(({ operations }) => operations)).not.toContain(0);
    },
  );

  it("keeps every promise in a batch of worlds in which every fault and every rare path occurs", async () => {
    const reports = await reportsOf([...BATCH, ...RARE, ...KEPT], availableParallelism());
    const broken = reports.filter(({ violations }) => violations.length > 0);
    expect(broken.map(({ seed, violations }) => ({ seed, violations }))).toEqual([]);
    expect(reports.length).toBe(BATCH.length + RARE.length + KEPT.length);
    expect(reports.filter(({ operations }) => operations === 0)).toEqual([]);
    // What only worlds have that are asked for by name.
    const asked = await reportsOf(ASKED, availableParallelism(), "leases");
    const missing = coverageTable([...reports, ...asked].map(({ counts }) => counts)).filter(({ runs }) => runs === 0);
    expect(missing).toEqual([]);
    expect(COUNTED.length).toBeGreaterThan(40);
  }, 600_000);
});
