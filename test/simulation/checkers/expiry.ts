// Nothing expires early, and nothing is served after its time: by the shard's clock, which is never ahead of the clocks of
// the replicas that have led it.

import type { ReadOperation } from "../history.ts";
import type { ReplicaHost } from "../replica-host.ts";
import type { Report } from "./report.ts";

/** Rounding of clocks. */
const TOLERANCE_MS = 2;

export class ExpiryChecker {
  readonly #report: Report;
  readonly #leaders = new Map<number, Set<ReplicaHost>>();

  constructor(report: Report) {
    this.#report = report;
  }

  leads(shard: number, host: ReplicaHost): void {
    const leaders = this.#leaders.get(shard) ?? new Set();
    leaders.add(host);
    this.#leaders.set(shard, leaders);
  }

  /** A reply that shows `clockMs` has left a replica. */
  clockShown(shard: number, clockMs: number, nowMs: number, by: string): void {
    const leaders = [...(this.#leaders.get(shard) ?? [])];
    if (leaders.length === 0) return;
    const latestMs = Math.max(...leaders.map(({ clock }) => clock.at(nowMs)));
    if (clockMs <= latestMs + TOLERANCE_MS) return;
    this.#report(`${by} says it is ${clockMs - latestMs} ms later than any leader's clock shows`);
  }

  read({ key, seen, clockMs }: ReadOperation): void {
    if (seen?.expiresMs === undefined || clockMs === undefined || clockMs < seen.expiresMs) return;
    this.#report(`a read of ${key} returned ${seen.value} ${clockMs - seen.expiresMs} ms after its expiry`);
  }
}
