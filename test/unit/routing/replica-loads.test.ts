import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IN_FLIGHT_PERIOD_MS, LATENCY_VALID_MS, PEAK_DECAY_MS, ReplicaLoads } from "../../../routing/replica-loads.ts";

describe("in flight", () => {
  test("is what has begun and not ended, never below nothing", () => {
    const loads = new ReplicaLoads();
    loads.begin("a", 0);
    loads.begin("a", 0);
    expect(loads.inFlight("a", 0)).toBe(2);
    loads.end("a", 0, 5, 5);
    loads.end("a", 0, 5);
    loads.end("a", 0, 5);
    expect(loads.inFlight("a", 5)).toBe(0);
    expect(loads.inFlight("b", 5)).toBe(0);
  });

  test("forgets a request that the runtime has dropped without a word, two periods later at most", () => {
    const loads = new ReplicaLoads();
    loads.begin("a", IN_FLIGHT_PERIOD_MS - 1);
    expect(loads.inFlight("a", IN_FLIGHT_PERIOD_MS)).toBe(1);
    expect(loads.inFlight("a", 2 * IN_FLIGHT_PERIOD_MS - 1)).toBe(1);
    expect(loads.inFlight("a", 2 * IN_FLIGHT_PERIOD_MS)).toBe(0);
    // Its end, should it come after all, is not taken for that of another.
    loads.begin("b", IN_FLIGHT_PERIOD_MS);
    loads.begin("b", 2 * IN_FLIGHT_PERIOD_MS);
    loads.end("b", IN_FLIGHT_PERIOD_MS - 1, 2 * IN_FLIGHT_PERIOD_MS);
    expect(loads.inFlight("b", 2 * IN_FLIGHT_PERIOD_MS)).toBe(2);
  });

  test("is exact for whatever ends within a period", () => {
    const request = fc.record({
      startMs: fc.integer({ min: 0, max: 60_000 }),
      tookMs: fc.integer({ min: 1, max: IN_FLIGHT_PERIOD_MS }),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), fc.integer({ min: 0, max: 70_000 }), (requests, nowMs) => {
        const loads = new ReplicaLoads();
        const events = requests.flatMap(({ startMs, tookMs }) => [
          { atMs: startMs, run: () => loads.begin("a", startMs) },
          { atMs: startMs + tookMs, run: () => loads.end("a", startMs, startMs + tookMs, tookMs) },
        ]);
        for (const { run } of events.filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs)) run();
        const open = requests.filter(({ startMs, tookMs }) => startMs <= nowMs && nowMs < startMs + tookMs);
        expect(loads.inFlight("a", nowMs)).toBe(open.length);
      }),
    );
  });
});

describe("the average latency", () => {
  test("starts at the first answer and moves a fifth of the way with each new one", () => {
    const loads = new ReplicaLoads();
    expect(loads.latencyMs("a", 0)).toBeUndefined();
    loads.end("a", 0, 0, 10);
    expect(loads.latencyMs("a", 0)).toBe(10);
    loads.end("a", 0, 0, 20);
    expect(loads.latencyMs("a", 0)).toBe(12);
  });

  test("does not move by a request without an answer, and is unknown when it is old", () => {
    const loads = new ReplicaLoads();
    loads.end("a", 0, 0, 10);
    loads.end("a", 0, LATENCY_VALID_MS);
    expect(loads.latencyMs("a", LATENCY_VALID_MS)).toBe(10);
    expect(loads.latencyMs("a", LATENCY_VALID_MS + 1)).toBeUndefined();
  });

  test("of before a pause does not weigh on the new measurement", () => {
    const loads = new ReplicaLoads();
    loads.end("a", 0, 0, 1_000);
    loads.end("a", 0, LATENCY_VALID_MS + 1, 10);
    expect(loads.latencyMs("a", LATENCY_VALID_MS + 1)).toBe(10);
    expect(loads.peakMs("a", LATENCY_VALID_MS + 1)).toBe(10);
  });
});

describe("the peak latency", () => {
  test("rises with one slow answer at once, and comes down with time, not with the number of fast ones", () => {
    const loads = new ReplicaLoads();
    loads.end("a", 0, 0, 10);
    loads.end("a", 0, 1_000, 500);
    expect(loads.peakMs("a", 1_000)).toBe(500);
    for (let answer = 0; answer < 50; answer++) loads.end("a", 0, 1_000, 10);
    expect(loads.peakMs("a", 1_000)).toBe(500);
    loads.end("a", 0, 1_000 + PEAK_DECAY_MS, 10);
    expect(loads.peakMs("a", 1_000 + PEAK_DECAY_MS)).toBeCloseTo(10 + 490 / Math.E);
  });

  test("counts a request that nobody waits for any more as at least as slow as that, if that is news", () => {
    const loads = new ReplicaLoads();
    loads.begin("a", 0);
    loads.abandon("a", 0, 300);
    expect([loads.peakMs("a", 300), loads.inFlight("a", 300)]).toEqual([300, 0]);
    loads.begin("a", 300);
    loads.abandon("a", 300, 310);
    expect([loads.peakMs("a", 310), loads.latencyMs("a", 310)]).toEqual([300, 300]);
  });
});

test("forgets the replicas that a new topology does not have", () => {
  const loads = new ReplicaLoads();
  loads.begin("old", 0);
  loads.begin("kept", 0);
  loads.retain(new Set(["kept"]));
  expect(loads.inFlight("old", 0)).toBe(0);
  expect(loads.inFlight("kept", 0)).toBe(1);
});
