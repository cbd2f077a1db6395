// A long run at 70 % of what the path serves: whether a leader is taken for dead that is not, and whether memory grows. The
// heap is measured after a collection that the inspector asks for; before it, garbage is all that one sees. One look tells little:
// what was written since the last checkpoint is in memory, thousands of keys in each of three replicas. So there are several at
// each end, over a time in which checkpoints come, while the load goes on; not in the measured run, since each collection holds it up.

import { answeringReplicas, readStatus } from "../../../cluster/status.ts";
import { pause } from "../../../cluster/until.ts";
import { loadDataSet } from "../../harness/measure.ts";
import { residentMemoryMiB } from "../../harness/process-memory.ts";
import { median, type Spread, spread } from "../../harness/statistics.ts";
import type { System } from "../../harness/system.ts";
import { MIX_95_5 } from "../../mixes/catalogue.ts";
import { Inspector } from "../../profile/inspector.ts";
import { round, rounded, run } from "../contender.ts";
import type { Part } from "../stage.ts";
import { kneeOf } from "./saturation.ts";

const SHARE = 0.7;
/** Of the run, before the first looks at the memory: tables that fill to their bounds, code that is compiled. */
const WARMUP_SHARE = 0.1;
/** Of the run, for the looks at each end: the bar's 600 seconds leave two minutes, in which some 10,000 writes come. */
const LOOKS_SHARE = 0.2;
const LOOKS = 5;
const CONNECTIONS = 128;

interface Heap {
  readonly usedSize: number;
  readonly backingStorageSize?: number;
}

export const soak: Part = {
  id: "soak",
  title: "a long run at 70 % of saturation",
  estimate: ({ soakSeconds, seconds, bisections }) =>
    20 + (6 + bisections) * (seconds + 1) + soakSeconds * (1 + WARMUP_SHARE + 2 * LOOKS_SHARE),
  async run(stage) {
    const system = await stage.ownHalo("soak", true);
    await loadDataSet(system);
    const mix = { ...(await stage.mix(MIX_95_5, system)), connections: CONNECTIONS };
    const knee = await kneeOf(mix, stage);
    const ratePerSecond = Math.max(1, Math.round(knee.ratePerSecond * SHARE));
    stage.progress(`  ${ratePerSecond}/s for ${stage.size.soakSeconds} s`);
    const { soakSeconds } = stage.size;
    const looks = async (where: string): Promise<readonly Look[]> => {
      const seconds = soakSeconds * LOOKS_SHARE;
      const [load, seen] = await Promise.all([run({ ...mix, ratePerSecond }, seconds), looksWithin(seconds, system)]);
      stage.complain(where, load);
      stage.progress(`  ${where}: ${seen.map(({ heapMiB }) => heapMiB.toFixed(1)).join(", ")} MiB`);
      return seen;
    };
    stage.complain("soak, warm-up", await run({ ...mix, ratePerSecond }, soakSeconds * WARMUP_SHARE));
    const before = await looks("soak, looks before");
    const load = await run({ ...mix, ratePerSecond }, soakSeconds);
    stage.complain("soak", load);
    const after = await looks("soak, looks after");
    const failovers = Math.max(...after.map(({ term }) => term)) - Math.min(...before.map(({ term }) => term));
    const heaps = { before: before.map(heapOf), after: after.map(heapOf) };
    const note = `${soakSeconds} s at ${ratePerSecond}/s`;
    return {
      figures: {
        rate_per_s: ratePerSecond,
        seconds: soakSeconds,
        requests: load.count,
        p50_ms: round(load.p50Ms),
        p99_ms: round(load.p99Ms),
        max_ms: round(load.maxMs),
        terms: failovers,
        heap_mib: { before: rounded(spread(heaps.before)), after: rounded(spread(heaps.after)) },
        resident_mib: { before: residentOf(before), after: residentOf(after) },
      },
      findings: {
        soak_false_failovers: { value: single(failovers), note },
        soak_heap_growth: { value: growthOf(heaps.before, heaps.after), note: `${note}; medians of ${LOOKS} looks` },
      },
    };
  },
};

/** Medians, which neither the emptiest moment nor the fullest decides; the range is that of the looks, crosswise. */
export function growthOf(before: readonly number[], after: readonly number[]): Spread {
  const [from, to] = [spread(before), spread(after)];
  return { median: to.median / from.median, min: to.min / from.max, max: to.max / from.min };
}

async function looksWithin(seconds: number, system: System): Promise<readonly Look[]> {
  const looks: Look[] = [];
  for (let at = 1; at <= LOOKS; at += 1) {
    await pause((seconds * 1_000) / (LOOKS + 1));
    looks.push(await lookAt(system));
  }
  return looks;
}

/** The highest term of the group, and the memory of the isolate after a collection. */
interface Look {
  readonly term: number;
  readonly heapMiB: number;
  readonly residentMiB: number;
}

const heapOf = ({ heapMiB }: Look): number => heapMiB;

function residentOf(looks: readonly Look[]): number {
  return median(looks.map(({ residentMiB }) => residentMiB));
}

async function lookAt(system: System): Promise<Look> {
  const token = (system.target.headers?.Authorization ?? "").replace("Bearer ", "");
  const replicas = answeringReplicas(await readStatus({ url: system.url, token }));
  const inspector = await Inspector.ofWorker(system.inspectorUrl ?? "");
  try {
    await inspector.ask("HeapProfiler.collectGarbage");
    const heap = await inspector.ask<Heap>("Runtime.getHeapUsage");
    return {
      term: Math.max(...replicas.map(({ term }) => term)),
      heapMiB: (heap.usedSize + (heap.backingStorageSize ?? 0)) / 2 ** 20,
      residentMiB: residentMemoryMiB(system.workerdPids),
    };
  } finally {
    inspector.close();
  }
}

function single(value: number) {
  return { median: value, min: value, max: value };
}
