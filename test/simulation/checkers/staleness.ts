// A bounded read is never staler than asked: it sees every write that was acknowledged longer ago than the bound.

import { CLOCK_DRIFT_MAX } from "../../../durable/replication/config.ts";
import type { ReadOperation } from "../history.ts";
import type { GroundTruth, KeyState } from "./ground-truth.ts";
import type { Report } from "./report.ts";

/** Clocks show whole milliseconds: one is rounded off at each end. */
export const ROUNDING_MS = 2;

export class StalenessChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  read({ key, level, boundMs, invokedMs, seen, clockMs }: ReadOperation, truth: GroundTruth): void {
    if (level !== "bounded" || boundMs === undefined) return;
    // The replica measures the bound by its own clock.
    const limitMs = invokedMs - boundMs * (1 + CLOCK_DRIFT_MAX) - ROUNDING_MS;
    const isFresh = (state: KeyState) => {
      const replacedMs = truth.acknowledgedMs.get(state.toIndex);
      return replacedMs === undefined || replacedMs >= limitMs;
    };
    const isSeen = ({ value, version, expiresMs }: KeyState) => {
      if (seen !== undefined) return value === seen.value && version === seen.version;
      return value === undefined || (expiresMs !== undefined && (clockMs ?? 0) >= expiresMs);
    };
    if (truth.statesOf(key).some((state) => isSeen(state) && isFresh(state))) return;
    this.#report(`a read of ${key} bounded by ${boundMs} ms returned ${seen?.value ?? "nothing"}, which is staler`);
  }
}
