import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CircuitBreaker,
  OPEN_MS_MAX,
  OPEN_MS_MIN,
  PHI_TO_OPEN,
  PROBE_INTERVAL_MS,
  PROBES_TO_CLOSE,
} from "../../../routing/circuit-breaker.ts";
import { MEAN_MS_MIN, PAUSE_MS } from "../../../routing/silence-detector.ts";

/** Nobody takes such a silence for a pause. */
const SILENT_MS = 1_000;

function refusedAt(nowMs: number): CircuitBreaker {
  const breaker = new CircuitBreaker();
  breaker.onFailure(nowMs, "refused", nowMs);
  return breaker;
}

/** Fails the probe that is due, after `SILENT_MS`, and returns when the next one is. */
function failProbe(breaker: CircuitBreaker, nowMs: number): number {
  expect(breaker.isAllowed(nowMs)).toBe(true);
  breaker.onAttempt(nowMs);
  breaker.onFailure(nowMs + SILENT_MS, "silent", nowMs);
  let nextMs = nowMs + SILENT_MS;
  while (!breaker.isAllowed(nextMs)) nextMs += 1;
  return nextMs;
}

describe("closed", () => {
  test("stays closed while silence is broken by answers", () => {
    const breaker = new CircuitBreaker();
    for (let round = 0; round < 10; round++) {
      breaker.onFailure(round * 1_000 + 250, "silent", round * 1_000);
      expect(breaker.state(round * 1_000 + 250)).toBe("closed");
      breaker.onSuccess();
    }
    expect(breaker.isAllowed(10_000)).toBe(true);
  });

  test("opens once the silence is one that a live replica falls into once in a hundred million times", () => {
    const breaker = new CircuitBreaker();
    const untilMs = PAUSE_MS + PHI_TO_OPEN * MEAN_MS_MIN * Math.LN10;
    breaker.onFailure(untilMs - 1, "silent", 0);
    expect(breaker.isAllowed(untilMs - 1)).toBe(true);
    breaker.onFailure(untilMs, "silent", 0);
    expect(breaker.isAllowed(untilMs)).toBe(false);
  });

  test("opens later for a replica whose answers take long", () => {
    const breaker = new CircuitBreaker();
    breaker.onSuccess(150);
    breaker.onFailure(1_000, "silent", 0);
    expect(breaker.state(1_000)).toBe("closed");
    breaker.onFailure(3_000, "silent", 0);
    expect(breaker.state(3_000)).toBe("open");
  });

  test("opens at the first refusal", () => {
    expect(refusedAt(0).state(0)).toBe("open");
  });

  test("a sign of life from elsewhere closes it at once, and its next opening is a short one", () => {
    const breaker = refusedAt(0);
    failProbe(breaker, OPEN_MS_MIN);
    breaker.close();
    expect(breaker.state(OPEN_MS_MIN + SILENT_MS)).toBe("closed");
    breaker.onFailure(10_000, "refused", 9_999);
    expect(breaker.isAllowed(10_000 + OPEN_MS_MIN)).toBe(true);
  });
});

describe("open", () => {
  test("allows nothing until its time is over, then it is half-open", () => {
    const breaker = refusedAt(1_000);
    expect(breaker.isAllowed(1_000 + OPEN_MS_MIN - 1)).toBe(false);
    expect(breaker.state(1_000 + OPEN_MS_MIN - 1)).toBe("open");
    expect(breaker.isAllowed(1_000 + OPEN_MS_MIN)).toBe(true);
    expect(breaker.state(1_000 + OPEN_MS_MIN)).toBe("half-open");
  });

  test("is not held open by the failures of requests that were in flight when it opened", () => {
    const breaker = refusedAt(0);
    for (let late = 1; late < 100; late++) breaker.onFailure(late, "refused", 0);
    expect(breaker.isAllowed(OPEN_MS_MIN)).toBe(true);
  });

  test("is not held open by the silence of requests that were waiting when it opened", () => {
    const breaker = new CircuitBreaker();
    breaker.onFailure(SILENT_MS, "silent", 0);
    for (let late = 1; late < 100; late++) breaker.onFailure(SILENT_MS + late, "silent", late);
    expect(breaker.isAllowed(SILENT_MS + OPEN_MS_MIN)).toBe(true);
  });

  test("counts the answer to a request that had nobody else to ask", () => {
    const breaker = refusedAt(0);
    for (let answer = 0; answer < PROBES_TO_CLOSE; answer++) breaker.onSuccess();
    expect(breaker.state(1)).toBe("closed");
  });
});

describe("half-open", () => {
  test("risks one request per interval, however many ask", () => {
    const breaker = refusedAt(0);
    let probes = 0;
    for (let nowMs = OPEN_MS_MIN; nowMs < OPEN_MS_MIN + 10 * PROBE_INTERVAL_MS; nowMs++) {
      if (!breaker.isAllowed(nowMs)) continue;
      breaker.onAttempt(nowMs);
      probes += 1;
    }
    expect(probes).toBe(10);
  });

  test("asking whether a probe may go does not take it", () => {
    const breaker = refusedAt(0);
    expect(breaker.isAllowed(OPEN_MS_MIN)).toBe(true);
    expect(breaker.isAllowed(OPEN_MS_MIN)).toBe(true);
  });

  test("closes after two answered probes, and its next opening is a short one again", () => {
    const breaker = refusedAt(0);
    let nowMs = failProbe(breaker, OPEN_MS_MIN);
    for (let probe = 0; probe < PROBES_TO_CLOSE; probe++) {
      expect(breaker.state(nowMs)).toBe("half-open");
      breaker.onAttempt(nowMs);
      breaker.onSuccess();
      nowMs += PROBE_INTERVAL_MS;
    }
    expect(breaker.state(nowMs)).toBe("closed");
    breaker.onFailure(nowMs, "refused", nowMs);
    expect(breaker.isAllowed(nowMs + OPEN_MS_MIN)).toBe(true);
  });

  test("each failed probe doubles the time, up to the limit", () => {
    const breaker = refusedAt(0);
    let nowMs = OPEN_MS_MIN;
    const waits: number[] = [];
    for (let probe = 0; probe < 7; probe++) {
      const nextMs = failProbe(breaker, nowMs);
      waits.push(nextMs - nowMs - SILENT_MS);
      nowMs = nextMs;
    }
    expect(waits).toEqual([400, 800, 1_600, 3_200, OPEN_MS_MAX, OPEN_MS_MAX, OPEN_MS_MAX]);
  });

  test("a probe that failed between two that succeeded opens it again", () => {
    const breaker = refusedAt(0);
    breaker.onAttempt(OPEN_MS_MIN);
    breaker.onSuccess();
    breaker.onAttempt(OPEN_MS_MIN + PROBE_INTERVAL_MS);
    const sinceMs = OPEN_MS_MIN + PROBE_INTERVAL_MS;
    breaker.onFailure(sinceMs + SILENT_MS, "silent", sinceMs);
    expect(breaker.state(sinceMs + SILENT_MS)).toBe("open");
  });
});

test("whatever has happened, a replica is asked again within the longest opening", () => {
  const event = fc.record({
    kind: fc.constantFrom("attempt", "success", "refused", "silent"),
    afterMs: fc.integer({ min: 0, max: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const breaker = new CircuitBreaker();
      let nowMs = 0;
      for (const { kind, afterMs } of events) {
        nowMs += afterMs;
        if (kind === "attempt") breaker.onAttempt(nowMs);
        else if (kind === "success") breaker.onSuccess();
        else breaker.onFailure(nowMs, kind === "refused" ? "refused" : "silent", nowMs - afterMs);
        expect(breaker.isAllowed(nowMs + OPEN_MS_MAX)).toBe(true);
      }
    }),
  );
});
