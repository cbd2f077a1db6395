// Pure. The one hash of the routing layer: XXH32 of a text's UTF-8 bytes.
// XXH32 because it spreads short keys evenly in 32 bits, needs no 64-bit arithmetic (so plain JavaScript is fast) and has
// published test vectors, so that a client in another language can compute the same slot. It is not cryptographic:
// whoever picks keys can pick a slot, which hash tags allow anyway. A 30-byte key takes about 0.5 µs in workerd.

import { xxHash32 } from "js-xxhash";

/** Unsigned 32-bit. Unpaired surrogates count as U+FFFD, as in every UTF-8 encoder of the web platform. */
export type HashFunction = (text: string) => number;

export const hash32: HashFunction = (text) => xxHash32(text);
