// `npm run bench -- scale`: the table of docs/scale.md, computed (model.ts).

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { align } from "../harness/report.ts";
import { PROFILES, RATES, type Scale, scaleOf } from "./model.ts";

const USAGE = `npm run bench -- scale [options]
  --json FILE    write the figures there
  --help`;

export function scale(argv: readonly string[]): number {
  const { values } = parseArgs({ args: [...argv], options: { json: { type: "string" }, help: { type: "boolean" } } });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const scales = PROFILES.flatMap((profile) => RATES.map((rate) => scaleOf(profile, rate)));
  console.log(tableOf(scales));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(scales, undefined, 2)}\n`);
  return 0;
}

export function tableOf(scales: readonly Scale[]): string {
  const header = [
    "requests/s",
    "clusters × shards",
    "objects",
    "writes/batch",
    "rows/write",
    "leader/s",
    "pings/s",
    "workers",
    "objects",
    "rows",
    "awake",
    "pings",
    "$ a month",
    "$ a million",
  ];
  return PROFILES.map(({ title }) => {
    const own = scales.filter(({ profile }) => profile === title);
    const breaks = own.flatMap(({ ratePerSecond, breaks }) =>
      breaks.map((each) => `  at ${whole(ratePerSecond)}/s: ${each}`),
    );
    return [`${title}:`, align([header, ...own.map(rowOf)]), ...breaks].join("\n");
  }).join("\n\n");
}

function rowOf(scale: Scale): string[] {
  const { dollarsPerMonth: money } = scale;
  return [
    whole(scale.ratePerSecond),
    `${scale.clusters} × ${scale.shardsPerCluster}`,
    whole(scale.objects),
    scale.writesPerBatch.toFixed(1),
    scale.rowsPerWrite.toFixed(1),
    whole(scale.leaderPerSecond),
    scale.pingsPerObjectPerSecond.toFixed(1),
    ...[money.workers, money.objectRequests, money.rows, money.awake, money.pings, money.total].map(whole),
    scale.dollarsPerMillion.toFixed(2),
  ];
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
