// `npm run bench -- guard`: fails if a path has become much dearer, beside the bare runtime, than when its ratio was recorded
// (recorded.json). Short, for every change: it looks for gross mistakes, not for percents, and never judges by time (see
// verdict.ts). On a machine that is slow or busy it is undecided, says so and fails nobody.

import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { pause } from "../../cluster/until.ts";
import { type Contender, cpuUs, interleave, type Laps, round } from "../all/contender.ts";
import { Stage } from "../all/stage.ts";
import { commit, versions } from "../harness/environment.ts";
import { commandOptions, positive } from "../harness/options.ts";
import { align } from "../harness/report.ts";
import { median } from "../harness/statistics.ts";
import { type Inmate, inWorkplace } from "../harness/workplace.ts";
import { BUSY_PER_CORE, GUARDED, judgeGuard, type Ratios, ROUNDS_LEAST } from "./verdict.ts";

const RECORDED = fileURLToPath(new URL("recorded.json", import.meta.url));
const PATHS = ["bare_read", "strong_get", "eventual_get", "naive_put", "put"];
/** Rounds that decide where nothing looks regressed; after so many more it is what it is. */
const ROUNDS = 5;
const ROUNDS_MAX = 11;
const SIZE = { rounds: 1, seconds: 0.8, warmupSeconds: 0.3 };
const SECONDS_DEFAULT = 70;

const USAGE = `npm run bench -- guard [options]
  --record       write what is found to bench/guard/recorded.json, to be committed
  --seconds S    begin no round after so long (default ${SECONDS_DEFAULT})
  --dir DIR      where the systems store their data (default: .halo/ in the project)
  --help`;

interface Recording {
  readonly ratios: Ratios;
  readonly commit: string;
  readonly versions: Readonly<Record<string, string>>;
}

export async function guard(argv: readonly string[]): Promise<number> {
  const values = commandOptions(argv, USAGE, ["seconds", "dir"], ["record"]);
  if (values === undefined) return 0;
  const loadBefore = loadPerCore();
  const deadlineMs = performance.now() + positive("seconds", values.seconds, SECONDS_DEFAULT) * 1_000;
  return await inWorkplace<Inmate>(values.dir, async (workplace) => {
    const stage = new Stage(workplace);
    const contenders = await Promise.race([contendersOf(stage), pause(deadlineMs - performance.now())]).catch(
      (error: unknown) => {
        // A shard without a majority in time, for instance: on a busy machine that is no news.
        if (loadPerCore() <= BUSY_PER_CORE) throw error;
        console.error(error);
      },
    );
    if (contenders === undefined) {
      console.log("undecided: this machine is too busy to begin");
      return 0;
    }
    const { ratios: recorded } = JSON.parse(readFileSync(RECORDED, "utf8")) as Recording;
    const rounds: Ratios[] = [];
    const judged = () => judgeGuard({ rounds, loadPerCore: Math.max(loadBefore, loadPerCore()) }, recorded);
    const isDecided = () => rounds.length >= ROUNDS && judged().every(({ state }) => state === "kept");
    while (rounds.length < ROUNDS_MAX && performance.now() < deadlineMs && (values.record === true || !isDecided())) {
      rounds.push(ratiosOf(await interleave(contenders, SIZE, stage)));
    }
    const verdicts = judged();
    const lines = verdicts.map(({ id, state, found, recorded }) => [
      state,
      id,
      found.toFixed(2),
      `recorded ${recorded}`,
    ]);
    console.log(`${align(lines)}\n${rounds.length} rounds`);
    for (const sample of stage.complaints.samples) console.log(`  wrong: ${sample}`);
    if (values.record === true) {
      if (rounds.length < ROUNDS_LEAST || loadPerCore() > BUSY_PER_CORE) {
        console.error("not recorded: this machine is too busy for a figure that others are held to");
        return 1;
      }
      record(rounds);
    }
    // What a busy machine sheds is wrong here, and no regression.
    const isWrong = stage.complaints.count > 0 && loadPerCore() <= BUSY_PER_CORE;
    return isWrong || verdicts.some(({ state }) => state === "regressed") ? 1 : 0;
  });
}

function loadPerCore(): number {
  return (loadavg()[0] ?? 0) / cpus().length;
}

async function contendersOf(stage: Stage): Promise<readonly Contender[]> {
  const contenders = [];
  for (const id of PATHS) contenders.push(await stage.path(id));
  return contenders;
}

function ratiosOf(laps: Laps): Ratios {
  return Object.fromEntries(
    GUARDED.map(({ id, path, baseline }) => [id, laps.ratio(baseline, path, cpuUs)?.median ?? Number.NaN]),
  );
}

function record(rounds: readonly Ratios[]): void {
  const ratios = GUARDED.map(({ id }) => [id, round(median(rounds.map((each) => each[id] ?? Number.NaN)))]);
  const recording: Recording = { ratios: Object.fromEntries(ratios), commit: commit(), versions: versions() };
  writeFileSync(RECORDED, `${JSON.stringify(recording, undefined, 2)}\n`);
}
