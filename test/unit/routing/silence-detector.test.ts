import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PHI_TO_OPEN } from "../../../routing/circuit-breaker.ts";
import { ANSWER_MS_MAX, MEAN_MS_MIN, PAUSE_MS, SilenceDetector } from "../../../routing/silence-detector.ts";

/** φ of so long a silence while answers take `meanMs`. */
function phiOf(silentMs: number, meanMs = MEAN_MS_MIN): number {
  return Math.max(0, silentMs - PAUSE_MS) / (meanMs * Math.LN10);
}

describe("φ", () => {
  test("is 1 when one answer in ten takes longer, 3 when one in a thousand does", () => {
    for (const phi of [1, 3, 8]) {
      const detector = new SilenceDetector();
      detector.onAnswer(40);
      // The tail of an exponential distribution with mean 40 is 10^-φ here.
      detector.onSilence(0, PAUSE_MS + -40 * Math.log(10 ** -phi));
      expect(detector.phi).toBeCloseTo(phi);
    }
  });

  test("is nothing within a pause of the garbage collector, and after any answer", () => {
    const detector = new SilenceDetector();
    detector.onSilence(0, PAUSE_MS);
    expect(detector.phi).toBe(0);
    detector.onSilence(0, 10_000);
    expect(detector.phi).toBeGreaterThan(100);
    detector.onAnswer();
    expect(detector.phi).toBe(0);
  });

  test("takes calls that wait at the same time for one piece of evidence", () => {
    const detector = new SilenceDetector();
    for (let call = 0; call < 100; call++) detector.onSilence(call, 250);
    expect(detector.phi).toBeCloseTo(phiOf(250));
  });

  test("does not count the time in which nobody asked", () => {
    const detector = new SilenceDetector();
    detector.onSilence(0, 200);
    detector.onSilence(600_000, 600_100);
    expect(detector.phi).toBeCloseTo(phiOf(300));
  });

  test("learns how long answers take, slowly, and never believes in less than the scheduler's noise", () => {
    const detector = new SilenceDetector();
    detector.onAnswer(100);
    for (let answer = 0; answer < 200; answer++) detector.onAnswer(0);
    detector.onSilence(0, 1_000);
    expect(detector.phi).toBeCloseTo(phiOf(1_000));
    const slowed = new SilenceDetector();
    slowed.onAnswer(40);
    slowed.onAnswer(140);
    slowed.onSilence(0, 1_000);
    expect(slowed.phi).toBeCloseTo(phiOf(1_000, 50));
  });

  test("takes no answer for longer than one around the world: a call that waited for an election buys no patience", () => {
    const detector = new SilenceDetector();
    for (let answer = 0; answer < 50; answer++) detector.onAnswer(5_000);
    detector.onSilence(0, 3_000);
    expect(detector.phi).toBeCloseTo(phiOf(3_000, ANSWER_MS_MAX));
    expect(detector.phi).toBeGreaterThan(PHI_TO_OPEN);
  });

  test("accrues: more silence never lowers it, in whatever order calls report", () => {
    const call = fc.record({
      startedMs: fc.integer({ min: 0, max: 5_000 }),
      waitedMs: fc.integer({ min: 0, max: 2_000 }),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 20 }), (calls) => {
        const detector = new SilenceDetector();
        let before = 0;
        for (const { startedMs, waitedMs } of calls.sort(
          (a, b) => a.startedMs + a.waitedMs - b.startedMs - b.waitedMs,
        )) {
          detector.onSilence(startedMs, startedMs + waitedMs);
          expect(detector.phi).toBeGreaterThanOrEqual(before);
          before = detector.phi;
        }
        // It is the length of the union of all waits, at the most.
        const endMs = Math.max(0, ...calls.map(({ startedMs, waitedMs }) => startedMs + waitedMs));
        expect(before).toBeLessThanOrEqual(phiOf(endMs) + 1e-9);
      }),
    );
  });
});
