// What clients of registers saw while the slots moved, judged by the logs of all shards together: every answer is from a shard
// that owned the slot at the index that it names, and shows what the logs say there (R2, bookmarks); a session never sees less
// than it has seen, whichever shards it has met (session guarantees); a bounded read is never staler than asked. The same
// promises as in bookmarks.ts, sessions.ts and staleness.ts, which know of one log. That no deletion is undone follows: an
// answer shows what is at its index, and a session's is never before what it has seen.

import { CLOCK_DRIFT_MAX } from "../../../durable/replication/config.ts";
import { describe, type Operation, type ReadOperation, type WriteOperation } from "../history.ts";
import type { GroundTruth } from "./ground-truth.ts";
import { isBefore, KeyTimeline, type Place, type TimelineState } from "./key-timeline.ts";
import type { Report } from "./report.ts";
import { ROUNDING_MS } from "./staleness.ts";

/** By shard: how far a session has seen. */
type Floors = ReadonlyMap<number, number>;

export interface MovedReports {
  readonly bookmarks: Report;
  readonly sessions: Report;
  readonly staleness: Report;
  readonly acknowledged: Report;
}

/** At the end of a run. `operations`: in the order in which they began. */
export function checkMovedHistory(
  operations: readonly Operation[],
  truths: readonly GroundTruth[],
  reports: MovedReports,
): void {
  const timelines = new Map<string, KeyTimeline>();
  for (const ofClient of Map.groupBy(operations, ({ client }) => client).values()) {
    for (const [operation, floors] of withFloors(ofClient)) {
      const { key, outcome } = operation;
      if (outcome !== "ok") continue;
      const timeline = timelines.get(key) ?? new KeyTimeline(key, truths);
      timelines.set(key, timeline);
      if (operation.kind === "read") checkRead(operation, floors, timeline, reports);
      else checkWrite(operation, floors, timeline, reports);
    }
  }
}

/** Each with what the session knew when it began. */
function* withFloors(operations: readonly Operation[]): Generator<[Operation, Floors]> {
  const floors = new Map<number, number>();
  let open: Operation[] = [];
  for (const operation of operations) {
    const done = open.filter(({ returnedMs }) => returnedMs <= operation.invokedMs);
    open = [...open.filter((one) => !done.includes(one)), operation];
    for (const { from, outcome } of done) {
      if (outcome === "ok" && from !== undefined)
        floors.set(from.shard, Math.max(from.index, floors.get(from.shard) ?? 0));
    }
    yield [operation, new Map(floors)];
  }
}

function checkRead(operation: ReadOperation, floors: Floors, timeline: KeyTimeline, reports: MovedReports): void {
  const { from, level, boundMs, invokedMs } = operation;
  if (from === undefined) return;
  const place = timeline.placeOf(from.shard, from.index);
  if (place === undefined) {
    reports.bookmarks(`shard ${from.shard} does not own the slot at the index of its answer: ${describe(operation)}`);
    return;
  }
  const state = timeline.at(place);
  const isNothingFine = state !== undefined && timeline.mayHaveExpiredBefore(state, place);
  if (state === undefined || !(shows(operation, state) || (isNothingFine && operation.seen === undefined))) {
    reports.bookmarks(`the logs say ${state?.value ?? "nothing"}: ${describe(operation)}`);
  }
  const possible = timeline.states.filter(
    (one) => shows(operation, one) || (operation.seen === undefined && timeline.mayHaveExpiredBefore(one, place)),
  );
  if (level === "session" || level === "strong") {
    for (const [shard, seen] of seenPlaces(floors, timeline)) {
      if (possible.some(({ to }) => to === undefined || isBefore(seen, to))) continue;
      reports.sessions(`the session had seen shard ${shard} up to ${seen.index}: ${describe(operation)}`);
    }
  }
  if (level !== "bounded" || boundMs === undefined) return;
  // The replica measures the bound by its own clock.
  const limitMs = invokedMs - boundMs * (1 + CLOCK_DRIFT_MAX) - ROUNDING_MS;
  if (possible.some(({ replacedMs }) => replacedMs === undefined || replacedMs >= limitMs)) return;
  reports.staleness(`staler than ${boundMs} ms: ${describe(operation)}`);
}

function checkWrite(operation: WriteOperation, floors: Floors, timeline: KeyTimeline, reports: MovedReports): void {
  const { value, result, from } = operation;
  if (result?.kind !== "stored" || value === undefined || from === undefined) return;
  const state = timeline.states.find((one) => one.value === value);
  if (state === undefined) {
    reports.acknowledged(`in no log of an owner: ${describe(operation)}`);
    return;
  }
  const place = timeline.seenBy(from.shard, from.index);
  if (place === undefined || isBefore(place, state.from)) {
    reports.bookmarks(`the bookmark is from before the write: ${describe(operation)}`);
  }
  for (const [shard, seen] of seenPlaces(floors, timeline)) {
    if (isBefore(seen, state.from)) continue;
    reports.sessions(`the session had seen shard ${shard} up to ${seen.index} before: ${describe(operation)}`);
  }
}

function* seenPlaces(floors: Floors, timeline: KeyTimeline): Generator<[number, Place]> {
  for (const [shard, index] of floors) {
    const seen = timeline.seenBy(shard, index);
    if (seen !== undefined) yield [shard, seen];
  }
}

function shows({ seen, clockMs = 0 }: ReadOperation, { value, version, expiresMs }: TimelineState): boolean {
  if (seen !== undefined) return value === seen.value && version === seen.version;
  return value === undefined || (expiresMs !== undefined && clockMs >= expiresMs);
}
