// What a write says beside its value, in its two forms: headers for a single operation, members for one in a batch.

import { toBase64, toWire, utf8, type WireValue } from "./codec.ts";
import type { WriteOptions } from "./core.ts";
import { invalid } from "./errors.ts";
import type { Bytes } from "./transport.ts";

/** How long something lives; nothing of it: the namespace's default, or for ever. A sliding time stands alone. */
export interface Lifetime {
  readonly ttlSeconds?: number | undefined;
  /** The same as a point in time; `ttlSeconds` goes before it. Whole seconds, rounded up. */
  readonly expiresAt?: Date | undefined;
  /** After that so long it is served stale, while one caller loads a new value. */
  readonly staleWhileRevalidateSeconds?: number | undefined;
  /** After that so long it is served if loading fails. */
  readonly staleIfErrorSeconds?: number | undefined;
  /** Every read gives it so long again. */
  readonly slidingSeconds?: number | undefined;
}

/** All that are given must hold, or nothing is changed and the call rejects with `HaloPreconditionFailedError`. */
export interface Conditions {
  readonly ifVersion?: number | readonly number[] | undefined;
  readonly ifNotVersion?: number | readonly number[] | undefined;
  readonly ifExists?: boolean | undefined;
  readonly ifAbsent?: boolean | undefined;
  /** Exactly this value, up to 4 KiB. */
  readonly ifValue?: string | Uint8Array | undefined;
}

export interface SetOptions extends WriteOptions, Lifetime, Conditions {
  /** To purge by: up to 64. */
  readonly tags?: readonly string[] | undefined;
  /** Your own, given back with every read: up to 4 KiB of visible ASCII. */
  readonly metadata?: string | undefined;
  /** The writer's own version: only if the entry has none or a lower one. */
  readonly sourceVersion?: number | undefined;
}

export type Headers = Record<string, string | undefined>;

export function lifetimeHeaders(lifetime: Lifetime): Headers {
  const directives = [
    directive("max-age", lifetime.ttlSeconds),
    directive("stale-while-revalidate", lifetime.staleWhileRevalidateSeconds),
    directive("stale-if-error", lifetime.staleIfErrorSeconds),
  ].filter((found) => found !== undefined);
  return {
    "Cache-Control": directives.length === 0 ? undefined : directives.join(", "),
    // An HTTP date has whole seconds, and nothing expires early.
    Expires: lifetime.expiresAt && new Date(Math.ceil(lifetime.expiresAt.getTime() / 1_000) * 1_000).toUTCString(),
    "Halo-Sliding-TTL": lifetime.slidingSeconds?.toString(),
  };
}

function directive(name: string, seconds: number | undefined): string | undefined {
  if (seconds === undefined) return undefined;
  if (!Number.isInteger(seconds) || seconds < 0) {
    throw invalid("malformed-ttl", `${name} is ${seconds}: expected a whole number of seconds`);
  }
  return `${name}=${seconds}`;
}

export function conditionHeaders(conditions: Conditions): Headers {
  const { ifVersion, ifNotVersion, ifExists, ifAbsent, ifValue } = conditions;
  return {
    "If-Match": ifExists && ifVersion === undefined ? "*" : tagsOf(ifVersion),
    "If-None-Match": ifAbsent ? "*" : tagsOf(ifNotVersion),
    "Halo-If-Value": ifValue === undefined ? undefined : `:${toBase64(bytesOf(ifValue))}:`,
  };
}

function tagsOf(versions: number | readonly number[] | undefined): string | undefined {
  if (versions === undefined) return undefined;
  const list = [versions].flat();
  // Runtimes drop a header without a value: the condition would be none at all.
  if (list.length === 0) throw invalid("malformed-condition", "an empty list of versions: expected one at the least");
  return list.map((version) => `"${version}"`).join(", ");
}

export function setHeaders(options: SetOptions): Headers {
  const { tags, metadata, sourceVersion } = options;
  return {
    ...lifetimeHeaders(options),
    ...conditionHeaders(options),
    "Cache-Tag": tags === undefined || tags.length === 0 ? undefined : tags.map(checkTag).join(", "),
    "Halo-Metadata": metadata === undefined ? undefined : checkMetadata(metadata),
    "Halo-Source-Version": sourceVersion?.toString(),
  };
}

/** A comma would make two tags of one. */
function checkTag(tag: string): string {
  if (/^[\x21-\x2b\x2d-\x7e]{1,128}$/.test(tag)) return tag;
  throw invalid("malformed-tag", `the tag "${tag}": expected 1 to 128 visible ASCII characters without a comma`);
}

function checkMetadata(metadata: string): string {
  if (/^[\x20-\x7e]*$/.test(metadata) && metadata === metadata.trim()) return metadata;
  throw invalid(
    "malformed-metadata",
    "metadata: expected visible ASCII, without spaces around it; encode the rest, for example as JSON with \\u",
  );
}

/** The members of an operation in a batch. */
export interface WireWrite {
  readonly ttlMs?: number | undefined;
  readonly expiresAtMs?: number | undefined;
  readonly staleWhileRevalidateMs?: number | undefined;
  readonly staleIfErrorMs?: number | undefined;
  readonly slidingMs?: number | undefined;
  readonly ifVersion?: number | readonly number[] | undefined;
  readonly ifNotVersion?: number | readonly number[] | undefined;
  readonly ifExists?: boolean | undefined;
  readonly ifAbsent?: boolean | undefined;
  readonly ifValue?: WireValue | undefined;
  readonly sourceVersion?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: string | undefined;
}

export function wireWrite(options: SetOptions): WireWrite {
  const { ifVersion, ifNotVersion, ifExists, ifAbsent, ifValue, sourceVersion, tags, metadata } = options;
  return {
    ttlMs: inMs(options.ttlSeconds),
    expiresAtMs: options.expiresAt?.getTime(),
    staleWhileRevalidateMs: inMs(options.staleWhileRevalidateSeconds),
    staleIfErrorMs: inMs(options.staleIfErrorSeconds),
    slidingMs: inMs(options.slidingSeconds),
    ifVersion,
    ifNotVersion,
    ifExists: ifExists || undefined,
    ifAbsent: ifAbsent || undefined,
    ifValue: ifValue === undefined ? undefined : toWire(bytesOf(ifValue)),
    sourceVersion,
    tags,
    metadata,
  };
}

function inMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

export function bytesOf(value: string | Uint8Array): Bytes {
  return typeof value === "string" ? utf8(value) : new Uint8Array(value);
}

/** `prefix` and the name as one path. Slashes stay, so that logs and paths can be read. */
export function pathOf(prefix: string, name: string): string {
  // A URL parser would resolve these, and the request would reach another key.
  if (name === "" || name.split("/").some((segment) => segment === "." || segment === "..")) {
    throw invalid("malformed-key", `the key "${name}": expected a text that is not empty and has no segment . or ..`);
  }
  if (!name.isWellFormed())
    throw invalid("malformed-key", "the key has half a surrogate pair, which no UTF-8 can hold");
  return `${prefix}${encodeURIComponent(name).replaceAll("%2F", "/")}`;
}
