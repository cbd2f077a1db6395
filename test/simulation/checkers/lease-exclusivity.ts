// Lease exclusivity: while one replica could answer a strong read from memory, no other one may lead with a lease, and
// nothing that it does not know may have been committed by a later leader.

import type { Instance } from "../instance.ts";
import type { GroundTruth } from "./ground-truth.ts";
import type { Report } from "./report.ts";

export class LeaseExclusivityChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** To be looked at whenever somebody leads or something was committed; time alone only ends leases. */
  check(instances: readonly Instance[], nowMs: number, truth: GroundTruth): void {
    // With nothing made for it: this is looked at after every event of a leader.
    const newest = truth.entries.at(-1)?.entry;
    let other: Instance | undefined;
    for (const instance of instances) {
      if (!holdsLease(instance, nowMs)) continue;
      const { core, label } = instance;
      if (other !== undefined) {
        this.#report(`${other.label} (term ${other.core.term}) and ${label} (term ${core.term}) hold a lease`);
      }
      other = instance;
      if (newest === undefined || newest.term <= core.term || newest.index <= core.commitIndex) continue;
      this.#report(
        `${label} holds a lease of term ${core.term} at ${core.commitIndex} while ${newest.index} of term ${newest.term} is committed`,
      );
    }
  }
}

/** Asks the core what it would say at this moment, without leaving a trace in it. */
function holdsLease({ core, host }: Instance, nowMs: number): boolean {
  if (core.leaderState === undefined) return false;
  const { nowMs: knownMs } = core;
  core.nowMs = Math.max(knownMs, host.clock.at(nowMs));
  const isHeld = core.leaseHeld;
  core.nowMs = knownMs;
  return isHeld;
}
