// Pure. Which slot a key belongs to. Slots are the unit of placement: keys never move between slots, slots move between
// shards. A hash tag, `user:{42}:name`, makes only the part in braces count, so that related keys share a slot.

import { hash32 } from "./hash.ts";

/**
 * Fixed for ever: changing it would move almost every key. 1,024 keeps the topology document at a few KiB and still
 * gives 256 shards, the most that a cluster can have, four slots each.
 */
export const SLOT_COUNT = 1024;

/** Total: a key with a malformed tag hashes as a whole, as in Redis Cluster. The edge refuses such keys beforehand. */
export function slotOf(key: string): number {
  return hash32(hashedPart(key)) % SLOT_COUNT;
}

/** What is wrong with the key's hash tag and what was expected; undefined when the key has no tag or a proper one. */
export function hashTagProblem(key: string): string | undefined {
  const open = key.indexOf("{");
  if (open === -1) return undefined;
  const close = key.indexOf("}", open + 1);
  if (close === -1) return `the hash tag opened by "{" at position ${open} has no closing "}"; expected {tag}`;
  if (close === open + 1) return `the hash tag "{}" at position ${open} is empty; expected {tag}`;
  return undefined;
}

/** The text between the first `{` and the first `}` after it, if there is any; otherwise the whole key. */
function hashedPart(key: string): string {
  const open = key.indexOf("{");
  if (open === -1) return key;
  const close = key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}
