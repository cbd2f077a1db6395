import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { Outcome } from "../../../../durable/store/command.ts";
import { decideLimit } from "../../../../durable/store/commands/limits.ts";
import { LIMIT_MAX, LIMIT_WINDOW_MS_MAX } from "../../../../durable/store/limits.ts";
import { limit, OneShard } from "../one-shard.ts";

/** The start of a window of a second. */
const WINDOW_MS = 1_000;
const START_MS = 1_000_000;

let shard: OneShard;

beforeEach(() => {
  shard = new OneShard();
});

function take(atMs: number, cost: number, algorithm: "fixed_window" | "sliding_window"): Outcome {
  const [outcome] = shard.apply(atMs, limit("l", { cost, algorithm, windowMs: WINDOW_MS }));
  return outcome as Outcome;
}

function limited(isAllowed: boolean, remaining: number, resetMs: number): Outcome {
  return { kind: "limited", isAllowed, remaining, resetMs };
}

describe("a fixed window", () => {
  it("gives out its budget and a whole one again with the next window", () => {
    const take3 = (atMs: number) => take(atMs, 3, "fixed_window");
    const [end, next] = [START_MS + WINDOW_MS, START_MS + 2 * WINDOW_MS];
    expect(take3(START_MS)).toEqual(limited(true, 7, end));
    expect(take3(START_MS + 10)).toEqual(limited(true, 4, end));
    expect(take3(START_MS + 20)).toEqual(limited(true, 1, end));
    expect(take3(end - 1)).toEqual(limited(false, 1, end));
    expect(take(end - 1, 1, "fixed_window")).toEqual(limited(true, 0, end));
    expect(take3(end)).toEqual(limited(true, 7, next));
  });

  it("changes nothing where it refuses, not even a row", () => {
    take(START_MS, 10, "fixed_window");
    shard.checkpoint();
    const { state } = shard.store;
    expect(take(START_MS, 1, "fixed_window")).toMatchObject({ isAllowed: false });
    expect([shard.store.state, shard.store.dirtyKeys]).toEqual([state, 0]);
  });

  it("leaves no row behind that lives longer than two windows, and counts in no namespace", () => {
    take(START_MS + 10, 1, "fixed_window");
    expect(shard.read(limit("l").key, START_MS + 2 * WINDOW_MS - 1)).toBeDefined();
    expect(shard.read(limit("l").key, START_MS + 2 * WINDOW_MS)).toBeUndefined();
    expect(shard.store.state).toMatchObject({ keys: 0, usage: [], expiring: 1 });
  });
});

describe("a sliding window", () => {
  it("counts the last window by the share of it that is still inside", () => {
    const next = START_MS + WINDOW_MS;
    expect(take(START_MS + 900, 10, "sliding_window")).toEqual(limited(true, 0, START_MS + 2 * WINDOW_MS));
    // Half of the last window's ten are left: five, and of what was taken in this one all.
    expect(take(next + 500, 6, "sliding_window")).toEqual(limited(false, 5, next + 600));
    expect(take(next + 500, 4, "sliding_window")).toEqual(limited(true, 1, next + 2 * WINDOW_MS));
    expect(take(next + WINDOW_MS + 250, 0, "sliding_window")).toMatchObject({ remaining: 7 });
    expect(take(next + 3 * WINDOW_MS, 10, "sliding_window")).toMatchObject({ isAllowed: true, remaining: 0 });
  });

  it("says of a cost above the whole budget when that is whole again: it never fits", () => {
    expect(take(START_MS, 11, "sliding_window")).toEqual(limited(false, 10, START_MS));
    take(START_MS, 1, "sliding_window");
    expect(take(START_MS, 11, "sliding_window")).toEqual(limited(false, 9, START_MS + 2 * WINDOW_MS));
  });

  it("names exactly the first millisecond at which a refused cost fits", () => {
    const windowMs = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: LIMIT_WINDOW_MS_MAX }));
    const budget = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: LIMIT_MAX }));
    const algorithm = fc.constantFrom("fixed_window" as const, "sliding_window" as const);
    let refusals = 0;
    fc.assert(
      fc.property(windowMs, budget, algorithm, fc.array(fc.tuple(fc.nat(), fc.nat())), (window, most, how, takes) => {
        const fresh = new OneShard();
        let nowMs = START_MS;
        for (const [pause, size] of takes) {
          nowMs += pause % (window + 1);
          const mutation = limit("l", { limit: most, windowMs: window, cost: size % (most + 1), algorithm: how });
          const [outcome] = fresh.apply(nowMs, mutation);
          if (outcome?.kind !== "limited" || outcome.isAllowed) continue;
          refusals += 1;
          const at = (atMs: number) => decideLimit(mutation, fresh.read(mutation.key, atMs), atMs).isAllowed;
          expect([at(outcome.resetMs - 1), at(outcome.resetMs)]).toEqual([false, true]);
        }
      }),
    );
    expect(refusals).toBeGreaterThan(0);
  });
});

describe("decideLimit", () => {
  it("says what the command will do, and changes nothing", () => {
    take(START_MS, 8, "fixed_window");
    const mutation = limit("l", { cost: 3, windowMs: WINDOW_MS });
    const decision = decideLimit(mutation, shard.read(mutation.key), START_MS);
    expect(decision).toMatchObject({ isAllowed: false, remaining: 2, resetMs: START_MS + WINDOW_MS });
    expect(shard.do(mutation)).toEqual(limited(false, 2, START_MS + WINDOW_MS));
  });
});
