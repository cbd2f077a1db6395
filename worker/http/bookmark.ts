// Pure. The Halo-Bookmark header: how far a session has seen, as one log position per shard that it touched.
//
//   1 . 1x3k9f2 . 0-2-1f . 3-1-a          version . cluster tag . shard-term-index . …     numbers in base 36
//
// The newest topology epoch that the session has met stands among them, as the index of a shard that cannot be: so that code
// from before there was one keeps it, and merges it as it should. A cluster that was never reshaped has none.
//
// The form is canonical (shards ascend, no leading zeros), so equal bookmarks are equal texts. The cluster tag keeps a
// bookmark of another cluster from being compared with positions that mean nothing to it.

import type { LogPosition, Provenance } from "../../durable/protocol.ts";
import { hash32 } from "../../routing/hash.ts";
import { SHARD_NUMBER_MAX } from "../../routing/topology-parser.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

/** Highest position seen, by shard number. */
export type Bookmark = ReadonlyMap<number, LogPosition>;

export const BOOKMARK_VERSION = "1";
/** Room for the most shards that a cluster can have, and under what proxies allow for one header (8 KiB). */
export const BOOKMARK_CHARS_MAX = 7_168;
/** So that shard numbers stay small even in a forged bookmark. */
export const BOOKMARK_SHARD_MAX = SHARD_NUMBER_MAX + 1;
/** In the place of a shard's number: what stands there is no position but the epoch. */
const EPOCH_SHARD = BOOKMARK_SHARD_MAX;

const POSITION = /^(0|[1-9a-z][0-9a-z]{0,10})-(0|[1-9a-z][0-9a-z]{0,10})-(0|[1-9a-z][0-9a-z]{0,10})$/;
const EXPECTED = "expected the Halo-Bookmark of an earlier reply, unchanged";

/** Computed once per isolate and handed to the codec. */
export function clusterTag(cluster: string): string {
  return hash32(cluster).toString(36);
}

export function encodeBookmark(tag: string, bookmark: Bookmark): string {
  const shards = [...bookmark.keys()].sort((left, right) => left - right);
  let text = `${BOOKMARK_VERSION}.${tag}`;
  for (const shard of shards) {
    const position = bookmark.get(shard);
    if (position !== undefined) text += `.${encodePosition(shard, position)}`;
  }
  return text;
}

/** The common case, one shard and nothing to merge, without building a map. */
export function encodeSingle(tag: string, shard: number, position: LogPosition): string {
  return `${BOOKMARK_VERSION}.${tag}.${encodePosition(shard, position)}`;
}

export function decodeBookmark(tag: string, text: string): Parsed<Bookmark> {
  if (text.length > BOOKMARK_CHARS_MAX) return malformed(`it is longer than ${BOOKMARK_CHARS_MAX} characters`);
  const [version, cluster, ...positions] = text.split(".");
  if (version !== BOOKMARK_VERSION || cluster === undefined || !/^[0-9a-z]{1,7}$/.test(cluster)) {
    return malformed("it does not start as a bookmark does");
  }
  if (cluster !== tag) return refused("foreign-bookmark", `the bookmark is of another cluster; ${EXPECTED}`);
  const bookmark = new Map<number, LogPosition>();
  let previous = -1;
  for (const part of positions) {
    const found = POSITION.exec(part);
    if (found === null) return malformed(`"${part.slice(0, 40)}" is not a position`);
    const [shard, term, index] = [fromBase36(found[1]), fromBase36(found[2]), fromBase36(found[3])];
    if (shard > BOOKMARK_SHARD_MAX || !Number.isSafeInteger(term) || !Number.isSafeInteger(index)) {
      return malformed(`"${part.slice(0, 40)}" is out of range`);
    }
    if (shard <= previous) return malformed("its shards are not in ascending order");
    previous = shard;
    bookmark.set(shard, { term, index });
  }
  return parsed(bookmark);
}

/** The bookmark that has also seen `position` on `shard`; never goes backwards. */
export function advance(bookmark: Bookmark, shard: number, position: LogPosition): Bookmark {
  const seen = bookmark.get(shard);
  if (seen !== undefined && !isLater(position, seen)) return bookmark;
  return new Map(bookmark).set(shard, position);
}

/** The bookmark that has also seen an answer from there. */
export function advanceFrom(bookmark: Bookmark, from: Omit<Provenance, "replica" | "role">): Bookmark {
  let seen = advance(bookmark, from.shard, { term: from.term, index: from.index });
  // Positions of committed entries are told apart by their index alone.
  if (from.past !== undefined)
    for (const { shard, index } of from.past) seen = advance(seen, shard, { term: 0, index });
  return seen;
}

/** What both have seen. */
export function mergeBookmarks(left: Bookmark, right: Bookmark): Bookmark {
  let merged = left;
  for (const [shard, position] of right) merged = advance(merged, shard, position);
  return merged;
}

/** The bookmark that has also met this epoch of the topology. */
export function withEpoch(bookmark: Bookmark, epoch: number): Bookmark {
  return epoch === 0 ? bookmark : advance(bookmark, EPOCH_SHARD, { term: 0, index: epoch });
}

/** The newest epoch that it has met. */
export function epochOf(bookmark: Bookmark): number {
  return bookmark.get(EPOCH_SHARD)?.index ?? 0;
}

/**
 * By index first: positions are committed ones, of which there is one per index whatever its term, and a follower of a
 * newer term may still have applied less than the bookmark has seen.
 */
function isLater(position: LogPosition, than: LogPosition): boolean {
  return position.index > than.index || (position.index === than.index && position.term > than.term);
}

function encodePosition(shard: number, position: LogPosition): string {
  return `${shard.toString(36)}-${position.term.toString(36)}-${position.index.toString(36)}`;
}

function fromBase36(digits: string | undefined): number {
  return Number.parseInt(digits ?? "", 36);
}

function malformed(found: string): Parsed<Bookmark> {
  return refused("malformed-bookmark", `the bookmark cannot be read: ${found}; ${EXPECTED}`);
}
