// `npm run bench -- --all`: everything that Halo claims about speed, size and money, measured part by part in one command, and
// each bar printed with what was found. Bounded: a part is begun only if the time that is left is enough for it.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { commit, isRealDisk, machineOf, versions } from "../harness/environment.ts";
import { givenOptions, positive, UsageError } from "../harness/options.ts";
import { align } from "../harness/report.ts";
import { type Inmate, inWorkplace } from "../harness/workplace.ts";
import { BARS, verdictLine } from "./bars.ts";
import { PARTS } from "./parts/index.ts";
import { plots } from "./plots.ts";
import { isGood, jsonOf, merged, type PartReport, type PartReports, parseReports, verdictsOf } from "./results.ts";
import { type Part, type PartResult, type Size, SizedStage } from "./stage.ts";
import { tableMarkdown } from "./table.ts";
import tried from "./tried.json" with { type: "json" };

const FULL: Size = {
  rounds: 3,
  seconds: 2.5,
  warmupSeconds: 0.5,
  soakSeconds: 35,
  kills: 10,
  records: 5_000,
  manyKeys: 200_000,
  bisections: 3,
  wakes: 3,
};
/** Shows that every part runs to its end; the figures mean nothing. */
const SMOKE: Size = {
  rounds: 1,
  seconds: 1,
  warmupSeconds: 0.2,
  soakSeconds: 5,
  kills: 1,
  records: 200,
  manyKeys: 20_000,
  bisections: 1,
  wakes: 1,
};
const MINUTES_DEFAULT = 25;
const MS_PER_MINUTE = 60_000;

const USAGE = `npm run bench -- --all [options]
  --only A,B           only these parts: ${PARTS.map(({ id }) => id).join(", ")}
  --json FILE          write the results there; parts that ran before and not now are kept
  --plots DIR          write the table of the bars there, as Markdown, and draw the results as SVG
  --minutes N          begin no part that would not end within so long (default ${MINUTES_DEFAULT})
  --rounds N           of each comparison (default ${FULL.rounds})
  --seconds S          of each measurement (default ${FULL.seconds})
  --soak-seconds S     of the long run (default ${FULL.soakSeconds}; the bar asks for 600)
  --kills N            of the leading region (default ${FULL.kills}; the bar asks for 50)
  --many-keys N        held against 10,000 (default ${FULL.manyKeys}; the bar asks for 1000000)
  --smoke              everything as short as possible: figures mean nothing
  --dir DIR            where the systems store their data; must be on a real disk (default: .halo/ in the project)
  --help`;

interface AllOptions {
  readonly parts: readonly Part[];
  readonly size: Size;
  readonly jsonFile: string | undefined;
  readonly plotsDirectory: string | undefined;
  readonly minutes: number;
  readonly directory: string | undefined;
}

export async function all(argv: readonly string[]): Promise<number> {
  const options = parseAllOptions(argv);
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  return await inWorkplace<Inmate>(options.directory, async (workplace) => {
    const { filesystem } = machineOf(workplace.directory);
    if (!isRealDisk(filesystem)) {
      throw new UsageError(`${workplace.directory} is on ${filesystem}, where fsync is free: choose a disk with --dir`);
    }
    const { jsonFile } = options;
    if (jsonFile !== undefined) mkdirSync(path.dirname(jsonFile), { recursive: true });
    const before = jsonFile !== undefined && existsSync(jsonFile) ? parseReports(readFileSync(jsonFile, "utf8")) : {};
    let parts = before;
    const deadlineMs = performance.now() + options.minutes * MS_PER_MINUTE;
    const stage = new SizedStage(options.size, workplace);
    for (const part of options.parts) {
      if (workplace.isClosed) break;
      const report = await runPart(part, stage, deadlineMs);
      if (report !== undefined) parts = merged(parts, { [part.id]: report });
      if (jsonFile !== undefined) writeFileSync(jsonFile, jsonOf(parts));
    }
    if (options.plotsDirectory !== undefined) draw(options.plotsDirectory, parts);
    console.log(`\n${align(verdictsOf(parts).map(verdictLine))}`);
    for (const sample of stage.complaints.samples) console.log(`  wrong: ${sample}`);
    return isGood(parts) ? 0 : 1;
  });
}

/** Undefined where too little time is left. */
async function runPart(part: Part, stage: SizedStage, deadlineMs: number): Promise<PartReport | undefined> {
  const leftSeconds = (deadlineMs - performance.now()) / 1_000;
  const estimate = Math.round(part.estimate(stage.size));
  if (leftSeconds < estimate) {
    console.error(`${part.id}: left out, it takes ${estimate} s and ${Math.round(leftSeconds)} are left`);
    return undefined;
  }
  console.error(`${part.id}: ${part.title}, about ${estimate} s`);
  const machine = machineOf(stage.directory);
  const startMs = performance.now();
  const errorsBefore = stage.complaints.count;
  const samplesBefore = stage.complaints.samples.length;
  const result = await part.run(stage).catch((error: unknown) => failed(part, error));
  await stage.endAllOfPart();
  return {
    ...result,
    machine,
    versions: versions(),
    commit: commit(),
    command: ["npm run bench --", ...process.argv.slice(2)].join(" "),
    size: stage.size,
    seconds: Math.round((performance.now() - startMs) / 1_000),
    errors: stage.complaints.count - errorsBefore,
    error_samples: stage.complaints.samples.slice(samplesBefore),
  };
}

/** One part that breaks, on a machine that is too busy for instance, does not cost the results of the others. */
function failed(part: Part, error: unknown): PartResult {
  const reason = error instanceof Error ? error.message : String(error);
  console.error(`${part.id} broke off: ${error instanceof Error ? error.stack : reason}`);
  const findings = BARS.filter((bar) => bar.part === part.id).map(({ id }) => [id, { reason: `broke off: ${reason}` }]);
  return { failure: reason, figures: {}, findings: Object.fromEntries(findings) };
}

function draw(directory: string, parts: PartReports): void {
  mkdirSync(directory, { recursive: true });
  const drawn = plots(parts);
  for (const [name, svg] of Object.entries(drawn)) writeFileSync(path.join(directory, `${name}.svg`), svg);
  writeFileSync(path.join(directory, "table.md"), tableMarkdown(parts, tried, Object.keys(drawn)));
}

/** Undefined where help was asked for. Throws `UsageError`. */
export function parseAllOptions(argv: readonly string[]): AllOptions | undefined {
  const values = givenOptions(
    argv,
    ["only", "json", "plots", "minutes", "rounds", "seconds", "soak-seconds", "kills", "many-keys", "dir"],
    ["all", "smoke"],
  );
  if (values.help === true) return undefined;
  const size = values.smoke === true ? SMOKE : FULL;
  const names = values.only?.split(",");
  const unknown = names?.find((name) => !PARTS.some(({ id }) => id === name));
  if (unknown !== undefined) {
    throw new UsageError(`--only: no part "${unknown}"; there are ${PARTS.map(({ id }) => id).join(", ")}`);
  }
  return {
    parts: names === undefined ? PARTS : PARTS.filter(({ id }) => names.includes(id)),
    size: {
      ...size,
      rounds: positive("rounds", values.rounds, size.rounds, true),
      seconds: positive("seconds", values.seconds, size.seconds),
      soakSeconds: positive("soak-seconds", values["soak-seconds"], size.soakSeconds),
      kills: positive("kills", values.kills, size.kills, true),
      manyKeys: positive("many-keys", values["many-keys"], size.manyKeys, true),
    },
    jsonFile: values.json,
    plotsDirectory: values.plots,
    minutes: positive("minutes", values.minutes, MINUTES_DEFAULT),
    directory: values.dir,
  };
}
