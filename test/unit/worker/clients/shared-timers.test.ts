import { describe, expect, it } from "vitest";
import {
  SHARED_FROM_MS,
  SharedTimers,
  TICK_MS,
  TICKER_LATE_MS_DEFAULT,
  TICKER_LIFE_MS,
} from "../../../../worker/clients/shared-timers.ts";
import { createRequestPlatform } from "../../../support/request-platform.ts";

function setUp() {
  const world = createRequestPlatform();
  return { ...world, timers: new SharedTimers(world.platform) };
}

describe("waits that share a timer", () => {
  it("end when they are due, not before, and at most a tick late", async () => {
    const { timers, advance } = setUp();
    const ended: string[] = [];
    timers.after(200, () => ended.push("first"), true);
    await advance(3);
    timers.after(250, () => ended.push("second"), true);
    await advance(196);
    expect(ended).toEqual([]);
    await advance(1 + TICK_MS);
    expect(ended).toEqual(["first"]);
    await advance(47);
    expect(ended).toEqual(["first"]);
    await advance(1 + TICK_MS);
    expect(ended).toEqual(["first", "second"]);
  });

  it("take one timer of the platform at a time, however many they are", () => {
    const { timers, armed } = setUp();
    for (let wait = 0; wait < 1_000; wait++) timers.after(200 + wait, () => undefined, true);
    expect(armed.size).toBe(1);
  });

  it("do not end when they were cancelled, not even in the moment in which they are due", async () => {
    const { timers, advance } = setUp();
    const ended: string[] = [];
    const cancels: (() => void)[] = [];
    cancels.push(timers.after(200, () => ended.push("cancelled early"), true));
    timers.after(210, () => cancels[1]?.(), true);
    cancels.push(timers.after(210, () => ended.push("cancelled by the one before"), true));
    cancels[0]?.();
    await advance(500);
    expect(ended).toEqual([]);
  });

  it("leave no timer behind and let the request go when nobody waits any more", async () => {
    const { timers, advance, armed, keptAlive } = setUp();
    timers.after(200, () => undefined, true);
    timers.after(300, () => undefined, true)();
    await advance(200 + 2 * TICK_MS);
    expect(armed.size).toBe(0);
    expect(keptAlive).toEqual([{ request: "A", isOver: true }]);
    await advance(1_000);
    const ended: string[] = [];
    timers.after(200, () => ended.push("later"), true);
    await advance(200 + TICK_MS);
    expect(ended).toEqual(["later"]);
  });

  it("have a timer of their own where they are short, or no call is in flight", async () => {
    const { timers, advance, keptAlive } = setUp();
    const ended: string[] = [];
    timers.after(SHARED_FROM_MS + 10, () => ended.push("of a request that only waits"));
    timers.after(SHARED_FROM_MS - 1, () => ended.push("kept"), true);
    const cancel = timers.after(5, () => ended.push("cancelled"), true);
    cancel();
    await advance(SHARED_FROM_MS + 10);
    expect([ended, keptAlive]).toEqual([["kept", "of a request that only waits"], []]);
  });
});

describe("the ticker", () => {
  it("is replaced by whoever comes next when its request was killed, and all waits end", async () => {
    const { timers, advance, as, kill, startedBy } = setUp();
    const ended: string[] = [];
    as("A");
    timers.after(200, () => ended.push("of A"), true);
    as("B");
    timers.after(200, () => ended.push("of B"), true);
    kill("A");
    await advance(TICK_MS + TICKER_LATE_MS_DEFAULT + 1);
    as("C");
    timers.after(200, () => ended.push("of C"), true);
    expect(startedBy).toEqual(["A", "C"]);
    await advance(200 + TICK_MS);
    expect(ended).toEqual(["of A", "of B", "of C"]);
  });

  it("hands over to a request that waits before the platform ends its own", async () => {
    const { timers, advance, as, startedBy, keptAlive } = setUp();
    const ended: string[] = [];
    as("A");
    timers.after(TICKER_LIFE_MS + 1_000, () => ended.push("outlived"), true);
    await advance(TICKER_LIFE_MS + TICK_MS);
    expect(keptAlive.map(({ isOver }) => isOver)).toEqual([true, false]);
    await advance(1_000 + TICK_MS);
    expect(ended).toEqual(["outlived"]);
    expect(startedBy.length).toBeGreaterThan(TICKER_LIFE_MS / TICK_MS);
  });

  it("ends when it was only slow and has been replaced", async () => {
    const { timers, advance, as, armed, keptAlive } = setUp();
    as("A");
    timers.after(10_000, () => undefined, true);
    const [slow] = armed;
    if (slow === undefined) throw new Error("expected a ticker");
    armed.delete(slow);
    await advance(TICK_MS + TICKER_LATE_MS_DEFAULT + 1);
    as("B");
    timers.after(200, () => undefined, true);
    expect(armed.size).toBe(1);
    slow.callback();
    await advance(0);
    expect(armed.size).toBe(1);
    expect(keptAlive[0]?.isOver).toBe(true);
  });
});
