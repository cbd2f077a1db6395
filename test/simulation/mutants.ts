// npm run sim:mutants [-- --json FILE] [--only NAME,NAME] [--budget N] [--jobs N] [--first-seed S]
// Puts every known mistake back, one at a time, and searches for a seed whose simulation notices. Prints which checker saw
// it, at which seed, after how many runs; exit status 0 only if all were caught within the budget.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { MUTANTS } from "./mutant-list.ts";
import type { Mutant } from "./mutate.ts";
import { search } from "./search.ts";

/** Runs in which each mistake must be noticed. */
export const BUDGET_RUNS = 3_000;

interface Row {
  readonly mutant: string;
  readonly mistake: string;
  readonly caught: boolean;
  readonly checker?: string | undefined;
  readonly seed?: number | undefined;
  readonly runs: number;
}

async function tryMutant(mutant: Mutant, firstSeed: number, budget: number, jobs: number): Promise<Row> {
  let runs = 0;
  const found: { seed: number; checker: string }[] = [];
  await search({
    firstSeed,
    runs: budget,
    jobs,
    mutant,
    onReport: ({ seed, violations }) => {
      runs++;
      const [violation] = violations;
      if (violation !== undefined) found.push({ seed, checker: violation.checker });
      return violation !== undefined;
    },
  });
  // Threads race: the lowest seed is the same every time.
  const first = found.sort((left, right) => left.seed - right.seed)[0];
  const { name, mistake } = mutant;
  return {
    mutant: name,
    mistake,
    caught: first !== undefined,
    ...first,
    runs: first ? first.seed - firstSeed + 1 : runs,
  };
}

function print({ mutant, caught, checker, seed, runs }: Row): void {
  const verdict = caught ? `${checker}, seed ${seed}` : "NOT CAUGHT";
  console.log(`${mutant.padEnd(38)} ${verdict.padEnd(46)} ${String(runs).padStart(5)} runs`);
}

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string" },
    budget: { type: "string", default: String(BUDGET_RUNS) },
    jobs: { type: "string", default: "2" },
    "first-seed": { type: "string", default: "1" },
  },
});
const names = values.only?.split(",");
const chosen = MUTANTS.filter(({ name }) => names === undefined || names.includes(name));
const unknown = names?.filter((name) => !MUTANTS.some((mutant) => mutant.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`unknown mutants: ${unknown.join(", ")}`);
  process.exit(2);
}
const table: Row[] = [];
for (const mutant of chosen) {
  const row = await tryMutant(mutant, Number(values["first-seed"]), Number(values.budget), Number(values.jobs));
  table.push(row);
  print(row);
}
const caught = table.filter((row) => row.caught).length;
console.log(`${caught} of ${table.length} mutants caught, budget ${values.budget} runs each`);
if (values.json !== undefined)
  writeFileSync(values.json, JSON.stringify({ mutants: table.length, caught, table }, null, 2));
process.exitCode = caught === table.length ? 0 : 1;
