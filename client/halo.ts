// The client: one method for each thing that Halo does. Runs wherever there is `fetch`: Workers, Node, Deno, browsers; it
// uses no other package. `new Halo({ url, token })` speaks HTTP, `new Halo({ binding: env.HALO })` Worker RPC.

import { jsonBody, parseBody, sendBatch } from "./batch.ts";
import { type Codec, decodeWith, encodeWith, fromWire, type WireValue } from "./codec.ts";
import {
  type BytesReply,
  type Call,
  type CallOptions,
  type Consistency,
  Core,
  type ReadOptions,
  type SessionState,
  type WriteOptions,
} from "./core.ts";
import { type Entry, type EntryInfo, infoOf } from "./entry.ts";
import { HaloBatchError, HaloPreconditionFailedError, invalid, numberOf, versionOf } from "./errors.ts";
import { type Filled, type GetOrSetOptions, getOrSet, type Loader } from "./fill.ts";
import {
  bytesOf,
  type Conditions,
  conditionHeaders,
  type Lifetime,
  lifetimeHeaders,
  pathOf,
  type SetOptions,
  setHeaders,
  wireWrite,
} from "./headers.ts";
import { HaloLock, type Held, type LockOptions } from "./lock.ts";
import {
  type Counted,
  countedOf,
  counterBody,
  type IncrementOptions,
  type ItemResults,
  itemOf,
  type Operation,
  op,
  type Results,
  type Stored,
  type WireResult,
} from "./operation.ts";
import { RETRY_DEFAULTS, RetryBudget, type RetryOptions } from "./retry.ts";
import {
  type ByteStream,
  type Bytes,
  bindingTransport,
  type Fetch,
  type HaloBinding,
  httpTransport,
  type Transport,
} from "./transport.ts";

export interface ClientOptions {
  /** Lower-case letters, digits, `.`, `_`, `-`, up to 64. */
  readonly namespace?: string | undefined;
  /** For reads that name none. Default: the deployment's. */
  readonly consistency?: Consistency | undefined;
  /** For each call, retries included. Default 15 s. */
  readonly deadlineMs?: number | undefined;
  /** For each attempt; longer than the edge's own deadline (5 s), whose answer says more. Default 6 s. */
  readonly attemptMs?: number | undefined;
  readonly retry?: Partial<RetryOptions> | undefined;
  /** False: changes carry no idempotency key unless given one, and are repeated only if nothing was done. Default true. */
  readonly idempotency?: boolean | undefined;
}

export interface HttpOptions extends ClientOptions {
  /** Of the deployment, such as `https://halo.example.workers.dev`. */
  readonly url: string;
  readonly token: string;
  /** Instead of the global one. */
  readonly fetch?: Fetch | undefined;
}

export interface BindingOptions extends ClientOptions {
  /** A service binding to the entrypoint `HaloEntrypoint`. */
  readonly binding: HaloBinding;
}

export interface TransportOptions extends ClientOptions {
  readonly transport: Transport;
}

export type HaloOptions = HttpOptions | BindingOptions | TransportOptions;

export interface ByteRange {
  /** First byte; negative: so many from the end. */
  readonly start: number;
  /** Last byte, inclusive; absent: to the end. */
  readonly end?: number | undefined;
}

export interface GetOptions extends ReadOptions {
  /** Takes a stale value too: as long as it exists, or up to so many seconds stale. */
  readonly maxStaleSeconds?: number | "any" | undefined;
}

export interface GetStreamOptions extends GetOptions {
  readonly range?: ByteRange | undefined;
}

export interface StreamEntry extends Entry<ByteStream> {
  /** Bytes in the stream, if the reply says it. */
  readonly size: number | undefined;
  /** What was sent of the whole, where a range was asked for. */
  readonly range: { readonly start: number; readonly end: number; readonly total: number } | undefined;
}

export interface SetStreamOptions extends SetOptions {
  readonly contentType?: string | undefined;
}

export type CompareAndSetResult =
  | { readonly stored: true; readonly version: number }
  /** The current version; undefined: there is no entry. */
  | { readonly stored: false; readonly version: number | undefined };

export interface ScanOptions extends ReadOptions {
  readonly prefix?: string | undefined;
  /** Keys of one page: 1 to 1,000. */
  readonly pageSize?: number | undefined;
  /** Where an earlier scan stopped. */
  readonly cursor?: string | undefined;
}

export interface ScanItem<T> {
  readonly key: string;
  readonly version: number;
  readonly size: number;
  readonly contentType: string;
  readonly modifiedMs: number;
  readonly expiresMs?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: string | undefined;
  /** Where values were asked for; undefined where it is too large for a page. */
  readonly value: T | undefined;
}

export interface ScanPage<T> {
  readonly items: readonly ScanItem<T>[];
  /** Absent: that was the last page. */
  readonly cursor: string | undefined;
}

export interface PurgeScope {
  readonly keys?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly prefixes?: readonly string[] | undefined;
  /** The whole namespace. */
  readonly all?: true | undefined;
  /** Makes stale instead of taking away. */
  readonly soft?: boolean | undefined;
}

export interface PurgeResult {
  readonly shards: readonly { readonly shard: number; readonly status: string }[];
}

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

export interface Comparison extends Conditions {
  readonly key: string;
}

export interface Transaction<Success, Failure> {
  readonly compare?: readonly Comparison[] | undefined;
  /** Done if all comparisons hold. */
  readonly onSuccess: Success;
  /** Done otherwise. */
  readonly onFailure?: Failure | undefined;
}

type Operations = readonly Operation<unknown>[];

export type TransactionResult<Success extends Operations, Failure extends Operations> =
  | { readonly succeeded: true; readonly results: Results<Success> }
  | { readonly succeeded: false; readonly results: Results<Failure> };

const DEADLINE_MS_DEFAULT = 15_000;
const ATTEMPT_MS_DEFAULT = 6_000;

export class Halo {
  readonly #core: Core;

  /** A `Core` is what clients that are derived from another share with it. */
  constructor(options: HaloOptions | Core) {
    this.#core = options instanceof Core ? options : createCore(options);
  }

  /** The same client in another namespace. */
  namespace(namespace: string): Halo {
    return new Halo(this.#core.with({ namespace }));
  }

  /** A client that sees its own writes and never goes back; give it the bookmark of an earlier one to go on from there. */
  session(bookmark?: string): HaloSession {
    const session = { bookmark };
    return new HaloSession(this.#core.with({ session, consistency: "session" }), session);
  }

  async get<T>(key: string, codec: Codec<T>, options: GetOptions = {}): Promise<Entry<T> | undefined> {
    const reply = await this.#core.send(readCall("GET", key, options), options);
    return reply.status === 404 ? undefined : entryOf(key, codec, reply);
  }

  /** What is known of a value without the value. */
  async head(key: string, options: GetOptions = {}): Promise<EntryInfo | undefined> {
    const reply = await this.#core.send(readCall("HEAD", key, options), options);
    return reply.status === 404 ? undefined : infoOf(reply);
  }

  /** The value, or a range of it, as it arrives. Read it to the end or cancel it. */
  async getStream(key: string, options: GetStreamOptions = {}): Promise<StreamEntry | undefined> {
    const call = readCall("GET", key, options);
    const headers = { ...call.headers, Range: options.range && rangeHeader(options.range) };
    const reply = await this.#core.send({ ...call, headers, isStreamed: true }, options);
    if (reply.status === 404) return undefined;
    const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(reply.headers["content-range"] ?? "");
    return {
      ...infoOf(reply),
      value: streamOf(reply.body),
      size: numberOf(reply.headers["content-length"]),
      range: found === null ? undefined : { start: Number(found[1]), end: Number(found[2]), total: Number(found[3]) },
    };
  }

  async set<T>(key: string, value: T, codec: Codec<T>, options: SetOptions = {}): Promise<Stored> {
    return storedOf(await this.#put(key, encodeWith(codec, value), codec.contentType, options));
  }

  /** A blob, or a function that makes the stream anew, can be sent again; a bare stream that was begun cannot. */
  async setStream(
    key: string,
    source: ByteStream | Blob | (() => ByteStream),
    options: SetStreamOptions = {},
  ): Promise<Stored> {
    const body = source instanceof Blob ? () => source.stream() : source;
    const type = source instanceof Blob && source.type !== "" ? source.type : "application/octet-stream";
    return storedOf(await this.#put(key, body, options.contentType ?? type, options));
  }

  /** The value, from the cache or from the loader, which runs once in the world at a time. See `GetOrSetOptions`. */
  async getOrSet<T>(
    key: string,
    loader: Loader<T>,
    codec: Codec<T>,
    options: GetOrSetOptions = {},
  ): Promise<Filled<T>> {
    return await getOrSet(this.#core, key, loader, codec, options);
  }

  /** Whether there was anything. */
  async delete(key: string, options: WriteOptions & Conditions = {}): Promise<boolean> {
    const { headers } = await this.#core.send(deleteCall(key, options), options);
    return headers["halo-existed"] === "true";
  }

  /** Gives it another lifetime; none: it lives for ever. Its version, or undefined where there is nothing. */
  async touch(key: string, options: WriteOptions & Lifetime & Conditions = {}): Promise<number | undefined> {
    const headers = { ...lifetimeHeaders(options), ...conditionHeaders(options) };
    const path = pathOf("/v1/touch/", key);
    const reply = await this.#core.send({ method: "POST", path, headers, kind: "keyed", mayMiss: true }, options);
    return reply.status === 404 ? undefined : versionOf(reply.headers.etag);
  }

  /** Exact to 64 bits; give a negative number to count down. */
  async increment(
    key: string,
    by: bigint | number = 1,
    options: WriteOptions & IncrementOptions = {},
  ): Promise<Counted> {
    return countedOf(await this.#count(key, { ...counterBody(by, options) }, options));
  }

  /** The same with fractions. */
  async incrementFloat(
    key: string,
    by: number,
    options: WriteOptions & IncrementOptions = {},
  ): Promise<{ readonly value: number; readonly version: number; readonly created: boolean }> {
    const {
      value,
      version = 0,
      created = false,
    } = await this.#count(key, { ...counterBody(by, options), float: true }, options);
    return { value: Number(value), version, created };
  }

  async append(
    key: string,
    value: string | Uint8Array,
    options: WriteOptions & Lifetime & Conditions = {},
  ): Promise<Stored> {
    const headers = { ...lifetimeHeaders(options), ...conditionHeaders(options) };
    const path = pathOf("/v1/append/", key);
    return storedOf(
      await this.#core.send({ method: "POST", path, headers, body: bytesOf(value), kind: "keyed" }, options),
    );
  }

  /** Replaces the value and gives the one before; undefined where there was none. */
  async getAndSet<T>(key: string, value: T, codec: Codec<T>, options: SetOptions = {}): Promise<T | undefined> {
    const headers = { "Halo-Return": "previous" };
    return previousOf(key, codec, await this.#put(key, encodeWith(codec, value), codec.contentType, options, headers));
  }

  async getAndDelete<T>(key: string, codec: Codec<T>, options: WriteOptions & Conditions = {}): Promise<T | undefined> {
    const call = deleteCall(key, options);
    const headers = { ...call.headers, "Halo-Return": "previous" };
    return previousOf(key, codec, await this.#core.send({ ...call, headers }, options));
  }

  /** Sets it only if it has this version still; `undefined`: only if there is nothing. */
  async compareAndSet<T>(
    key: string,
    expected: number | undefined,
    value: T,
    codec: Codec<T>,
    options: Omit<SetOptions, keyof Conditions> = {},
  ): Promise<CompareAndSetResult> {
    const condition = expected === undefined ? { ifAbsent: true } : { ifVersion: expected };
    try {
      const { version } = await this.set(key, value, codec, { ...options, ...condition });
      return { stored: true, version };
    } catch (error) {
      if (error instanceof HaloPreconditionFailedError) return { stored: false, version: error.version };
      throw error;
    }
  }

  /** Each operation by itself, in the order given for keys of one shard; each has a result of its own. */
  async batch<const O extends Operations>(operations: O, options: CallOptions = {}): Promise<ItemResults<O>> {
    return (await sendBatch(this.#core, operations, options)) as unknown as ItemResults<O>;
  }

  /** The entries at the positions of their keys. Rejects with `HaloBatchError` if some could not be read. */
  async mget<T>(
    keys: readonly string[],
    codec: Codec<T>,
    options: CallOptions = {},
  ): Promise<(Entry<T> | undefined)[]> {
    return await this.#all(
      keys.map((key) => op.get(key, codec)),
      options,
    );
  }

  /** Sets each by itself, not all or none. Rejects with `HaloBatchError` if some could not be set. */
  async mset<T>(
    entries: Iterable<readonly [key: string, value: T]>,
    codec: Codec<T>,
    options: CallOptions & Lifetime & Pick<SetOptions, "tags" | "metadata"> = {},
  ): Promise<Stored[]> {
    return await this.#all(
      Array.from(entries, ([key, value]) => op.set(key, value, codec, options)),
      options,
    );
  }

  /** Every key that is there from beginning to end, exactly once. With a codec, values too. */
  async *scan<T = undefined>(options: ScanOptions & { readonly values?: Codec<T> } = {}): AsyncGenerator<ScanItem<T>> {
    let cursor = options.cursor;
    do {
      const page = await this.scanPage({ ...options, cursor });
      yield* page.items;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  async scanPage<T = undefined>(options: ScanOptions & { readonly values?: Codec<T> } = {}): Promise<ScanPage<T>> {
    const { prefix, pageSize, cursor, values } = options;
    const query = { prefix, limit: pageSize?.toString(), cursor, values: values && "true" };
    const reply = await this.#core.send({ method: "GET", path: withQuery("/v1/scan", query), kind: "read" }, options);
    const page = parseBody<{ items: readonly (ScanItem<never> & { value?: WireValue })[]; cursor?: string }>(
      reply.body,
    );
    const items = page.items.map((item) => {
      const { value, key, contentType } = item;
      const isGiven = values !== undefined && value !== undefined;
      return { ...item, value: isGiven ? decodeWith(values, fromWire(value), contentType, key) : undefined };
    });
    return { items, cursor: page.cursor };
  }

  async count(options: ReadOptions & { readonly prefix?: string | undefined } = {}): Promise<number> {
    const path = withQuery("/v1/count", { prefix: options.prefix });
    const { body } = await this.#core.send({ method: "GET", path, kind: "read" }, options);
    return parseBody<{ count: number }>(body).count;
  }

  /** Repeated until every shard has done it, or time is over (`HaloUnavailableError`: some have). */
  async purge(scope: PurgeScope, options: CallOptions = {}): Promise<PurgeResult> {
    const call = { method: "POST", path: "/v1/purge", ...jsonBody(scope), kind: "repeatable" } as const;
    return parseBody<PurgeResult>((await this.#core.send(call, options)).body);
  }

  /** All keys in one slot (`{tag}`): compares, then does `onSuccess` or `onFailure`, all of it or none. */
  async transaction<const Success extends Operations, const Failure extends Operations = readonly []>(
    transaction: Transaction<Success, Failure>,
    options: WriteOptions = {},
  ): Promise<TransactionResult<Success, Failure>> {
    const { compare = [], onSuccess, onFailure = [] } = transaction;
    const request = {
      compare: compare.map(({ key, ...conditions }) => ({ key, ...wireWrite(conditions) })),
      // biome-ignore lint/suspicious/noThenProperty: the contract's name, of an array that no `await` ever sees
      then: onSuccess.map(({ wire }) => wire),
      else: onFailure.map(({ wire }) => wire),
    };
    const call: Call = { method: "POST", path: "/v1/transactions", ...jsonBody(request), kind: "keyed" };
    const reply = await this.#core.send(call, options);
    const { succeeded, results } = parseBody<{ succeeded: boolean; results: readonly WireResult[] }>(reply.body);
    const operations: Operations = succeeded ? onSuccess : onFailure;
    const read = operations.map((operation, at) => {
      const item = itemOf(operation, results[at] ?? { status: 500 });
      if (!item.ok) throw item.error;
      return item.value;
    });
    return { succeeded, results: read } as unknown as TransactionResult<Success, Failure>;
  }

  lock(name: string): HaloLock {
    return new HaloLock(this.#core, name);
  }

  /** Runs `work` under the lock and renews it meanwhile. Pass `token` on to whatever the lock protects. */
  async withLock<T>(name: string, work: (held: Held) => T | Promise<T>, options: LockOptions = {}): Promise<T> {
    return await this.lock(name).run(work, options);
  }

  /** Takes `cost` out of the budget if it is there: one round trip. */
  async rateLimit(name: string, limit: RateLimit, options: WriteOptions = {}): Promise<RateLimitResult> {
    const call: Call = { method: "POST", path: pathOf("/v1/limits/", name), ...jsonBody(limit), kind: "keyed" };
    const { headers, body } = await this.#core.send(call, options);
    const { allowed, remaining, resetMs } = parseBody<RateLimitResult>(body);
    const seconds = numberOf(headers["retry-after"]);
    return { allowed, remaining, resetMs, retryAfterMs: seconds === undefined ? undefined : seconds * 1_000 };
  }

  async #put(
    key: string,
    body: Call["body"],
    contentType: string,
    options: SetOptions,
    more: Record<string, string> = {},
  ): Promise<BytesReply> {
    const headers = { ...setHeaders(options), ...more, "Content-Type": contentType };
    return await this.#core.send(
      { method: "PUT", path: pathOf("/v1/kv/", key), headers, body, kind: "keyed" },
      options,
    );
  }

  async #count(key: string, request: object, options: WriteOptions & IncrementOptions): Promise<WireResult> {
    const { headers: type, body } = jsonBody(request);
    const headers = { ...lifetimeHeaders(options), ...conditionHeaders(options), ...type };
    const call: Call = { method: "POST", path: pathOf("/v1/counters/", key), headers, body, kind: "keyed" };
    return parseBody<WireResult>((await this.#core.send(call, options)).body);
  }

  async #all<R>(operations: readonly Operation<R>[], options: CallOptions): Promise<R[]> {
    const results = await sendBatch(this.#core, operations, options);
    const failed = results.flatMap((result) => (result.ok ? [] : [result.error]));
    if (failed.length > 0) throw new HaloBatchError(failed, results);
    return results.map((result) => (result as { readonly value: R }).value);
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

function createCore(options: HaloOptions): Core {
  return new Core({
    transport: transportOf(options),
    namespace: options.namespace,
    consistency: options.consistency,
    session: undefined,
    deadlineMs: options.deadlineMs ?? DEADLINE_MS_DEFAULT,
    attemptMs: options.attemptMs ?? ATTEMPT_MS_DEFAULT,
    retry: { ...RETRY_DEFAULTS, ...options.retry },
    budget: new RetryBudget(),
    idempotency: options.idempotency ?? true,
    random: Math.random,
  });
}

function transportOf(options: HaloOptions): Transport {
  if ("transport" in options) return options.transport;
  if ("binding" in options) return bindingTransport(options.binding);
  return httpTransport(options.url, options.token, options.fetch);
}

function readCall(method: "GET" | "HEAD", key: string, { maxStaleSeconds }: GetOptions): Call {
  const stale = maxStaleSeconds === "any" ? "max-stale" : `max-stale=${maxStaleSeconds}`;
  const headers = { "Cache-Control": maxStaleSeconds === undefined ? undefined : stale };
  return { method, path: pathOf("/v1/kv/", key), headers, kind: "read", mayMiss: true };
}

function deleteCall(key: string, options: Conditions): Call {
  return { method: "DELETE", path: pathOf("/v1/kv/", key), headers: conditionHeaders(options), kind: "keyed" };
}

function entryOf<T>(key: string, codec: Codec<T>, reply: BytesReply): Entry<T> {
  const info = infoOf(reply);
  return { ...info, value: decodeWith(codec, reply.body, info.contentType, key) };
}

/** 200 brings the value that was there; 201 and 204 say that there was none. */
function previousOf<T>(key: string, codec: Codec<T>, { status, headers, body }: BytesReply): T | undefined {
  return status === 200 ? decodeWith(codec, body, headers["content-type"] ?? "", key) : undefined;
}

function storedOf({ status, headers }: BytesReply): Stored {
  return { version: versionOf(headers.etag) ?? 0, created: status === 201 };
}

function streamOf(body: Bytes | ByteStream | null): ByteStream {
  if (body instanceof ReadableStream) return body;
  return new Blob(body === null ? [] : [body]).stream();
}

function rangeHeader({ start, end }: ByteRange): string {
  if (!Number.isInteger(start) || (end !== undefined && (start < 0 || !Number.isInteger(end) || end < start))) {
    throw invalid("malformed-range", `the range ${start} to ${end}: expected whole numbers in order`);
  }
  return start < 0 ? `bytes=${start}` : `bytes=${start}-${end ?? ""}`;
}

function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
