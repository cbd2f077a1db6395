// The failover demo with few rounds: three regions and the edge as processes, a sample of the data set, a mixed load,
// and every kind of failure once. What the run saw is asserted promise by promise.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCities } from "../../cluster/failover/data-set.ts";
import { isClearRefusal } from "../../cluster/failover/minority.ts";
import { type FailoverFigures, type FailoverRun, faultsOf, figuresOf, LIMITS } from "../../cluster/failover/report.ts";
import type { Failure } from "../../cluster/failover/rounds.ts";
import { runFailover } from "../../cluster/failover/run.ts";
import { describeCluster } from "../../cluster/status.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";

const FAILURES: readonly Failure[] = ["kill", "kill", "freeze", "workerd"];
const RECORDS = 1_000;
const RUN_TIMEOUT_MS = 240_000;

describe("a cluster of three regions under load, killed, frozen and reduced to one", () => {
  let cluster: RegionCluster | undefined;
  let run: FailoverRun;
  let figures: FailoverFigures;

  beforeAll(async () => {
    cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards: 2, token: newToken() });
    try {
      run = await runFailover(cluster, { records: await readCities(RECORDS), failures: FAILURES });
    } catch (error) {
      console.error(cluster.url, cluster.runDir, await describeCluster(cluster), cluster.logTails());
      throw error;
    }
    figures = figuresOf(run);
  }, RUN_TIMEOUT_MS);

  afterAll(async () => {
    await cluster?.stop();
  });

  test("writes were acknowledged and every failure took place", () => {
    expect(run.rounds.map((round) => round.failure)).toEqual(FAILURES);
    expect(figures.records).toBe(RECORDS);
    expect(figures.writes).toBeGreaterThan(0);
  });

  test("no acknowledged write is lost, whatever failed after it", () => {
    expect(figures.acknowledged_lost, run.history.told.join("\n")).toBe(0);
  });

  test("no strong read misses a write that was acknowledged before it began", () => {
    expect(figures.stale_strong_reads, run.history.told.join("\n")).toBe(0);
  });

  test("session reads see their own writes and bounded reads keep their bound", () => {
    expect(figures.stale_lower_reads, run.history.told.join("\n")).toBe(0);
    expect(figures.invented_reads, run.history.told.join("\n")).toBe(0);
  });

  test("session, bounded and eventual reads answer throughout", () => {
    expect(figures.lower_read_errors, run.history.told.join("\n")).toBe(0);
    expect(figures.lower_read_gap_ms.max).toBeLessThanOrEqual(LIMITS.lowerGapMs);
    expect(figures.freeze_lower_read_gap_ms.max).toBeLessThanOrEqual(LIMITS.lowerGapMs);
  });

  test("writes resume after a kill and after a freeze", () => {
    expect(figures.write_gap_ms.max).toBeLessThanOrEqual(LIMITS.writeGapMaxMs);
    expect(figures.freeze_write_gap_ms.max).toBeLessThanOrEqual(LIMITS.writeGapMaxMs);
  });

  test("one region of three refuses writes with a clear 503 and acknowledges none", () => {
    for (const refusal of figures.minority_refusals) expect(refusal).toSatisfy(isClearRefusal);
    expect(figures.minority_refusals).toHaveLength(2);
    expect(figures.acknowledged_by_minority, run.history.told.join("\n")).toBe(0);
  });

  test("the run as a whole has no fault", () => {
    expect(faultsOf(figures, isClearRefusal)).toEqual([]);
  });
});
