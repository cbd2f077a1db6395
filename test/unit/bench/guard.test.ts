import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  BUSY_PER_CORE,
  GUARDED,
  judgeGuard,
  type Ratios,
  REGRESSION,
  ROUNDS_LEAST,
} from "../../../bench/guard/verdict.ts";
import { selectPaths } from "../../../bench/harness/paths.ts";

const RECORDED: Ratios = Object.fromEntries(GUARDED.map(({ id }) => [id, 1]));
const all = (ratio: number): Ratios => Object.fromEntries(GUARDED.map(({ id }) => [id, ratio]));
const statesOf = (rounds: readonly Ratios[], loadPerCore = 1) =>
  judgeGuard({ rounds, loadPerCore }, RECORDED).map(({ state }) => state);

describe("the guard", () => {
  it("fails where more than half of the rounds say that a path is much dearer than it was", () => {
    expect(statesOf([all(0.69), all(0.69), all(1)])).toEqual(GUARDED.map(() => "regressed"));
    expect(statesOf([all(REGRESSION), all(0.71), all(0.1)])).toEqual(GUARDED.map(() => "kept"));
  });

  it("is not moved by single rounds, however wild", () => {
    expect(statesOf([all(0.01), all(0.02), all(1), all(0.9), all(1.1)])).toEqual(GUARDED.map(() => "kept"));
  });

  it("decides nothing by too few rounds: a machine that is too slow fails nobody", () => {
    const few = Array.from({ length: ROUNDS_LEAST - 1 }, () => all(0.1));
    expect(statesOf(few)).toEqual(GUARDED.map(() => "undecided"));
    expect(statesOf([])).toEqual(GUARDED.map(() => "undecided"));
  });

  it("accuses nobody on a busy machine, and still says what is as it was", () => {
    const rounds = [all(0.5), all(0.5), all(0.5)];
    expect(statesOf(rounds, BUSY_PER_CORE + 0.1)).toEqual(GUARDED.map(() => "undecided"));
    expect(statesOf(rounds, BUSY_PER_CORE)).toEqual(GUARDED.map(() => "regressed"));
    expect(statesOf([all(1), all(1), all(1)], 100)).toEqual(GUARDED.map(() => "kept"));
  });

  it("has a recorded ratio for each path, and paths that there are", () => {
    const { ratios } = JSON.parse(readFileSync("bench/guard/recorded.json", "utf8")) as { ratios: Ratios };
    expect(Object.keys(ratios)).toEqual(GUARDED.map(({ id }) => id));
    expect(Object.values(ratios).every((ratio) => ratio > 0)).toBe(true);
    for (const { path, baseline } of GUARDED) expect(selectPaths([path, baseline])).toHaveLength(2);
    expect(() => judgeGuard({ rounds: [all(1)], loadPerCore: 1 }, {})).toThrow("--record");
  });
});
