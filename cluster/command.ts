// What the commands of this folder share: arguments, the end by Ctrl-C, and errors as one line where the user can help.

import { ConfigError } from "./config-error.ts";

/** A wrong option; the message is one line for the user. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export function parsePort(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseCount("--port", text, { min: 1, max: 65_535 });
}

export function parseCount(option: string, text: string, { min, max }: { min: number; max: number }): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) {
    throw new UsageError(`${option} is "${text}": expected a whole number from ${min} to ${max}`);
  }
  return count;
}

/** How often a command that npm runs looks whether npm is still there. */
const PARENT_CHECK_MS = 500;

/**
 * Resolves with the signal's name when the user or the system asks the command to end. A SIGTERM to `npm start` ends npm and
 * the shell between, and reaches nobody else: the command notices that whoever started it is gone.
 */
export function untilAskedToEnd(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => resolve(name));
    if (process.env.npm_lifecycle_event === undefined) return;
    const startedBy = process.ppid;
    const check = setInterval(() => {
      if (process.ppid === startedBy) return;
      clearInterval(check);
      resolve("SIGTERM");
    }, PARENT_CHECK_MS);
    check.unref();
  });
}

/** Runs a command to its exit status. A failure that the user can mend is one line; anything else keeps its stack. */
export async function runCommand(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(isUserError(error) ? `halo: ${error.message}` : error);
    process.exitCode = 1;
  }
}

function isUserError(error: unknown): error is Error {
  if (error instanceof ConfigError || error instanceof UsageError) return true;
  // node:util's parseArgs says what is wrong with an option in its message.
  return error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith("ERR_PARSE_ARGS");
}
