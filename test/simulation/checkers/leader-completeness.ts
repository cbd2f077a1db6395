// Raft's leader completeness: whoever becomes leader holds every entry that was committed in its term or an earlier one.

import type { Instance } from "../instance.ts";
import type { GroundTruth } from "./ground-truth.ts";
import type { Report } from "./report.ts";

export class LeaderCompletenessChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** An entry has been committed by a leader of an earlier term than those that lead now: they must have it already. */
  committed(leaders: readonly Instance[], truth: GroundTruth): void {
    for (const instance of leaders) this.leads(instance, truth);
  }

  /** By log matching, holding the last one means holding those before it. */
  leads(instance: Instance, truth: GroundTruth): void {
    const { term } = instance.core;
    const committed = truth.entries.findLast(({ committedByTerm }) => committedByTerm <= term);
    if (committed === undefined) return;
    const { entry } = committed;
    if (instance.storage.content.holds(entry.index, entry.term)) return;
    this.#report(
      `${instance.label} leads term ${term} without the committed entry ${entry.index} of term ${entry.term}`,
    );
  }
}
