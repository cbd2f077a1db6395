// What is deployed: its size and the CPU time of its start, of the very code that `wrangler deploy` would upload (which it makes
// without a network). The console is a text that the Worker hands out, apart from the data path: it is counted by itself, and
// left empty at the start.
//
// A start is what Cloudflare calls the startup time of a Worker: the code is parsed and its top level evaluated, no request is
// served and no object made. It is the CPU time of a workerd that starts it, less that of one that starts a constant Worker. What the
// start leaves for later is not lost: the CPU time of the first GET of a cluster is measured beside it.

import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { projectRoot } from "../../../cluster/project.ts";
import { startCpuMs } from "../../harness/bare-start.ts";
import { cpuSecondsOfThreads } from "../../harness/process-cpu.ts";
import { spread } from "../../harness/statistics.ts";
import { HttpConnection } from "../../load/http-connection.ts";
import { rounded } from "../contender.ts";
import type { Part, Stage } from "../stage.ts";

const BYTES_PER_KB = 1_000;
const TIMEOUT_MS = 120_000;
const STARTS = 9;
const SECONDS_PER_START = 3;
const CONSTANT_WORKER = 'export default { fetch: () => new Response("x") };\n';
const FIRST_PATH = "/v1/kv/first";

export const bundle: Part = {
  id: "bundle",
  title: "the bundle and its start",
  estimate: () => 10 + SECONDS_PER_START * STARTS,
  async run(stage) {
    const directory = path.join(stage.directory, "bundle");
    const { dataPathKb, consoleKb, workerPath } = await uploaded(directory);
    const constantPath = path.join(directory, "constant.mjs");
    writeFileSync(constantPath, CONSTANT_WORKER);
    const startups: number[] = [];
    const firstRequests: number[] = [];
    for (let round = 1; round <= STARTS; round += 1) {
      const constant = await startCpuMs(constantPath);
      const halo = await startCpuMs(workerPath);
      startups.push(halo - constant);
      firstRequests.push(await firstRequestCpuMs(stage, `first-${round}`));
      stage.progress(
        `  ${round}/${STARTS}: ${halo.toFixed(0)} ms, a constant Worker ${constant.toFixed(0)} ms; first GET ${firstRequests.at(-1)?.toFixed(0)} ms`,
      );
    }
    const startup = spread(startups);
    return {
      figures: {
        compressed_kb: Math.round(dataPathKb),
        console_kb: Math.round(consoleKb),
        startup_cpu_ms: rounded(startup),
        first_get_cpu_ms: rounded(spread(firstRequests)),
      },
      findings: {
        bundle_kb: {
          value: { median: dataPathKb, min: dataPathKb, max: dataPathKb },
          note: `and ${Math.round(consoleKb)} kB of console`,
        },
        startup_cpu_ms: {
          value: startup,
          note: `to parse and evaluate; the first GET, with its objects and their election, ${spread(firstRequests).median.toFixed(0)} ms`,
        },
      },
    };
  },
};

/** Of a cluster that has just started: the variables are read, three objects made, and one of them elected. */
async function firstRequestCpuMs(stage: Stage, name: string): Promise<number> {
  const system = await stage.ownHalo(name);
  const client = new HttpConnection(system.target);
  try {
    const before = cpuSecondsOfThreads(system.workerdPids);
    const outcome = await client.request({ method: "GET", path: FIRST_PATH });
    const after = cpuSecondsOfThreads(system.workerdPids);
    if (outcome.kind === "failure") throw new Error(`GET ${FIRST_PATH}: ${outcome.reason}, ${outcome.detail}`);
    if (outcome.status !== 404) throw new Error(`GET ${FIRST_PATH}: ${outcome.status} ${outcome.text()}`);
    return (after - before) * 1_000;
  } finally {
    client.close();
    await stage.end(system);
  }
}

/** What wrangler would upload; the path is that of its script as one module, as small as it was, without the console. */
async function uploaded(directory: string): Promise<{ dataPathKb: number; consoleKb: number; workerPath: string }> {
  mkdirSync(directory, { recursive: true });
  await promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", directory], {
    cwd: projectRoot,
    timeout: TIMEOUT_MS,
    env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false" },
  });
  const compressedKb = (file: string) => gzipSync(readFileSync(path.join(directory, file))).byteLength / BYTES_PER_KB;
  const consoles = readdirSync(directory).filter((file) => file.endsWith("console.txt"));
  if (consoles.length !== 1) throw new Error(`wrangler wrote ${consoles.length} files of the console; expected one`);
  const workerPath = path.join(directory, "without-console.mjs");
  await build({
    entryPoints: [path.join(directory, "index.js")],
    outfile: workerPath,
    bundle: true,
    format: "esm",
    target: "es2024",
    minify: true,
    external: ["cloudflare:*", "node:*", "http", "url"],
    loader: { ".txt": "empty" },
    logLevel: "silent",
  });
  return {
    dataPathKb: compressedKb("index.js"),
    consoleKb: consoles.reduce((sum, file) => sum + compressedKb(file), 0),
    workerPath,
  };
}
