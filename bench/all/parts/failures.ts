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

/** Of the default cluster. */
const SHARDS = 4;
/** On an idle machine: a kill, the return and a steady state again. */
const SECONDS_PER_KILL = 5;
/** Kills of the default cluster's leading region for each of the one shard's. */
const KILLS_BESIDE = 0.2;

/** As the bars say: one shard with three replicas, the default cluster beside it. */
export const failover: Part = {
  id: "failover",
  title: "the leading region killed with -9 under load",
  estimate: ({ kills, records }) => 80 + (kills + killsBeside(kills)) * SECONDS_PER_KILL + records / 250,
  run: async (stage) => {
    const { kills } = stage.size;
    const one = await killed(stage, 1, kills);
    const beside = await killed(stage, SHARDS, killsBeside(kills));
    const p99 = percentile(one.write_gaps_ms, 0.99);
    const longest = Math.max(...one.lower_read_gaps_ms);
    const note = (figure: (gaps: Gaps) => string) =>
      `${kills} kills; ${SHARDS} shards, ${beside.kills} kills: ${figure(beside)}`;
    const writeNote = note(({ write_gap_ms }) => `median ${write_gap_ms.median} ms, longest ${write_gap_ms.max} ms`);
    const errors = one.lower_read_errors + beside.lower_read_errors;
    const steady = (gaps: Gaps) => `${gaps.steady_lower_read_gap_ms.max} ms before the kills`;
    return {
      figures: { ...one, default_cluster: beside },
      findings: {
        failover_write_gap_median: { value: spread(one.write_gaps_ms), note: writeNote },
        failover_write_gap_p99: { value: { median: p99, min: p99, max: p99 }, note: writeNote },
        failover_lower_errors: {
          value: spread([errors]),
          note: `${kills} kills, and ${beside.kills} of ${SHARDS} shards`,
        },
        failover_lower_gap: {
          value: { median: longest, min: Math.min(...one.lower_read_gaps_ms), max: longest },
          note: `${steady(one)}; ${note((gaps) => `${gaps.lower_read_gap_ms.max} ms, ${steady(gaps)}`)}`,
        },
      },
    };
  },
};

type Gaps = Awaited<ReturnType<typeof killed>>;

function killsBeside(kills: number): number {
  return Math.max(1, Math.round(kills * KILLS_BESIDE));
}

async function killed(stage: SizedStage, shards: number, kills: number) {
  return await inRegions(stage, `failover-${shards}`, shards, async (cluster) => {
    const run = await runFailover(cluster, {
      records: await readCities(stage.size.records),
      failures: new Array<Failure>(kills).fill("kill"),
      onRound: (number, { writeGapMs, lowerGapMs, steadyLowerGapMs }) =>
        stage.progress(
          `  ${shards} shards, kill ${number}/${kills}: write gap ${Math.round(writeGapMs)} ms, ` +
            `lower reads ${Math.round(lowerGapMs)} ms (before it ${Math.round(steadyLowerGapMs)} ms)`,
        ),
    });
    return {
      shards,
      ...figuresOf(run),
      write_gaps_ms: run.rounds.map(({ writeGapMs }) => Math.round(writeGapMs)),
      lower_read_gaps_ms: run.rounds.map(({ lowerGapMs }) => Math.round(lowerGapMs)),
      steady_lower_read_gaps_ms: run.rounds.map(({ steadyLowerGapMs }) => Math.round(steadyLowerGapMs)),
    };
  });
}

export const reshard: Part = {
  id: "reshard",
  title: "shards added and drained under load, a region killed in the middle",
  estimate: ({ records }) => 90 + records / 250,
  run: (stage) =>
    inRegions(stage, "reshard", SHARDS, async (cluster) => {
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

async function inRegions<T>(
  stage: SizedStage,
  name: string,
  shards: number,
  work: (cluster: RegionCluster) => Promise<T>,
): Promise<T> {
  const cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards, token: newToken() });
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
