// `npm run bench`: Halo beside bare Workers that do the same without it, on one machine in one interleaved run. Only
// ratios within a run mean anything: absolute figures move by a factor of two with the machine's mood. Exit status 0
// says that every reply was right and every bar held; 1 that not; 2 that the command was wrong.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stateDir } from "../cluster/project.ts";
import { balance } from "./balance/main.ts";
import { eviction } from "./eviction/main.ts";
import { commit, isRealDisk, machineOf, versions } from "./harness/environment.ts";
import { Complaints, loadDataSet, type Measured, readBack, runOpenLoops, runRounds } from "./harness/measure.ts";
import { type BenchOptions, parseBenchOptions, USAGE, UsageError } from "./harness/options.ts";
import { type BenchPath, PATHS } from "./harness/paths.ts";
import { barLines, jsonOf, judge, summarize, tableOf } from "./harness/report.ts";
import { type System, startBaseline, startHalo } from "./harness/system.ts";

const EXIT_MISSED = 1;
const EXIT_USAGE = 2;
/** What a shell reports for a command that a signal ended: 128 and the signal's number. */
const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;
const LOG_TAIL_LINES = 10;

/** The run's processes and files; everything in here is gone when the command ends, however it ends. */
class Workplace {
  readonly directory: string;
  readonly systems: System[] = [];

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  describe(): string {
    const lines = this.systems.map(({ name, url, workerdPids, logFile }) => {
      const tail = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES);
      return [`${name}: ${url}, workerd ${workerdPids.join(", ")}, log:`, ...tail].join("\n    ");
    });
    return [`storage (removed at the end): ${this.directory}`, ...lines].join("\n  ");
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.systems.map((system) => system.stop()));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function selectPaths(names: readonly string[] | undefined): readonly BenchPath[] {
  for (const name of names ?? []) {
    if (!PATHS.some(({ id }) => id === name)) {
      throw new UsageError(`--paths: no path "${name}"; there are ${PATHS.map(({ id }) => id).join(", ")}`);
    }
  }
  return names === undefined ? PATHS : PATHS.filter(({ id }) => names.includes(id));
}

async function startSystem(name: BenchPath["system"], directory: string): Promise<System> {
  if (name === "halo-1x3") return await startHalo(1, directory);
  if (name === "halo-4x3") return await startHalo(4, directory);
  return await startBaseline(name, directory);
}

/** One after another: they would only slow each other on few cores. */
async function prepare(options: BenchOptions, workplace: Workplace): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const benchPath of selectPaths(options.paths)) {
    let system = workplace.systems.find(({ name }) => name === benchPath.system);
    if (system === undefined) {
      system = await startSystem(benchPath.system, workplace.directory);
      workplace.systems.push(system);
      progress(`started ${system.name} on ${system.url}`);
      if (system.startsEmpty) await loadDataSet(system);
    }
    measured.push({ path: benchPath, system, samples: [], openLoops: [], rowsPerPut: undefined });
  }
  return measured;
}

async function bench(options: BenchOptions, workplace: Workplace): Promise<boolean> {
  const machine = machineOf(workplace.directory);
  if (!isRealDisk(machine.filesystem)) {
    throw new UsageError(
      `${workplace.directory} is on ${machine.filesystem}, where fsync is free: choose a disk with --dir`,
    );
  }
  const complaints = new Complaints();
  const measured = await prepare(options, workplace);
  await runRounds(measured, options, complaints, progress);
  await runOpenLoops(measured, options, complaints, progress);
  await readBack(measured, complaints);

  const summaries = summarize(measured);
  const verdicts = judge(measured);
  const facts = {
    machine,
    versions: versions(),
    commit: commit(),
    command: ["npm run bench --", ...process.argv.slice(2)].join(" "),
    rounds: options.rounds,
    seconds: options.seconds,
    connections: options.connections,
    open_loop_rates: { get: options.getRate, put: options.putRate },
    errors: complaints.count,
  };
  if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, jsonOf(summaries, verdicts, facts));
  console.log(
    `\n${machine.cpu}, ${machine.cores} cores (load average ${machine.load_average} before the run), storage on ${machine.filesystem} (fsync ${machine.fsync_ms} ms); ${options.connections} connections, ` +
      `${options.rounds} rounds of ${options.seconds} s; open loop at ${options.getRate} GETs and ${options.putRate} PUTs a second\n`,
  );
  console.log(`${tableOf(summaries)}\n\n${barLines(verdicts)}`);
  console.log(complaints.count === 0 ? "every reply was right" : `${complaints.count} wrong replies:`);
  for (const sample of complaints.samples) console.log(`  ${sample}`);
  if (complaints.count > 0) console.error(workplace.describe());
  return complaints.count === 0 && verdicts.every(({ isMet }) => isMet);
}

function progress(line: string): void {
  console.error(line);
}

async function main(): Promise<number> {
  const [subject, ...rest] = process.argv.slice(2);
  if (subject === "eviction") return eviction(rest);
  if (subject === "balance") return balance(rest);
  const options = parseBenchOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  selectPaths(options.paths);
  const workplace = new Workplace(path.resolve(options.directory ?? stateDir, `bench-${process.pid}`));
  let interruptedBy: keyof typeof EXIT_OF_SIGNAL | undefined;
  const interrupt = (signal: keyof typeof EXIT_OF_SIGNAL) => {
    // A second Ctrl-C ends at once; the systems' processes notice that and end themselves.
    if (interruptedBy !== undefined) process.exit(EXIT_OF_SIGNAL[signal]);
    interruptedBy = signal;
    void workplace.close().finally(() => process.exit(EXIT_OF_SIGNAL[signal]));
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    return (await bench(options, workplace)) ? 0 : EXIT_MISSED;
  } catch (error) {
    // While an interrupted run is being torn down, everything under way fails; that is no news.
    if (interruptedBy !== undefined) return EXIT_OF_SIGNAL[interruptedBy];
    if (!(error instanceof UsageError)) console.error(workplace.describe());
    throw error;
  } finally {
    if (interruptedBy === undefined) await workplace.close();
  }
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`);
    else console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exitCode = error instanceof UsageError ? EXIT_USAGE : EXIT_MISSED;
  },
);
