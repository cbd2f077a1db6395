// A long run at 70 % of what the path serves: whether a leader is taken for dead that is not, and whether memory grows. The
// heap is measured after a collection that the inspector asks for; before it, garbage is all that one sees.

import { answeringReplicas, readStatus } from "../../../cluster/status.ts";
import { loadDataSet } from "../../harness/measure.ts";
import { residentMemoryMiB } from "../../harness/process-memory.ts";
import type { System } from "../../harness/system.ts";
import { MIX_95_5 } from "../../mixes/catalogue.ts";
import { Inspector } from "../../profile/inspector.ts";
import { round, run } from "../contender.ts";
import type { Part } from "../stage.ts";
import { kneeOf } from "./saturation.ts";

const SHARE = 0.7;
/** Of the run, before the first look at the memory: tables that fill to their bounds, code that is compiled. */
const WARMUP_SHARE = 0.2;
const CONNECTIONS = 128;

interface Heap {
  readonly usedSize: number;
  readonly backingStorageSize?: number;
}

export const soak: Part = {
  id: "soak",
  title: "a long run at 70 % of saturation",
  estimate: ({ soakSeconds, seconds, bisections }) =>
    20 + (6 + bisections) * (seconds + 1) + soakSeconds * (1 + WARMUP_SHARE),
  async run(stage) {
    const system = await stage.ownHalo("soak", true);
    await loadDataSet(system);
    const mix = { ...(await stage.mix(MIX_95_5, system)), connections: CONNECTIONS };
    const knee = await kneeOf(mix, stage);
    const ratePerSecond = Math.max(1, Math.round(knee.ratePerSecond * SHARE));
    stage.progress(`  ${ratePerSecond}/s for ${stage.size.soakSeconds} s`);
    stage.complain("soak, warm-up", await run({ ...mix, ratePerSecond }, stage.size.soakSeconds * WARMUP_SHARE));
    const before = await lookAt(system);
    const load = await run({ ...mix, ratePerSecond }, stage.size.soakSeconds);
    stage.complain("soak", load);
    const after = await lookAt(system);
    await stage.end(system);
    const failovers = after.term - before.term;
    const growth = after.heapMiB / before.heapMiB;
    const note = `${stage.size.soakSeconds} s at ${ratePerSecond}/s`;
    return {
      figures: {
        rate_per_s: ratePerSecond,
        seconds: stage.size.soakSeconds,
        requests: load.count,
        p50_ms: round(load.p50Ms),
        p99_ms: round(load.p99Ms),
        max_ms: round(load.maxMs),
        terms: failovers,
        heap_mib: { before: round(before.heapMiB), after: round(after.heapMiB) },
        resident_mib: { before: before.residentMiB, after: after.residentMiB },
      },
      findings: {
        soak_false_failovers: { value: single(failovers), note },
        soak_heap_growth: { value: single(growth), note },
      },
    };
  },
};

/** The highest term of the group, and the memory of the isolate after a collection. */
async function lookAt(system: System): Promise<{ term: number; heapMiB: number; residentMiB: number }> {
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
