// Pure. Session guarantees (Terry et al. 1994), for a client that sends its bookmark with every request: a session read,
// and a strong one, sees the client's own writes and never an older state than the client has seen, at whatever level.
//
// Twice: by the times at which the writes were called, which trusts nobody; and by the versions, which grow with every
// change of a shard and so tell the order of two writes that overlapped.

import type { ClientOperation } from "./client-operation.ts";
import { type KeyTimeline, seenValue } from "./key-timeline.ts";
import { type Violation, violation } from "./violation.ts";

const NAME = "session guarantees";

/** What a client has seen of a key, and the operation in which it did. */
interface Floor {
  callNs: number;
  version: number;
  by: ClientOperation;
}

export function checkSessions(timeline: KeyTimeline): readonly Violation[] {
  const floors = new Map<string, Floor>();
  const inOrder = [...timeline.operations].sort((one, other) => one.call_ns - other.call_ns);
  return inOrder.flatMap((operation) => {
    const client = String(operation.client);
    const floor = floors.get(client);
    const found = floor === undefined ? undefined : problemOf(operation, floor, timeline);
    floors.set(client, raised(floor, operation, timeline));
    return found === undefined || floor === undefined
      ? []
      : [violation(NAME, `${timeline.key}: client ${client} ${found}`, [floor.by, operation])];
  });
}

function problemOf(operation: ClientOperation, floor: Floor, timeline: KeyTimeline): string | undefined {
  const { op, level, outcome, result, version } = operation;
  if (op !== "read" || outcome !== "ok" || (level !== "session" && level !== "strong")) return undefined;
  const seen = result ?? null;
  if (!timeline.isPossibleAfter(seen, floor.callNs)) {
    return `read ${seen ?? "nothing"}, which was replaced before what it had seen`;
  }
  if (version !== undefined && version < floor.version) {
    return `went back from version ${floor.version} to ${version}`;
  }
  return undefined;
}

function raised(floor: Floor | undefined, operation: ClientOperation, timeline: KeyTimeline): Floor {
  const before = floor ?? { callNs: Number.NEGATIVE_INFINITY, version: 0, by: operation };
  if (operation.outcome !== "ok") return before;
  const seen = operation.op === "read" ? seenValue(operation) : undefined;
  const callNs =
    operation.op !== "read"
      ? operation.call_ns
      : typeof seen === "string"
        ? (timeline.calledNs(seen) ?? before.callNs)
        : before.callNs;
  const version = operation.version ?? 0;
  if (callNs <= before.callNs && version <= before.version) return before;
  return { callNs: Math.max(callNs, before.callNs), version: Math.max(version, before.version), by: operation };
}
