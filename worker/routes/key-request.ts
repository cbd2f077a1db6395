// What requests on one key have in common: where the key is, under which conditions it may be changed, and how a retry is
// recognised. Reads headers; what they mean is decided in ../http/.

import type { Conditions, KeyMutation, Lifetime } from "../../durable/store/command.ts";
import { storedKey, systemKey } from "../../durable/store/keyspace.ts";
import { slotOf } from "../../routing/slots.ts";
import { parseIfMatch, parseIfNoneMatch } from "../http/conditional.ts";
import { parseExpectedValue, parseSourceVersion } from "../http/extended-conditions.ts";
import { keyOf } from "../http/key.ts";
import { parseLifetime } from "../http/lifetime.ts";
import { parseNamespace } from "../http/namespace.ts";
import { type Parsed, parsed } from "../http/problem.ts";
import { fingerprintOf, parseIdempotencyKey } from "./idempotency.ts";

/** The key as the store knows it. */
export interface KeyTarget {
  readonly slot: number;
  readonly key: string;
}

/** `path`: what stands in front of the key in the URL. A query is refused unless it is one of a route that has some. */
export function readTarget(request: Request, path?: string, query?: "with a query"): Parsed<KeyTarget> {
  const namespace = parseNamespace(request.headers.get("Halo-Namespace"));
  if (!namespace.ok) return namespace;
  const { url } = request;
  const end = query === undefined ? -1 : url.indexOf("?");
  const key = keyOf(end === -1 ? url : url.slice(0, end), path);
  return key.ok ? parsed(targetIn(namespace.value, key.value)) : key;
}

export function targetIn(namespace: string, key: string): KeyTarget {
  const stored = storedKey(namespace, key);
  return { slot: slotOf(stored), key: stored };
}

/** A lock or a rate limit: names of their own, with the rules of keys. */
export function readSystemTarget(request: Request, path: string, kind: "lock" | "limit"): Parsed<KeyTarget> {
  const namespace = parseNamespace(request.headers.get("Halo-Namespace"));
  if (!namespace.ok) return namespace;
  const name = keyOf(request.url, path);
  if (!name.ok) return name;
  const stored = systemKey(kind, namespace.value, name.value);
  return parsed({ slot: slotOf(stored), key: stored });
}

export const UNCONDITIONAL: Conditions = {};

/** `If-Match` and `If-None-Match`, which reads have too. */
export function readVersionConditions(headers: Headers): Parsed<Conditions> {
  const [ifMatch, ifNoneMatch] = [headers.get("If-Match"), headers.get("If-None-Match")];
  if (ifMatch === null && ifNoneMatch === null) return parsed(UNCONDITIONAL);
  const match = ifMatch === null ? parsed(undefined) : parseIfMatch(ifMatch);
  if (!match.ok) return match;
  const noneMatch = ifNoneMatch === null ? parsed(undefined) : parseIfNoneMatch(ifNoneMatch);
  if (!noneMatch.ok) return noneMatch;
  return parsed({
    ...(match.value === undefined ? {} : { ifMatch: match.value }),
    ...(noneMatch.value === undefined ? {} : { ifNoneMatch: noneMatch.value }),
  });
}

/** All conditions of a change. */
export function readConditions(headers: Headers): Parsed<Conditions> {
  const versions = readVersionConditions(headers);
  const [value, source] = [headers.get("Halo-If-Value"), headers.get("Halo-Source-Version")];
  if (!versions.ok || (value === null && source === null)) return versions;
  const ifValue = value === null ? parsed(undefined) : parseExpectedValue(value);
  if (!ifValue.ok) return ifValue;
  const sourceVersion = source === null ? parsed(undefined) : parseSourceVersion(source);
  if (!sourceVersion.ok) return sourceVersion;
  return parsed({
    ...versions.value,
    ...(ifValue.value === undefined ? {} : { ifValue: ifValue.value }),
    ...(sourceVersion.value === undefined ? {} : { sourceVersion: sourceVersion.value }),
  });
}

export function readLifetime(headers: Headers): Parsed<Lifetime> {
  return parseLifetime({
    cacheControl: headers.get("Cache-Control"),
    expires: headers.get("Expires"),
    slidingTtl: headers.get("Halo-Sliding-TTL"),
  });
}

/** The mutation, recognisable by the request's Idempotency-Key if it has one. `digest`: of a value in parts. */
export async function withIdempotency<T extends KeyMutation>(
  mutation: T,
  headers: Headers,
  digest?: string | undefined,
): Promise<Parsed<T>> {
  const header = headers.get("Idempotency-Key");
  if (header === null) return parsed(mutation);
  const id = parseIdempotencyKey(header);
  if (!id.ok) return id;
  return parsed({ ...mutation, idempotency: { id: id.value, fingerprint: await fingerprintOf(mutation, digest) } });
}
