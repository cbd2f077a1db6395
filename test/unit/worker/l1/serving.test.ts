import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withEpoch } from "../../../../worker/http/bookmark.ts";
import {
  COPY_MS_MAX,
  type CopyOrigin,
  type CopyWish,
  mayServe,
  SHARED_SKEW_MS,
} from "../../../../worker/l1/serving.ts";

const NOW = 10_000;
const COPY: CopyOrigin = {
  shard: 2,
  term: 3,
  index: 40,
  startedMs: NOW - 100,
  asOfMs: NOW - 130,
  changesAtMs: Number.POSITIVE_INFINITY,
  isShared: false,
};
const WISH: CopyWish = { level: "eventual", owner: 2, epoch: 5, beganMs: NOW };
const EVENTUAL_MS = 500;

const serves = (copy: Partial<CopyOrigin>, wish: Partial<CopyWish>, nowMs = NOW) =>
  mayServe({ ...COPY, ...copy }, { ...WISH, ...wish }, nowMs, EVENTUAL_MS);

describe("a copy", () => {
  test("is never what a strong read gets, however fresh", () => {
    expect(serves({ startedMs: NOW, asOfMs: NOW }, { level: "strong" })).toBe(false);
  });

  test("answers bounded reads for which it lacks nothing that was acknowledged before the bound", () => {
    expect(serves({}, { level: "bounded", boundMs: 130 })).toBe(true);
    expect(serves({}, { level: "bounded", boundMs: 129 })).toBe(false);
    // Whatever it waits for, what counts is when the read began.
    expect(serves({}, { level: "bounded", boundMs: 130 }, NOW + 200)).toBe(true);
    expect(serves({ asOfMs: Number.NEGATIVE_INFINITY }, { level: "bounded", boundMs: 86_400_000 })).toBe(false);
  });

  test("of another isolate answers bounded reads only where no difference of the clocks can matter", () => {
    const bound = (boundMs: number) => serves({ isShared: true }, { level: "bounded", boundMs });
    expect(bound(130 + SHARED_SKEW_MS)).toBe(true);
    expect(bound(130 + SHARED_SKEW_MS - 1)).toBe(false);
    expect(serves({ isShared: true, startedMs: NOW + SHARED_SKEW_MS }, {})).toBe(true);
    expect(serves({ isShared: true, startedMs: NOW + SHARED_SKEW_MS + 1 }, {})).toBe(false);
  });

  test("answers eventual reads while it is young", () => {
    expect(serves({ startedMs: NOW - EVENTUAL_MS }, {})).toBe(true);
    expect(serves({ startedMs: NOW - EVENTUAL_MS - 1 }, {})).toBe(false);
  });

  test("answers a session that has seen no more of the key's shard than it has", () => {
    const session = (index: number | undefined, rest: Partial<CopyWish> = {}, shard = 2) =>
      serves(
        {},
        { level: "session", after: index === undefined ? undefined : new Map([[shard, { term: 3, index }]]), ...rest },
      );
    expect([session(undefined), session(39), session(40), session(41)]).toEqual([true, true, true, false]);
    // A position in another shard's log says nothing of this one.
    expect(session(99, {}, 1)).toBe(true);
    // The slot has moved since the copy was made.
    expect(session(1, { owner: 1 })).toBe(false);
    // The session has met a newer topology, in which the key may have another owner.
    const met = (epoch: number) => serves({}, { level: "session", after: withEpoch(new Map(), epoch) });
    expect([met(5), met(6)]).toEqual([true, false]);
  });

  test("is never served at a great age, after what it says has changed, or by a clock that was set back", () => {
    const levels = fc.constantFrom<Partial<CopyWish>>(
      { level: "eventual" },
      { level: "session" },
      { level: "bounded", boundMs: 86_400_000 },
    );
    fc.assert(
      fc.property(levels, fc.integer({ min: 1, max: 100_000 }), (wish, ms) => {
        expect(serves({ startedMs: NOW - COPY_MS_MAX - ms }, wish)).toBe(false);
        expect(serves({ startedMs: NOW + ms }, wish)).toBe(false);
        expect(serves({ changesAtMs: NOW - ms + 1 }, wish)).toBe(false);
      }),
    );
  });
});
