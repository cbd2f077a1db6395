// Pure. The verdict on a history of clients: every checker over every key. Good means that nothing was found and nothing was
// left undecided; a history without operations is not good, because it shows nothing.

import { checkAcknowledgedWrites, isReadBack } from "./client-acknowledged-writes.ts";
import { checkBookmarks } from "./client-bookmarks.ts";
import { checkKeyLinearizability } from "./client-linearizability.ts";
import type { ClientOperation } from "./client-operation.ts";
import { checkSessions } from "./client-sessions.ts";
import { checkStaleness } from "./client-staleness.ts";
import { KeyTimeline } from "./key-timeline.ts";
import type { Violation } from "./violation.ts";
import { checkWrittenValues } from "./written-values.ts";

/**
 * Steps of the search for an order, for one key. A good history takes about two for each operation; where a run has many
 * open writes on one key it may take more. The bound is a matter of memory: a step remembers up to a few hundred bytes.
 */
export const STEPS_MAX = 1_000_000;

export interface Judgement {
  readonly isGood: boolean;
  readonly operations: number;
  readonly keys: number;
  readonly violations: readonly Violation[];
  /** Keys for which the search for an order was given up. */
  readonly undecided: readonly string[];
  /** Keys with acknowledged writes that no strong read followed: for them nothing is known of the end. */
  readonly notReadBack: readonly string[];
}

/** Throws `HistoryError` where the history breaks its own rules, as by writing a value twice. */
export function judge(operations: readonly ClientOperation[], stepsMax = STEPS_MAX): Judgement {
  const timelines = [...Map.groupBy(operations, ({ key }) => key)].map(([key, ofKey]) => new KeyTimeline(key, ofKey));
  const violations: Violation[] = [...checkBookmarks(operations)];
  const undecided: string[] = [];
  for (const timeline of timelines) {
    violations.push(
      ...checkWrittenValues(timeline),
      ...checkAcknowledgedWrites(timeline),
      ...checkSessions(timeline),
      ...checkStaleness(timeline),
    );
    const order = checkKeyLinearizability(timeline, stepsMax);
    if (order === "undecided") undecided.push(timeline.key);
    else if (order !== undefined) violations.push(order);
  }
  return {
    isGood: operations.length > 0 && violations.length === 0 && undecided.length === 0,
    operations: operations.length,
    keys: timelines.length,
    violations,
    undecided,
    notReadBack: timelines.filter((timeline) => !isReadBack(timeline)).map(({ key }) => key),
  };
}
