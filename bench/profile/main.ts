// `npm run bench -- profile`: where the time of a path goes, and the memory: CPU and allocation profiles of the isolate that
// serves it, taken by V8's inspector under a closed loop. Writes a `.cpuprofile` (for a browser's developer tools) and a flame
// graph beside it, and prints a table. A profile explains; it is no measurement: the sampler costs time of its own.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stateDir } from "../../cluster/project.ts";
import { commit, versions } from "../harness/environment.ts";
import { loadDataSet } from "../harness/measure.ts";
import { commandOptions, positive } from "../harness/options.ts";
import { type BenchPath, selectPaths } from "../harness/paths.ts";
import { startSystem } from "../harness/start-system.ts";
import type { System } from "../harness/system.ts";
import { inWorkplace } from "../harness/workplace.ts";
import { runClosedLoop } from "../load/closed-loop.ts";
import type { LoadResult } from "../load/workload.ts";
import { bundleSources } from "./bundle-sources.ts";
import { type CallFrame, type CpuProfile, callTree, selfTimes } from "./cpu-profile.ts";
import { flameGraph } from "./flame-graph.ts";
import { type HeapNode, selfBytes } from "./heap-profile.ts";
import { Inspector } from "./inspector.ts";

const PATHS_DEFAULT = "strong_get,put,bare_read,l1_hit";
const CONNECTIONS = 32;
const SECONDS_DEFAULT = 5;
/** Five samples a millisecond: a GET takes a few hundred microseconds. */
const SAMPLING_INTERVAL_US = 200;
/** Bytes between two samples of the allocations, on average. */
const SAMPLING_INTERVAL_BYTES = 16_384;
const FUNCTIONS_PRINTED = 25;

const USAGE = `npm run bench -- profile [options]
  --paths A,B    paths to profile (default ${PATHS_DEFAULT})
  --seconds S    of each profile (default ${SECONDS_DEFAULT})
  --out DIR      where profiles and flame graphs go (default: .halo/profiles/ in the project)
  --dir DIR      where the systems store their data (default: .halo/ in the project)
  --json FILE    write the figures there (keys: docs/benchmarks.md)
  --help`;

interface Places {
  readonly seconds: number;
  readonly out: string;
  readonly directory: string;
}

interface ProfileFigures {
  /** Of the isolate's thread, idle time left out, per operation. */
  readonly busy_us_per_op: number;
  readonly us_per_op_by_kind: Readonly<Record<string, number>>;
  readonly allocated_bytes_per_op: number;
  readonly functions: readonly { readonly name: string; readonly kind: string; readonly us_per_op: number }[];
  readonly allocations: readonly { readonly name: string; readonly bytes_per_op: number }[];
}

export async function profile(argv: readonly string[]): Promise<number> {
  const values = commandOptions(argv, USAGE, ["paths", "seconds", "out", "dir", "json"]);
  if (values === undefined) return 0;
  const paths = selectPaths((values.paths ?? PATHS_DEFAULT).split(","));
  const seconds = positive("seconds", values.seconds, SECONDS_DEFAULT);
  const out = path.resolve(values.out ?? path.join(stateDir, "profiles"));
  mkdirSync(out, { recursive: true });
  return await inWorkplace<System>(values.dir, async (workplace) => {
    const figures: Record<string, ProfileFigures> = {};
    for (const each of paths) {
      let system = workplace.systems.find(({ name }) => name === each.system);
      if (system === undefined) {
        system = await startSystem(each.system, workplace.directory, { isInspectable: true });
        workplace.systems.push(system);
        if (system.startsEmpty) await loadDataSet(system);
      }
      const found = await profilePath(each, system, { seconds, out, directory: workplace.directory });
      figures[each.id] = found;
      console.log(reportOf(each, found, path.relative(process.cwd(), path.join(out, each.id))));
    }
    if (values.json !== undefined) {
      const facts = { seconds, connections: CONNECTIONS, versions: versions(), commit: commit() };
      writeFileSync(values.json, `${JSON.stringify({ profiles: figures, ...facts }, undefined, 2)}\n`);
    }
    return 0;
  });
}

async function profilePath(
  each: BenchPath,
  system: System,
  { seconds, out, directory }: Places,
): Promise<ProfileFigures> {
  if (system.inspectorUrl === undefined) throw new Error(`${system.name} has no inspector`);
  const inspector = await Inspector.ofWorker(system.inspectorUrl);
  try {
    const workload = each.workload(system, CONNECTIONS);
    const load = async () =>
      right(each, await runClosedLoop(system.target, workload, { connections: CONNECTIONS, seconds }));
    await load();
    await inspector.ask("Profiler.enable");
    await inspector.ask("Profiler.setSamplingInterval", { interval: SAMPLING_INTERVAL_US });
    await inspector.ask("Profiler.start");
    const cpuLoad = await load();
    const { profile: recorded } = await inspector.ask<{ profile: CpuProfile }>("Profiler.stop");
    await inspector.ask("HeapProfiler.enable");
    await inspector.ask("HeapProfiler.startSampling", {
      samplingInterval: SAMPLING_INTERVAL_BYTES,
      // What was collected meanwhile was allocated, too: nearly all of it.
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    const heapLoad = await load();
    const { profile: heap } = await inspector.ask<{ profile: { head: HeapNode } }>("HeapProfiler.stopSampling");
    const placed = placedBy(directory);
    const cpu = { ...recorded, nodes: recorded.nodes.map((node) => ({ ...node, callFrame: placed(node.callFrame) })) };
    writeFileSync(path.join(out, `${each.id}.cpuprofile`), JSON.stringify(recorded));
    const title = `${each.title}: ${cpuLoad.count} operations, ${CONNECTIONS} connections`;
    writeFileSync(path.join(out, `${each.id}.svg`), flameGraph(callTree(cpu), title));
    return figuresOf(cpu, cpuLoad.count, placedHeap(heap.head, placed), heapLoad.count);
  } finally {
    inspector.close();
  }
}

/** Gives frames the project's file in place of the bundle's; `directory` has the baselines' bundles. */
function placedBy(directory: string): (frame: CallFrame) => CallFrame {
  const sources = new Map<string, ReturnType<typeof bundleSources>>();
  const sourcesOf = (bundle: string) => {
    const file = [directory, path.join(stateDir, "build")].map((each) => path.join(each, bundle)).find(existsSync);
    const found = sources.get(bundle) ?? bundleSources(file === undefined ? "" : readFileSync(file, "utf8"));
    sources.set(bundle, found);
    return found;
  };
  return (frame) => (frame.url === "" ? frame : { ...frame, url: sourcesOf(frame.url)(frame.lineNumber) ?? frame.url });
}

function placedHeap(node: HeapNode, placed: (frame: CallFrame) => CallFrame): HeapNode {
  return {
    ...node,
    callFrame: placed(node.callFrame),
    children: node.children.map((child) => placedHeap(child, placed)),
  };
}

/** A profile of wrong replies explains nothing. */
function right(each: BenchPath, load: LoadResult): LoadResult {
  if (load.errors > 0) throw new Error(`${each.id}: ${load.errors} wrong replies: ${load.errorSamples.join("; ")}`);
  return load;
}

export function figuresOf(
  cpu: CpuProfile,
  cpuOperations: number,
  heap: HeapNode,
  heapOperations: number,
): ProfileFigures {
  const times = selfTimes(cpu);
  const byKind: Record<string, number> = {};
  for (const { kind, selfUs } of times) byKind[kind] = (byKind[kind] ?? 0) + selfUs / cpuOperations;
  const allocations = selfBytes(heap).map(({ name, bytes }) => ({ name, bytes_per_op: round(bytes / heapOperations) }));
  return {
    busy_us_per_op: round(times.reduce((sum, { selfUs }) => sum + selfUs, 0) / cpuOperations),
    us_per_op_by_kind: Object.fromEntries(Object.entries(byKind).map(([kind, us]) => [kind, round(us)])),
    allocated_bytes_per_op: Math.round(allocations.reduce((sum, { bytes_per_op }) => sum + bytes_per_op, 0)),
    functions: times
      .slice(0, FUNCTIONS_PRINTED)
      .map(({ name, kind, selfUs }) => ({ name, kind, us_per_op: round(selfUs / cpuOperations) })),
    allocations: allocations.slice(0, FUNCTIONS_PRINTED),
  };
}

function reportOf(each: BenchPath, figures: ProfileFigures, file: string): string {
  const kinds = Object.entries(figures.us_per_op_by_kind).map(([kind, us]) => `${kind} ${us.toFixed(1)}`);
  return [
    `\n${each.title}: ${figures.busy_us_per_op} µs an operation (${kinds.join(", ")}), ${figures.allocated_bytes_per_op} bytes allocated`,
    `  profile ${file}.cpuprofile, flame graph ${file}.svg`,
    ...figures.functions.map(
      ({ name, kind, us_per_op }) => `  ${us_per_op.toFixed(1).padStart(7)} µs  ${kind.padEnd(9)} ${name}`,
    ),
  ].join("\n");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
