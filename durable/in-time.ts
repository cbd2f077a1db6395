// Waiting for an answer, and not for ever. Platform-free.

import type { ReplicaTimers } from "./ports.ts";

/** Undefined: the connection broke, or nothing came in time. */
export function inTime<T>(call: Promise<T>, ms: number, timers: Pick<ReplicaTimers, "after">): Promise<T | undefined> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, () => resolve(undefined));
    const settle = (reply: T | undefined): void => {
      cancel();
      resolve(reply);
    };
    call.then(settle, () => settle(undefined));
  });
}
