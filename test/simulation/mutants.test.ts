// The re-injected mistakes: each still fits the code that it is to break, and the ones that any run shows are shown.

import { describe, expect, it } from "vitest";
import { MUTANTS } from "./mutant-list.ts";
import { mutatedSource } from "./mutate.ts";
import { search } from "./search.ts";

describe("mutants", () => {
  it("are at least fifteen, each with a name of its own", () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(15);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  it.each(MUTANTS)("$name changes exactly one place of $file", (mutant) => {
    expect(mutatedSource(mutant)).toContain(mutant.replace);
  });

  it("are refused when their snippet is gone or has become ambiguous", () => {
    const mutant = { name: "m", mistake: "", file: "durable/driver.ts", find: "x", replace: "y" };
    expect(() => mutatedSource(mutant, "nothing here")).toThrow("occurs 0 times");
    expect(() => mutatedSource(mutant, "x and x")).toThrow("occurs 2 times");
  });

  it.each(["votes-twice", "acknowledges-before-persisting", "session-ignores-bookmark"])(
    "%s is caught within 40 runs",
    async (name) => {
      const mutant = MUTANTS.find((candidate) => candidate.name === name);
      expect(mutant).toBeDefined();
      if (mutant === undefined) return;
      const caughtBy: string[] = [];
      await search({
        firstSeed: 1,
        runs: 40,
        jobs: 1,
        mutant,
        onReport: ({ violations }) => {
          caughtBy.push(...violations.map(({ checker }) => checker));
          return caughtBy.length > 0;
        },
      });
      expect(caughtBy.length).toBeGreaterThan(0);
    },
    30_000,
  );
});
