// Writes and purges that have met a slot about to move: nothing was changed, and they wait for the decision. Then they go into
// the log again, or their callers to the new owner. Platform-free.

import type { PendingWrite } from "./write-queue.ts";

/** Beyond this they are sent away and come again; their bytes count with those of the queue. */
export const MOVE_WAITERS_MAX = 4_096;

export class MoveWaiters {
  #waiting: PendingWrite[] = [];
  bytes = 0;

  get size(): number {
    return this.#waiting.length;
  }

  /** While one waits no other slot is frozen, or purges would wait for as long as slots move. */
  get hasPurge(): boolean {
    return this.#waiting.some(({ mutation }) => mutation.kind === "purge");
  }

  /** False: too many wait. */
  add(write: PendingWrite): boolean {
    if (this.#waiting.length >= MOVE_WAITERS_MAX) return false;
    this.#waiting.push(write);
    this.bytes += write.bytes;
    return true;
  }

  /** Takes out those that need not wait any more, in order of arrival. */
  take(isOver: (write: PendingWrite) => boolean): readonly PendingWrite[] {
    if (this.#waiting.length === 0) return this.#waiting;
    const taken: PendingWrite[] = [];
    this.#waiting = this.#waiting.filter((write) => {
      if (!isOver(write)) return true;
      taken.push(write);
      this.bytes -= write.bytes;
      return false;
    });
    return taken;
  }

  /** Nothing was changed by any of these. */
  refuse(reason: string, isOver: (write: PendingWrite) => boolean = () => true): void {
    for (const write of this.take(isOver)) write.settle({ status: "not_applied", reason });
  }

  expire(nowMs: number): void {
    this.refuse("the deadline passed before it was decided who owns the slot", ({ deadlineMs }) => deadlineMs <= nowMs);
  }
}
