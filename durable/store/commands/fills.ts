// Pure. Leases of fills: of many callers who miss a value, one gets the right to load it. The lease has a token, which is a
// version: whatever is written or purged after it makes the fill too late.

import type { BeginFillMutation, Outcome, ReleaseFillMutation } from "../command.ts";
import { isStale } from "../lifetime.ts";
import type { Workspace } from "../workspace.ts";
import { targetOf } from "./values.ts";

export function beginFill(work: Workspace, mutation: BeginFillMutation): Outcome {
  const { slot, key, leaseMs, isEarly, holder } = mutation;
  const nowMs = work.clockMs;
  const { current } = targetOf(work, mutation);
  if (current !== undefined && isEarly !== true && !isStale(current, nowMs)) {
    return { kind: "fill_unneeded", version: current.version };
  }
  const lease = work.marks.fill(key);
  if (lease !== undefined && nowMs < lease.untilMs) {
    // A purge of the key makes what is being loaded too late: nobody is to wait for that.
    const isInVain = work.marks.isPurgedSince(key, undefined, lease.token);
    const { token, untilMs } = lease;
    if (!isInVain)
      return isHeldBy(lease, holder) ? { kind: "fill_granted", token, untilMs } : { kind: "fill_held", untilMs };
  }
  if (!work.marks.hasRoomForFill(key, holder, nowMs)) return { kind: "table_full" };
  const token = work.nextVersion();
  const untilMs = nowMs + leaseMs;
  work.marks.grantFill({ slot, name: key, token, untilMs, holder });
  return { kind: "fill_granted", token, untilMs };
}

/** Whether the lease belongs to this caller, whose reply was lost. */
export function isHeldBy(lease: { readonly holder?: string | undefined }, holder: string | undefined): boolean {
  return holder !== undefined && lease.holder === holder;
}

/** Done twice it changes nothing: the second time the right is another's, or nobody's. */
export function releaseFill(work: Workspace, { key, token }: ReleaseFillMutation): Outcome {
  const lease = work.marks.fill(key);
  if (lease?.token !== token) return { kind: "fill_released", existed: false };
  work.endFill(key);
  return { kind: "fill_released", existed: work.clockMs < lease.untilMs };
}
