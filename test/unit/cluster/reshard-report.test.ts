// The verdict on a run that changes the shape: each thing that must not be seen fails it alone.

import { describe, expect, test } from "vitest";
import { type BrokenPromises, History, TrackedKey } from "../../../cluster/failover/history.ts";
import {
  LIMITS,
  type ReshardRun,
  reshardFaults,
  reshardFigures,
  type ShapeChange,
} from "../../../cluster/reshard/report.ts";

const CHANGE: ShapeChange = {
  title: "4 to 5 shards",
  movedSlots: 204,
  idealSlots: 204.8,
  movedKeys: 200,
  idealKeys: 199.6,
  seconds: 20,
};

function run(changes: Partial<ReshardRun> = {}): ReshardRun {
  return {
    history: new History(1),
    changes: [CHANGE],
    interruption: { region: "weur", pendingSlots: 100, killedMs: 1_000, resumedMs: 2_000 },
    records: 10,
    recordsCounted: 10,
    shardsAtEnd: 5,
    writes: 100,
    seconds: 60,
    ...changes,
  };
}

const faults = (of: ReshardRun) => reshardFaults(reshardFigures(of));

function waits(...all: readonly (readonly [number, number])[]): History {
  const history = new History(1);
  for (const [sentMs, ackedMs] of all) history.noteWait(sentMs, ackedMs);
  return history;
}

describe("the verdict", () => {
  test("is good for a run in which everything held", () => {
    expect(faults(run())).toEqual([]);
  });

  test.each(Object.keys(new History(1).broken) as (keyof BrokenPromises)[])(
    "is bad where %s was seen once",
    (promise) => {
      const history = new History(1);
      history.report(promise, "seen");
      // These are refused requests as well, and are told as such.
      if (promise === "lowerReadErrors" || promise === "unexpected") history.refuse("session", "503");
      expect(faults(run({ history }))).toHaveLength(1);
    },
  );

  test("is bad for a request that was refused once, even if it succeeded later", () => {
    const history = new History(1);
    history.refuse("write", "503 /problems/unavailable");
    expect(faults(run({ history }))).toEqual(["1 reads or writes failed"]);
  });

  test.each<[string, Partial<ReshardRun>, RegExp]>([
    [
      "moves more slots than it has to",
      { changes: [{ ...CHANGE, movedSlots: 257 }] },
      /257 slots moved, 204\.8 would do/,
    ],
    ["counts a record twice", { recordsCounted: 11 }, /11 records are counted, 10 were stored/],
    [
      "kills the region when everything has moved",
      { interruption: { region: "weur", pendingSlots: 0, killedMs: 1, resumedMs: 2 } },
      /nothing was to move/,
    ],
    ["lets a write wait for too long", { history: waits([5_000, 5_001 + LIMITS.writePauseMs]) }, /a write waited/],
  ])("is bad where the run %s", (_, changes, fault) => {
    expect(faults(run(changes))).toEqual([expect.stringMatching(fault)]);
  });
});

describe("the figures", () => {
  test("add the changes up, and round only then", () => {
    const figures = reshardFigures(run({ changes: [CHANGE, { ...CHANGE, movedKeys: 160, idealKeys: 166.2 }] }));
    expect(figures).toMatchObject({ moved_keys: 360, ideal_keys: 366, errors: 0, acknowledged_lost: 0 });
  });

  test("keep the wait for a new leader apart from the pauses of the moves", () => {
    const history = waits([100, 130], [900, 1_800], [1_999, 2_600], [2_000, 2_090]);
    expect(reshardFigures(run({ history }))).toMatchObject({
      longest_write_pause_ms: 90,
      longest_failover_wait_ms: 900,
    });
  });

  test("count every kind of error once", () => {
    const history = new History(1);
    history.refuse("bounded", "503");
    history.report("lowerReadErrors", "it was refused");
    history.checkRead("strong", new TrackedKey("k", 0), 0, 1);
    expect(reshardFigures(run({ history })).errors).toBe(2);
  });
});
