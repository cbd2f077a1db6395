// Pure. The one hash of the routing layer: XXH32 of a text's UTF-8 bytes.
// XXH32 because it spreads short keys evenly in 32 bits, needs no 64-bit arithmetic (so plain JavaScript is fast) and has
// published test vectors, so that a client in another language can compute the same slot. It is not cryptographic:
// whoever picks keys can pick a slot, which hash tags allow anyway.

import { xxHash32 } from "js-xxhash";

/** Unsigned 32-bit. Unpaired surrogates count as U+FFFD, as in every UTF-8 encoder of the web platform. */
export type HashFunction = (text: string) => number;

export const hash32: HashFunction = (text) => xxHash32(asciiBytes(text) ?? text);

/** The same hash of bytes; `seed`: what else is to count. */
export function hashBytes(bytes: Uint8Array, seed = 0): number {
  return xxHash32(bytes, seed >>> 0);
}

/** Longer than nearly every key, short enough to stay in the processor's cache. */
const SCRATCH_BYTES = 256;
const scratch = new Uint8Array(SCRATCH_BYTES);

/** The bytes of short ASCII text, valid until the next call; a text encoder takes several times as long for them. */
function asciiBytes(text: string): Uint8Array | undefined {
  const { length } = text;
  if (length > SCRATCH_BYTES) return undefined;
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) return undefined;
    scratch[at] = unit;
  }
  return scratch.subarray(0, length);
}
