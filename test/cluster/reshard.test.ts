// The resharding demo, small: a light shard is added to two, gets its slots while a region is killed, and is drained again, so that
// most of its slots return to where they came from. What the run saw is asserted promise by promise; how long anything took is not.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCities } from "../../cluster/failover/data-set.ts";
import { LIMITS, type ReshardFigures, type ReshardRun, reshardFigures } from "../../cluster/reshard/report.ts";
import { runReshard } from "../../cluster/reshard/run.ts";
import { describeCluster } from "../../cluster/status.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";

const RECORDS = 500;
const SHARDS = 2;
/** About one slot in twenty: each takes its time on a busy machine. */
const SHAPE = { added: 1, weight: 0.1, drained: SHARDS } as const;
const RUN_TIMEOUT_MS = 280_000;

describe("a cluster of three regions that grows by a shard under load, while a region is killed, and shrinks again", () => {
  let cluster: RegionCluster | undefined;
  let run: ReshardRun;
  let figures: ReshardFigures;

  beforeAll(async () => {
    cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards: SHARDS, token: newToken() });
    try {
      run = await runReshard(cluster, { records: await readCities(RECORDS), ...SHAPE });
    } catch (error) {
      console.error(cluster.url, cluster.runDir, await describeCluster(cluster), cluster.logTails());
      throw error;
    }
    figures = reshardFigures(run);
  }, RUN_TIMEOUT_MS);

  afterAll(async () => {
    await cluster?.stop();
  });

  test("slots moved to the new shard and away from it, as few as its share, and it was removed", () => {
    expect(figures.changes.map(({ change }) => change)).toEqual(["2 to 3 shards", "3 to 2 shards"]);
    for (const { moved_slots, ideal_slots } of figures.changes) {
      expect(moved_slots).toBeGreaterThan(0);
      expect(moved_slots).toBeLessThanOrEqual(ideal_slots * LIMITS.movedToIdeal);
    }
    expect(figures.shards).toBe(SHARDS);
  });

  test("the region was killed while slots were still to move, and writes went on", () => {
    expect(figures.pending_at_kill).toBeGreaterThan(0);
    expect(figures.writes).toBeGreaterThan(0);
  });

  test("no acknowledged write is lost", () => {
    expect(figures.acknowledged_lost, run.history.told.join("\n")).toBe(0);
  });

  test("every record is at one shard: none is counted twice, none is missing", () => {
    expect(figures.records_counted).toBe(RECORDS);
  });

  test("no read misses what its level promises, across moves and the failure", () => {
    const { staleStrongReads, staleLowerReads, inventedReads } = run.history.broken;
    expect([staleStrongReads, staleLowerReads, inventedReads], run.history.told.join("\n")).toEqual([0, 0, 0]);
  });

  test("no request is answered in a way that no failure explains", () => {
    expect(run.history.broken.unexpected, [...run.history.refusals].join("\n")).toBe(0);
  });
});
