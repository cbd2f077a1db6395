// `npm run bench -- balance`: the policies of balancing beside each other, under skewed load, with one slow replica and with
// one that pauses. A simulation of the production code: no processes, no clock, the same figures on every machine. Exit status 0:
// the policies are where docs/benchmarks.md says that they are; 1: they are not; 2: the command was wrong.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { BALANCE_POLICIES, type BalancePolicy } from "../../routing/balance-policy.ts";
import { UsageError } from "../harness/options.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";
import { type Figures, simulate } from "./simulation.ts";

const REQUESTS_DEFAULT = 10_000;
const REQUESTS_MIN = 100;
const SEED_DEFAULT = 1;
const USAGE = `npm run bench -- balance [options]
  --requests N   reads in each run (default ${REQUESTS_DEFAULT.toLocaleString("en")})
  --seed N       of arrivals, service times and the policies' dice (default ${SEED_DEFAULT})
  --json FILE    write the figures there (keys: docs/benchmarks.md)
  --help`;

interface Row {
  readonly policy: BalancePolicy;
  readonly isHedging: boolean;
}

const ROWS: readonly Row[] = BALANCE_POLICIES.flatMap((policy) => [
  { policy, isHedging: true },
  { policy, isHedging: false },
]);

/** By `<policy>` and `<policy>, no hedges`. */
export type ScenarioFigures = Readonly<Record<string, Figures>>;

function titleOf({ policy, isHedging }: Row): string {
  return isHedging ? policy : `${policy}, no hedges`;
}

export async function measure(scenario: Scenario, requests: number, seed: number): Promise<ScenarioFigures> {
  const figures: Record<string, Figures> = {};
  for (const row of ROWS) figures[titleOf(row)] = await simulate(scenario, { ...row, requests, seed });
  return figures;
}

/** What docs/benchmarks.md says of the policies. */
export function complaintsAbout({ name }: Scenario, figures: ScenarioFigures): readonly string[] {
  const of = (title: string): Figures => {
    const found = figures[title];
    if (found === undefined) throw new Error(`no row ${title}`);
    return found;
  };
  const complaints: string[] = [];
  const mustBeat = (better: string, worse: string) => {
    if (!(of(better).p99_ms < of(worse).p99_ms))
      complaints.push(`${name}: the p99 of "${better}" is not below "${worse}"`);
  };
  if (name === "slow-replica") {
    mustBeat("p2c", "round-robin");
    mustBeat("p2c, no hedges", "round-robin, no hedges");
  }
  if (name === "pauses") mustBeat("round-robin", "round-robin, no hedges");
  if (name === "skewed-load") mustBeat("nearest", "round-robin");
  for (const [title, { errors }] of Object.entries(figures)) {
    if (errors > 0) complaints.push(`${name}: ${errors} reads failed with "${title}"`);
  }
  return complaints;
}

export async function balance(argv: readonly string[]): Promise<number> {
  const { values } = parseBalanceArgs(argv);
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const requests = whole("requests", values.requests, REQUESTS_DEFAULT, REQUESTS_MIN);
  const seed = whole("seed", values.seed, SEED_DEFAULT, 0);
  const scenarios: Record<string, ScenarioFigures> = {};
  const complaints: string[] = [];
  for (const scenario of SCENARIOS) {
    const figures = await measure(scenario, requests, seed);
    scenarios[scenario.name] = figures;
    complaints.push(...complaintsAbout(scenario, figures));
    console.log(
      `${scenario.name}: ${scenario.about}; ${scenario.requestsPerSecond} reads a second\n${tableOf(figures)}\n`,
    );
  }
  for (const complaint of complaints) console.log(`missed: ${complaint}`);
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ requests, seed, scenarios, complaints }, null, 2)}\n`);
  }
  return complaints.length === 0 ? 0 : 1;
}

function parseBalanceArgs(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        requests: { type: "string" },
        seed: { type: "string" },
        json: { type: "string" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function whole(name: string, text: string | undefined, fallback: number, min: number): number {
  const number = text === undefined ? fallback : Number(text);
  if (Number.isSafeInteger(number) && number >= min) return number;
  throw new UsageError(`--${name} ${text}: expected a whole number from ${min} on`);
}

const COLUMNS: readonly (readonly [string, (figures: Figures) => string])[] = [
  ["p50, ms", ({ p50_ms }) => p50_ms.toFixed(1)],
  ["p99, ms", ({ p99_ms }) => p99_ms.toFixed(1)],
  ["max, ms", ({ max_ms }) => max_ms.toFixed(0)],
  ["busiest / even", ({ spread }) => spread.toFixed(2)],
  ["extra reads, %", ({ extra_percent }) => extra_percent.toFixed(1)],
];
const TITLE_WIDTH = 34;
const COLUMN_WIDTH = 16;

function tableOf(figures: ScenarioFigures): string {
  const head = ["  policy".padEnd(TITLE_WIDTH), ...COLUMNS.map(([title]) => title.padStart(COLUMN_WIDTH))].join("");
  const rows = Object.entries(figures).map(([title, row]) =>
    [`  ${title}`.padEnd(TITLE_WIDTH), ...COLUMNS.map(([, cell]) => cell(row).padStart(COLUMN_WIDTH))].join(""),
  );
  return [head, ...rows].join("\n");
}
