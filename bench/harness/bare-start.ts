// A workerd with one Worker and nothing else: no Miniflare around it, no variables, no objects. For what starting costs.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type { Readable } from "node:stream";
import { readWorkerConfig } from "../../cluster/worker-config.ts";
import { cpuSecondsOfThreads } from "./process-cpu.ts";

/** The binary that Miniflare starts, too. */
const { default: workerd } = createRequire(import.meta.url)("workerd") as { readonly default: string };
const TIMEOUT_MS = 30_000;
/** Of the pipe on which workerd tells that it listens: the first after those of standard input, output and errors. */
const CONTROL_FD = 3;

/** CPU time that a workerd has used when it is ready to serve this module. It serves nothing, and is ended then. */
export async function startCpuMs(modulePath: string): Promise<number> {
  const directory = path.dirname(modulePath);
  mkdirSync(directory, { recursive: true });
  const configPath = path.join(directory, `${path.basename(modulePath)}.capnp`);
  writeFileSync(configPath, configOf(path.basename(modulePath)));
  const child = spawn(workerd, ["serve", `--control-fd=${CONTROL_FD}`, configPath], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  try {
    const control = child.stdio[CONTROL_FD] as Readable;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const ended = once(child, "exit", { signal }).then(() => {
      throw new Error(`workerd ended before it served ${modulePath}`);
    });
    await Promise.race([once(control, "data", { signal }), ended]);
    return cpuSecondsOfThreads([child.pid ?? 0]) * 1_000;
  } finally {
    child.kill("SIGKILL");
  }
}

function configOf(module: string): string {
  const { compatibilityDate, compatibilityFlags } = readWorkerConfig();
  const flags = compatibilityFlags.map((flag) => `"${flag}"`).join(", ");
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "worker", esModule = embed "${module}")],
    compatibilityDate = "${compatibilityDate}",
    compatibilityFlags = [${flags}],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;
}
