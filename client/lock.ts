// Locks with a lease and a fencing token. A lease can end while its holder is paused, so the token has to go along with
// everything that is done under the lock: whoever guards the resource refuses one lower than the highest it has seen.

import type { CallOptions, Core } from "./core.ts";
import { HaloError, HaloLockHeldError, HaloLockLostError } from "./errors.ts";
import { pathOf } from "./headers.ts";
import { jsonBody, parseBody } from "./json.ts";
import { sleep } from "./retry.ts";

export interface LockOptions extends CallOptions {
  /** The lock passes on so long after the last renewal. Default 10 s. */
  readonly ttlMs?: number | undefined;
  /** How long to wait for it while another has it. Default 0: reject with `HaloLockHeldError` at once. */
  readonly waitMs?: number | undefined;
}

export interface Held {
  /** Grows with every holder. */
  readonly token: number;
  /** Aborts when the lock is not certain any more: stop what needs it. */
  readonly signal: AbortSignal;
}

export interface LockState {
  readonly token: number;
  readonly expiresMs: number;
}

const TTL_MS_DEFAULT = 10_000;
/** Two renewals may fail before the lease is over. */
const RENEWALS_PER_TTL = 3;
/** Between two tries to get a lock that another has. */
const POLL_MS_MAX = 1_000;

export class HaloLock {
  readonly name: string;
  readonly #core: Core;
  readonly #path: string;

  constructor(core: Core, name: string) {
    this.#core = core;
    this.name = name;
    this.#path = pathOf("/v1/locks/", name);
  }

  async acquire(options: LockOptions = {}): Promise<LockLease> {
    const { ttlMs = TTL_MS_DEFAULT, waitMs = 0 } = options;
    const endMs = Date.now() + waitMs;
    for (;;) {
      const askedMs = Date.now();
      try {
        const call = { method: "POST", path: this.#path, ...jsonBody({ ttlMs }), kind: "keyed" } as const;
        const { body } = await this.#core.send(call, options);
        return new LockLease(this.#core, this.#path, parseBody<LockState>(body).token, askedMs + ttlMs, ttlMs);
      } catch (error) {
        if (!(error instanceof HaloLockHeldError)) throw error;
        const leftMs = endMs - Date.now();
        if (leftMs <= 0) throw error;
        const pauseMs =
          Math.min(error.retryAfterMs ?? POLL_MS_MAX, POLL_MS_MAX) * (0.5 + this.#core.options.random() / 2);
        await sleep(Math.min(pauseMs, leftMs), options.signal);
      }
    }
  }

  /** Who has it; undefined: nobody. */
  async inspect(options: CallOptions = {}): Promise<LockState | undefined> {
    const reply = await this.#core.send({ method: "GET", path: this.#path, kind: "read", mayMiss: true }, options);
    return reply.status === 404 ? undefined : parseBody<LockState>(reply.body);
  }

  /**
   * Runs `work` under the lock, renewing it until `work` ends. Rejects with `HaloLockLostError` if the lock was lost
   * meanwhile, even where `work` went on to its end: what it did may have met another holder's.
   */
  async run<T>(work: (held: Held) => T | Promise<T>, options: LockOptions = {}): Promise<T> {
    const lease = await this.acquire(options);
    const controller = new AbortController();
    const { signal: outer } = options;
    const abort = () => controller.abort(outer?.reason);
    outer?.addEventListener("abort", abort, { once: true });
    const stop = new AbortController();
    const renewing = keepRenewed(lease, controller, stop.signal);
    try {
      const result = await work({ token: lease.token, signal: controller.signal });
      if (controller.signal.reason instanceof HaloLockLostError) throw controller.signal.reason;
      return result;
    } finally {
      outer?.removeEventListener("abort", abort);
      stop.abort();
      await renewing;
      // It ends by itself if this does not reach the shard.
      await lease.release().catch(() => undefined);
    }
  }
}

export class LockLease {
  readonly token: number;
  readonly ttlMs: number;
  readonly #core: Core;
  readonly #path: string;
  #endMs: number;

  constructor(core: Core, path: string, token: number, endMs: number, ttlMs: number) {
    this.#core = core;
    this.#path = path;
    this.token = token;
    this.ttlMs = ttlMs;
    this.#endMs = endMs;
  }

  /** Until when it certainly holds, by this machine's clock: counted from before it was asked for, so never too long. */
  get endMs(): number {
    return this.#endMs;
  }

  async renew(options: CallOptions & { readonly ttlMs?: number } = {}): Promise<void> {
    const { ttlMs = this.ttlMs } = options;
    const askedMs = Date.now();
    // Renewing twice is renewing once.
    const call = {
      method: "PUT",
      path: this.#path,
      ...jsonBody({ token: this.token, ttlMs }),
      kind: "repeatable",
    } as const;
    await this.#core.send(call, options);
    this.#endMs = askedMs + ttlMs;
  }

  /** Whether it was still held. */
  async release(options: CallOptions = {}): Promise<boolean> {
    const headers = { "Halo-Lock-Token": `${this.token}` };
    try {
      await this.#core.send({ method: "DELETE", path: this.#path, headers, kind: "keyed" }, options);
      return true;
    } catch (error) {
      if (error instanceof HaloLockLostError) return false;
      throw error;
    }
  }
}

/** Renews until it is stopped; aborts `controller` when the lock is lost, or its time is over without a renewal. */
async function keepRenewed(lease: LockLease, controller: AbortController, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && !controller.signal.aborted) {
    try {
      await sleep(Math.max(Math.min(lease.ttlMs / RENEWALS_PER_TTL, lease.endMs - Date.now()), 0), stop);
      const leftMs = lease.endMs - Date.now();
      if (leftMs <= 0) return controller.abort(lost("its time was over before it could be renewed"));
      await lease.renew({ deadlineMs: leftMs, signal: stop });
    } catch (error) {
      if (stop.aborted) return;
      if (error instanceof HaloLockLostError) return controller.abort(error);
      // Not renewed this time: there is another one before the end.
      if (!(error instanceof HaloError)) return controller.abort(lost(String(error)));
    }
  }
}

function lost(detail: string): HaloLockLostError {
  return new HaloLockLostError({ slug: "lock-lost", status: 0, detail });
}
