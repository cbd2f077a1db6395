// Nobody is replaced by a sweep that has answered one within the time after which replicas are replaced.

import type { Report } from "./report.ts";

export class ReplacementChecker {
  readonly #report: Report;
  /** By name: when the last status came. */
  readonly #answeredMs = new Map<string, number>();

  constructor(report: Report) {
    this.#report = report;
  }

  answered(name: string, nowMs: number): void {
    this.#answeredMs.set(name, nowMs);
  }

  replaced(name: string, nowMs: number, afterMs: number): void {
    const forMs = nowMs - (this.#answeredMs.get(name) ?? Number.NEGATIVE_INFINITY);
    if (forMs < afterMs) this.#report(`${name} was replaced ${forMs.toFixed(0)} ms after it had answered a sweep`);
  }
}
