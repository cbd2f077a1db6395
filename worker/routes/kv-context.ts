// What the handlers of /v1/kv share: what they need, and the session's bookmark.

import type { LogPosition, Provenance } from "../../durable/protocol.ts";
import type { HttpAnswer } from "../clients/http-answer.ts";
import type { ShardClient } from "../clients/shard-client.ts";
import { advance, type Bookmark, decodeBookmark, encodeBookmark, encodeSingle } from "../http/bookmark.ts";
import type { Consistency } from "../http/consistency.ts";
import { type Parsed, parsed } from "../http/problem.ts";

export interface KvDeps {
  readonly client: ShardClient<HttpAnswer>;
  readonly defaultConsistency: Consistency;
  /** `clusterTag()` of this cluster. */
  readonly bookmarkTag: string;
  /** Uniform in [0, 1). */
  random(): number;
}

/** Keeps the isolate working on a promise after the client has gone. */
export type KeepAlive = (promise: Promise<unknown>) => void;

export function readBookmark({ bookmarkTag }: KvDeps, headers: Headers): Parsed<Bookmark | undefined> {
  const text = headers.get("Halo-Bookmark");
  return text === null ? parsed(undefined) : decodeBookmark(bookmarkTag, text);
}

export function bookmarkAfter({ bookmarkTag }: KvDeps, bookmark: Bookmark | undefined, from: Provenance): string {
  const position: LogPosition = { term: from.term, index: from.index };
  if (bookmark === undefined) return encodeSingle(bookmarkTag, from.shard, position);
  return encodeBookmark(bookmarkTag, advance(bookmark, from.shard, position));
}
