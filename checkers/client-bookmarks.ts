// Pure. Positions in a shard's log only move forward. In real time: an acknowledged write or a strong read is answered from
// no earlier index than any that had been answered before it was called. In a session: a reply to a session read stands at
// or after the bookmark that was sent, and no bookmark comes back smaller than it was. And no level is undercut.

import type { ClientOperation, ConsistencyName } from "./client-operation.ts";
import { type Violation, violation } from "./violation.ts";

const NAME = "monotonic bookmarks";
const LEVEL_NAME = "the level that was asked for";

/** Which levels answer which; `eventual` is content with any. */
const SUFFICIENT: Readonly<Record<ConsistencyName, readonly ConsistencyName[]>> = {
  strong: ["strong"],
  session: ["strong", "session"],
  bounded: ["strong", "bounded"],
  eventual: ["strong", "session", "bounded", "eventual"],
};

export function checkBookmarks(operations: readonly ClientOperation[]): readonly Violation[] {
  const byShard = Map.groupBy(
    operations.filter(({ shard }) => shard !== undefined),
    ({ shard }) => shard,
  );
  return [...operations.flatMap(checkOne), ...[...byShard.values()].flatMap(checkRealTime)];
}

function checkOne(operation: ClientOperation): readonly Violation[] {
  const { op, level, met, outcome, index, after_index = 0, bookmark_index } = operation;
  const found: Violation[] = [];
  if (op === "read" && outcome === "ok" && met !== undefined && !SUFFICIENT[level].includes(met)) {
    found.push(violation(LEVEL_NAME, `a ${level} read was answered as ${met}`, [operation]));
  }
  if (op === "read" && level === "session" && index !== undefined && index < after_index) {
    found.push(violation(NAME, `a session read after ${after_index} was answered from ${index}`, [operation]));
  }
  if (bookmark_index !== undefined && bookmark_index < after_index) {
    found.push(violation(NAME, `the bookmark went back from ${after_index} to ${bookmark_index}`, [operation]));
  }
  return found;
}

/** Operations of one shard. */
function checkRealTime(operations: readonly ClientOperation[]): readonly Violation[] {
  const linear = operations.filter(isLinear);
  const byCall = [...linear].sort((one, other) => one.call_ns - other.call_ns);
  const byReturn = [...linear].sort((one, other) => (one.return_ns ?? 0) - (other.return_ns ?? 0));
  const found: Violation[] = [];
  let returned = 0;
  let highest: ClientOperation | undefined;
  for (const operation of byCall) {
    for (
      let next = byReturn[returned];
      next !== undefined && (next.return_ns ?? 0) < operation.call_ns;
      next = byReturn[++returned]
    ) {
      if (highest === undefined || (next.index ?? 0) > (highest.index ?? 0)) highest = next;
    }
    if (highest === undefined || (operation.index ?? 0) >= (highest.index ?? 0)) continue;
    found.push(
      violation(NAME, `index ${operation.index} after ${highest.index} had been answered`, [highest, operation]),
    );
  }
  return found;
}

/** Answered by the leader at a position that holds at some moment between call and return. */
function isLinear({ op, level, index, outcome, return_ns }: ClientOperation): boolean {
  if (index === undefined || return_ns === undefined) return false;
  return op === "read" ? outcome === "ok" && level === "strong" : outcome !== "unknown";
}
