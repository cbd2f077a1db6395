// The benchmark's command line.

import { parseArgs } from "node:util";

export interface BenchOptions {
  readonly isQuick: boolean;
  readonly rounds: number;
  /** Measured seconds of each closed-loop run. */
  readonly seconds: number;
  /** Unmeasured seconds before each closed-loop run: connections, just-in-time compilation, a group that slept. */
  readonly warmupSeconds: number;
  /** As `rounds` and `seconds`, of the open loop. */
  readonly openLoopRounds: number;
  readonly openLoopSeconds: number;
  readonly connections: number;
  /** Rates of the open-loop runs: half or less of what the slowest system reaches, so that queues stay short. */
  readonly getRate: number;
  readonly putRate: number;
  readonly jsonFile: string | undefined;
  /** Directory for the systems' storage; absent: under the project's ignored `.halo/`. */
  readonly directory: string | undefined;
  /** Only these paths; absent: all. */
  readonly paths: readonly string[] | undefined;
}

export const USAGE = `npm run bench -- [options]
npm run bench -- --all [--help]
npm run bench -- guard [--help]
npm run bench -- scale [--help]
npm run bench -- eviction [--help]
npm run bench -- balance [--help]
npm run bench -- rows [--help]
npm run bench -- million [--help]
npm run bench -- profile [--help]
  --quick            3 short rounds, about two minutes
  --rounds N         rounds of the closed loop (default 5, quick 3)
  --seconds S        measured seconds of each run (default 5, quick 1.5)
  --connections N    connections of the closed loop (default 32)
  --get-rate N       open-loop GETs per second (default 500)
  --put-rate N       open-loop PUTs per second (default 150)
  --paths A,B        measure only these paths, for instance put,bare_row_write; the bars of others count as not held
  --dir DIR          where the systems store their data; must be on a real disk (default: .halo/ in the project)
  --json FILE        write the figures there (keys: docs/benchmarks.md)
  --help`;

const FULL = { rounds: 5, seconds: 5, warmupSeconds: 1, openLoopRounds: 5, openLoopSeconds: 3 };
const QUICK = { rounds: 3, seconds: 1.5, warmupSeconds: 0.4, openLoopRounds: 1, openLoopSeconds: 2 };
const CONNECTIONS_DEFAULT = 32;
const GET_RATE_DEFAULT = 500;
const PUT_RATE_DEFAULT = 150;

/** The message is one line for the user. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Undefined where help was asked for. Throws `UsageError`. */
export function parseBenchOptions(argv: readonly string[]): BenchOptions | undefined {
  const values = givenOptions(
    argv,
    ["rounds", "seconds", "connections", "get-rate", "put-rate", "paths", "dir", "json"],
    ["quick"],
  );
  if (values.help === true) return undefined;
  const size = values.quick === true ? QUICK : FULL;
  return {
    isQuick: values.quick === true,
    rounds: positive("rounds", values.rounds, size.rounds, true),
    seconds: positive("seconds", values.seconds, size.seconds),
    warmupSeconds: size.warmupSeconds,
    openLoopRounds: size.openLoopRounds,
    openLoopSeconds: size.openLoopSeconds,
    connections: positive("connections", values.connections, CONNECTIONS_DEFAULT, true),
    getRate: positive("get-rate", values["get-rate"], GET_RATE_DEFAULT),
    putRate: positive("put-rate", values["put-rate"], PUT_RATE_DEFAULT),
    jsonFile: values.json,
    directory: values.dir,
    paths: values.paths?.split(","),
  };
}

type Given<Text extends string, Switch extends string> = Partial<
  Record<Text, string> & Record<Switch | "help", boolean>
>;

/** What a command line names: options with a value, and switches, of which `help` is always one. Throws `UsageError`. */
export function givenOptions<Text extends string, Switch extends string = never>(
  argv: readonly string[],
  texts: readonly Text[],
  switches: readonly Switch[] = [],
): Given<Text, Switch> {
  const typed = (names: readonly string[], type: "string" | "boolean") =>
    names.map((name) => [name, { type }] as const);
  const options = Object.fromEntries([...typed(texts, "string"), ...typed([...switches, "help"], "boolean")]);
  try {
    return parseArgs({ args: [...argv], options }).values as Given<Text, Switch>;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The same for a whole command; undefined: help was asked for, and has been printed. */
export function commandOptions<Text extends string, Switch extends string = never>(
  argv: readonly string[],
  usage: string,
  texts: readonly Text[],
  switches: readonly Switch[] = [],
): Given<Text, Switch> | undefined {
  const given = givenOptions(argv, texts, switches);
  if (given.help !== true) return given;
  console.log(usage);
  return undefined;
}

export function positive(name: string, text: string | undefined, fallback: number, isWhole = false): number {
  if (text === undefined) return fallback;
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number) || (isWhole && !Number.isInteger(number))) {
    throw new UsageError(`--${name} ${text}: expected a positive ${isWhole ? "whole " : ""}number`);
  }
  return number;
}
