// State machine safety: all replicas apply the same entry at an index, each once and in order, and hold the same state
// after it.

import { DamagedStorageError } from "../../../durable/damage.ts";
import type { Instance } from "../instance.ts";
import type { GroundTruth } from "./ground-truth.ts";
import { isSame } from "./log-matching.ts";
import type { Report } from "./report.ts";

/** Comparing states costs: every so many entries, and after each start. */
const COMPARE_EVERY = 8;

export class StateMachineChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** The instance has applied up to `core.appliedIndex` since it was looked at last. */
  applied(instance: Instance, truth: GroundTruth): void {
    const { core, storage } = instance;
    const appliedIndex = core.appliedIndex;
    if (appliedIndex < instance.seenApplied) this.#report(`${instance.label} went back to ${appliedIndex}`);
    for (let index = instance.seenApplied + 1; index <= appliedIndex; index++) {
      const entry = storage.content.row(index)?.entry;
      instance.unpublished.push({ entry, index, unit: instance.writtenUnits });
    }
    const hasPassed = Math.floor(appliedIndex / COMPARE_EVERY) > Math.floor(instance.seenApplied / COMPARE_EVERY);
    instance.seenApplied = appliedIndex;
    this.publish(instance, truth);
    if (hasPassed || instance.seenTerm === 0) this.compare(instance, truth);
  }

  /**
   * A leader applies what followers hold while its own write is still on its way to the disk. That is no commitment until
   * its gate opens: a crash before may undo it, and nobody has heard of it. Where its own copy is on the disk already, what
   * else was written in the same event does not matter: an answer that was sent before that does not wait for it.
   */
  publish(instance: Instance, truth: GroundTruth): void {
    const { unpublished, core } = instance;
    for (let first = unpublished[0]; first !== undefined; first = unpublished[0]) {
      const { entry, index, unit } = first;
      const isOnDisk = entry !== undefined && instance.host.disk.holds(index, entry.term);
      if (unit > instance.durableUnits && !isOnDisk) return;
      unpublished.shift();
      const known = truth.at(index);
      if (entry !== undefined && known !== undefined && !isSame(known.entry, entry)) {
        this.#report(
          `${instance.label} applied another entry at ${index}: term ${entry.term}, not ${known.entry.term}`,
        );
      }
      if (known !== undefined) continue;
      if (entry === undefined) this.#report(`${instance.label} took over a state at ${index} that nobody has applied`);
      else truth.append(entry, core.term);
    }
  }

  compare(instance: Instance, truth: GroundTruth): void {
    const { store, core } = instance;
    // After a snapshot the newest store is known again once it has applied a batch.
    if (store === undefined || instance.storage.isGone) return;
    const known = truth.at(core.appliedIndex);
    try {
      if (known === undefined || known.stateHash === truth.hashOf(store)) return;
    } catch (error) {
      // It has found out by itself, and is gone.
      if (error instanceof DamagedStorageError) return;
      throw error;
    }
    this.#report(`${instance.label} has another state than others at ${core.appliedIndex}`);
  }
}
