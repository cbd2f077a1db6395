// getOrSet: one loader in the world for each key, by the edge's fill lease (docs/api.md, "Stampede protection").
//
//   GET Halo-Fill: lease ─▶ fresh ───────────────────────▶ return it
//                        ─▶ stale, held ─────────────────▶ return it stale: somebody else is loading
//                        ─▶ stale or early, granted ─────▶ return it, load in `waitUntil`; without one, load first
//                        ─▶ miss, granted ───────────────▶ load, PUT with the token, return
//                        ─▶ miss, held (waited in vain) ─▶ load without storing, or throw
//
// A loader that fails gives the right back (DELETE /v1/fills/{key}); an answer that was lost is asked for again under the
// same Idempotency-Key, and is the same.
//
// Calls of one process are not joined on one promise: in Workers, a promise that waits on another request's I/O is cancelled
// with that request; elsewhere callers would get one object to change under each other's hands. The lease does the same
// for the whole world, at the price of a round trip.

import { type Codec, decodeWith, encodeWith } from "./codec.ts";
import type { BytesReply, Core, ReadOptions } from "./core.ts";
import { type Entry, infoOf } from "./entry.ts";
import { HaloError, HaloTimeoutError } from "./errors.ts";
import { type Lifetime, pathOf, type SetOptions, setHeaders } from "./headers.ts";
import { withDeadline } from "./retry.ts";
import type { Bytes } from "./transport.ts";

export interface LoadContext {
  readonly key: string;
  /** Aborts when the right to load has ended, or the caller gave up. Pass it on to `fetch`. */
  readonly signal: AbortSignal;
}

export type Loader<T> = (context: LoadContext) => T | Promise<T>;

export interface GetOrSetOptions extends ReadOptions, Lifetime, Pick<SetOptions, "tags" | "metadata"> {
  /** How long a loader may take: then it is given up, and the right passes on. Default 10 s, at most 60 s. */
  readonly leaseMs?: number | undefined;
  /** How long to wait for somebody else's loader. Default 5 s, at most 30 s. */
  readonly waitMs?: number | undefined;
  /** After waiting in vain: load too, without storing (default), or throw `HaloTimeoutError`. */
  readonly onWaitTimeout?: "load" | "throw" | undefined;
  /** Runs a refresh behind the reply: `(promise) => ctx.waitUntil(promise)` in Workers. Without it, refreshes are awaited. */
  readonly waitUntil?: ((refresh: Promise<void>) => void) | undefined;
  /** Chance of a refresh before the value is stale; 1 is usual, more is earlier. */
  readonly earlyRefresh?: number | undefined;
  /** Hears of failures that the caller does not see, because a stale value stood in, or because they came behind the reply. */
  readonly onRefreshError?: ((error: unknown) => void) | undefined;
}

export interface Filled<T> {
  readonly value: T;
  /** `loaded` is stored, `unstored` is not: `storeError` says why. `stale` was served stale. */
  readonly source: "cache" | "stale" | "loaded" | "unstored";
  /** Of the entry that was read or stored. */
  readonly version: number | undefined;
  /** Why the loaded value was not stored. Undefined where nobody tried: somebody else has the right. */
  readonly storeError?: HaloError | undefined;
}

const LEASE_MS_DEFAULT = 10_000;
const WAIT_MS_DEFAULT = 5_000;
/** A caller whose loader failed waits no longer for that to be told. */
const GIVE_BACK_MS = 1_000;

export async function getOrSet<T>(
  core: Core,
  key: string,
  loader: Loader<T>,
  codec: Codec<T>,
  options: GetOrSetOptions,
): Promise<Filled<T>> {
  return await new Fill(core, key, loader, codec, options).run();
}

class Fill<T> {
  readonly #core: Core;
  readonly #key: string;
  readonly #path: string;
  readonly #loader: Loader<T>;
  readonly #codec: Codec<T>;
  readonly #options: GetOrSetOptions;
  readonly #leaseMs: number;

  constructor(core: Core, key: string, loader: Loader<T>, codec: Codec<T>, options: GetOrSetOptions) {
    this.#core = core;
    this.#key = key;
    this.#path = pathOf("/v1/kv/", key);
    this.#loader = loader;
    this.#codec = codec;
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS_DEFAULT;
  }

  async run(): Promise<Filled<T>> {
    const { signal, waitUntil, onWaitTimeout = "load" } = this.#options;
    const reply = await this.#ask();
    const token = reply.headers["halo-fill"] === "granted" ? reply.headers["halo-fill-token"] : undefined;
    const found = reply.status === 404 ? undefined : this.#entryOf(reply);
    if (token === undefined) {
      if (found !== undefined) return fromCache(found);
      if (onWaitTimeout === "throw")
        throw this.#timeout("fill-wait", "somebody else's loader took longer than the wait");
      return { value: await this.#load(signal), source: "unstored", version: undefined };
    }
    if (found === undefined) return await this.#fill(token, signal);
    if (waitUntil === undefined) return await this.#refresh(token, found);
    // The caller's signal often is its request's, which ends with the reply: a refresh goes on without it.
    const refresh = this.#loadAndStore(token, undefined).then(
      ({ storeError }) => this.#report(storeError),
      (error) => this.#report(error),
    );
    waitUntil(refresh);
    return fromCache(found);
  }

  async #ask(): Promise<BytesReply> {
    const { waitMs = WAIT_MS_DEFAULT, earlyRefresh } = this.#options;
    return await this.#core.send(
      {
        method: "GET",
        path: this.#path,
        headers: {
          "Halo-Fill": `lease=${this.#leaseMs}`,
          "Halo-Fill-Wait": `${waitMs}`,
          "Halo-Fill-Early": earlyRefresh?.toString(),
          "Idempotency-Key": this.#core.newKey(),
        },
        kind: "read",
        waitMs,
        mayMiss: true,
      },
      this.#options,
    );
  }

  async #fill(token: string, signal: AbortSignal | undefined): Promise<Filled<T>> {
    try {
      return await this.#loadAndStore(token, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      const stale = await this.#staleIfError();
      if (stale === undefined) throw error;
      this.#report(error);
      return fromCache(stale);
    }
  }

  async #loadAndStore(token: string, signal: AbortSignal | undefined): Promise<Filled<T>> {
    let value: T;
    let body: Bytes;
    try {
      value = await this.#load(signal);
      body = encodeWith(this.#codec, value);
    } catch (error) {
      const given = this.#giveBack(token);
      const { waitUntil } = this.#options;
      if (waitUntil !== undefined) waitUntil(given);
      // Whoever has given up wants no round trip more.
      else if (!signal?.aborted) await given;
      throw error;
    }
    return await this.#store(token, value, body);
  }

  /** So that the next caller loads at once. Where it fails, the right passes on when its time is over. */
  async #giveBack(token: string): Promise<void> {
    const path = pathOf("/v1/fills/", this.#key);
    const headers = { "Halo-Fill-Token": token };
    try {
      await this.#core.send({ method: "DELETE", path, headers, kind: "repeatable" }, { deadlineMs: GIVE_BACK_MS });
    } catch (error) {
      if (!(error instanceof HaloError)) throw error;
    }
  }

  /** With a value in hand, a loader that fails costs nothing. */
  async #refresh(token: string, found: Entry<T>): Promise<Filled<T>> {
    const { signal } = this.#options;
    try {
      return await this.#loadAndStore(token, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#report(error);
      return fromCache(found);
    }
  }

  /**
   * The lease began before the reply that granted it arrived, so it may end a little before this deadline; a value that
   * comes too late is refused by the shard, whose clock alone decides. Clocks are not compared.
   */
  async #load(signal: AbortSignal | undefined): Promise<T> {
    return await withDeadline(
      this.#leaseMs,
      signal,
      () => this.#timeout("loader", `the loader took longer than its lease of ${this.#leaseMs} ms`),
      async (loadSignal) => await this.#loader({ key: this.#key, signal: loadSignal }),
    );
  }

  /** The value is loaded: that it cannot be stored, for whatever reason, is no reason to withhold it. */
  async #store(token: string, value: T, body: Bytes): Promise<Filled<T>> {
    const { deadlineMs } = this.#options;
    const headers = {
      ...setHeaders(this.#lasting()),
      "Content-Type": this.#codec.contentType,
      "Halo-Fill-Token": token,
    };
    try {
      const { headers: reply } = await this.#core.send(
        { method: "PUT", path: this.#path, headers, body, kind: "keyed" },
        { deadlineMs },
      );
      return { value, source: "loaded", version: Number(reply.etag?.slice(1, -1)) };
    } catch (storeError) {
      if (!(storeError instanceof HaloError)) throw storeError;
      return { value, source: "unstored", version: undefined, storeError };
    }
  }

  async #staleIfError(): Promise<Entry<T> | undefined> {
    if (this.#options.staleIfErrorSeconds === undefined) return undefined;
    try {
      const reply = await this.#core.send(
        { method: "GET", path: this.#path, headers: { "Cache-Control": "max-stale" }, kind: "read", mayMiss: true },
        this.#options,
      );
      return reply.status === 404 ? undefined : this.#entryOf(reply);
    } catch (error) {
      // What the caller has to hear of is the loader's error.
      if (error instanceof HaloError) return undefined;
      throw error;
    }
  }

  #lasting(): SetOptions {
    const { ttlSeconds, expiresAt, staleWhileRevalidateSeconds, staleIfErrorSeconds, slidingSeconds } = this.#options;
    const { tags, metadata } = this.#options;
    const windows = { staleWhileRevalidateSeconds, staleIfErrorSeconds, slidingSeconds };
    return { ttlSeconds, expiresAt, ...windows, tags, metadata };
  }

  #entryOf(reply: BytesReply): Entry<T> {
    const info = infoOf(reply);
    return { ...info, value: decodeWith(this.#codec, reply.body, info.contentType, this.#key) };
  }

  #report(error: unknown): void {
    if (error !== undefined) this.#options.onRefreshError?.(error);
  }

  #timeout(slug: string, detail: string): HaloTimeoutError {
    return new HaloTimeoutError({ slug: `${slug}-timeout`, status: 0, detail });
  }
}

function fromCache<T>({ value, isStale, version }: Entry<T>): Filled<T> {
  return { value, source: isStale ? "stale" : "cache", version };
}
