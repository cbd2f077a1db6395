// What the client does with many keys: batches, scans, purges, transactions.

import { sendBatch } from "./batch.ts";
import { type Codec, decodeWith, fromWire, type WireValue } from "./codec.ts";
import type { Call, CallOptions, ReadOptions, WriteOptions } from "./core.ts";
import type { Entry } from "./entry.ts";
import { HaloBatchError } from "./errors.ts";
import { type Conditions, type Lifetime, type SetOptions, wireWrite } from "./headers.ts";
import { jsonBody, parseBody } from "./json.ts";
import {
  type ItemResults,
  itemOf,
  type Operation,
  op,
  type Results,
  type Stored,
  type WireResult,
} from "./operation.ts";
import { ValueClient } from "./values.ts";

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

export class ManyClient extends ValueClient {
  /** Each operation by itself, in the order given for keys of one shard; each has a result of its own. */
  async batch<const O extends Operations>(operations: O, options: CallOptions = {}): Promise<ItemResults<O>> {
    return (await sendBatch(this.core, operations, options)) as unknown as ItemResults<O>;
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
    const reply = await this.core.send({ method: "GET", path: withQuery("/v1/scan", query), kind: "read" }, options);
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
    const { body } = await this.core.send({ method: "GET", path, kind: "read" }, options);
    return parseBody<{ count: number }>(body).count;
  }

  /** Repeated until every shard has done it, or time is over (`HaloUnavailableError`: some have). */
  async purge(scope: PurgeScope, options: CallOptions = {}): Promise<PurgeResult> {
    const call = { method: "POST", path: "/v1/purge", ...jsonBody(scope), kind: "repeatable" } as const;
    return parseBody<PurgeResult>((await this.core.send(call, options)).body);
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
    const reply = await this.core.send(call, options);
    const { succeeded, results } = parseBody<{ succeeded: boolean; results: readonly WireResult[] }>(reply.body);
    const operations: Operations = succeeded ? onSuccess : onFailure;
    const read = operations.map((operation, at) => {
      const item = itemOf(operation, results[at] ?? { status: 500 });
      if (!item.ok) throw item.error;
      return item.value;
    });
    return { succeeded, results: read } as unknown as TransactionResult<Success, Failure>;
  }

  async #all<R>(operations: readonly Operation<R>[], options: CallOptions): Promise<R[]> {
    const results = await sendBatch(this.core, operations, options);
    const failed = results.flatMap((result) => (result.ok ? [] : [result.error]));
    if (failed.length > 0) throw new HaloBatchError(failed, results);
    return results.map((result) => (result as { readonly value: R }).value);
  }
}

function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
