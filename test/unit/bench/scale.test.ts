import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { tableOf } from "../../../bench/scale/main.ts";
import { PROFILES, RATES, scaleOf } from "../../../bench/scale/model.ts";

describe("the model of the scale", () => {
  const strong = { title: "t", writes: 0.1, strong: 1, l1Hits: 0, uniqueWrites: 1 };

  it("plans shards by what one leader takes, by hand", () => {
    const scale = scaleOf(strong, 100_000);
    expect([scale.clusters, scale.shardsPerCluster, scale.objects]).toEqual([1, 200, 600]);
    expect(scale.leaderPerSecond).toBe(500);
    // 50 writes a second and shard, a tenth of a second a commit, four batches in flight.
    expect(scale.writesPerBatch).toBeCloseTo(1.25);
    expect(scale.rowsPerWrite).toBeCloseTo(3 * (2 / 1.25 + 1));
    expect(scale.dollarsPerMonth.rows).toBeCloseTo(10_000 * 7.8 * 2.6298, 0);
    expect(scale.breaks).toEqual([]);
  });

  it("lets followers and edges take what is not strong, so that fewer shards are needed", () => {
    const relaxed = scaleOf({ ...strong, strong: 0.1, l1Hits: 0.5 }, 100_000);
    expect(relaxed.objects).toBeLessThan(scaleOf(strong, 100_000).objects / 2);
  });

  it("says what breaks: the shards of a cluster, and leaders that hear more pings than they may", () => {
    expect(scaleOf(strong, 1_000).breaks).toEqual([]);
    expect(scaleOf(strong, 10_000_000).breaks[0]).toContain("more shards than one cluster may have");
    expect(scaleOf({ ...strong, writes: 0, strong: 0, l1Hits: 0.999 }, 10_000_000).breaks.at(-1)).toContain("pings");
  });

  it("is what docs/scale.md shows", () => {
    const documented = readFileSync("docs/scale.md", "utf8");
    expect(documented).toContain(tableOf(PROFILES.flatMap((profile) => RATES.map((rate) => scaleOf(profile, rate)))));
  });
});
