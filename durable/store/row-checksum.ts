// Pure. What guards a row of a checkpoint, and what a row counts for in the hashes of the state (range-hashes.ts): one number
// of 53 bits, all that a column holds exactly. The upper 32 are of the value, the rest of everything else, so that whoever
// reads a row without its value can still check what he reads.

import { hash32, hashBytes } from "../../routing/hash.ts";
import type { Entry, IdempotencyRecord } from "./entry.ts";
import { encodeExtras } from "./entry-codec.ts";

const HEAD_BITS = 21;
const HEAD_RANGE = 2 ** HEAD_BITS;

export function rowChecksum(entry: Entry): number {
  return hashBytes(entry.value) * HEAD_RANGE + headChecksum(entry);
}

export function isRowIntact(entry: Entry, checksum: number): boolean {
  return rowChecksum(entry) === checksum;
}

/** Of a row whose value was not read. */
export function isHeadIntact(head: Omit<Entry, "value">, checksum: number): boolean {
  return headChecksum(head) === checksum % HEAD_RANGE;
}

function headChecksum(head: Omit<Entry, "value">): number {
  const { slot, key, version, contentType, createdMs, modifiedMs, expiresMs, extras } = head;
  const numbers = `${slot} ${version} ${createdMs} ${modifiedMs} ${expiresMs ?? ""} ${contentType.length} `;
  const ofRest = hash32(`${numbers}${contentType} ${key}`);
  const ofExtras = extras === undefined ? 0 : hashBytes(encodeExtras(extras));
  return ((ofRest ^ Math.imul(ofExtras, 0x9e37_79b1)) >>> 0) >>> (32 - HEAD_BITS);
}

/** `outcome`: as it is stored. */
export function recordChecksum(record: Omit<IdempotencyRecord, "outcome">, outcome: Uint8Array): number {
  const { slot, key, id, fingerprint, expiresMs, sequence } = record;
  return hashBytes(outcome, hash32(`${slot} ${expiresMs} ${sequence} ${id.length} ${id} ${fingerprint} ${key}`));
}

/** Of a mark as it is stored, which says everything of it. */
export function markChecksum(data: Uint8Array): number {
  return hashBytes(data);
}
