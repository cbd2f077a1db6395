// The client: one method for each thing that Halo does. Runs wherever there is `fetch`: Workers, Node, Deno, browsers; it
// uses no other package. `new Halo({ url, token })` speaks HTTP, `new Halo({ binding: env.HALO })` Worker RPC. What it does with
// one key is in values.ts, with many in many.ts.

import { type Call, Core, type SessionState, type WriteOptions } from "./core.ts";
import { numberOf } from "./errors.ts";
import { pathOf } from "./headers.ts";
import { jsonBody, parseBody } from "./json.ts";
import { HaloLock, type Held, type LockOptions } from "./lock.ts";
import { ManyClient } from "./many.ts";
import { createCore, type HaloOptions } from "./options.ts";

export interface RateLimit {
  readonly limit: number;
  readonly windowMs: number;
  readonly cost?: number | undefined;
  readonly algorithm?: "fixed_window" | "sliding_window" | undefined;
}

export interface RateLimitResult {
  readonly allowed: boolean;
  readonly remaining: number;
  /** When the budget is whole again. */
  readonly resetMs: number;
  readonly retryAfterMs: number | undefined;
}

export class Halo extends ManyClient {
  /** A `Core` is what clients that are derived from another share with it. */
  constructor(options: HaloOptions | Core) {
    super(options instanceof Core ? options : createCore(options));
  }

  /** The same client in another namespace. */
  namespace(namespace: string): Halo {
    return new Halo(this.core.with({ namespace }));
  }

  /** A client that sees its own writes and never goes back; give it the bookmark of an earlier one to go on from there. */
  session(bookmark?: string): HaloSession {
    const session = { bookmark };
    return new HaloSession(this.core.with({ session, consistency: "session" }), session);
  }

  lock(name: string): HaloLock {
    return new HaloLock(this.core, name);
  }

  /** Runs `work` under the lock and renews it meanwhile. Pass `token` on to whatever the lock protects. */
  async withLock<T>(name: string, work: (held: Held) => T | Promise<T>, options: LockOptions = {}): Promise<T> {
    return await this.lock(name).run(work, options);
  }

  /** Takes `cost` out of the budget if it is there: one round trip. */
  async rateLimit(name: string, limit: RateLimit, options: WriteOptions = {}): Promise<RateLimitResult> {
    const call: Call = { method: "POST", path: pathOf("/v1/limits/", name), ...jsonBody(limit), kind: "keyed" };
    const { headers, body } = await this.core.send(call, options);
    const { allowed, remaining, resetMs } = parseBody<RateLimitResult>(body);
    const seconds = numberOf(headers["retry-after"]);
    return { allowed, remaining, resetMs, retryAfterMs: seconds === undefined ? undefined : seconds * 1_000 };
  }
}

/** Carries its bookmark by itself: sends what it has seen, and keeps what replies say. */
export class HaloSession extends Halo {
  readonly #session: SessionState;

  constructor(core: Core, session: SessionState) {
    super(core);
    this.#session = session;
  }

  /** What the session has seen, to go on from elsewhere, such as in a cookie; undefined before the first reply. */
  get bookmark(): string | undefined {
    return this.#session.bookmark;
  }
}
