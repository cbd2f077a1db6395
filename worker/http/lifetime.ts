// Pure. How long something written is to live, from the headers of a request: Cache-Control, Expires, Halo-Sliding-TTL.

import type { Lifetime } from "../../durable/store/command.ts";
import { parseStorageDirectives, type StorageDirectives, TTL_SECONDS_MAX } from "./cache-control.ts";
import { parseHttpDateMs } from "./http-date.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

export interface LifetimeHeaders {
  readonly cacheControl: string | null;
  readonly expires: string | null;
  readonly slidingTtl: string | null;
}

const FOR_EVER: Parsed<Lifetime> = parsed({});
const SECONDS = /^[0-9]{1,9}$/;

/** Without any of the headers: for ever, which is `{}`. */
export function parseLifetime({ cacheControl, expires, slidingTtl }: LifetimeHeaders): Parsed<Lifetime> {
  if (cacheControl === null && expires === null && slidingTtl === null) return FOR_EVER;
  const directives = cacheControl === null ? parsed<StorageDirectives>({}) : parseStorageDirectives(cacheControl);
  if (!directives.ok) return directives;
  const { ttlMs, staleWhileRevalidateMs, staleIfErrorMs } = directives.value;
  // RFC 9111 section 5.3: max-age goes before Expires.
  const expiresAtMs = expires === null || ttlMs !== undefined ? undefined : parseHttpDateMs(expires);
  if (expires !== null && ttlMs === undefined && expiresAtMs === undefined) {
    return refused("malformed-ttl", "Expires: expected a date such as Sun, 06 Nov 1994 08:49:37 GMT");
  }
  const isTimed = ttlMs !== undefined || expiresAtMs !== undefined;
  const hasWindows = staleWhileRevalidateMs !== undefined || staleIfErrorMs !== undefined;
  if (hasWindows && !isTimed) {
    return refused(
      "malformed-ttl",
      "Cache-Control: expected max-age, or Expires, before a window in which it is stale",
    );
  }
  if (slidingTtl === null) return parsed(trimmed({ ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs }));
  if (isTimed) return refused("malformed-ttl", "Halo-Sliding-TTL: expected no max-age and no Expires beside it");
  const seconds = SECONDS.test(slidingTtl) ? Number(slidingTtl) : 0;
  if (seconds >= 1 && seconds <= TTL_SECONDS_MAX) return parsed({ slidingMs: seconds * 1_000 });
  return refused("malformed-ttl", `Halo-Sliding-TTL: expected whole seconds from 1 to ${TTL_SECONDS_MAX}`);
}

/** Absent fields are left out: every one is a name and a tag to serialise on the way to the replica. */
function trimmed(lifetime: Lifetime): Lifetime {
  return Object.fromEntries(Object.entries(lifetime).filter(([, value]) => value !== undefined));
}
