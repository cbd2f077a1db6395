// Pure. A bounded read is never staler than asked: it sees every write that was acknowledged longer ago than the bound when
// the read began.

import { CLOCK_DRIFT_MAX } from "../durable/replication/config.ts";
import type { KeyTimeline } from "./key-timeline.ts";
import { type Violation, violation } from "./violation.ts";

const NAME = "staleness bound";

/** Replicas count whole milliseconds: one is rounded off at each end. */
const ROUNDING_MS = 2;

export function checkStaleness(timeline: KeyTimeline): readonly Violation[] {
  return timeline.operations.flatMap((operation) => {
    const { op, level, outcome, bound_ms, call_ns, result } = operation;
    if (op !== "read" || level !== "bounded" || outcome !== "ok" || bound_ms === undefined) return [];
    // The replica measures the bound by its own clock, whose rate may be off.
    const boundNs = (bound_ms * (1 + CLOCK_DRIFT_MAX) + ROUNDING_MS) * 1e6;
    if (timeline.isPossibleAfter(result ?? null, timeline.floorBefore(call_ns - boundNs))) return [];
    return [violation(NAME, `${timeline.key}: a read is staler than ${bound_ms} ms`, [operation])];
  });
}
