// Pure. No acknowledged write is lost: the last strong read of a key shows none of the states that an acknowledged write
// had replaced. Linearizability says the same of every read; this says it by name, of the state that a run ends in.

import type { ClientOperation } from "./client-operation.ts";
import type { KeyTimeline } from "./key-timeline.ts";
import { type Violation, violation } from "./violation.ts";

const NAME = "no acknowledged write lost";

export function checkAcknowledgedWrites(timeline: KeyTimeline): readonly Violation[] {
  const last = lastStrongRead(timeline.operations);
  if (last === undefined) return [];
  const floorNs = timeline.floorBefore(last.call_ns);
  if (timeline.isPossibleAfter(last.result ?? null, floorNs)) return [];
  const replacement = timeline.operations.filter(({ op, call_ns }) => op !== "read" && call_ns === floorNs);
  return [violation(NAME, `${timeline.key}: the last strong read misses a write`, [...replacement, last])];
}

/** Whether a strong read began after everything that was acknowledged: only then the end of the history is judged. */
export function isReadBack(timeline: KeyTimeline): boolean {
  const last = lastStrongRead(timeline.operations);
  return timeline.operations.every(
    ({ op, outcome, return_ns = 0 }) => op === "read" || outcome !== "ok" || return_ns < (last?.call_ns ?? 0),
  );
}

function lastStrongRead(operations: readonly ClientOperation[]): ClientOperation | undefined {
  let last: ClientOperation | undefined;
  for (const operation of operations) {
    const { op, level, outcome, call_ns } = operation;
    if (op !== "read" || level !== "strong" || outcome !== "ok") continue;
    if (last === undefined || call_ns > last.call_ns) last = operation;
  }
  return last;
}
