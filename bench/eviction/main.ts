// `npm run bench -- eviction`: hit ratios of Halo's eviction beside other policies and the optimum, on the same requests and in
// the same room. A simulation: no processes, no clock, and the same figures on every machine. Exit status 0: Halo is where
// docs/benchmarks.md says that it is; 1: it is not; 2: the command was wrong.

import { writeFileSync } from "node:fs";
import { commandOptions, UsageError } from "../harness/options.ts";
import { halo, haloRowBytes } from "./halo-policy.ts";
import { clairvoyant, fifo, lru, type Policy, type Room, sampledLfu, wTinyLfu } from "./policies.ts";
import { type Trace, traces } from "./traces.ts";

const REQUESTS_DEFAULT = 300_000;
const USAGE = `npm run bench -- eviction [options]
  --requests N   requests of each trace (default ${REQUESTS_DEFAULT.toLocaleString("en")})
  --json FILE    write the figures there (keys: docs/benchmarks.md)
  --help`;

const POLICIES: Readonly<Record<string, (room: Room) => Policy>> = {
  fifo,
  lru,
  sampled_lfu: sampledLfu,
  w_tinylfu: wTinyLfu,
  halo,
  optimum: clairvoyant,
};

interface Ratios {
  /** Of the requests. */
  readonly hits: number;
  /** Of the bytes asked for. */
  readonly bytes: number;
}

function run(trace: Trace, make: (room: Room) => Policy): Ratios {
  const sizes = Float64Array.from({ length: trace.universe }, (_, key) => haloRowBytes(key, trace.valueBytes(key)));
  const bytesOf = (key: number) => sizes[key] ?? 0;
  const bytesMax = (sizes.reduce((sum, size) => sum + size, 0) / sizes.length) * trace.capacity;
  const policy = make({ trace, bytesMax, bytesOf });
  let hits = 0;
  let bytes = 0;
  let bytesHit = 0;
  for (const key of trace.requests) {
    bytes += bytesOf(key);
    if (!policy.request(key)) continue;
    hits += 1;
    bytesHit += bytesOf(key);
  }
  return { hits: hits / trace.requests.length, bytes: bytesHit / bytes };
}

/** In percentage points: at most so far below W-TinyLFU, and so far above LRU, where recency is not all that counts. */
const BELOW_W_TINYLFU_MAX = 3;
const ABOVE_LRU_MIN = 0.5;

function complaintsAbout(trace: Trace, { w_tinylfu, lru, halo }: Readonly<Record<string, Ratios>>): readonly string[] {
  if (w_tinylfu === undefined || lru === undefined || halo === undefined) return ["a policy is missing"];
  const complaints: string[] = [];
  const { maxBelow = BELOW_W_TINYLFU_MAX, isRecencyBound } = trace;
  if ((w_tinylfu.hits - halo.hits) * 100 > maxBelow) complaints.push(`more than ${maxBelow} below W-TinyLFU`);
  if (!isRecencyBound && (halo.hits - lru.hits) * 100 < ABOVE_LRU_MIN) complaints.push("not above LRU");
  return complaints;
}

export function eviction(argv: readonly string[]): number {
  const values = commandOptions(argv, USAGE, ["requests", "json"]);
  if (values === undefined) return 0;
  const requests = Number(values.requests ?? REQUESTS_DEFAULT);
  if (!Number.isSafeInteger(requests) || requests < 1)
    throw new UsageError(`--requests must be a whole number above 0`);
  const names = Object.keys(POLICIES);
  const figures: Record<string, Record<string, Ratios>> = {};
  const complaints: string[] = [];
  console.log(["hits, %".padEnd(28), ...names.map((name) => name.padStart(12))].join(""));
  for (const trace of traces(requests)) {
    const ratios = Object.fromEntries(names.map((name) => [name, run(trace, POLICIES[name] ?? halo)]));
    figures[trace.name] = ratios;
    for (const problem of complaintsAbout(trace, ratios)) complaints.push(`${trace.name}: ${problem}`);
    console.log(row(trace.name, names, ratios, "hits"));
    if (trace.isMixed) console.log(row("  the same, % of bytes", names, ratios, "bytes"));
  }
  for (const complaint of complaints) console.log(`missed: ${complaint}`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ requests, figures, complaints }, null, 2)}\n`);
  return complaints.length === 0 ? 0 : 1;
}

function row(title: string, names: readonly string[], ratios: Record<string, Ratios>, what: keyof Ratios): string {
  const cells = names.map((name) => ((ratios[name]?.[what] ?? Number.NaN) * 100).toFixed(1).padStart(12));
  return [title.padEnd(28), ...cells].join("");
}
