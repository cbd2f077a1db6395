// Pure. What a reply says about time: Age and Cache-Control, from the shard's stamped clock and never from the edge's.
// max-age is the whole time for which the writer called the value fresh and Age the part of it that has passed, so that a
// cache downstream computes the remaining time as RFC 9111 section 4.2 says (max-age minus Age). An entry that never expires
// is `no-cache`: it may be kept, but must be revalidated by its ETag, because nobody knows when it will be rewritten.

import type { EntryExtras } from "../store/entry.ts";

export interface EntryTimes {
  readonly modifiedMs: number;
  /** Absent where the entry never expires. */
  readonly expiresMs?: number | undefined;
  readonly extras?: Pick<EntryExtras, "staleMs" | "staleWhileRevalidateMs" | "staleIfErrorMs"> | undefined;
}

/** Whole seconds since the value was written; never negative. */
export function ageSeconds(entry: EntryTimes, clockMs: number): number {
  const age = Math.floor((clockMs - entry.modifiedMs) / 1_000);
  return Math.max(age, 0);
}

export function replyCacheControl({ modifiedMs, expiresMs, extras }: EntryTimes): string {
  const freshUntilMs = extras?.staleMs ?? expiresMs;
  if (freshUntilMs === undefined) return "no-cache";
  const maxAge = `max-age=${Math.max(0, Math.floor((freshUntilMs - modifiedMs) / 1_000))}`;
  if (extras?.staleMs === undefined) return maxAge;
  const revalidate = window("stale-while-revalidate", extras.staleWhileRevalidateMs);
  return `${maxAge}${revalidate}${window("stale-if-error", extras.staleIfErrorMs)}`;
}

function window(name: string, ms: number | undefined): string {
  return ms === undefined ? "" : `, ${name}=${Math.floor(ms / 1_000)}`;
}
