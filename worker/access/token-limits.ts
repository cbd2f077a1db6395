// What one token may ask for, in two ways that cost what they are worth:
//
//   ratePerSecond   a token bucket in this isolate, of one second's worth. APPROXIMATE: isolates know nothing of each other, so
//                   n of them let n times as much through. It is there to stop a loop that runs wild, and must be free: no
//                   call, no wait.
//   quotaPerDay     exact from above: the count is a limit in the cluster's own log, in a place that no request can name, and
//                   an isolate takes out of it in leases. Never more than the quota is let through; what an isolate has leased
//                   and not used when it ends is lost, at most a thousandth of the quota. A call for every lease, not for
//                   every request. Days are those of UTC.
//
// Where the shard of a quota cannot be asked, requests are let through and counted by nobody: a quota bounds cost, it is no
// protection, and must not take a cluster down that serves everybody else.

import { systemKey } from "../../durable/store/keyspace.ts";
import { slotOf } from "../../routing/slots.ts";
import type { ShardClient } from "../clients/shard-client.ts";
import { type Problem, problem } from "../http/problem.ts";
import type { ScopedToken } from "./scoped-tokens.ts";

export const DAY_MS = 24 * 60 * 60 * 1_000;
/** Of a quota in one lease: what an isolate that ends can lose of it. */
export const LEASE_SHARE = 1 / 1_000;
export const LEASE_MAX = 1_000;
/** After a failure the shard is left alone for so long. */
export const UNMETERED_MS = 1_000;

export interface TokenLimitDeps {
  readonly client: Pick<ShardClient, "write">;
  now(): number;
  /** A quota could not be asked for; requests of this principal pass uncounted for a while. */
  readonly onUnmetered: (principal: string) => void;
}

export interface Limited {
  readonly problem: Problem;
  readonly headers: Record<string, string>;
}

/** Undefined: it may pass. */
export type Verdict = Limited | undefined;

interface Bucket {
  tokens: number;
  atMs: number;
}

interface Lease {
  day: number;
  left: number;
  isRefilling: boolean;
  /** Nothing is left until then. */
  exhaustedUntilMs: number;
  unmeteredUntilMs: number;
}

export class TokenLimits {
  readonly #deps: TokenLimitDeps;
  /** Both by token id; bounded by the number of tokens of the deployment. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #leases = new Map<string, Lease>();

  constructor(deps: TokenLimitDeps) {
    this.#deps = deps;
  }

  /** A promise only where a lease has to be fetched. */
  take({ principal, ratePerSecond, quotaPerDay }: ScopedToken): Verdict | Promise<Verdict> {
    const limited = ratePerSecond === undefined ? undefined : this.#takeOfRate(principal.id, ratePerSecond);
    if (limited !== undefined || quotaPerDay === undefined) return limited;
    return this.#takeOfQuota(principal.id, quotaPerDay);
  }

  #takeOfRate(id: string, ratePerSecond: number): Verdict {
    const nowMs = this.#deps.now();
    // Less than one a second must still be able to save up for one.
    const burst = Math.max(1, ratePerSecond);
    const bucket = this.#buckets.get(id) ?? { tokens: burst, atMs: nowMs };
    this.#buckets.set(id, bucket);
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens = Math.min(burst, bucket.tokens + (passedMs / 1_000) * ratePerSecond);
    bucket.atMs = nowMs;
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return undefined;
    }
    const seconds = Math.max(1, Math.ceil((1 - bucket.tokens) / ratePerSecond));
    return limitedBy({ name: "rate", quota: burst, windowSeconds: Math.ceil(burst / ratePerSecond), seconds });
  }

  #takeOfQuota(id: string, quota: number): Verdict | Promise<Verdict> {
    const nowMs = this.#deps.now();
    const lease = this.#leaseOf(id, nowMs);
    if (lease.left > 0) {
      lease.left -= 1;
      return undefined;
    }
    if (nowMs < lease.unmeteredUntilMs) return undefined;
    if (nowMs < lease.exhaustedUntilMs) return exhausted(quota, lease.exhaustedUntilMs - nowMs);
    return this.#refill(id, quota, lease);
  }

  #leaseOf(id: string, nowMs: number): Lease {
    const day = Math.floor(nowMs / DAY_MS);
    let lease = this.#leases.get(id);
    if (lease === undefined || lease.day !== day) {
      lease = { day, left: 0, isRefilling: false, exhaustedUntilMs: 0, unmeteredUntilMs: 0 };
      this.#leases.set(id, lease);
    }
    return lease;
  }

  /**
   * Race: many requests may find the lease used up at once. The first fetches the next one, the others one request's worth each:
   * nobody waits for a promise of another request, and no more than one lease is fetched that nobody may need.
   */
  async #refill(id: string, quota: number, lease: Lease): Promise<Verdict> {
    const whole = lease.isRefilling ? 1 : Math.max(1, Math.min(LEASE_MAX, Math.floor(quota * LEASE_SHARE)));
    const isFirst = !lease.isRefilling;
    if (isFirst) lease.isRefilling = true;
    try {
      // Near the end of the quota there may be less than a lease.
      const got = (await this.#takeFromShard(id, quota, whole)) ?? (await this.#takeFromShard(id, quota, 1));
      if (got === undefined || "unmetered" in got) {
        lease.unmeteredUntilMs = this.#deps.now() + UNMETERED_MS;
        this.#deps.onUnmetered(id);
        return undefined;
      }
      if ("waitMs" in got) {
        lease.exhaustedUntilMs = this.#deps.now() + got.waitMs;
        return exhausted(quota, got.waitMs);
      }
      lease.left += got.granted - 1;
      return undefined;
    } finally {
      if (isFirst) lease.isRefilling = false;
    }
  }

  /** Undefined: not so many, but fewer may be left. */
  async #takeFromShard(
    id: string,
    quota: number,
    cost: number,
  ): Promise<{ readonly granted: number } | { readonly waitMs: number } | { readonly unmetered: true } | undefined> {
    const key = systemKey("quota", "", id);
    const result = await this.#deps.client.write({
      kind: "limit",
      slot: slotOf(key),
      key,
      limit: quota,
      windowMs: DAY_MS,
      cost,
      algorithm: "fixed_window",
    });
    if (result.status !== "ok" || result.outcome.kind !== "limited") return { unmetered: true };
    if (result.outcome.isAllowed) return { granted: cost };
    return cost === 1 ? { waitMs: Math.max(1, result.outcome.resetMs - result.clockMs) } : undefined;
  }
}

function exhausted(quota: number, waitMs: number): Limited {
  return limitedBy({ name: "day", quota, windowSeconds: DAY_MS / 1_000, seconds: Math.ceil(waitMs / 1_000) });
}

/** With the fields of draft-ietf-httpapi-ratelimit-headers-11 beside Retry-After. */
function limitedBy(limit: {
  readonly name: "rate" | "day";
  readonly quota: number;
  readonly windowSeconds: number;
  readonly seconds: number;
}): Limited {
  const { name, quota, windowSeconds, seconds } = limit;
  const detail =
    name === "rate"
      ? "the token has sent more requests a second than it may; nothing was done"
      : "the token has used up its requests of this day (UTC); nothing was done";
  return {
    problem: problem("rate-limited", detail),
    headers: {
      "Retry-After": String(seconds),
      RateLimit: `"${name}";r=0;t=${seconds}`,
      "RateLimit-Policy": `"${name}";q=${Math.floor(quota)};w=${windowSeconds}`,
    },
  };
}
