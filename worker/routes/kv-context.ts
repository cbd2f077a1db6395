// What the handlers of /v1/kv share: what they need, and the session's bookmark.

import type { ConsistencyLevel, Provenance, ReplicaRole } from "../../durable/protocol.ts";
import type { HttpAnswer } from "../clients/http-answer.ts";
import type { Timers } from "../clients/ports.ts";
import type { ShardClient } from "../clients/shard-client.ts";
import type { TopologyHolder } from "../clients/topology-holder.ts";
import {
  advanceFrom,
  type Bookmark,
  decodeBookmark,
  encodeBookmark,
  encodeSingle,
  withEpoch,
} from "../http/bookmark.ts";
import type { Consistency } from "../http/consistency.ts";
import { type Parsed, parsed } from "../http/problem.ts";

export interface KvDeps {
  readonly client: ShardClient<HttpAnswer>;
  readonly defaultConsistency: Consistency;
  /** Reads say how urgent they are; without it they save looking. */
  readonly heedsPriority: boolean;
  readonly topology: Pick<TopologyHolder, "view">;
  /** `clusterTag()` of this cluster. */
  readonly bookmarkTag: string;
  readonly timers: Timers;
  /** Uniform in [0, 1). */
  random(): number;
}

/**
 * What a handler knows of its request, told to those who count. It saves them from looking: at the edge a header costs more to read
 * than everything else about counting a request.
 */
export interface RequestNote {
  /** That was asked for; undefined: the operation has none. */
  level?: ConsistencyLevel | undefined;
  /** Of the replica that answered; undefined: none did. */
  role?: ReplicaRole | undefined;
  /** The reply is a replica's, passed on as it is: its headers cannot be changed. */
  isPassedOn?: boolean | undefined;
}

/** Keeps the isolate working on a promise after the client has gone. */
export type KeepAlive = (promise: Promise<unknown>) => void;

export function readBookmark({ bookmarkTag }: KvDeps, headers: Headers): Parsed<Bookmark | undefined> {
  const text = headers.get("Halo-Bookmark");
  return text === null ? parsed(undefined) : decodeBookmark(bookmarkTag, text);
}

export function bookmarkAfter(deps: KvDeps, bookmark: Bookmark | undefined, from: Provenance): string {
  const { bookmarkTag, topology } = deps;
  if (bookmark === undefined && topology.view.epoch === 0 && from.past === undefined) {
    return encodeSingle(bookmarkTag, from.shard, { term: from.term, index: from.index });
  }
  return encodeBookmark(bookmarkTag, advanceFrom(seenSoFar(deps, bookmark), from));
}

/**
 * What a session has seen before the reply that is being made; with any reply of this isolate that is the epoch. Without it a
 * later request of the session, through an isolate that routes by an older one, could be answered by a follower of a former owner
 * that has not heard of the move.
 */
export function seenSoFar({ topology }: KvDeps, bookmark: Bookmark | undefined): Bookmark {
  return withEpoch(bookmark ?? new Map(), topology.view.epoch);
}
