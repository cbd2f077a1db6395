import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLoad, RateGate, SHED_RETRY_AFTER_MS, shareOf, shedAt } from "../../../durable/load-gate.ts";
import { DEFAULT_URGENCY } from "../../../durable/protocol.ts";

const URGENCIES = [0, 1, 2, 3, 4, 5, 6, 7];

describe("a share of the limit", () => {
  test("is never larger for the less urgent, is whole for the most urgent, and leaves some to the default's betters", () => {
    for (const urgency of URGENCIES.slice(1)) expect(shareOf(urgency)).toBeLessThanOrEqual(shareOf(urgency - 1));
    expect([shareOf(0), shareOf(7)]).toEqual([1, 0.5]);
    expect(shareOf()).toBe(shareOf(DEFAULT_URGENCY));
    expect(shareOf()).toBeLessThan(1);
  });

  test("decides who is shed, and the refusal says from which urgency on everybody is", () => {
    const fill = fc.double({ min: 0, max: 1.5, noNaN: true });
    fc.assert(
      fc.property(fill, (used) => {
        const shed = URGENCIES.filter((urgency) => shedAt(used, urgency, 7) !== undefined);
        expect(shed).toEqual(URGENCIES.slice(URGENCIES.length - shed.length));
        for (const urgency of shed) {
          expect(shedAt(used, urgency, 7)).toEqual({ status: "overloaded", retryAfterMs: 7, shedFrom: shed[0] });
        }
      }),
    );
  });
});

describe("a rate", () => {
  /** Requests that come at once, and how many of them are taken on. */
  const taken = (gate: RateGate, requests: number, nowMs: number, urgency?: number) =>
    Array.from({ length: requests }, () => gate.refusal(nowMs, urgency)).filter((refusal) => refusal === undefined)
      .length;

  test("is kept for each urgency by its share, and the urgent find room after the others", () => {
    const gate = new RateGate(100);
    expect(taken(gate, 200, 0, 7)).toBe(50);
    expect(taken(gate, 200, 0)).toBe(40);
    expect(taken(gate, 200, 0, 0)).toBe(10);
    expect(gate.refusal(0, 0)).toEqual({ status: "overloaded", retryAfterMs: SHED_RETRY_AFTER_MS, shedFrom: 0 });
  });

  test("slides: half a second later half of it is free again, and after two seconds all of it", () => {
    const gate = new RateGate(100);
    taken(gate, 200, 999, 0);
    expect(taken(gate, 200, 1_000, 0)).toBe(0);
    expect(taken(gate, 200, 1_500, 0)).toBe(50);
    expect(taken(gate, 200, 60_000, 0)).toBe(100);
  });

  test("is never passed by more than what two windows make of it, and never below half of what is offered", () => {
    const arrivals = fc.array(fc.integer({ min: 0, max: 4_000 }), { maxLength: 400 });
    fc.assert(
      fc.property(arrivals, (times) => {
        const gate = new RateGate(20);
        const accepted = times.toSorted((a, b) => a - b).filter((atMs) => gate.refusal(atMs, 0) === undefined);
        for (const atMs of accepted) {
          const within = accepted.filter((other) => other >= atMs && other < atMs + 1_000).length;
          expect(within).toBeLessThanOrEqual(2 * 20);
        }
        if (times.length <= 20) expect(accepted).toHaveLength(times.length);
      }),
    );
  });
});

test("the variable sets a limit, or none", () => {
  for (const [text, requestsPerSecondMax] of [
    [undefined, undefined],
    ["", undefined],
    ["0", undefined],
    ["900", 900],
    [900, 900],
  ]) {
    expect(parseLoad({ HALO_REPLICA_REQUESTS_PER_SECOND: text })).toEqual({ ok: true, requestsPerSecondMax });
  }
  for (const text of ["-1", "many", "1e3", "100001", "0.5"]) {
    expect(parseLoad({ HALO_REPLICA_REQUESTS_PER_SECOND: text })).toMatchObject({ ok: false });
  }
});
