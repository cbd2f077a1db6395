// Pure. When an entry is fresh, stale and gone.
//
//   written ──── fresh ────▶ staleMs ── stale, may be served while one reloads ──▶ ── stale, only if loading fails ──▶ expiresMs
//                                      staleWhileRevalidateMs, RFC 5861 section 3      staleIfErrorMs, section 4
//
// Both windows count from `staleMs`; the entry exists until the longer one is over. Without windows it is fresh as long as
// it exists. A soft purge is a `staleMs` that comes early.

import type { Lifetime } from "./command.ts";
import type { Entry, EntryExtras } from "./entry.ts";

/** Accesses of a sliding entry are written down at most this often in one lifetime; so much longer it lives, never shorter. */
export const SLIDING_STEPS = 10;

export interface EntryTimes {
  readonly expiresMs?: number | undefined;
  readonly staleMs?: number | undefined;
  readonly staleWhileRevalidateMs?: number | undefined;
  readonly staleIfErrorMs?: number | undefined;
  readonly slidingMs?: number | undefined;
}

/** The times of something written, or touched, at `nowMs`. */
export function timesFrom(lifetime: Lifetime, nowMs: number): EntryTimes {
  const { ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs } = lifetime;
  if (slidingMs !== undefined) return { expiresMs: slidingExpiryMs(slidingMs, nowMs), slidingMs };
  const freshUntilMs = ttlMs === undefined ? expiresAtMs : nowMs + ttlMs;
  if (freshUntilMs === undefined) return {};
  const windowMs = Math.max(staleWhileRevalidateMs ?? 0, staleIfErrorMs ?? 0);
  if (windowMs === 0) return { expiresMs: freshUntilMs };
  return { expiresMs: freshUntilMs + windowMs, staleMs: freshUntilMs, staleWhileRevalidateMs, staleIfErrorMs };
}

/** Whole steps longer than asked: an access within the step after a written one needs no write and loses nothing. */
export function slidingExpiryMs(slidingMs: number, nowMs: number): number {
  return nowMs + slidingMs + slidingStepMs(slidingMs);
}

/** Whether an access now is to be written down. */
export function isAccessDue(entry: Pick<Entry, "expiresMs" | "extras">, nowMs: number): boolean {
  const slidingMs = entry.extras?.slidingMs;
  if (slidingMs === undefined || entry.expiresMs === undefined) return false;
  return slidingExpiryMs(slidingMs, nowMs) >= entry.expiresMs + slidingStepMs(slidingMs);
}

function slidingStepMs(slidingMs: number): number {
  return Math.ceil(slidingMs / SLIDING_STEPS);
}

/** Nothing expires early: the entry exists until the last millisecond before `expiresMs`. */
export function exists(entry: Pick<Entry, "expiresMs">, nowMs: number): boolean {
  return entry.expiresMs === undefined || nowMs < entry.expiresMs;
}

export function isStale(entry: Pick<Entry, "extras">, nowMs: number): boolean {
  const staleMs = entry.extras?.staleMs;
  return staleMs !== undefined && nowMs >= staleMs;
}

/** `extras` of something that was purged softly at `purgedMs`: stale since then, or since earlier. */
export function softened(extras: EntryExtras | undefined, purgedMs: number): EntryExtras {
  return { ...extras, staleMs: Math.min(purgedMs, extras?.staleMs ?? purgedMs), purgedMs };
}

/** `extras` with other times, or none where nothing is left in them. What was purged softly stays stale. */
export function withTimes(extras: EntryExtras | undefined, times: EntryTimes): EntryExtras | undefined {
  const { staleMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs } = times;
  const { metadata, tags, sourceVersion, parts, purgedMs, purgeRevision } = extras ?? {};
  const changed = extrasOf({
    staleMs,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    slidingMs,
    metadata,
    tags,
    sourceVersion,
    parts,
    purgeRevision,
  });
  return purgedMs === undefined ? changed : softened(changed, purgedMs);
}

/** Undefined where every field is: a plain entry carries no extras. */
export function extrasOf(fields: EntryExtras): EntryExtras | undefined {
  for (const field of Object.values(fields)) if (field !== undefined) return fields;
  return undefined;
}
