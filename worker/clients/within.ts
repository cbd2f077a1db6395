// A promise that is waited for only so long: for questions whose answer somebody looks at, and nobody depends on.

import type { Timers } from "./ports.ts";

/** What the promise brings; `otherwise` of its error where it fails, of nothing where it takes too long. Never rejects. */
export function within<T, Other>(
  timers: Timers,
  ms: number,
  promise: Promise<T>,
  otherwise: (error?: unknown) => Other,
): Promise<T | Other> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, () => resolve(otherwise()));
    promise.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error) => {
        cancel();
        resolve(otherwise(error));
      },
    );
  });
}
