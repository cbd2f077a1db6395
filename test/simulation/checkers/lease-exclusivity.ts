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
    const holders = instances.filter((instance) => holdsLease(instance, nowMs));
    const [first, second] = holders;
    if (first !== undefined && second !== undefined) {
      this.#report(
        `${first.label} (term ${first.core.term}) and ${second.label} (term ${second.core.term}) hold a lease`,
      );
    }
    const newest = truth.entries.at(-1);
    if (newest === undefined) return;
    for (const { core, label } of holders) {
      if (newest.entry.term > core.term && newest.entry.index > core.commitIndex) {
        this.#report(
          `${label} holds a lease of term ${core.term} at ${core.commitIndex} while ${newest.entry.index} of term ${newest.entry.term} is committed`,
        );
      }
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
