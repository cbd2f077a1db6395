// Pure. How often keys were asked for lately, by estimate: a count-min sketch with four-bit counters that age (TinyLFU,
// Einziger et al. 2017). It names no key, so its memory does not grow with the keys' number beyond a fixed bound. Estimates
// are never too low since the last ageing, and too high only where a key shares all its counters with more popular ones.
//
//   first hash  ──▶  a block of 64 bytes, one line of the processor's cache
//   second hash ──▶  a counter in each of its four rows; the least of the four is the estimate
//
//       row 0  …|…|3|…|…|…
//       row 1  …|7|…|…|…|…    Only the least are raised ("conservative update"), so that a popular neighbour
//       row 2  …|…|…|…|3|…    spoils an estimate only if it is a neighbour in every row.
//       row 3  9|…|…|…|…|…

const ROWS = 4;
export const COUNT_MAX = 15;
const BITS_PER_COUNTER = 4;
/** Words of eight counters. */
const WORDS_PER_ROW = 4;
const WORDS_PER_BLOCK = ROWS * WORDS_PER_ROW;
/** Counters of one row in one block. */
const COUNTERS_PER_ROW = 32;

/** 2 KiB in all, for a shard that holds little. */
const BLOCKS_MIN = 1 << 5;
/** 2 MiB in all. A shard of more than 262,144 keys is counted with a shorter memory, not with worse estimates. */
const BLOCKS_MAX = 1 << 15;
export const SKETCH_BYTES_MAX = BLOCKS_MAX * WORDS_PER_BLOCK * Int32Array.BYTES_PER_ELEMENT;

/** Four counters of each row for a key. */
const KEYS_PER_BLOCK = COUNTERS_PER_ROW / 4;

/** Ageing follows after so many: ten for a key, as in the paper. */
const ACCESSES_PER_BLOCK = 10 * KEYS_PER_BLOCK;

/** Halves eight counters at once: what is shifted into a neighbour is masked away. */
const HALVES = 0x77777777;

export class FrequencySketch {
  readonly #seed: number;
  #blocks = BLOCKS_MIN;
  #words = new Int32Array(BLOCKS_MIN * WORDS_PER_BLOCK);
  #accesses = 0;
  /** The two hashes of the key that was hashed last: fields, because a pair would be garbage on every read. */
  #first = 0;
  #second = 0;

  /** `seed`: any 32-bit number that clients cannot know, or they could choose keys that share their counters. */
  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  /** The key was asked for or written. */
  note(key: string): void {
    this.#hash(key);
    const least = this.#least();
    if (least < COUNT_MAX) {
      for (let row = 0; row < ROWS; row++) {
        const counter = this.#counterIn(row);
        const at = this.#wordOf(row, counter);
        const shift = (counter & 7) * BITS_PER_COUNTER;
        const word = this.#words[at] ?? 0;
        if (((word >>> shift) & COUNT_MAX) === least) this.#words[at] = word + (1 << shift);
      }
    }
    this.#accesses += 1;
    if (this.#accesses >= this.#blocks * ACCESSES_PER_BLOCK) this.#age();
  }

  /** 0 to COUNT_MAX. */
  estimate(key: string): number {
    this.#hash(key);
    return this.#least();
  }

  /** Makes room for the counters of so many keys. Grows only: a shard that has shrunk is counted the better. */
  fit(keys: number): void {
    while (this.#blocks < BLOCKS_MAX && this.#blocks * KEYS_PER_BLOCK < keys) this.#double();
  }

  /**
   * A key's block among twice as many is the one it had, or the one as far behind it as there were blocks: with a copy in
   * both places every estimate stays what it was.
   */
  #double(): void {
    const words = new Int32Array(this.#words.length * 2);
    words.set(this.#words, 0);
    words.set(this.#words, this.#words.length);
    this.#blocks *= 2;
    this.#words = words;
  }

  /** Old popularity fades: what was asked for before counts half. */
  #age(): void {
    const words = this.#words;
    for (let at = 0; at < words.length; at++) words[at] = ((words[at] ?? 0) >>> 1) & HALVES;
    this.#accesses = 0;
  }

  #least(): number {
    let least = COUNT_MAX;
    for (let row = 0; row < ROWS; row++) {
      const counter = this.#counterIn(row);
      const word = this.#words[this.#wordOf(row, counter)] ?? 0;
      const count = (word >>> ((counter & 7) * BITS_PER_COUNTER)) & COUNT_MAX;
      if (count < least) least = count;
    }
    return least;
  }

  /** Of the key that was hashed last, as everything below: a byte of the second hash for each row. */
  #counterIn(row: number): number {
    return (this.#second >>> (row * 8)) & (COUNTERS_PER_ROW - 1);
  }

  #wordOf(row: number, counter: number): number {
    return (this.#first & (this.#blocks - 1)) * WORDS_PER_BLOCK + row * WORDS_PER_ROW + (counter >>> 3);
  }

  /**
   * FNV-1a over UTF-16 units from a secret start, and MurmurHash3's finalizer twice. Nobody else has to agree with it, and it
   * costs a fraction of the routing hash.
   */
  #hash(key: string): void {
    let hash = this.#seed;
    for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
    this.#first = mix(hash);
    this.#second = mix(this.#first ^ 0x9e3779b9);
  }
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
