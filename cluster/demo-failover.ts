// `npm run demo:failover`: a cluster of three regions in processes of their own, a real data set in it, a steady mixed
// load on it; the region that leads is killed again and again. Prints what it cost; exit status 0 only if every promise
// held. `--kills N` rounds, `--sample N` records of the data set (default: all), `--json FILE` for the figures.

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { parseCount, runCommand } from "./command.ts";
import { readCities } from "./failover/data-set.ts";
import { isClearRefusal } from "./failover/minority.ts";
import { faultsOf, figuresOf, roundHeader, roundLine, summary } from "./failover/report.ts";
import type { Failure } from "./failover/rounds.ts";
import { runFailover } from "./failover/run.ts";
import { describeCluster } from "./status.ts";
import { startRegionCluster } from "./supervisor.ts";
import { newToken } from "./token.ts";

const KILLS_DEFAULT = "10";
const KILLS_MAX = 1_000;
/** More than the data set has; by default all of it is loaded, which takes one to two minutes on two cores. */
const SAMPLE_MAX = 1_000_000;
const SAMPLE_RANGE = { min: 0, max: SAMPLE_MAX };
const SHARDS_DEFAULT = "4";
const SHARDS_MAX = 16;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: KILLS_DEFAULT },
      sample: { type: "string" },
      shards: { type: "string", default: SHARDS_DEFAULT },
      json: { type: "string" },
    },
  });
  const kills = parseCount("--kills", values.kills, { min: 1, max: KILLS_MAX });
  const sample = values.sample === undefined ? SAMPLE_MAX : parseCount("--sample", values.sample, SAMPLE_RANGE);
  const records = await readCities(sample);
  const shards = parseCount("--shards", values.shards, { min: 1, max: SHARDS_MAX });
  const failures: Failure[] = [...new Array<Failure>(kills).fill("kill"), "freeze", "freeze", "workerd"];

  const cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards, token: newToken() });
  try {
    console.log(`${cluster.regions.length} regions, ${shards} shards, edge at ${cluster.url}`);
    console.log(roundHeader());
    const run = await runFailover(cluster, {
      records,
      failures,
      onRound: (number, round) => console.log(roundLine(number, round)),
      onStep: (step) => console.log(`- ${step}`),
    });
    const figures = figuresOf(run);
    const faults = faultsOf(figures, isClearRefusal);
    console.log(`\n${summary(figures)}`);
    for (const description of run.history.told) console.log(`  ! ${description}`);
    console.log(faults.length === 0 ? "Every promise held." : `BROKEN: ${faults.join("; ")}`);
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
    return faults.length === 0 ? 0 : 1;
  } catch (error) {
    console.error(`${await describeCluster(cluster)}\n${cluster.logTails()}`);
    throw error;
  } finally {
    await cluster.stop();
  }
}

await runCommand(main);
