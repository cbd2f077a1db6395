// Nothing expires early, and nothing is served after its time: by the shard's clock, which is never ahead of the clocks of
// the replicas that have led it.

import type { SimClock } from "../clock.ts";
import type { ReadOperation, WriteOperation } from "../history.ts";
import type { ReplicaHost } from "../replica-host.ts";
import type { GroundTruth } from "./ground-truth.ts";
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

  /** An entry lives for its whole TTL, counted by whichever clock of the shard shows the least. */
  stored({ key, value, ttlMs, invokedMs, result }: WriteOperation, clocks: readonly SimClock[]): void {
    if (ttlMs === undefined || result?.kind !== "stored") return;
    const earliestMs = Math.min(...clocks.map((clock) => clock.at(invokedMs))) + ttlMs - TOLERANCE_MS;
    if (result.expiresMs !== undefined && result.expiresMs >= earliestMs) return;
    this.#report(`${value} in ${key} expires at ${result.expiresMs}, before ${earliestMs}`);
  }

  read({ key, seen, from, clockMs }: ReadOperation, truth: GroundTruth): void {
    // Time never runs back behind a stamp, or what has expired would come to life again.
    const stampMs = from === undefined ? 0 : truth.stampAt(from.index);
    if (clockMs !== undefined && clockMs < stampMs) {
      this.#report(`a read of ${key} says it is ${clockMs}, the log up to its index says ${stampMs}`);
    }
    if (seen?.expiresMs === undefined || clockMs === undefined || clockMs < seen.expiresMs) return;
    this.#report(`a read of ${key} returned ${seen.value} ${clockMs - seen.expiresMs} ms after its expiry`);
  }
}
