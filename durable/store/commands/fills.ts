// Pure. Leases of fills: of many callers who miss a value, one gets the right to load it. The lease has a token, which is a
// version: whatever is written or purged after it makes the fill too late.

import type { BeginFillMutation, Outcome } from "../command.ts";
import { isStale } from "../lifetime.ts";
import type { Workspace } from "../workspace.ts";
import { targetOf } from "./values.ts";

export function beginFill(work: Workspace, mutation: BeginFillMutation): Outcome {
  const { slot, key, leaseMs, isEarly } = mutation;
  const nowMs = work.clockMs;
  const { current } = targetOf(work, mutation);
  if (current !== undefined && isEarly !== true && !isStale(current, nowMs)) {
    return { kind: "fill_unneeded", version: current.version };
  }
  const lease = work.marks.fill(key);
  if (lease !== undefined && nowMs < lease.untilMs) {
    // A purge of the key makes what is being loaded too late: nobody is to wait for that.
    const isInVain = work.marks.isPurgedSince(key, undefined, lease.token);
    if (!isInVain) return { kind: "fill_held", untilMs: lease.untilMs };
  }
  if (!work.marks.hasRoomForFill(key, nowMs)) return { kind: "table_full" };
  const token = work.nextVersion();
  const untilMs = nowMs + leaseMs;
  work.marks.grantFill(slot, key, token, untilMs);
  return { kind: "fill_granted", token, untilMs };
}
