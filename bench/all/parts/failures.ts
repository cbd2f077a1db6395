// Regions as processes of their own, killed under load, and the shape changed under load: the demonstrations, with figures of
// each kill in place of an overview.

import { readdirSync } from "node:fs";
import path from "node:path";
import { readCities } from "../../../cluster/failover/data-set.ts";
import { figuresOf } from "../../../cluster/failover/report.ts";
import type { Failure } from "../../../cluster/failover/rounds.ts";
import { runFailover } from "../../../cluster/failover/run.ts";
import { reshardFaults, reshardFigures } from "../../../cluster/reshard/report.ts";
import { runReshard } from "../../../cluster/reshard/run.ts";
import { type RegionCluster, startRegionCluster } from "../../../cluster/supervisor.ts";
import { newToken } from "../../../cluster/token.ts";
import { percentile, spread } from "../../harness/statistics.ts";
import type { Inmate } from "../../harness/workplace.ts";
import type { Part, SizedStage } from "../stage.ts";

const SHARDS = 4;
/** On an idle machine: a kill, the return and a steady state again. */
const SECONDS_PER_KILL = 5;

export const failover: Part = {
  id: "failover",
  title: "the leading region killed with -9 under load",
  estimate: ({ kills, records }) => 40 + kills * SECONDS_PER_KILL + records / 500,
  run: (stage) =>
    inRegions(stage, "failover", async (cluster) => {
      const { kills, records } = stage.size;
      const run = await runFailover(cluster, {
        records: await readCities(records),
        failures: new Array<Failure>(kills).fill("kill"),
        onRound: (number, { writeGapMs, lowerGapMs }) =>
          stage.progress(
            `  kill ${number}/${kills}: write gap ${Math.round(writeGapMs)} ms, lower reads ${Math.round(lowerGapMs)} ms`,
          ),
      });
      const gaps = run.rounds.map(({ writeGapMs }) => writeGapMs);
      const lower = run.rounds.map(({ lowerGapMs }) => lowerGapMs);
      const figures = figuresOf(run);
      const [p99, longest] = [percentile(gaps, 0.99), Math.max(...lower)];
      const note = `${kills} kills`;
      return {
        figures: { ...figures, write_gaps_ms: gaps.map(Math.round), lower_read_gaps_ms: lower.map(Math.round) },
        findings: {
          failover_write_gap_median: { value: spread(gaps), note },
          failover_write_gap_p99: { value: { median: p99, min: p99, max: p99 }, note },
          failover_lower_errors: { value: spread([figures.lower_read_errors]), note },
          failover_lower_gap: { value: { median: longest, min: Math.min(...lower), max: longest }, note },
        },
      };
    }),
};

export const reshard: Part = {
  id: "reshard",
  title: "shards added and drained under load, a region killed in the middle",
  estimate: ({ records }) => 90 + records / 250,
  run: (stage) =>
    inRegions(stage, "reshard", async (cluster) => {
      const run = await runReshard(cluster, {
        records: await readCities(stage.size.records),
        added: 2,
        weight: 1,
        drained: 0,
        onStep: (step) => stage.progress(`  ${step}`),
      });
      const figures = reshardFigures(run);
      return { figures: { ...figures, faults: reshardFaults(figures) }, findings: {} };
    }),
};

async function inRegions<T>(stage: SizedStage, name: string, work: (cluster: RegionCluster) => Promise<T>): Promise<T> {
  const cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards: SHARDS, token: newToken() });
  const inmate = inmateOf(cluster, name);
  stage.adopt(inmate);
  try {
    return await work(cluster);
  } finally {
    await stage.end(inmate);
  }
}

function inmateOf(cluster: RegionCluster, name: string): Inmate {
  const logs = path.join(cluster.runDir, "logs");
  return {
    name,
    url: cluster.url,
    get workerdPids() {
      return cluster.pids().map(({ workerd }) => workerd);
    },
    logFile: path.join(logs, readdirSync(logs)[0] ?? ""),
    stop: () => cluster.stop(),
  };
}
