// Pure. What a reply says about time: Age and Cache-Control, from the shard's stamped clock and never from the edge's.
// max-age is the whole lifetime that the writer asked for and Age the part of it that has passed, so that a cache
// downstream computes the remaining time as RFC 9111 section 4.2 says (max-age minus Age). An entry that never expires
// is `no-cache`: it may be kept, but must be revalidated by its ETag, because nobody knows when it will be rewritten.

export interface EntryTimes {
  readonly modifiedMs: number;
  /** Absent where the entry never expires. */
  readonly expiresMs?: number | undefined;
}

/** Whole seconds since the value was written; never negative. */
export function ageSeconds(entry: EntryTimes, clockMs: number): number {
  const age = Math.floor((clockMs - entry.modifiedMs) / 1_000);
  return Math.max(age, 0);
}

export function replyCacheControl(entry: EntryTimes): string {
  if (entry.expiresMs === undefined) return "no-cache";
  const lifetime = Math.floor((entry.expiresMs - entry.modifiedMs) / 1_000);
  return `max-age=${Math.max(lifetime, 0)}`;
}
