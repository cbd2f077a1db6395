// The re-injected mistakes: each still fits the code that it is to break, and those that a few runs show are shown here.
// That all of them are caught is shown by `npm run sim:mutants`, which takes longer.

import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { MUTANTS } from "./mutant-list.ts";
import { mutatedSource, mutatedSources } from "./mutate.ts";
import { search, seedsFrom } from "./search.ts";

/** Of every part of the protocol some, each caught within a few seconds. */
const QUICK = [
  "votes-twice",
  "half-is-a-majority",
  "acknowledges-before-persisting",
  "zombie-acknowledges",
  "lease-kept-after-stepping-down",
  "lease-outlives-promise",
  "bookmark-of-uncommitted-index",
  "session-ignores-bookmark",
  "expiry-by-own-clock",
  "answers-for-slots-of-others",
  "hedges-unsafe-write",
];
const QUICK_RUNS = 60;

describe("mutants", () => {
  it("are at least fifteen, each with a name of its own", () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(15);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  it.each(MUTANTS)("$name changes exactly one place of $file", (mutant) => {
    expect(mutatedSource(mutant)).toContain(mutant.replace);
    expect(mutatedSources(mutant).size).toBe(mutant.also === undefined ? 1 : 2);
  });

  it("are refused when their snippet is gone or has become ambiguous", () => {
    const mutant = { name: "m", mistake: "", file: "durable/driver.ts", find: "x", replace: "y" };
    expect(() => mutatedSource(mutant, "nothing here")).toThrow("occurs 0 times");
    expect(() => mutatedSource(mutant, "x and x")).toThrow("occurs 2 times");
  });

  it.each(QUICK)(`%s is caught within ${QUICK_RUNS} runs`, async (name) => {
    const mutant = MUTANTS.find((candidate) => candidate.name === name);
    if (mutant === undefined) throw new Error(`no mutant ${name}`);
    const caughtBy: string[] = [];
    await search({
      seeds: seedsFrom(1, QUICK_RUNS),
      jobs: availableParallelism(),
      mutant,
      workload: mutant.workload,
      onReport: ({ violations }) => {
        caughtBy.push(...violations.map(({ checker }) => checker));
        return caughtBy.length > 0;
      },
    });
    expect(caughtBy.length).toBeGreaterThan(0);
  });
});
