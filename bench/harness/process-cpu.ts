// CPU time of other processes, from Linux's /proc: steadier than requests per second on a machine that is shared.

import { readFileSync } from "node:fs";

/** Unit of the times in /proc/<pid>/stat: USER_HZ, which is 100 in Linux's interface to programs on every common machine. */
const TICKS_PER_SECOND = 100;
/** Places of utime and stime (fields 14 and 15 in proc(5)) among the fields that follow the name. */
const USER_TIME_FIELD = 11;
const SYSTEM_TIME_FIELD = 12;

/** User and system time that these processes have used so far. Throws if one of them is gone. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsFrom(readFileSync(`/proc/${pid}/stat`, "latin1")), 0);
}

export function cpuSecondsFrom(stat: string): number {
  // The name stands in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[USER_TIME_FIELD]) + Number(fields[SYSTEM_TIME_FIELD]);
  if (!Number.isFinite(ticks)) throw new Error(`/proc stat is not as expected: ${stat}`);
  return ticks / TICKS_PER_SECOND;
}
