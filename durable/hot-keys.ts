// Pure. Which keys of a replica are hot: asked for, or written, more often than one object should have to serve one key. Looks
// at every access, counts a sample of them, and forgets by halves: a key at twice the limit is found within a second, and
// is hot no more a few seconds after.
//
// What it costs on the way of a read is a subtraction, and a look-up while any key is hot.

import { TopK } from "../routing/top-k.ts";

/** So many keys are counted at a time, of reads and of writes each. An object's thousand requests a second have room for ten. */
export const COUNTED_KEYS_MAX = 64;
/** In this time a count loses half of what it was. */
export const HALF_LIFE_MS = 500;
/** One access in so many is counted, on average, and stands for all of them. */
export const SAMPLE_EVERY = 8;
/** A key stays hot for so long after it was last found to be, so that a rate about the limit does not flap. */
export const HOT_HOLD_MS = 2_000;
/** More hot keys than an object could serve. */
export const HOT_KEYS_MAX = 32;
/** What one access may stand for: more than an isolate answers between two of its questions. */
export const WEIGHT_MAX = 10_000;

export interface HotKey {
  readonly key: string;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
}

/** Accesses of one kind. */
class HotStream {
  readonly #perSecond: number;
  readonly #top = new TopK(COUNTED_KEYS_MAX);
  /** Until when a key is hot. */
  readonly #hotUntilMs = new Map<string, number>();
  #windowMs = Number.NEGATIVE_INFINITY;
  #accessesLeft = 0;
  #random: number;

  constructor(perSecond: number, seed: number) {
    this.#perSecond = perSecond;
    // xorshift stays at 0 for ever.
    this.#random = seed | 0 || 1;
  }

  note(key: string, nowMs: number, weight: number): void {
    this.#accessesLeft -= weight;
    if (this.#accessesLeft <= 0) this.#count(key, nowMs);
  }

  isHot(key: string, nowMs: number): boolean {
    return this.#hotUntilMs.size > 0 && nowMs < (this.#hotUntilMs.get(key) ?? Number.NEGATIVE_INFINITY);
  }

  /** Estimates, of the keys that are hot. */
  rates(nowMs: number): ReadonlyMap<string, number> {
    this.#age(nowMs);
    const counted = this.#top.list().filter(({ key }) => this.isHot(key, nowMs));
    return new Map(counted.map(({ key, atLeast }) => [key, this.#rateOf(atLeast, nowMs)]));
  }

  #count(key: string, nowMs: number): void {
    this.#age(nowMs);
    let samples = 0;
    while (this.#accessesLeft <= 0) {
      this.#accessesLeft += this.#drawGap();
      samples += 1;
    }
    const rate = this.#rateOf(this.#top.note(key, samples), nowMs);
    if (rate < this.#perSecond) return;
    if (this.#hotUntilMs.size < HOT_KEYS_MAX || this.#hotUntilMs.has(key)) {
      this.#hotUntilMs.set(key, nowMs + HOT_HOLD_MS);
    }
  }

  /** 1 to 15, so 8 on average. Random: every eighth of accesses that come in a fixed order could always be the same key's. */
  #drawGap(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return 1 + ((x >>> 0) % (2 * SAMPLE_EVERY - 1));
  }

  #age(nowMs: number): void {
    const sinceMs = nowMs - this.#windowMs;
    if (sinceMs >= 0 && sinceMs < HALF_LIFE_MS) return;
    // A clock that was set back, or the first access: there is nothing to go by.
    const halvings = Number.isFinite(sinceMs) && sinceMs > 0 ? Math.floor(sinceMs / HALF_LIFE_MS) : 0;
    this.#windowMs = halvings > 0 ? this.#windowMs + halvings * HALF_LIFE_MS : nowMs;
    this.#top.decay(0.5 ** halvings);
    for (const [key, untilMs] of this.#hotUntilMs) if (untilMs <= nowMs) this.#hotUntilMs.delete(key);
  }

  /** A steady stream leaves one half-life's worth behind at each halving, and adds to it since. */
  #rateOf(samples: number, nowMs: number): number {
    return (samples * SAMPLE_EVERY * 1_000) / (HALF_LIFE_MS + nowMs - this.#windowMs);
  }
}

export class HotKeys {
  readonly #reads: HotStream;
  readonly #writes: HotStream;

  /** `perSecond`: from how many accesses on a key is hot. `seed`: any 32-bit number. */
  constructor(perSecond: number, seed: number) {
    this.#reads = new HotStream(perSecond, seed);
    this.#writes = new HotStream(perSecond, ~seed);
  }

  /** `alsoFor`: so many more reads were answered on the way here. */
  noteRead(key: string, nowMs: number, alsoFor = 0): void {
    this.#reads.note(key, nowMs, alsoFor === 0 ? 1 : Math.min(1 + alsoFor, WEIGHT_MAX));
  }

  noteWrite(key: string, nowMs: number): void {
    this.#writes.note(key, nowMs, 1);
  }

  isReadHot(key: string, nowMs: number): boolean {
    return this.#reads.isHot(key, nowMs);
  }

  isWriteHot(key: string, nowMs: number): boolean {
    return this.#writes.isHot(key, nowMs);
  }

  /** The hottest first; rates are estimates from a sample. */
  list(nowMs: number): readonly HotKey[] {
    const reads = this.#reads.rates(nowMs);
    const writes = this.#writes.rates(nowMs);
    return [...new Set([...reads.keys(), ...writes.keys()])]
      .map((key) => ({
        key,
        readsPerSecond: Math.round(reads.get(key) ?? 0),
        writesPerSecond: Math.round(writes.get(key) ?? 0),
      }))
      .sort((left, right) => right.readsPerSecond + right.writesPerSecond - left.readsPerSecond - left.writesPerSecond);
  }
}

export interface HotKeyVariables {
  readonly HALO_HOT_KEY_PER_SECOND?: unknown;
}

export type HotKeyResult =
  /** Infinite: no key is ever hot. */
  { readonly ok: true; readonly hotKeyPerSecond: number } | { readonly ok: false; readonly problem: string };

/** A tenth of what the platform lets one object serve. */
export const HOT_KEY_PER_SECOND_DEFAULT = 100;
const HOT_KEY_PER_SECOND_LIMIT = 100_000;

export function parseHotKeys({ HALO_HOT_KEY_PER_SECOND: variable }: HotKeyVariables): HotKeyResult {
  const text = variable === undefined || variable === null ? "" : String(variable).trim();
  if (text === "") return { ok: true, hotKeyPerSecond: HOT_KEY_PER_SECOND_DEFAULT };
  if (text === "0") return { ok: true, hotKeyPerSecond: Number.POSITIVE_INFINITY };
  const hotKeyPerSecond = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (hotKeyPerSecond >= 1 && hotKeyPerSecond <= HOT_KEY_PER_SECOND_LIMIT) return { ok: true, hotKeyPerSecond };
  const expected = `expected 0 for never, or a whole number up to ${HOT_KEY_PER_SECOND_LIMIT}`;
  return { ok: false, problem: `HALO_HOT_KEY_PER_SECOND is ${JSON.stringify(text)}: ${expected}` };
}
