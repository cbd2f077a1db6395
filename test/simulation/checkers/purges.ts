// A purge is never undone. Once a purge has been acknowledged, no answer that must know of it shows anything that the purge
// covered and that was written before it. Today a purge covers one key (a deletion); a purge by tag or prefix covers more
// and is told to this checker in the same way.

import type { ReadOperation } from "../history.ts";
import type { GroundTruth } from "./ground-truth.ts";
import type { Report } from "./report.ts";

export interface Purge {
  readonly shard: number;
  /** Where it is in the log. */
  readonly index: number;
  /** When its client was told. */
  readonly acknowledgedMs: number;
  /** For reports. */
  readonly what: string;
  covers(key: string): boolean;
}

export class PurgeChecker {
  readonly #report: Report;
  readonly #purges: Purge[] = [];

  constructor(report: Report) {
    this.#report = report;
  }

  acknowledged(purge: Purge): void {
    this.#purges.push(purge);
  }

  /** `floorIndex`: what the session had written or seen before. */
  read({ shard, key, level, seen, from, invokedMs }: ReadOperation, floorIndex: number, truth: GroundTruth): void {
    if (seen === undefined || from === undefined) return;
    const writtenAt = truth.indexOf(seen.value);
    if (writtenAt === undefined) return;
    // What the answer says that it has seen; a session has seen what it saw before as well.
    const knownIndex = level === "session" || level === "strong" ? Math.max(from.index, floorIndex) : from.index;
    const undone = this.#purges.findLast((purge) => {
      if (purge.shard !== shard || purge.index <= writtenAt || !purge.covers(key)) return false;
      return purge.index <= knownIndex || (level === "strong" && purge.acknowledgedMs < invokedMs);
    });
    if (undone === undefined) return;
    this.#report(
      `a read of ${key} returned ${seen.value} of index ${writtenAt}, after ${undone.what} at ${undone.index}`,
    );
  }
}
