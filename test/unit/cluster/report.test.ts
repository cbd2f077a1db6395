// The verdict on a failover run: each broken promise alone must fail it.

import { describe, expect, test } from "vitest";
import { type BrokenPromises, History } from "../../../cluster/failover/history.ts";
import { isClearRefusal } from "../../../cluster/failover/minority.ts";
import { type FailoverRun, faultsOf, figuresOf, LIMITS } from "../../../cluster/failover/report.ts";
import type { RoundResult } from "../../../cluster/failover/rounds.ts";

function round(changes: Partial<RoundResult> = {}): RoundResult {
  const gaps = {
    writeGapMs: 300,
    strongGapMs: 200,
    lowerGapMs: 50,
    steadyLowerGapMs: 20,
    resumedMs: 300,
    caughtUpMs: 700,
  };
  const rejoin = { rejoinWriteGapMs: 60, rejoinLowerGapMs: 40 };
  return { failure: "kill", region: "weur", shards: [0], ...gaps, ...rejoin, ...changes };
}

function run(changes: Partial<FailoverRun> = {}): FailoverRun {
  return {
    history: new History(1),
    rounds: [round()],
    minority: { refusals: ["503 /problems/unavailable"], refusedAfterMs: 10, resumedMs: 500 },
    records: 10,
    writes: 100,
    seconds: 1,
    ...changes,
  };
}

function faults(of: FailoverRun): readonly string[] {
  return faultsOf(figuresOf(of), isClearRefusal);
}

describe("the verdict", () => {
  test("is good for a run in which everything held", () => {
    expect(faults(run())).toEqual([]);
  });

  const PROMISES = Object.keys(new History(1).broken) as (keyof BrokenPromises)[];
  for (const promise of PROMISES) {
    test(`is bad where ${promise} was seen once`, () => {
      const history = new History(1);
      history.report(promise, "seen");
      expect(faults(run({ history }))).toHaveLength(1);
    });
  }

  const GAPS: Partial<RoundResult>[] = [
    { writeGapMs: LIMITS.writeGapMaxMs + 1 },
    { lowerGapMs: LIMITS.lowerGapMs + 1 },
    { rejoinWriteGapMs: LIMITS.writeGapMaxMs + 1 },
    { rejoinLowerGapMs: LIMITS.lowerGapMs + 1 },
    { failure: "freeze", writeGapMs: LIMITS.writeGapMaxMs + 1 },
    { failure: "freeze", lowerGapMs: LIMITS.lowerGapMs + 1 },
  ];
  for (const changes of GAPS) {
    test(`is bad beyond the limit for ${JSON.stringify(changes)}`, () => {
      expect(faults(run({ rounds: [round(), round(), round(changes)] }))).toHaveLength(1);
    });
  }

  test("is bad where a minority answered a write with anything but a clear 503", () => {
    for (const refusal of ["200 ", "500 /problems/internal", "timeout (no reply in 10000 ms)"]) {
      expect(faults(run({ minority: { refusals: [refusal], refusedAfterMs: 0, resumedMs: 0 } }))).toHaveLength(1);
    }
  });
});

describe("the figures", () => {
  test("take the median of the kills alone, and the worst of them", () => {
    const rounds = [100, 900, 400, 300].map((writeGapMs) => round({ writeGapMs }));
    const figures = figuresOf(run({ rounds: [...rounds, round({ failure: "freeze", writeGapMs: 1_500 })] }));
    expect(figures.kills).toBe(4);
    expect(figures.write_gap_ms).toEqual({ median: 350, max: 900 });
    expect(figures.freeze_write_gap_ms).toEqual({ max: 1_500 });
  });

  test("hold what lower reads met in a kill beside what they met before it", () => {
    const rounds = [
      round({ lowerGapMs: 60, steadyLowerGapMs: 30 }),
      round({ lowerGapMs: 90, steadyLowerGapMs: 80 }),
      round({ lowerGapMs: 40, steadyLowerGapMs: 20 }),
    ];
    const figures = figuresOf(run({ rounds: [...rounds, round({ failure: "freeze", steadyLowerGapMs: 500 })] }));
    expect(figures.lower_read_gap_ms).toEqual({ median: 60, max: 90 });
    expect(figures.steady_lower_read_gap_ms).toEqual({ median: 30, max: 80 });
  });
});
