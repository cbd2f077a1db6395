// Pure. What a copy in L1 may answer, so that no level promises less with L1 than without. A copy knows four things: where in
// its shard's log it was made, when the read began that brought it, since when nothing acknowledged is missing from it, and
// until when it says what the shard would say. All times are milliseconds on the clock of the isolate.

import type { ConsistencyLevel, LogPosition } from "../../durable/protocol.ts";
import { type Bookmark, epochOf } from "../http/bookmark.ts";

export interface CopyOrigin extends LogPosition {
  readonly shard: number;
  /** When the read began that brought it. */
  readonly startedMs: number;
  /** Every write that was acknowledged before is in it; minus infinity: that is not known. */
  readonly asOfMs: number;
  /** Then it expires or goes stale. */
  readonly changesAtMs: number;
  /** Its times are of another isolate's clock. */
  readonly isShared: boolean;
}

/** What is asked for, and by what this isolate routes. */
export interface CopyWish {
  readonly level: ConsistencyLevel;
  readonly boundMs?: number | undefined;
  readonly after?: Bookmark | undefined;
  /** Owner of the key's slot. */
  readonly owner: number;
  readonly epoch: number;
  /** When the read began. */
  readonly beganMs: number;
}

/** No copy is older, whatever was asked for: so long a purge can take to reach the L1 of other isolates. */
export const COPY_MS_MAX = 1_000;

/** Clocks of the machines of one data centre differ by less: a bound that is shorter is not answered by another's copy. */
export const SHARED_SKEW_MS = 250;

/** `eventualMs`: how old a copy may be where nothing else is asked. */
export function mayServe(copy: CopyOrigin, wish: CopyWish, nowMs: number, eventualMs: number): boolean {
  const ageMs = nowMs - copy.startedMs;
  // Younger than nothing: a clock was set back, and it is not known how old the copy is.
  if (ageMs < (copy.isShared ? -SHARED_SKEW_MS : 0) || ageMs > COPY_MS_MAX || nowMs >= copy.changesAtMs) return false;
  switch (wish.level) {
    case "strong":
      return false;
    case "session":
      return isSeenBy(copy, wish);
    case "bounded": {
      const staleMs = wish.beganMs - copy.asOfMs + (copy.isShared ? SHARED_SKEW_MS : 0);
      return staleMs <= (wish.boundMs ?? 0);
    }
    case "eventual":
      return ageMs <= eventualMs;
  }
}

/** Whether the session's position in the log is in the copy. One that has met a newer topology may know another owner. */
function isSeenBy(copy: CopyOrigin, { after, owner, epoch }: CopyWish): boolean {
  if (copy.shard !== owner) return false;
  if (after === undefined) return true;
  return epochOf(after) <= epoch && copy.index >= (after.get(owner)?.index ?? 0);
}
