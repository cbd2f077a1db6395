// Session guarantees (Terry et al. 1994): a session read sees the session's own writes and whatever the session saw
// before. Judged by the values in the log, not by what the replicas say of themselves.

import type { ReadOperation } from "../history.ts";
import type { GroundTruth } from "./ground-truth.ts";
import type { Report } from "./report.ts";

export class SessionChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** `floorIndex`: everything up to there was written or seen by the session before. */
  read({ client, key, level, seen, clockMs }: ReadOperation, floorIndex: number, truth: GroundTruth): void {
    if (level !== "session" && level !== "strong") return;
    const isPossible = truth.statesOf(key).some(({ toIndex, value, version, expiresMs }) => {
      if (toIndex <= floorIndex) return false;
      if (seen !== undefined) return value === seen.value && version === seen.version;
      return value === undefined || (expiresMs !== undefined && (clockMs ?? 0) >= expiresMs);
    });
    if (isPossible) return;
    this.#report(
      `client ${client} had seen index ${floorIndex} and read ${seen?.value ?? "nothing"} of ${key}, which is older`,
    );
  }
}
