// Memory of other processes, from Linux's /proc.

import { readFileSync } from "node:fs";

const KIB_PER_MIB = 1_024;

/** What they keep in memory now. Throws if one of them is gone. */
export function residentMemoryMiB(pids: readonly number[]): number {
  return sumOf(pids, "VmRSS");
}

/** The most that they have kept so far. */
export function peakMemoryMiB(pids: readonly number[]): number {
  return sumOf(pids, "VmHWM");
}

function sumOf(pids: readonly number[], name: string): number {
  return pids.reduce((sum, pid) => sum + memoryMiBFrom(readFileSync(`/proc/${pid}/status`, "latin1"), name), 0);
}

export function memoryMiBFrom(status: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status);
  if (found === null) throw new Error(`/proc status has no ${name}`);
  return Math.round(Number(found[1]) / KIB_PER_MIB);
}
