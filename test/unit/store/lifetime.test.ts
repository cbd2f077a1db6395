import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Lifetime } from "../../../durable/store/command.ts";
import { exists, extrasOf, isAccessDue, isStale, timesFrom, withTimes } from "../../../durable/store/lifetime.ts";
import { TIME_MS_MAX, TTL_MS_MAX } from "../../../durable/store/limits.ts";

const NOW_MS = 1_000;

describe("timesFrom", () => {
  it.each<[Lifetime, ReturnType<typeof timesFrom>]>([
    [{}, {}],
    [{ ttlMs: 0 }, { expiresMs: NOW_MS }],
    [{ ttlMs: 10 }, { expiresMs: NOW_MS + 10 }],
    [{ expiresAtMs: 5 }, { expiresMs: 5 }],
    [{ ttlMs: 10, expiresAtMs: 5 }, { expiresMs: NOW_MS + 10 }],
    [{ ttlMs: 10, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }, { expiresMs: NOW_MS + 10 }],
    [
      { ttlMs: 10, staleWhileRevalidateMs: 3, staleIfErrorMs: 7 },
      { expiresMs: NOW_MS + 17, staleMs: NOW_MS + 10, staleWhileRevalidateMs: 3, staleIfErrorMs: 7 },
    ],
    [
      { expiresAtMs: 2_000, staleWhileRevalidateMs: 9 },
      { expiresMs: 2_009, staleMs: 2_000, staleWhileRevalidateMs: 9, staleIfErrorMs: undefined },
    ],
    [{ slidingMs: 100 }, { expiresMs: NOW_MS + 110, slidingMs: 100 }],
    [{ slidingMs: 1 }, { expiresMs: NOW_MS + 2, slidingMs: 1 }],
  ])("of %j counts from now", (lifetime, times) => {
    expect(timesFrom(lifetime, NOW_MS)).toEqual(times);
  });

  it("stays exact at the limits", () => {
    const longest = { staleWhileRevalidateMs: TTL_MS_MAX, staleIfErrorMs: TTL_MS_MAX };
    const { expiresMs } = timesFrom({ expiresAtMs: TIME_MS_MAX, ...longest }, TIME_MS_MAX);
    expect(Number.isSafeInteger(expiresMs)).toBe(true);
    expect(expiresMs).toBe(TIME_MS_MAX + TTL_MS_MAX);
    expect(Number.isSafeInteger(timesFrom({ slidingMs: TTL_MS_MAX }, TIME_MS_MAX).expiresMs)).toBe(true);
  });
});

describe("isAccessDue", () => {
  it("is true exactly where the written time is not enough for another whole lifetime", () => {
    const sliding = fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: TTL_MS_MAX }));
    fc.assert(
      fc.property(sliding, fc.nat(), (slidingMs, laterMs) => {
        const { expiresMs } = timesFrom({ slidingMs }, NOW_MS);
        const entry = { expiresMs, extras: { slidingMs } };
        const nowMs = NOW_MS + laterMs;
        // The last millisecond of a whole lifetime from now on.
        const isEnough = exists(entry, nowMs + slidingMs - 1);
        if (!isAccessDue(entry, nowMs)) expect(isEnough).toBe(true);
        else expect(laterMs).toBeGreaterThanOrEqual(Math.ceil(slidingMs / 10));
      }),
    );
  });

  it("is false of what does not slide", () => {
    expect(isAccessDue({ expiresMs: NOW_MS + 1 }, NOW_MS)).toBe(false);
    expect(isAccessDue({ extras: { slidingMs: 5 } }, NOW_MS)).toBe(false);
  });
});

describe("an entry", () => {
  it("exists to the last millisecond before its expiry, and without one for ever", () => {
    expect([exists({ expiresMs: 5 }, 4), exists({ expiresMs: 5 }, 5), exists({}, TIME_MS_MAX)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it("is stale from `staleMs` on, and without it never", () => {
    const extras = { staleMs: 5 };
    expect([isStale({ extras }, 4), isStale({ extras }, 5), isStale({}, TIME_MS_MAX)]).toEqual([false, true, false]);
  });
});

describe("extras", () => {
  it("get other times and keep the rest", () => {
    const extras = { staleMs: 1, staleIfErrorMs: 2, slidingMs: 3, metadata: "m", tags: ["t"], sourceVersion: 4 };
    expect(withTimes(extras, { staleMs: 9 })).toEqual({ staleMs: 9, metadata: "m", tags: ["t"], sourceVersion: 4 });
  });

  it("are absent where nothing is left in them", () => {
    expect(withTimes({ staleMs: 1 }, {})).toBeUndefined();
    expect(withTimes(undefined, {})).toBeUndefined();
    expect(extrasOf({ metadata: undefined, tags: undefined })).toBeUndefined();
    expect(extrasOf({ metadata: "" })).toEqual({ metadata: "" });
  });
});
