// Runs `halo` as a user would: the real program in a process of its own, with a configuration directory and a cluster of its own.

import { spawn } from "node:child_process";
import path from "node:path";
import { projectRoot } from "../../../cluster/project.ts";

const TIMEOUT_MS = 120_000;

export interface Ran {
  readonly status: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HaloOptions {
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** What it reads; nothing otherwise. */
  readonly stdin?: string | undefined;
  readonly cwd?: string | undefined;
  /** Asked after each piece of output; true sends SIGINT. */
  readonly interruptAt?: ((output: string) => boolean) | undefined;
}

export function runHalo(args: readonly string[], options: HaloOptions = {}): Promise<Ran> {
  const child = spawn(process.execPath, [path.join(projectRoot, "cli/halo.js"), ...args], {
    cwd: options.cwd ?? projectRoot,
    env: { PATH: process.env.PATH ?? "", ...options.environment },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  let isInterrupted = false;
  const heard = () => {
    if (isInterrupted || options.interruptAt?.(stdout + stderr) !== true) return;
    isInterrupted = true;
    child.kill("SIGINT");
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    heard();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    heard();
  });
  // It may end before it has read everything.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.stdin ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status: status ?? signal, stdout, stderr }));
  });
}
