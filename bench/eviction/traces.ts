// Pure. Sequences of requests, each with another weakness of cache policies in mind; the same for every run. Public traces
// cannot be shipped with the project, so these are made after what the literature measures with: zipf, scans, loops, hot sets
// that move, and keys that live for a moment.

import { SeededRandom } from "../seeded-random.ts";
import { zipf } from "../zipf.ts";

export interface Trace {
  readonly name: string;
  /** Keys are numbers below this. */
  readonly universe: number;
  /** Room for this many values of `valueBytes`' mean. */
  readonly capacity: number;
  readonly requests: Uint32Array;
  /** Bytes of a key's value. */
  readonly valueBytes: (key: number) => number;
  /** LRU is at its best here: nobody is expected to beat it clearly. */
  readonly isRecencyBound: boolean;
  /** Values differ in size, so that the share of bytes is another figure than the share of requests. */
  readonly isMixed: boolean;
  /** Percentage points below W-TinyLFU that are accepted here; absent: as everywhere. */
  readonly maxBelow?: number;
}

const UNIVERSE = 100_000;
const CAPACITY = 5_000;
const SMALL_BYTES = 100;

/** In a loop every place counts as much as every other: the room between the marks, and what waits for the walk, is lost. */
const LOOP = { maxBelow: 15 } as const;

export function traces(length: number): readonly Trace[] {
  const uniform = {
    universe: UNIVERSE,
    capacity: CAPACITY,
    valueBytes: () => SMALL_BYTES,
    isRecencyBound: false,
    isMixed: false,
  };
  const of = (name: string, next: (random: SeededRandom, at: number) => number, more: Partial<Trace> = {}): Trace => {
    const random = new SeededRandom(hashOf(name));
    return { ...uniform, name, requests: Uint32Array.from({ length }, (_, at) => next(random, at)), ...more };
  };
  const zipf99 = zipf(UNIVERSE, 0.99);
  const hot = zipf(UNIVERSE / 2, 0.99);
  const shiftEvery = Math.ceil(length / 8);
  return [
    of("zipf 0.7", zipf(UNIVERSE, 0.7)),
    of("zipf 0.99", zipf99),
    of("zipf 1.2", zipf(UNIVERSE, 1.2)),
    of("zipf 0.99 + scan", scanned(hot, UNIVERSE / 2, UNIVERSE / 2)),
    of("zipf 0.99 + bursts of scan", inBursts(hot, scanning(UNIVERSE / 2, UNIVERSE / 2), 2 * CAPACITY, 4)),
    of("loop", (_random, at) => at % (CAPACITY * 2), LOOP),
    of(
      "zipf 0.99 + loop",
      inBursts(hot, (_random, at) => UNIVERSE / 2 + (at % (CAPACITY * 1.5)), 500, 2),
      LOOP,
    ),
    of("hot set that moves", (random, at) => (zipf99(random) + Math.floor(at / shiftEvery) * 7_919) % UNIVERSE, {
      isRecencyBound: true,
    }),
    of("keys of a moment", momentary(), { isRecencyBound: true }),
    of("mixed sizes, zipf 0.99", zipf99, { valueBytes: mixedBytes, isMixed: true }),
  ];
}

/** Most values are small, some are large, none of it related to popularity: 100 bytes to 64 KiB. */
function mixedBytes(key: number): number {
  const random = new SeededRandom(key);
  random.below(2);
  const exponent = random.below(1_000) / 1_000;
  return Math.floor(100 * 655 ** (exponent ** 3));
}

/** Every other request goes to the next key of a scan. */
function scanned(popular: (random: SeededRandom) => number, from: number, keys: number) {
  return (random: SeededRandom, at: number) => (at % 2 === 0 ? popular(random) : from + ((at >>> 1) % keys));
}

function scanning(from: number, keys: number) {
  return (_random: SeededRandom, at: number) => from + (at % keys);
}

type Source = (random: SeededRandom, at: number) => number;

/** `burst` requests of `other` after each `every - 1` bursts of `usual`. */
function inBursts(usual: Source, other: Source, burst: number, every: number): Source {
  let others = 0;
  return (random, at) => (Math.floor(at / burst) % every === every - 1 ? other(random, others++) : usual(random, at));
}

/** New keys all the time, each asked for a few times within the next thousands of requests and never again. */
function momentary(): Source {
  return (random, at) => {
    const distance = Math.floor(-Math.log(1 - random.unit()) * 2_500);
    return Math.floor((at + 40_000 - distance) / 4) % UNIVERSE;
  };
}

function hashOf(name: string): number {
  let hash = 0;
  for (const char of name) hash = Math.imul(hash, 31) + (char.codePointAt(0) ?? 0);
  return hash;
}
