// What requests on many keys have in common: the namespace, how fresh reads have to be, and what the reply says of all the
// shards that answered.

import type { ConsistencyLevel, Provenance } from "../../durable/protocol.ts";
import type { Wanted } from "../clients/operations.ts";
import { parseBalance } from "../http/balance.ts";
import { advanceFrom, type Bookmark, encodeBookmark } from "../http/bookmark.ts";
import { parseConsistency } from "../http/consistency.ts";
import { parseNamespace } from "../http/namespace.ts";
import { parseUrgency } from "../http/priority.ts";
import { type Parsed, parsed } from "../http/problem.ts";
import { type KvDeps, readBookmark, seenSoFar } from "./kv-context.ts";
import type { ReplyHeaders } from "./replies.ts";

export interface ManyRequest {
  readonly namespace: string;
  readonly wanted: Wanted;
  readonly bookmark: Bookmark | undefined;
}

export function readMany(deps: KvDeps, headers: Headers): Parsed<ManyRequest> {
  const namespace = parseNamespace(headers.get("Halo-Namespace"));
  if (!namespace.ok) return namespace;
  const level = headers.get("Halo-Consistency");
  const consistency = level === null ? parsed(deps.defaultConsistency) : parseConsistency(level);
  if (!consistency.ok) return consistency;
  const balance = parseBalance(headers.get("Halo-Balance"));
  if (!balance.ok) return balance;
  const bookmark = readBookmark(deps, headers);
  if (!bookmark.ok) return bookmark;
  const wanted = {
    ...consistency.value,
    after: bookmark.value,
    balance: balance.value,
    urgency: parseUrgency(headers.get("Priority")),
  };
  return parsed({ namespace: namespace.value, wanted, bookmark: bookmark.value });
}

/** The weakest level that a shard has met, and the bookmark of what all of them have shown. */
export function manyHeaders(
  deps: KvDeps,
  { bookmark, wanted }: ManyRequest,
  from: readonly Provenance[],
  level: ConsistencyLevel | undefined,
  hasWritten = false,
): ReplyHeaders {
  const headers: ReplyHeaders = level === undefined ? {} : { "Halo-Consistency": level };
  if (!hasWritten && bookmark === undefined && wanted.level !== "session") return headers;
  let seen = seenSoFar(deps, bookmark);
  for (const one of from) seen = advanceFrom(seen, one);
  if (seen.size > 0) headers["Halo-Bookmark"] = encodeBookmark(deps.bookmarkTag, seen);
  return headers;
}
