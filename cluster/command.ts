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

/** Resolves with the signal's name when the user or the system asks the command to end. */
export function untilAskedToEnd(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => resolve(name));
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
