import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  COUNTED_KEYS_MAX,
  HALF_LIFE_MS,
  HOT_HOLD_MS,
  HOT_KEY_PER_SECOND_DEFAULT,
  HOT_KEYS_MAX,
  HotKeys,
  parseHotKeys,
} from "../../../durable/hot-keys.ts";

const LIMIT = 100;
const SECOND = 1_000;
const START = 5_000_000;

/** `perSecond` reads, evenly over a stretch, by whom `keyOf` says. Returns the end of it. */
function readFor(
  hot: HotKeys,
  fromMs: number,
  forMs: number,
  perSecond: number,
  keyOf: (at: number) => string,
): number {
  const reads = Math.round((perSecond * forMs) / SECOND);
  for (let at = 0; at < reads; at++) hot.noteRead(keyOf(at), Math.floor(fromMs + (at * forMs) / reads));
  return fromMs + forMs;
}

const seeds = fc.integer();

describe("a hot key", () => {
  test("at three times the limit is found within a second, whenever it begins and whatever else is asked for", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 2 * HALF_LIFE_MS }), (seed, beginsAfterMs) => {
        const hot = new HotKeys(LIMIT, seed);
        const beginMs = readFor(hot, START, beginsAfterMs, 700, (at) => `cold${at % 500}`);
        // Three reads in ten are the key's.
        const nowMs = readFor(hot, beginMs, SECOND, 1_000, (at) => (at % 10 < 3 ? "hot" : `cold${at % 499}`));
        expect(hot.isReadHot("hot", nowMs)).toBe(true);
      }),
    );
  });

  test("is hot no more when it has been quiet for the time that it is held", () => {
    const hot = new HotKeys(LIMIT, 1);
    const quietMs = readFor(hot, START, 3 * SECOND, 10 * LIMIT, () => "k");
    expect(hot.isReadHot("k", quietMs)).toBe(true);
    expect(hot.isReadHot("k", quietMs + HOT_HOLD_MS)).toBe(false);
    expect(hot.list(quietMs + HOT_HOLD_MS)).toEqual([]);
    // It is not found hot again by what it was.
    const later = readFor(hot, quietMs + HOT_HOLD_MS, 4 * SECOND, LIMIT / 10, () => "k");
    expect(hot.isReadHot("k", later)).toBe(false);
  });

  test("is not made of many cold ones, however many there are", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2 * COUNTED_KEYS_MAX, max: 5_000 }), (seed, keys) => {
        const hot = new HotKeys(LIMIT, seed);
        // A key that is asked for at a fifth of the limit at most.
        const perSecond = Math.min((keys * LIMIT) / 5, 20_000);
        const nowMs = readFor(hot, START, 2 * SECOND, perSecond, (at) => `k${(at * 7_919) % keys}`);
        expect(hot.list(nowMs)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  test("has a rate that is about right, of reads and of writes", () => {
    const hot = new HotKeys(LIMIT, 7);
    for (let at = 0; at < 4_000; at++) {
      hot.noteRead("k", START + at);
      if (at % 2 === 0) hot.noteWrite("k", START + at);
    }
    const [found, ...others] = hot.list(START + 4_000);
    expect(others).toEqual([]);
    expect(found?.readsPerSecond).toBeGreaterThan(800);
    expect(found?.readsPerSecond).toBeLessThan(1_200);
    expect(found?.writesPerSecond).toBeGreaterThan(350);
    expect(found?.writesPerSecond).toBeLessThan(650);
    expect(hot.isWriteHot("k", START + 4_000)).toBe(true);
    expect(hot.isWriteHot("other", START + 4_000)).toBe(false);
  });

  test("counts what was answered on the way for it: few reads that stand for many", () => {
    const hot = new HotKeys(LIMIT, 3);
    for (let at = 0; at < 8; at++) hot.noteRead("k", START + at * 250, 249);
    const nowMs = START + 2_000;
    expect(hot.isReadHot("k", nowMs)).toBe(true);
    const [found] = hot.list(nowMs - 1);
    expect(found?.readsPerSecond).toBeGreaterThan(700);
    expect(found?.readsPerSecond).toBeLessThan(1_300);
  });

  test("is one of a bounded number", () => {
    const hot = new HotKeys(1, 3);
    for (let at = 0; at < 100_000; at++) hot.noteRead(`k${at % 60}`, START + Math.floor(at / 100));
    expect(hot.list(START + 1_000).length).toBe(HOT_KEYS_MAX);
  });

  test("is found by a clock that was set back, too", () => {
    const hot = new HotKeys(LIMIT, 3);
    readFor(hot, START, SECOND, 500, () => "k");
    const nowMs = readFor(hot, START - 60 * SECOND, 2 * SECOND, 500, () => "j");
    expect(hot.isReadHot("j", nowMs)).toBe(true);
  });

  test("never is one where the limit is infinite", () => {
    const hot = new HotKeys(Number.POSITIVE_INFINITY, 3);
    const nowMs = readFor(hot, START, SECOND, 50_000, () => "k");
    expect(hot.list(nowMs)).toEqual([]);
  });
});

describe("HALO_HOT_KEY_PER_SECOND", () => {
  test("is a number, 0 for never, or nothing for the default", () => {
    const read = (text: unknown) => parseHotKeys({ HALO_HOT_KEY_PER_SECOND: text });
    expect(read(undefined)).toEqual({ ok: true, hotKeyPerSecond: HOT_KEY_PER_SECOND_DEFAULT });
    expect(read("")).toEqual({ ok: true, hotKeyPerSecond: HOT_KEY_PER_SECOND_DEFAULT });
    expect(read("0")).toEqual({ ok: true, hotKeyPerSecond: Number.POSITIVE_INFINITY });
    expect(read("250")).toEqual({ ok: true, hotKeyPerSecond: 250 });
    for (const text of ["-1", "1.5", "many", "1000000"]) {
      expect(read(text)).toMatchObject({ ok: false, problem: expect.stringContaining("HALO_HOT_KEY_PER_SECOND") });
    }
  });
});
