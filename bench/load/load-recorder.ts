// Counts what a load run did: right replies with their latency, errors with a few samples, time and the generator's CPU.

import { build, type Histogram } from "hdr-histogram-js";
import type { LoadResult } from "./workload.ts";

/** Enough to see what goes wrong, few enough to print. */
const ERROR_SAMPLES_MAX = 5;
/** Three significant digits: a latency is kept to within 0.1 %. */
const SIGNIFICANT_DIGITS = 3;
const MICROSECONDS_PER_MS = 1_000;

export class LoadRecorder {
  readonly #histogram: Histogram = build({
    bitBucketSize: 32,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
    autoResize: true,
  });
  readonly #errorSamples: string[] = [];
  readonly #cpuAtStart = process.cpuUsage();
  readonly #startMs: number;
  #lastMs: number;
  #errors = 0;

  constructor(startMs: number) {
    this.#startMs = startMs;
    this.#lastMs = startMs;
  }

  right(nowMs: number, latencyMs: number): void {
    this.#lastMs = nowMs;
    this.#histogram.recordValue(Math.max(1, Math.round(latencyMs * MICROSECONDS_PER_MS)));
  }

  wrong(nowMs: number, complaint: string): void {
    this.#lastMs = nowMs;
    this.#errors += 1;
    if (this.#errorSamples.length < ERROR_SAMPLES_MAX) this.#errorSamples.push(complaint);
  }

  result(): LoadResult {
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    const seconds = (this.#lastMs - this.#startMs) / 1_000;
    const count = this.#histogram.totalCount;
    const percentileMs = (percentile: number) =>
      count === 0 ? Number.NaN : this.#histogram.getValueAtPercentile(percentile) / MICROSECONDS_PER_MS;
    return {
      count,
      errors: this.#errors,
      errorSamples: [...this.#errorSamples],
      seconds,
      rps: seconds > 0 ? count / seconds : 0,
      p50Ms: percentileMs(50),
      p99Ms: percentileMs(99),
      maxMs: percentileMs(100),
      cpuSeconds: (user + system) / 1e6,
    };
  }
}
