// Waiting for a condition instead of for a time: every wait has a name and a deadline, and says what it last saw.

export interface UntilOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
}

const EVERY_MS_DEFAULT = 25;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Calls `condition` until it returns something other than undefined or false, and returns that. A condition that throws
 * counts as not met. Throws after `timeoutMs` with `what` and the last error.
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  { timeoutMs, everyMs = EVERY_MS_DEFAULT }: UntilOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const met = await condition();
      if (met !== undefined && met !== false) return met;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`waited ${timeoutMs} ms in vain: ${what}`, { cause: lastError });
    }
    await pause(everyMs);
  }
}
