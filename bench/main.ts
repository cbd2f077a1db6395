// `npm run bench`: Halo beside bare Workers that do the same without it, on one machine in one interleaved run. Only
// ratios within a run mean anything: absolute figures move by a factor of two with the machine's mood. Exit status 0
// says that every reply was right and every bar held; 1 that not; 2 that the command was wrong.

import { writeFileSync } from "node:fs";
import { all } from "./all/main.ts";
import { balance } from "./balance/main.ts";
import { eviction } from "./eviction/main.ts";
import { guard } from "./guard/main.ts";
import { commit, isRealDisk, machineOf, versions } from "./harness/environment.ts";
import { Complaints, loadDataSet, type Measured, readBack, runOpenLoops, runRounds } from "./harness/measure.ts";
import { type BenchOptions, parseBenchOptions, USAGE, UsageError } from "./harness/options.ts";
import { selectPaths } from "./harness/paths.ts";
import { barLines, jsonOf, judge, summarize, tableOf } from "./harness/report.ts";
import { startSystem } from "./harness/start-system.ts";
import type { System } from "./harness/system.ts";
import { inWorkplace, type Workplace } from "./harness/workplace.ts";
import { million } from "./million/main.ts";
import { profile } from "./profile/main.ts";
import { rows } from "./rows/main.ts";

const EXIT_MISSED = 1;
const EXIT_USAGE = 2;

/** One after another: they would only slow each other on few cores. */
async function prepare(options: BenchOptions, workplace: Workplace<System>): Promise<Measured[]> {
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

async function bench(options: BenchOptions, workplace: Workplace<System>): Promise<boolean> {
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
  if (subject === "balance") return await balance(rest);
  if (subject === "million") return await million(rest);
  if (subject === "rows") return await rows(rest);
  if (process.argv.includes("--all")) return await all(process.argv.slice(2));
  if (subject === "guard") return await guard(rest);
  if (subject === "profile") return await profile(rest);
  const options = parseBenchOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  selectPaths(options.paths);
  return await inWorkplace<System>(options.directory, async (workplace) =>
    (await bench(options, workplace)) ? 0 : EXIT_MISSED,
  );
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
