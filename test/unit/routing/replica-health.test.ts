import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CONFIRM_MS,
  CONFIRM_PINGS,
  FLAP_WINDOW_MS,
  type HealthState,
  HOLD_MS_MAX,
  HOLD_MS_MIN,
  ReplicaHealth,
} from "../../../routing/replica-health.ts";

/** Observed once a second from `fromMs` on; `isAnswering` says what the breaker and the pings say. */
function watch(health: ReplicaHealth, fromMs: number, untilMs: number, isAnswering: (atMs: number) => boolean) {
  const states: HealthState[] = [];
  for (let atMs = fromMs; atMs < untilMs; atMs += 1_000) {
    const answers = isAnswering(atMs);
    health.onPing(answers);
    health.observe(answers, atMs);
    states.push(health.state);
  }
  return states;
}

const never = () => false;
const always = () => true;

describe("a replica that stops answering", () => {
  test("is suspect at once, and dead when the silence has lasted and pings have confirmed it", () => {
    const health = new ReplicaHealth();
    expect(watch(health, 0, 5_000, never)).toEqual(["suspect", "suspect", "suspect", "dead", "dead"]);
    expect(health.doubtedSinceMs).toBe(0);
  });

  test("is not dead before pings have confirmed it, however long nobody asks", () => {
    const health = new ReplicaHealth();
    health.observe(false, 0);
    health.observe(false, 3_600_000);
    expect(health.state).toBe("suspect");
    for (let ping = 0; ping < CONFIRM_PINGS; ping++) health.onPing(false);
    health.observe(false, 3_600_000);
    expect(health.state).toBe("dead");
  });

  test("is not dead when one of the pings was answered", () => {
    const health = new ReplicaHealth();
    health.observe(false, 0);
    health.onPing(false);
    health.onPing(true);
    health.onPing(false);
    health.observe(false, CONFIRM_MS);
    expect(health.state).toBe("suspect");
  });
});

describe("a replica that answers again", () => {
  test("is suspect for a hold, then alive", () => {
    const health = new ReplicaHealth();
    watch(health, 0, 10_000, never);
    expect(watch(health, 10_000, 13_000, always)).toEqual(["suspect", "alive", "alive"]);
  });

  test("is held twice as long after each relapse, up to a limit, and as at first after a quiet time", () => {
    const health = new ReplicaHealth();
    let nowMs = 0;
    const holdMs = (): number => {
      health.observe(false, nowMs);
      nowMs += 1_000;
      const sinceMs = nowMs;
      for (; health.state !== "alive"; nowMs += 500) health.observe(true, nowMs);
      return nowMs - 500 - sinceMs;
    };
    const holds = Array.from({ length: 8 }, holdMs);
    expect(holds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, HOLD_MS_MAX, HOLD_MS_MAX]);
    nowMs += FLAP_WINDOW_MS;
    expect(holdMs()).toBe(HOLD_MS_MIN);
  });

  test("and stops again during its hold is held for twice as long", () => {
    const health = new ReplicaHealth();
    const states = ([false, true, false, true, true, true] as const).map((isAnswering, second) => {
      health.observe(isAnswering, second * 1_000 - (second === 2 ? 500 : 0));
      return health.state;
    });
    // It answers from the third second on: two seconds of hold, not one.
    expect(states).toEqual(["suspect", "suspect", "suspect", "suspect", "suspect", "alive"]);
  });

  test("that comes and goes every other second is reported alive at most once, not thirty times a minute", () => {
    const health = new ReplicaHealth();
    const states = watch(health, 0, 600_000, (atMs) => (atMs / 1_000) % 2 === 1);
    expect(states.filter((state) => state === "alive").length).toBeLessThanOrEqual(1);
    expect(states).not.toContain("dead");
  });
});

test("whatever it sees, it never goes from dead to alive or from alive to dead in one step, and says when it changes", () => {
  const step = fc.record({
    isAnswering: fc.boolean(),
    ping: fc.constantFrom(true, false, undefined),
    afterMs: fc.integer({ min: 0, max: 10_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const health = new ReplicaHealth();
      let nowMs = 0;
      for (const { isAnswering, ping, afterMs } of steps) {
        nowMs += afterMs;
        const before = health.state;
        if (ping !== undefined) health.onPing(ping);
        expect(health.observe(isAnswering, nowMs)).toBe(health.state !== before);
        expect(`${before} ${health.state}`).not.toMatch(/alive dead|dead alive/);
        if (isAnswering) expect(health.state).not.toBe("dead");
        else expect(health.state).not.toBe("alive");
      }
    }),
  );
});
