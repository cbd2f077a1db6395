// Pure. A read returns only what was written to its key, by a write that was not refused and had been called by then; and a
// value has one version, a version one value.

import type { ClientOperation } from "./client-operation.ts";
import { type KeyTimeline, seenValue } from "./key-timeline.ts";
import { type Violation, violation } from "./violation.ts";

const NAME = "values come from writes";

export function checkWrittenValues(timeline: KeyTimeline): readonly Violation[] {
  const versions = new Map<string, number>();
  return timeline.operations.flatMap((operation) => {
    const problem = problemOf(operation, timeline) ?? versionProblemOf(operation, versions);
    return problem === undefined ? [] : [violation(NAME, `${timeline.key}: ${problem}`, [operation])];
  });
}

function problemOf(operation: ClientOperation, timeline: KeyTimeline): string | undefined {
  const seen = seenValue(operation);
  if (typeof seen !== "string") return undefined;
  if (timeline.isRefused(seen)) return `"${seen}" was refused and is there all the same`;
  const calledNs = timeline.calledNs(seen);
  if (calledNs === undefined) return `nobody has written "${seen}"`;
  if (operation.return_ns !== undefined && operation.return_ns < calledNs) return `"${seen}" was not sent yet`;
  return undefined;
}

function versionProblemOf(
  { op, outcome, value, result, version }: ClientOperation,
  versions: Map<string, number>,
): string | undefined {
  const stored = op === "read" ? result : value;
  if (outcome !== "ok" || version === undefined || typeof stored !== "string") return undefined;
  const known = versions.get(stored);
  if (known === undefined) versions.set(stored, version);
  return known === undefined || known === version ? undefined : `"${stored}" has versions ${known} and ${version}`;
}
