// nginx and varnish with one page in their cache: what a cache hit costs in a program written for nothing else. Their origin
// is the constant Worker.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePort, LOOPBACK } from "../../cluster/ports.ts";
import { loadTarget } from "../load/workload.ts";
import { constantGets } from "../workloads.ts";
import { familyOf, type Peer, pidOf, programPath, startProgram, stopAll, untilListening } from "./peer.ts";

/** A process of nginx that ends a minute after the start, and whose CPU time would be missing then. */
const LOADER = "cache loader";

/** Undefined: not installed. */
export async function startNginx(directory: string, origin: string): Promise<Peer | undefined> {
  const program = programPath("nginx");
  if (program === undefined) return undefined;
  const data = path.join(directory, "nginx");
  for (const each of ["cache", "temporary"]) mkdirSync(path.join(data, each), { recursive: true });
  const port = await freePort();
  const configuration = path.join(data, "nginx.conf");
  writeFileSync(configuration, nginxConfiguration(data, port, origin));
  return await start("nginx", program, ["-c", configuration, "-e", path.join(data, "log")], data, port, "-v");
}

function nginxConfiguration(data: string, port: number, origin: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${data}/temporary;`)
    .join("\n");
  return `daemon off;
worker_processes 1;
pid ${data}/pid;
events { worker_connections 512; }
http {
  access_log off;
${temporary}
  proxy_cache_path ${data}/cache keys_zone=bench:1m;
  server {
    listen ${LOOPBACK}:${port};
    keepalive_requests 1000000000;
    location / {
      proxy_pass ${origin};
      proxy_cache bench;
      proxy_cache_valid 200 1h;
    }
  }
}
`;
}

/** Undefined: not installed. */
export async function startVarnish(directory: string, origin: string): Promise<Peer | undefined> {
  const program = programPath("varnishd");
  if (program === undefined) return undefined;
  const data = path.join(directory, "varnish");
  mkdirSync(data, { recursive: true });
  const port = await freePort();
  const { host } = new URL(origin);
  const where = ["-F", "-j", "none", "-n", path.join(data, "work"), "-a", `${LOOPBACK}:${port}`, "-b", host];
  const args = [...where, "-t", "3600", "-s", "malloc,16m"];
  return await start("varnish", program, args, data, port, "-V");
}

async function start(
  name: string,
  program: string,
  args: readonly string[],
  data: string,
  port: number,
  versionFlag: string,
): Promise<Peer> {
  const logFile = path.join(data, "output");
  const child = startProgram(program, args, logFile);
  const pid = pidOf(child);
  try {
    await untilListening(port, child, logFile);
    const url = `http://${LOOPBACK}:${port}`;
    return {
      name,
      url,
      target: loadTarget(url),
      version: versionOf(program, versionFlag),
      workerdPids: familyOf(pid).filter((each) => !commandOf(each).includes(LOADER)),
      logFile,
      reads: constantGets,
      stop: () => stopAll([pid]),
    };
  } catch (error) {
    await stopAll([pid]);
    throw error;
  }
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1");
}

/** Both print it to the error output. */
function versionOf(program: string, flag: string): string {
  const [line = ""] = execFileSync("sh", ["-c", '"$0" "$1" 2>&1', program, flag], { encoding: "utf8" }).split("\n");
  return line;
}
