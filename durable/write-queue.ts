// Group commit: mutations that arrive while a batch is in flight wait here and go into the next one, and whoever asked is
// answered when the batch is applied, or told `unknown` when its fate stays open. Platform-free.

import type { Mutation, Outcome } from "./store/command.ts";

/** What became of one mutation. */
export type WriteResult =
  | { readonly status: "applied"; readonly outcome: Outcome; readonly term: number; readonly index: number }
  /** Never proposed, or certainly overwritten: nothing was changed. `isHeld`: it would have waited for a move. */
  | { readonly status: "not_applied"; readonly reason: string; readonly isHeld?: boolean | undefined }
  /** The slot is another shard's: nothing was changed. */
  | { readonly status: "moved"; readonly slot: number }
  | { readonly status: "unknown"; readonly reason: string };

export interface PendingWrite {
  readonly mutation: Mutation;
  readonly bytes: number;
  readonly deadlineMs: number;
  /** Others wait for its answer that are answered with it. */
  readonly isTogether?: boolean | undefined;
  readonly settle: (result: WriteResult) => void;
}

interface ProposedBatch {
  readonly index: number;
  readonly term: number;
  readonly writes: readonly PendingWrite[];
}

/** Mutations in one log entry: bounds the time that applying it takes. */
export const BATCH_MUTATIONS_MAX = 1_024;

/** Bytes of one log entry: a row holds 2 MB; one mutation of the largest size always fits beside others. */
export const BATCH_BYTES_MAX = 1_500_000;

/** Mutations and bytes that may wait before new ones are shed. */
export const QUEUE_MUTATIONS_MAX = 8_192;
export const QUEUE_BYTES_MAX = 3 * 1024 * 1024;

export class WriteQueue {
  #waiting: PendingWrite[] = [];
  #waitingBytes = 0;
  /** Proposed and not yet applied, by index. */
  readonly #proposed = new Map<number, ProposedBatch>();

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Batches proposed and not yet applied. */
  get inFlight(): number {
    return this.#proposed.size;
  }

  /** Share of its limits that is in use; 1 and more: full. */
  get fill(): number {
    return Math.max(this.#waiting.length / QUEUE_MUTATIONS_MAX, this.#waitingBytes / QUEUE_BYTES_MAX);
  }

  add(write: PendingWrite): void {
    this.#waiting.push(write);
    this.#waitingBytes += write.bytes;
  }

  hasWaiting(isWanted: (mutation: Mutation) => boolean): boolean {
    return this.#waiting.some(({ mutation }) => isWanted(mutation));
  }

  /** Takes the writes for the next batch, in order of arrival. */
  takeBatch(): readonly PendingWrite[] {
    let bytes = 0;
    let count = 0;
    for (const write of this.#waiting) {
      bytes += write.bytes;
      if (count > 0 && (bytes > BATCH_BYTES_MAX || count >= BATCH_MUTATIONS_MAX)) break;
      count++;
    }
    const batch = this.#waiting.splice(0, count);
    for (const write of batch) this.#waitingBytes -= write.bytes;
    return batch;
  }

  noteProposed(index: number, term: number, writes: readonly PendingWrite[]): void {
    this.#proposed.set(index, { index, term, writes });
  }

  /** The entry at `index` was applied; if it is the proposed one, its outcomes are its writers' answers. */
  settleApplied(index: number, term: number, outcomes: readonly Outcome[]): void {
    const batch = this.#proposed.get(index);
    if (batch === undefined) return;
    this.#proposed.delete(index);
    batch.writes.forEach((write, position) => {
      const outcome = outcomes[position];
      if (batch.term === term && outcome !== undefined) write.settle({ status: "applied", outcome, term, index });
      // Another entry is committed at that index, so this one never can be.
      else write.settle({ status: "not_applied", reason: "a new leader replaced the write before it was committed" });
    });
  }

  /** A snapshot replaced the log up to `index`: what was proposed there may or may not be part of it. */
  settleReplaced(index: number): void {
    for (const batch of this.#proposed.values()) {
      if (batch.index <= index) this.#abandon(batch, "the log was replaced by a snapshot");
    }
  }

  /**
   * This replica leads again, with a log that ends at `lastIndex`: another leader had cut off what it proposed behind that.
   * Those indexes are about to get other entries, and whether somebody still holds the old ones is not known.
   */
  settleCutOff(lastIndex: number): void {
    for (const batch of this.#proposed.values()) {
      if (batch.index > lastIndex) this.#abandon(batch, "another leader cut the log before the write was committed");
    }
  }

  /** Leadership is gone: what was not proposed can go elsewhere. What was proposed may still be committed. */
  refuseWaiting(reason: string): void {
    const refused = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const write of refused) write.settle({ status: "not_applied", reason });
  }

  expire(nowMs: number): void {
    const expired = this.#waiting.filter((write) => write.deadlineMs <= nowMs);
    if (expired.length > 0) {
      this.#waiting = this.#waiting.filter((write) => write.deadlineMs > nowMs);
      for (const write of expired) {
        this.#waitingBytes -= write.bytes;
        write.settle({ status: "not_applied", reason: "the deadline passed before the write was proposed" });
      }
    }
    for (const batch of this.#proposed.values()) {
      const late = batch.writes.filter((write) => write.deadlineMs <= nowMs);
      // Settling is idempotent: whoever was told `unknown` ignores what the batch brings later.
      for (const write of late) write.settle({ status: "unknown", reason: "no majority answered before the deadline" });
      if (late.length === batch.writes.length) this.#proposed.delete(batch.index);
    }
  }

  #abandon(batch: ProposedBatch, reason: string): void {
    this.#proposed.delete(batch.index);
    for (const write of batch.writes) write.settle({ status: "unknown", reason });
  }
}
