// One redis behind a thin HTTP front (redis-front.ts), because Halo is asked over HTTP: what a cache in memory costs that
// replicates nothing and keeps nothing. Not a peer in what it promises, but in what people use.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, LOOPBACK } from "../../cluster/ports.ts";
import { runClosedLoop } from "../load/closed-loop.ts";
import { loadTarget } from "../load/workload.ts";
import { DataSet, KEY_PATHS } from "../workloads.ts";
import { type Peer, pidOf, programPath, startProgram, stopAll, untilListening } from "./peer.ts";

const FRONT = fileURLToPath(new URL("redis-front.ts", import.meta.url));
const LOAD_CONNECTIONS = 64;

/** Undefined: not installed. */
export async function startRedis(directory: string): Promise<Peer | undefined> {
  const program = programPath("redis-server");
  if (program === undefined) return undefined;
  const data = path.join(directory, "redis");
  mkdirSync(data, { recursive: true });
  const logFile = path.join(data, "log");
  const [redisPort, port] = [await freePort(), await freePort()];
  const args = ["--port", String(redisPort), "--bind", LOOPBACK, "--dir", data, "--save", "", "--appendonly", "no"];
  const redis = startProgram(program, args, logFile);
  const front = startProgram(process.execPath, [FRONT, String(redisPort), String(port)], logFile);
  const pids = [pidOf(redis), pidOf(front)];
  try {
    await untilListening(redisPort, redis, logFile);
    await untilListening(port, front, logFile);
    const url = `http://${LOOPBACK}:${port}`;
    // SET does not tell whether there was a value before.
    const dataSet = new DataSet({ isLoaded: false, dialect: { ...KEY_PATHS, createdStatus: 204 } });
    const target = loadTarget(url);
    const loaded = await runClosedLoop(target, dataSet.load(LOAD_CONNECTIONS), { connections: LOAD_CONNECTIONS });
    if (loaded.errors > 0) throw new Error(`redis: loading failed: ${loaded.errorSamples.join("; ")}`);
    return {
      name: "redis",
      url,
      target,
      version: execFileSync(program, ["--version"], { encoding: "utf8" }).trim(),
      workerdPids: pids,
      logFile,
      reads: () => dataSet.gets("current") as ReturnType<Peer["reads"]>,
      writes: (lanes) => dataSet.puts(lanes) as ReturnType<Peer["reads"]>,
      stop: () => stopAll(pids),
    };
  } catch (error) {
    await stopAll(pids);
    throw error;
  }
}
