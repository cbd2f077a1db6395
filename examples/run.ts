// `npm run examples [-- NAME…]`: starts a local cluster as `npm start` does, with data of its own on a port of its own, runs
// each example against it and compares what it prints with its `expected.txt`. Leaves nothing behind. Exit status 0: all fine.
//
// An example is a folder with `main.ts`, run in Node. Where there is a `wrangler.toml` too, its Worker runs beside Halo's,
// with the service bindings that the file says, and `main.ts` visits it.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { unstable_readConfig as readWranglerConfig } from "wrangler";
import { buildWorker } from "../cluster/build.ts";
import { runCommand, UsageError } from "../cluster/command.ts";
import { type LocalCluster, startLocal } from "../cluster/local.ts";
import { freePort, LOOPBACK } from "../cluster/ports.ts";
import { projectRoot } from "../cluster/project.ts";
import type { GuestPlan } from "../cluster/runtime-plan.ts";
import { untilAllAnswer } from "../cluster/status.ts";
import { newToken } from "../cluster/token.ts";

const examplesDir = path.join(projectRoot, "examples");
const ALL_ANSWER_TIMEOUT_MS = 30_000;
const EXAMPLE_TIMEOUT_MS = 60_000;

/** The part of Wrangler's configuration that is used here. */
interface WranglerConfig {
  readonly name?: string | undefined;
  readonly main?: string | undefined;
  readonly compatibility_date?: string | undefined;
  readonly services?: readonly {
    readonly binding: string;
    readonly service: string;
    readonly entrypoint?: string | undefined;
  }[];
}

async function main(): Promise<number> {
  const names = await chosen(process.argv.slice(2));
  const directory = await mkdtemp(path.join(tmpdir(), "halo-examples-"));
  const guests = new Map<string, GuestPlan>();
  for (const name of names) {
    const config = path.join(examplesDir, name, "wrangler.toml");
    if (existsSync(config)) guests.set(name, await guestOf(config));
  }
  let failed = 0;
  try {
    const cluster = await startLocal({
      persistTo: path.join(directory, "data"),
      logFile: path.join(directory, "local.log"),
      token: newToken(),
      guests: [...guests.values()],
    });
    try {
      await untilAllAnswer(cluster, ALL_ANSWER_TIMEOUT_MS);
      for (const name of names) failed += (await runExample(name, cluster, guests.get(name)?.port)) ? 0 : 1;
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  console.log(`${names.length - failed} examples passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function chosen(asked: readonly string[]): Promise<readonly string[]> {
  const entries = await readdir(examplesDir, { withFileTypes: true });
  const all = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  const unknown = asked.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UsageError(`there is no example "${unknown}": expected ${all.join(", ")}`);
  return asked.length === 0 ? all : asked;
}

async function guestOf(file: string): Promise<GuestPlan> {
  const config: WranglerConfig = readWranglerConfig({ config: file }, { hideWarnings: true });
  const { name, main: entry, compatibility_date: compatibilityDate, services = [] } = config;
  if (name === undefined || entry === undefined || compatibilityDate === undefined) {
    throw new Error(`${file}: name, main and compatibility_date are needed`);
  }
  return {
    name,
    workerPath: await buildWorker(path.relative(projectRoot, path.resolve(path.dirname(file), entry))),
    compatibilityDate,
    services: services.map(({ binding, service, entrypoint = "default" }) => ({ binding, service, entrypoint })),
    port: await freePort(),
  };
}

async function runExample(name: string, { url, token }: LocalCluster, port: number | undefined): Promise<boolean> {
  const directory = path.join(examplesDir, name);
  const expected = await readFile(path.join(directory, "expected.txt"), "utf8");
  const places = { HALO_URL: url, HALO_TOKEN: token, EXAMPLE_URL: `http://${LOOPBACK}:${port}` };
  console.log(`── ${name}`);
  const { status, output, errors } = await execute(path.join(directory, "main.ts"), places);
  process.stdout.write(output);
  if (status === 0 && output === expected) return true;
  console.log(`── ${name} failed with status ${status}; expected:\n${expected}${errors}`);
  return false;
}

/** Node, with what the example needs to know, and not with whatever else this process has in its environment. */
function execute(
  file: string,
  places: Readonly<Record<string, string>>,
): Promise<{ readonly status: number | null; readonly output: string; readonly errors: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], {
      env: { PATH: process.env.PATH, ...places },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: EXAMPLE_TIMEOUT_MS,
    });
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output, errors }));
  });
}

await runCommand(main);
