// Looking at and ending processes by their id. Only ids that this program was given by a process it started belong here.

import { readFileSync } from "node:fs";
import { until } from "./until.ts";

/** A SIGKILLed process is gone within milliseconds; this allows for a machine that is busy with something else. */
const GONE_TIMEOUT_MS = 10_000;

/**
 * Whether the process still runs. A zombie (dead, but not yet waited for by whoever inherited it) counts as gone: in a
 * container whose first process reaps nobody, an orphan would otherwise seem to live for ever.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const state = processState(pid);
  return state !== "Z" && state !== "X";
}

/** Ends the process at once; one that is gone already is fine. */
export function killNow(pid: number): void {
  signal(pid, "SIGKILL");
}

/** Returns false where there is no such process any more. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

export async function untilGone(pids: readonly number[]): Promise<void> {
  await until(`processes ${pids.join(", ")} gone`, () => pids.every((pid) => !isAlive(pid)), {
    timeoutMs: GONE_TIMEOUT_MS,
    everyMs: 2,
  });
}

/** The state letter of Linux's /proc; undefined on other systems. */
function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name before the state stands in parentheses and may itself contain some.
    return stat.slice(stat.lastIndexOf(")") + 2).charAt(0);
  } catch {
    return undefined;
  }
}
