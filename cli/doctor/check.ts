// Pure. What a check says: how it went, what was found, and what to do about it.

import type { ExitCode } from "../exit.ts";

export type Verdict = "pass" | "warn" | "fail" | "skip";

export interface Check {
  readonly name: string;
  readonly verdict: Verdict;
  readonly text: string;
  /** What to do; of whatever did not pass. */
  readonly advice?: string | undefined;
  /** How the command ends where this is the first failure; absent: 1. */
  readonly exitCode?: ExitCode | undefined;
}

export function pass(name: string, text: string): Check {
  return { name, verdict: "pass", text };
}

export function warn(name: string, text: string, advice: string): Check {
  return { name, verdict: "warn", text, advice };
}

export function fail(name: string, text: string, advice: string, exitCode?: ExitCode): Check {
  return { name, verdict: "fail", text, advice, exitCode };
}

export function skip(name: string, text: string): Check {
  return { name, verdict: "skip", text };
}
