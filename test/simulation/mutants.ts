// npm run sim:mutants [-- --json FILE] [--markdown FILE] [--only NAME,NAME] [--budget N] [--jobs N] [--first-seed S]
// Puts every known mistake back, one at a time, and searches for a seed whose simulation notices. Prints which checker saw
// it, at which seed, after how many runs; exit status 0 only if all were caught within the budget. `--markdown` writes the
// table into a document, between the two marks that it has for it (docs/correctness.md).

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { MUTANTS } from "./mutant-list.ts";
import { type Mutant, mutatedSources } from "./mutate.ts";
import { search, seedsFrom } from "./search.ts";

/** Runs in which each mistake must be noticed. */
const BUDGET_RUNS = 1_000;

const TABLE_BEGIN = "<!-- mutants: written by npm run sim:mutants -->";
const TABLE_END = "<!-- mutants: end -->";

interface Row {
  readonly mutant: string;
  readonly mistake: string;
  readonly caught: boolean;
  readonly checker?: string | undefined;
  readonly seed?: number | undefined;
  readonly runs: number;
}

/** Whether the code breaks a promise at the seed without the mistake too: then the seed says nothing about it. */
async function isBrokenAnyway({ workload }: Mutant, seed: number): Promise<boolean> {
  let isBroken = false;
  await search({
    seeds: [seed],
    jobs: 1,
    workload,
    onReport: ({ violations }) => {
      isBroken = violations.length > 0;
      return isBroken;
    },
  });
  return isBroken;
}

async function tryMutant(mutant: Mutant, firstSeed: number, budget: number, jobs: number): Promise<Row> {
  let runs = 0;
  const found: { seed: number; checker: string }[] = [];
  await search({
    seeds: seedsFrom(firstSeed, budget),
    jobs,
    mutant,
    workload: mutant.workload,
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
  if (first !== undefined && (await isBrokenAnyway(mutant, first.seed)))
    throw new Error(`seed ${first.seed} breaks a promise (${first.checker}) without the mistake "${name}" as well`);
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

function markdownOf(table: readonly Row[]): string {
  const rows = table.map(({ mutant, mistake, caught, checker, seed, runs }) => [
    mutant,
    mistake,
    (caught ? checker : undefined) ?? "**not caught**",
    String(seed ?? ""),
    String(runs),
  ]);
  const cells = [["mutant", "mistake", "caught by", "seed", "runs"], ...rows];
  // Padded as the formatter wants it.
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = cells;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}

function writeInto(file: string, table: readonly Row[]): void {
  const [before, rest] = readFileSync(file, "utf8").split(TABLE_BEGIN);
  const after = rest?.split(TABLE_END)[1];
  if (before === undefined || after === undefined) throw new Error(`${file} has no place for the table of mutants`);
  writeFileSync(file, `${before}${TABLE_BEGIN}\n\n${markdownOf(table)}\n\n${TABLE_END}${after}`);
}

function wholeNumber(name: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  console.error(`--${name} is "${text}": expected a whole number from 1 to 999999999`);
  process.exit(2);
}

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    markdown: { type: "string" },
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
const budget = wholeNumber("budget", values.budget);
const jobs = wholeNumber("jobs", values.jobs);
const firstSeed = wholeNumber("first-seed", values["first-seed"]);
// One whose snippet does not fit would break in every world, which is not to be taken for being noticed.
for (const mutant of chosen) mutatedSources(mutant);
const startMs = performance.now();
const table: Row[] = [];
for (const mutant of chosen) {
  const row = await tryMutant(mutant, firstSeed, budget, jobs);
  table.push(row);
  print(row);
}
const caught = table.filter((row) => row.caught).length;
const minutes = (performance.now() - startMs) / 60_000;
console.log(
  `${caught} of ${table.length} mutants caught, budget ${budget} runs each; ` +
    `${table.reduce((sum, { runs }) => sum + runs, 0)} runs in ${minutes.toFixed(1)} minutes`,
);
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ mutants: table.length, caught, table }, null, 2)}\n`);
if (values.markdown !== undefined) writeInto(values.markdown, table);
process.exitCode = caught === table.length ? 0 : 1;
