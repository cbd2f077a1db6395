// One redis behind a thin HTTP front (redis-front.ts), because Halo is asked over HTTP: what a cache in memory costs that
// replicates nothing and keeps nothing. Not a peer in what it promises, but in what people use.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, LOOPBACK } from "../../cluster/ports.ts";
import { KEY_PATHS } from "../workloads.ts";
import { loadedPeer, type Peer, pidOf, programPath, startProgram, stopAll, untilListening } from "./peer.ts";

const FRONT = fileURLToPath(new URL("redis-front.ts", import.meta.url));

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
    const version = execFileSync(program, ["--version"], { encoding: "utf8" }).trim();
    // SET does not tell whether there was a value before.
    const dialect = { ...KEY_PATHS, createdStatus: 204 };
    return await loadedPeer({ name: "redis", url, version, pids, logFile, dialect });
  } catch (error) {
    await stopAll(pids);
    throw error;
  }
}
