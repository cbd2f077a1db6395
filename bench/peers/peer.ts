// Other systems that do a part of what Halo does, as Debian packages them. Each runs as processes of this benchmark alone, on
// free ports of loopback, its files in the run's directory, and is ended by process id. One that is not installed is skipped.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, closeSync, constants, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { LOOPBACK } from "../../cluster/ports.ts";
import { isAlive, killNow, signal, untilGone } from "../../cluster/processes.ts";
import { until } from "../../cluster/until.ts";
import { loadDataSet } from "../harness/measure.ts";
import type { Inmate } from "../harness/workplace.ts";
import { type LoadTarget, loadTarget, type Workload } from "../load/workload.ts";
import { DataSet, type Dialect } from "../workloads.ts";

export interface Peer extends Inmate {
  readonly target: LoadTarget;
  readonly version: string;
  readonly reads: () => Workload;
  /** Absent: it only reads. */
  readonly writes?: ((lanes: number) => Workload) | undefined;
}

export interface Loadable extends Pick<Peer, "name" | "url" | "version" | "logFile"> {
  readonly pids: readonly number[];
  readonly dialect: Dialect;
}

/** A peer that takes reads and writes, as soon as the data set of the paths is in it. */
export async function loadedPeer({ name, url, version, pids, logFile, dialect }: Loadable): Promise<Peer> {
  const dataSet = new DataSet({ isLoaded: false, dialect });
  const target = loadTarget(url);
  await loadDataSet({ name, target, dataSet });
  return {
    ...{ name, url, target, version, logFile },
    workerdPids: pids,
    reads: () => dataSet.gets("current") as Workload,
    writes: (lanes) => dataSet.puts(lanes) as Workload,
    stop: () => stopAll(pids),
  };
}

/** Directories of programs that are not in everybody's PATH. */
const PROGRAM_DIRECTORIES = ["/usr/sbin", "/usr/local/sbin"];
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

/** Undefined: not installed. */
export function programPath(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(":"), ...PROGRAM_DIRECTORIES];
  return directories.map((directory) => path.join(directory, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Output goes to the file. The child gets no terminal and no signal of it. */
export function startProgram(program: string, args: readonly string[], logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  const child = spawn(program, args, { stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  return child;
}

export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} did not start`);
  return child.pid;
}

/** The process and all that it has started. */
export function familyOf(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

export async function untilListening(port: number, child: ChildProcess, logFile: string): Promise<void> {
  await until(
    `${child.spawnfile} listens`,
    async () => {
      if (child.exitCode !== null)
        throw new Error(`${child.spawnfile} ended: ${readFileSync(logFile, "utf8").slice(-500)}`);
      return (await accepts(port)) ? true : undefined;
    },
    { timeoutMs: START_TIMEOUT_MS, everyMs: 50 },
  );
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** In order, and after a few seconds by force. */
export async function stopAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) signal(pid, "SIGTERM");
  try {
    await until("the peers have stopped", () => pids.every((pid) => !isAlive(pid)), {
      timeoutMs: STOP_TIMEOUT_MS,
      everyMs: 10,
    });
  } catch {
    for (const pid of pids) killNow(pid);
    await untilGone(pids);
  }
}
