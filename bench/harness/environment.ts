// Where and of what a figure was measured; a figure without this cannot be compared with another.

import { execFileSync } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, release, totalmem } from "node:os";
import path from "node:path";
import { projectRoot } from "../../cluster/project.ts";
import { median } from "./statistics.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly kernel: string;
  /** Of the minute before the run: what else keeps the cores busy makes every figure worse, and not all alike. */
  readonly load_average: number;
  /** Type of the file system under the systems' storage: its fsync decides what a write costs. */
  readonly filesystem: string;
  /** What one synced write of a page costs there just now; a disk that others use can be ten times slower. */
  readonly fsync_ms: number;
}

/** File systems that keep nothing over a power failure, where fsync is free. */
const MEMORY_FILESYSTEMS = new Set(["tmpfs", "ramfs"]);

export function machineOf(directory: string): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    load_average: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    filesystem: filesystemOf(directory, readFileSync("/proc/mounts", "utf8")),
    fsync_ms: Math.round(syncedWriteMs(directory) * 100) / 100,
  };
}

/** Enough for a median, over in a fraction of a second. */
const SYNCED_WRITES = 30;
/** SQLite's page. */
const PAGE_BYTES = 4_096;

/** Median time of appending one page and syncing it. */
function syncedWriteMs(directory: string): number {
  const file = path.join(directory, "fsync-probe");
  const page = Buffer.alloc(PAGE_BYTES, 1);
  const descriptor = openSync(file, "w");
  try {
    const times = Array.from({ length: SYNCED_WRITES }, () => {
      const startMs = performance.now();
      writeSync(descriptor, page);
      fdatasyncSync(descriptor);
      return performance.now() - startMs;
    });
    return median(times);
  } finally {
    closeSync(descriptor);
    rmSync(file);
  }
}

export function isRealDisk(filesystem: string): boolean {
  return !MEMORY_FILESYSTEMS.has(filesystem);
}

/** Type of the file system that holds an absolute path, from the text of /proc/mounts: the longest mount point above it. */
export function filesystemOf(directory: string, mounts: string): string {
  let deepest = "";
  let type = "unknown";
  for (const line of mounts.split("\n")) {
    const [, escaped, found] = line.split(" ");
    if (escaped === undefined || found === undefined) continue;
    const mountPoint = escaped.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const isAbove = mountPoint === "/" || directory === mountPoint || directory.startsWith(`${mountPoint}/`);
    // A later mount on the same point hides the earlier one.
    if (isAbove && mountPoint.length >= deepest.length) [deepest, type] = [mountPoint, found];
  }
  return type;
}

export function versions(): Record<string, string> {
  const packages = ["workerd", "miniflare"].map((name) => [name, packageVersion(name)] as const);
  return { node: process.versions.node, ...Object.fromEntries(packages) };
}

/** The commit that was measured, with `+changes` where the checkout differs from it; `unknown` outside a checkout. */
export function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync("git", args, { cwd: projectRoot, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    const id = git("rev-parse", "HEAD");
    return git("status", "--porcelain") === "" ? id : `${id}+changes`;
  } catch {
    return "unknown";
  }
}

function packageVersion(name: string): string {
  const main = createRequire(path.join(projectRoot, "package.json")).resolve(`${name}/package.json`);
  const { version } = JSON.parse(readFileSync(main, "utf8")) as { version: string };
  return version;
}
