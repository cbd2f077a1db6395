// The cluster's health as the edges see it, kept by the Directory in memory: nobody decides anything by it that could lose
// data, and whoever still doubts a replica says so again. Platform-free.

import type { DoubtedReplica, HealthReport } from "./health-protocol.ts";

/** An edge that has not repeated its report for so long is gone, or doubts nobody any more. */
export const REPORT_VALID_MS = 60_000;
/** Edges whose reports are kept; beyond that the oldest report goes. */
export const REPORTERS_MAX = 512;

interface Noted {
  readonly report: HealthReport;
  readonly atMs: number;
}

export class HealthBoard {
  /** By reporter, the latest last. */
  readonly #reports = new Map<string, Noted>();

  note(report: HealthReport, nowMs: number): void {
    this.#reports.delete(report.reporter);
    this.#reports.set(report.reporter, { report, atMs: nowMs });
    const [oldest] = this.#reports.keys();
    if (this.#reports.size > REPORTERS_MAX && oldest !== undefined) this.#reports.delete(oldest);
  }

  view(nowMs: number): { readonly doubted: readonly DoubtedReplica[]; readonly reporters: number } {
    const doubted = new Map<string, DoubtedReplica>();
    for (const [reporter, { report, atMs }] of this.#reports) {
      if (nowMs - atMs > REPORT_VALID_MS) {
        this.#reports.delete(reporter);
        continue;
      }
      for (const { name, state, forMs } of report.replicas) {
        const known = doubted.get(name);
        doubted.set(name, {
          name,
          state: known?.state === "dead" ? "dead" : state,
          suspect: (known?.suspect ?? 0) + (state === "suspect" ? 1 : 0),
          dead: (known?.dead ?? 0) + (state === "dead" ? 1 : 0),
          regions: [...new Set([...(known?.regions ?? []), report.region])],
          sinceMs: Math.min(known?.sinceMs ?? Number.POSITIVE_INFINITY, atMs - forMs),
        });
      }
    }
    return { doubted: [...doubted.values()], reporters: this.#reports.size };
  }
}
