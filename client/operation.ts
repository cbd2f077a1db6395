// Operations of a batch or a transaction: what is sent, and how its result is read, with its type. `op.get("k", text)` is an
// `Operation<Entry<string> | undefined>`, and the results of a batch have the types of its operations.

import { type Codec, decodeWith, encodeWith, fromWire, toWire, type WireValue } from "./codec.ts";
import type { Entry } from "./entry.ts";
import { errorOf, HaloError, numberOf } from "./errors.ts";
import { bytesOf, type Conditions, type Lifetime, type SetOptions, wireWrite } from "./headers.ts";

export interface Operation<R> {
  readonly wire: { readonly op: string; readonly key: string } & Readonly<Record<string, unknown>>;
  /** Of a result that is a success, or a 404. */
  read(result: WireResult): R;
}

/** One result of `POST /v1/batch`. */
export interface WireResult {
  readonly status: number;
  readonly version?: number | undefined;
  readonly value?: WireValue | string | undefined;
  readonly contentType?: string | undefined;
  readonly modifiedMs?: number | undefined;
  readonly expiresMs?: number | undefined;
  readonly created?: boolean | undefined;
  readonly existed?: boolean | undefined;
  readonly stale?: boolean | string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: string | undefined;
  readonly sourceVersion?: number | undefined;
  readonly problem?: string | undefined;
  readonly detail?: string | undefined;
}

export interface Stored {
  readonly version: number;
  readonly created: boolean;
}

export interface Counted {
  readonly value: bigint;
  readonly version: number;
  readonly created: boolean;
}

export interface IncrementOptions extends Lifetime, Conditions {
  /** What it starts from where there is nothing. */
  readonly initial?: bigint | number | undefined;
  readonly min?: bigint | number | undefined;
  readonly max?: bigint | number | undefined;
  /** At a bound: refuse with `HaloCounterError` (default), or stop there. */
  readonly onBound?: "refuse" | "clamp" | undefined;
}

export type ItemResult<R> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: HaloError };

export type ResultOf<O> = O extends Operation<infer R> ? R : never;
export type Results<O extends readonly Operation<unknown>[]> = { readonly [I in keyof O]: ResultOf<O[I]> };
export type ItemResults<O extends readonly Operation<unknown>[]> = {
  readonly [I in keyof O]: ItemResult<ResultOf<O[I]>>;
};

const DEFAULT_CONTENT_TYPE = "application/octet-stream";

export const op = {
  get<T>(key: string, codec: Codec<T>): Operation<Entry<T> | undefined> {
    return { wire: { op: "get", key }, read: (result) => entryOf(key, codec, result) };
  },

  set<T>(key: string, value: T, codec: Codec<T>, options: SetOptions = {}): Operation<Stored> {
    const { contentType } = codec;
    const wireValue = toWire(encodeWith(codec, value));
    return { wire: { op: "set", key, value: wireValue, contentType, ...wireWrite(options) }, read: storedOf };
  },

  delete(key: string, options: Conditions = {}): Operation<boolean> {
    return { wire: { op: "delete", key, ...wireWrite(options) }, read: ({ existed }) => existed === true };
  },

  /** Without any time: it lives for ever. The version, or undefined where there is nothing. */
  touch(key: string, options: Lifetime & Conditions = {}): Operation<number | undefined> {
    return { wire: { op: "touch", key, ...wireWrite(options) }, read: ({ version }) => version };
  },

  increment(key: string, by: bigint | number = 1, options: IncrementOptions = {}): Operation<Counted> {
    return { wire: { op: "increment", key, ...counterBody(by, options), ...wireWrite(options) }, read: countedOf };
  },

  append(key: string, value: string | Uint8Array, options: Lifetime & Conditions = {}): Operation<Stored> {
    return { wire: { op: "append", key, value: toWire(bytesOf(value)), ...wireWrite(options) }, read: storedOf };
  },
};

export function counterBody(by: bigint | number, options: IncrementOptions): Record<string, string | undefined> {
  const { initial, min, max, onBound } = options;
  return { by: `${by}`, initial: initial?.toString(), min: min?.toString(), max: max?.toString(), onBound };
}

export function countedOf({ value, version = 0, created = false }: WireResult): Counted {
  return { value: BigInt(String(value)), version, created };
}

/** As an item: a miss is a result, not an error. */
export function itemOf<R>(operation: Operation<R>, result: WireResult): ItemResult<R> {
  const { status, problem, detail, version, sourceVersion } = result;
  if (status >= 300 && !(status === 404 && (problem === undefined || problem === "not-found"))) {
    return { ok: false, error: errorOf(problem ?? `http-${status}`, status, { detail }, { version, sourceVersion }) };
  }
  try {
    return { ok: true, value: operation.read(result) };
  } catch (error) {
    if (error instanceof HaloError) return { ok: false, error };
    throw error;
  }
}

function storedOf({ status, version = 0, created }: WireResult): Stored {
  return { version, created: created ?? status === 201 };
}

function entryOf<T>(key: string, codec: Codec<T>, result: WireResult): Entry<T> | undefined {
  const { status, value, contentType = DEFAULT_CONTENT_TYPE, version = 0 } = result;
  if (status === 404 || value === undefined || typeof value === "string") return undefined;
  const { modifiedMs, expiresMs, stale, metadata, tags = [] } = result;
  const lifetimeMs = modifiedMs === undefined || expiresMs === undefined ? undefined : expiresMs - modifiedMs;
  return {
    value: decodeWith(codec, fromWire(value), contentType, key),
    version,
    contentType,
    ageSeconds: undefined,
    lifetimeSeconds: lifetimeMs === undefined ? undefined : Math.floor(lifetimeMs / 1_000),
    isStale: stale !== undefined && stale !== false,
    metadata,
    tags,
    sourceVersion: numberOf(result.sourceVersion),
    consistency: undefined,
  };
}
