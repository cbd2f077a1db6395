// `npm run demo:reshard`: a cluster of three regions in processes of their own, a real data set in it, a steady mixed load on
// it; it grows from four shards to six and shrinks to five, and in the middle the region that leads most is killed and comes
// back. Prints what it cost; exit status 0 only if every promise held. `--sample N` records of the data set (default: all),
// `--json FILE` for the figures.

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { parseCount, runCommand } from "./command.ts";
import { readCities } from "./failover/data-set.ts";
import { reshardFaults, reshardFigures, reshardSummary } from "./reshard/report.ts";
import { runReshard } from "./reshard/run.ts";
import { describeCluster } from "./status.ts";
import { startRegionCluster } from "./supervisor.ts";
import { newToken } from "./token.ts";

/** More than the data set has. */
const SAMPLE_MAX = 1_000_000;
const SHARDS = 4;
/** To six, and by one of the first to five. */
const SHAPE = { added: 2, weight: 1, drained: 0 } as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { sample: { type: "string" }, json: { type: "string" } } });
  const sample =
    values.sample === undefined ? SAMPLE_MAX : parseCount("--sample", values.sample, { min: 0, max: SAMPLE_MAX });
  const records = await readCities(sample);
  const cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards: SHARDS, token: newToken() });
  try {
    console.log(`${cluster.regions.length} regions, ${SHARDS} shards, edge at ${cluster.url}`);
    const run = await runReshard(cluster, { records, ...SHAPE, onStep: (step) => console.log(`- ${step}`) });
    const figures = reshardFigures(run);
    const faults = reshardFaults(figures);
    console.log(`\n${reshardSummary(figures)}`);
    for (const description of run.history.told) console.log(`  ! ${description}`);
    for (const [refusal, count] of run.history.refusals) console.log(`  ! ${count} × ${refusal}`);
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
