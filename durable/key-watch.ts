// Who waits for a key to change: callers of a fill that somebody else has the right to load. Platform-free.

import type { ReplicaTimers } from "./ports.ts";
import type { Mutation, TransactionOperation } from "./store/command.ts";

/** Callers that may wait at once. */
export const WATCHERS_MAX = 10_000;

export class KeyWatch {
  readonly #waiting = new Map<string, Set<() => void>>();
  size = 0;
  /** Grows with everything that may wake somebody. */
  seen = 0;

  /**
   * Resolves when the key may have changed since `seen`, after `waitMs` at the latest. False, at once: there is no time or no
   * room. Race: whoever looks at a key and then waits does so in two turns, and the change may come in between.
   */
  wait(key: string, seen: number, waitMs: number, timers: ReplicaTimers): Promise<boolean> {
    if (seen !== this.seen) return Promise.resolve(true);
    if (this.size >= WATCHERS_MAX || waitMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const done = (): void => {
        cancel();
        if (!waiting.delete(done)) return;
        this.size--;
        if (waiting.size === 0) this.#waiting.delete(key);
        resolve(true);
      };
      const cancel = timers.after(waitMs, done);
      waiting.add(done);
      this.size++;
    });
  }

  /** These mutations were applied. */
  applied(mutations: readonly Mutation[]): void {
    this.seen++;
    if (this.size > 0) for (const mutation of mutations) this.#changed(mutation);
  }

  #changed(mutation: Mutation | TransactionOperation): void {
    switch (mutation.kind) {
      case "purge":
        this.wakeAll();
        break;
      case "transaction":
        for (const operation of [...mutation.onSuccess, ...mutation.onFailure]) this.#changed(operation);
        break;
      case "put":
      case "delete":
      case "increment":
      case "append":
      case "release_fill":
        this.#wakeKey(mutation.key);
        break;
      case "touch":
        if (mutation.softens === true) this.#wakeKey(mutation.key);
        break;
    }
  }

  wake(key: string): void {
    this.seen++;
    this.#wakeKey(key);
  }

  wakeAll(): void {
    this.seen++;
    for (const key of [...this.#waiting.keys()]) this.#wakeKey(key);
  }

  #wakeKey(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) for (const done of [...waiting]) done();
  }
}
