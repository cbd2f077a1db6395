// The cost meter against figures that were worked out by hand from the list prices.

import { describe, expect, test } from "vitest";
import type { ReplicaStatus } from "../../../../durable/protocol.ts";
import { costOf, PERIOD_MS_MIN } from "../../../../worker/telemetry/cost-meter.ts";

const HOUR_MS = 3_600_000;

function replica(counters: Record<string, number>, hours: number, rest: Partial<ReplicaStatus> = {}): ReplicaStatus {
  const startedMs = 1_000_000_000;
  return { counters, startedMs, nowMs: startedMs + hours * HOUR_MS, storedBytes: 0, ...rest } as ReplicaStatus;
}

describe("the cost meter", () => {
  test("prices what each replica has done since it was loaded, as a day of it", () => {
    const cost = costOf([
      // A million PUTs in a day, each alone: 3 log rows, 3 deletions, 3 checkpoint rows; 5 calls.
      replica(
        {
          client_requests: 500_000,
          requests: 500_000,
          rows_written: 1_500_000,
          rows_read: 1_000_000,
          active_ms: 12 * HOUR_MS,
        },
        12,
        { storedBytes: 3_000_000_000 },
      ),
      replica({ requests: 1_000_000, rows_written: 1_500_000, active_ms: 12 * HOUR_MS }, 12),
      replica({ requests: 1_000_000, rows_written: 1_500_000, active_ms: 12 * HOUR_MS }, 12),
    ]);
    const usd = Object.fromEntries(cost.lines.map(({ what, usd: dollars }) => [what, dollars]));
    expect(usd.worker_requests).toBeCloseTo(0.3, 10);
    expect(usd.worker_cpu).toBeCloseTo(0.01, 10);
    expect(usd.object_requests).toBeCloseTo(5 * 0.15, 10);
    // 3 objects × 86,400 s × 0.128 GB.
    expect(usd.object_duration).toBeCloseTo(3 * 86_400 * 0.128 * 12.5e-6, 10);
    expect(usd.rows_read).toBeCloseTo(0.002, 10);
    expect(usd.rows_written).toBeCloseTo(9, 10);
    expect(usd.storage).toBeCloseTo(3 * (0.2 / 30), 10);
    expect(cost.perDay.total).toBeCloseTo(0.3 + 0.01 + 0.75 + 0.41472 + 0.002 + 9 + 0.02, 10);
    expect(cost.requestsPerDay).toBe(1_000_000);
    expect(cost.perMillion).toBeCloseTo(cost.perDay.total, 10);
    expect(cost.sinceMs).toBe(1_000_000_000);
    expect(cost.prices.asOf).toMatch(/^20\d\d-\d\d$/);
  });

  test("takes what was done within a moment for a minute's work", () => {
    const counters = { client_requests: 60, requests: 60 };
    const cost = costOf([replica(counters, 0), replica(counters, PERIOD_MS_MIN / HOUR_MS)]);
    expect(cost.requestsPerDay).toBeCloseTo(2 * 60 * 1_440, 6);
  });

  test("has reads that edges answered from copies as requests to a Worker, and not to an object", () => {
    const cost = costOf([replica({ client_requests: 10, requests: 10, reads_copied: 90 }, 24)]);
    expect(cost.lines.map(({ what, units }) => [what, Math.round(units)])).toEqual(
      expect.arrayContaining([
        ["worker_requests", 100],
        ["object_requests", 10],
      ]),
    );
  });

  test("of a cluster that does nothing is its storage, and says no price of a request", () => {
    const cost = costOf([replica({}, 1, { storedBytes: 30_000_000_000 })]);
    expect(cost.perDay.total).toBeCloseTo(0.2, 10);
    expect(cost.perMillion).toBeNull();
    expect(costOf([])).toMatchObject({ sinceMs: null, perMillion: null, perDay: { total: 0 } });
  });

  test("leaves out what replicas of older versions do not say", () => {
    const { startedMs: _, nowMs: __, ...older } = replica({ client_requests: 1, requests: 1 }, 1);
    expect(costOf([older as ReplicaStatus]).requestsPerDay).toBe(0);
  });
});
