// What the client does with one key. Knows the core, and no other client's state.

import { type Codec, decodeWith, encodeWith } from "./codec.ts";
import type { BytesReply, Call, Core, ReadOptions, WriteOptions } from "./core.ts";
import { type Entry, type EntryInfo, infoOf } from "./entry.ts";
import { HaloPreconditionFailedError, invalid, numberOf, versionOf } from "./errors.ts";
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
} from "./headers.ts";
import { jsonBody, parseBody } from "./json.ts";
import {
  type Counted,
  countedOf,
  counterBody,
  type IncrementOptions,
  type Stored,
  type WireResult,
} from "./operation.ts";
import type { ByteStream, Bytes } from "./transport.ts";

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

export class ValueClient {
  protected readonly core: Core;

  constructor(core: Core) {
    this.core = core;
  }

  async get<T>(key: string, codec: Codec<T>, options: GetOptions = {}): Promise<Entry<T> | undefined> {
    const reply = await this.core.send(readCall("GET", key, options), options);
    return reply.status === 404 ? undefined : entryOf(key, codec, reply);
  }

  /** What is known of a value without the value. */
  async head(key: string, options: GetOptions = {}): Promise<EntryInfo | undefined> {
    const reply = await this.core.send(readCall("HEAD", key, options), options);
    return reply.status === 404 ? undefined : infoOf(reply);
  }

  /** The value, or a range of it, as it arrives. Read it to the end or cancel it. */
  async getStream(key: string, options: GetStreamOptions = {}): Promise<StreamEntry | undefined> {
    const call = readCall("GET", key, options);
    const headers = { ...call.headers, Range: options.range && rangeHeader(options.range) };
    const reply = await this.core.send({ ...call, headers, isStreamed: true }, options);
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
    return await getOrSet(this.core, key, loader, codec, options);
  }

  /** Whether there was anything. */
  async delete(key: string, options: WriteOptions & Conditions = {}): Promise<boolean> {
    const { headers } = await this.core.send(deleteCall(key, options), options);
    return headers["halo-existed"] === "true";
  }

  /** Gives it another lifetime; none: it lives for ever. Its version, or undefined where there is nothing. */
  async touch(key: string, options: WriteOptions & Lifetime & Conditions = {}): Promise<number | undefined> {
    const headers = { ...lifetimeHeaders(options), ...conditionHeaders(options) };
    const path = pathOf("/v1/touch/", key);
    const reply = await this.core.send({ method: "POST", path, headers, kind: "keyed", mayMiss: true }, options);
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
      await this.core.send({ method: "POST", path, headers, body: bytesOf(value), kind: "keyed" }, options),
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
    return previousOf(key, codec, await this.core.send({ ...call, headers }, options));
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

  async #put(
    key: string,
    body: Call["body"],
    contentType: string,
    options: SetOptions,
    more: Record<string, string> = {},
  ): Promise<BytesReply> {
    const headers = { ...setHeaders(options), ...more, "Content-Type": contentType };
    return await this.core.send({ method: "PUT", path: pathOf("/v1/kv/", key), headers, body, kind: "keyed" }, options);
  }

  async #count(key: string, request: object, options: WriteOptions & IncrementOptions): Promise<WireResult> {
    const { headers: type, body } = jsonBody(request);
    const headers = { ...lifetimeHeaders(options), ...conditionHeaders(options), ...type };
    const call: Call = { method: "POST", path: pathOf("/v1/counters/", key), headers, body, kind: "keyed" };
    return parseBody<WireResult>((await this.core.send(call, options)).body);
  }
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
