// Pure. Which rows to evict: those that are asked for least for the room that they take. The rows come from a walk over all of
// them, a stretch at a time, and of each stretch only the worst part goes: what stays is popular by comparison with a sample
// of everything else. No list of keys is kept: what is known of popularity is in the sketch, of age in the rows' versions.
//
//   priority = estimated accesses / size ^ SIZE_EXPONENT      (GDSF, Cherkasova 1998, with the size's weight turned down)

import type { EntryHead } from "../entry.ts";
import { isSystemKey } from "../keyspace.ts";
import { accountedHeadBytes } from "../sizes.ts";
import { AdaptiveWindow } from "./adaptive-window.ts";
import { FrequencySketch } from "./frequency-sketch.ts";

/** At most so much of a stretch goes at once: of eight rows the worst one. */
const VICTIM_SHARE = 1 / 8;

/** 1 would serve the most requests and keep no large value; 0 would let one large value push out a hundred small ones. */
const SIZE_EXPONENT = 0.5;

/** Bytes that evicting the row frees, its parts included. */
export function bytesFreed(row: EntryHead): number {
  return accountedHeadBytes(row) + (row.extras?.parts?.bytes ?? 0);
}

export class EvictionPolicy {
  readonly #sketch: FrequencySketch;
  readonly #window = new AdaptiveWindow();

  /** `seed`: see FrequencySketch. */
  constructor(seed: number) {
    this.#sketch = new FrequencySketch(seed);
  }

  get sketchBytes(): number {
    return this.#sketch.bytes;
  }

  noteRead(key: string, isHit: boolean, keys: number): void {
    this.#sketch.note(key);
    this.#window.note(isHit, keys);
  }

  noteWrite(key: string): void {
    this.#sketch.note(key);
  }

  /** The memory that the sketch takes follows the number of keys. */
  fit(keys: number): void {
    this.#sketch.fit(keys);
  }

  /**
   * The worst of `rows`, up to `bytesWanted` or a share of their bytes, whichever is less; none where all are to be spared:
   * locks, limits and parts (these go when the value goes that they belong to), and what was written last, because it has had
   * no time to be asked for. Versions count writes, so the newest `share × keys` of them are at most that many rows.
   */
  victims(
    rows: readonly EntryHead[],
    { revision, keys }: { readonly revision: number; readonly keys: number },
    bytesWanted: number,
  ): readonly EntryHead[] {
    const newest = revision - Math.floor(keys * this.#window.share);
    let bytes = 0;
    const ranked: { readonly row: EntryHead; readonly freed: number; readonly priority: number }[] = [];
    for (const row of rows) {
      const freed = bytesFreed(row);
      bytes += freed;
      if (row.version > newest || isSystemKey(row.key)) continue;
      ranked.push({ row, freed, priority: this.#sketch.estimate(row.key) / freed ** SIZE_EXPONENT });
    }
    // Among equals the newcomer goes: letting everybody in would let a loop that is longer than the room turn out all of it.
    ranked.sort((one, other) => one.priority - other.priority || other.row.version - one.row.version);
    const bytesMax = Math.min(bytesWanted, bytes * VICTIM_SHARE);
    const victims: EntryHead[] = [];
    let freed = 0;
    for (const candidate of ranked) {
      if (freed >= bytesMax) break;
      victims.push(candidate.row);
      freed += candidate.freed;
    }
    return victims;
  }
}
