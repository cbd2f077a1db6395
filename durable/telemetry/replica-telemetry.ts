// What one replica measures of itself beside its counters: histograms, the time for which it is billed, and what was slow.
// Platform-free. Times are of the platform's clock, which stands still while code runs: what is answered from memory takes
// 0 ms here, and what a wait for others takes is what is seen.

import { ActivityMeter } from "./activity.ts";
import { Histogram, type HistogramReading } from "./histogram.ts";
import { SlowLog } from "./slow-log.ts";

/** From a flush on the same machine to an election. */
export const COMMIT_BOUNDS_MS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/** Mutations of one batch. */
export const BATCH_BOUNDS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

export class ReplicaTelemetry {
  readonly startedMs: number;
  readonly activity: ActivityMeter;
  /** From the proposal of an own batch until it is applied. */
  readonly commitMs = new Histogram(COMMIT_BOUNDS_MS);
  readonly batchSize = new Histogram(BATCH_BOUNDS);
  readonly slowLog: SlowLog;
  #lastQuorumAckMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: number, slowMs = Number.POSITIVE_INFINITY) {
    this.startedMs = nowMs;
    this.activity = new ActivityMeter(nowMs);
    this.slowLog = new SlowLog(slowMs);
  }

  get histograms(): Readonly<Record<string, HistogramReading>> {
    return { commit_ms: this.commitMs.reading, batch_size: this.batchSize.reading };
  }

  /** Whether a majority has acknowledged a newer append: that is what makes a lease longer. */
  maybeRenewed(quorumAckMs: number): boolean {
    const isRenewed = quorumAckMs > this.#lastQuorumAckMs;
    if (isRenewed) this.#lastQuorumAckMs = quorumAckMs;
    return isRenewed;
  }
}
