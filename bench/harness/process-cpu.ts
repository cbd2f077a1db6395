// CPU time of other processes, from Linux's /proc: steadier than requests per second on a machine that is shared.

import { readdirSync, readFileSync } from "node:fs";

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

const NANOSECONDS_PER_SECOND = 1e9;

/**
 * The same to the microsecond, for what is over in less than a few ticks: the sum over the threads that there are. A process that
 * has just started has not ended any.
 */
export function cpuSecondsOfThreads(pids: readonly number[]): number {
  const threads = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`),
  );
  return threads.reduce((sum, thread) => sum + threadSeconds(readFileSync(`${thread}/schedstat`, "latin1")), 0);
}

function threadSeconds(schedstat: string): number {
  const nanoseconds = Number(schedstat.split(" ")[0]);
  if (!Number.isFinite(nanoseconds)) throw new Error(`/proc schedstat is not as expected: ${schedstat}`);
  return nanoseconds / NANOSECONDS_PER_SECOND;
}
