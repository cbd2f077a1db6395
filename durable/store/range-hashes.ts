// Pure. Hashes of the state, so that replicas can be compared without moving it: for each range of slots the sum of what its rows
// count for. A row that is written or removed costs its own checksum, whatever the size of the state; the order of rows does not
// count, so a replica that has replayed a log and one that has got a snapshot come to the same.

import type { Entry } from "./entry.ts";
import { rowChecksum } from "./row-checksum.ts";

/** Ranges of neighbouring slots; as many as say where to look, few enough to be sent along and stored with a checkpoint. */
export const RANGES = 64;

export class RangeHashes {
  /** Undefined: not known. Of rows from before there were hashes nobody has made the sum. */
  readonly #sums: Uint32Array | undefined;

  /** `known`: the sums so far; absent: they are not known, and never will be here. */
  constructor(known: readonly number[] | undefined) {
    this.#sums = known === undefined ? undefined : Uint32Array.from(known);
  }

  static ofNothing(): RangeHashes {
    return new RangeHashes(new Array(RANGES).fill(0));
  }

  get isKnown(): boolean {
    return this.#sums !== undefined;
  }

  all(): readonly number[] | undefined {
    return this.#sums === undefined ? undefined : Array.from(this.#sums);
  }

  added(entry: Entry, checksum = rowChecksum(entry)): void {
    this.#count(entry.slot, digestOf(checksum));
  }

  removed(entry: Entry, checksum = rowChecksum(entry)): void {
    this.#count(entry.slot, -digestOf(checksum));
  }

  #count(slot: number, digest: number): void {
    const sums = this.#sums;
    if (sums === undefined) return;
    const range = slot % RANGES;
    sums[range] = (sums[range] ?? 0) + digest;
  }
}

/** 32 of the 53 bits, mixed: a sum of the checksums themselves would have the same low bits for all values of equal heads. */
function digestOf(checksum: number): number {
  return (Math.imul(checksum / 2 ** 21, 0x9e37_79b1) ^ Math.imul(checksum % 2 ** 21, 0x85eb_ca77)) >>> 0;
}
