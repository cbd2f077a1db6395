// The simulation of balancing, small: it runs, it is the same every time, and the policies are in the order that they should be.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { balance, complaintsAbout, measure } from "../../../bench/balance/main.ts";
import { SCENARIOS, type Scenario } from "../../../bench/balance/scenarios.ts";
import { SimulatedTime } from "../../../bench/balance/simulated-time.ts";
import { simulate } from "../../../bench/balance/simulation.ts";
import { UsageError } from "../../../bench/harness/options.ts";
import { HEDGE_BUDGET } from "../../../routing/request-budget.ts";

const REQUESTS = 2_000;

function scenario(name: string): Scenario {
  const found = SCENARIOS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return found;
}

test("p2c beats round robin where one replica is slow, with hedges and without, whatever the seed", async () => {
  for (const seed of [1, 2, 3]) {
    for (const isHedging of [true, false]) {
      const [p2c, roundRobin] = await Promise.all(
        (["p2c", "round-robin"] as const).map((policy) =>
          simulate(scenario("slow-replica"), { policy, isHedging, requests: REQUESTS, seed }),
        ),
      );
      expect(p2c?.p99_ms).toBeLessThan((roundRobin?.p99_ms ?? Number.NaN) / 2);
      expect([p2c?.errors, roundRobin?.errors]).toEqual([0, 0]);
    }
  }
});

test("the same seed gives the same figures, another seed others", async () => {
  const run = (seed: number) => simulate(scenario("pauses"), { policy: "p2c", isHedging: true, requests: 500, seed });
  const [first, second, other] = [await run(7), await run(7), await run(8)];
  expect(second).toEqual(first);
  expect(other).not.toEqual(first);
});

test("hedges stay within their budget, also where every read would like one", async () => {
  const { extra_percent } = await simulate(scenario("slow-replica"), {
    policy: "round-robin",
    isHedging: true,
    requests: REQUESTS,
    seed: 1,
  });
  const seconds = REQUESTS / scenario("slow-replica").requestsPerSecond;
  const { reserve, share, perSecond } = HEDGE_BUDGET;
  // Two isolates, a budget each; retries after a silence have one of their own.
  expect((extra_percent / 100) * REQUESTS).toBeLessThan(2 * (reserve + 2 * perSecond * seconds) + 2 * share * REQUESTS);
});

test("a figure that is not where the docs say that it is, is a complaint", async () => {
  const slow = scenario("slow-replica");
  const figures = await measure(slow, REQUESTS, 1);
  expect(complaintsAbout(slow, figures)).toEqual([]);
  const { p2c, ...rest } = figures;
  if (p2c === undefined) throw new Error("p2c is a policy");
  expect(complaintsAbout(slow, { ...rest, p2c: { ...p2c, p99_ms: 10_000 } })).toHaveLength(1);
  expect(complaintsAbout(slow, { ...rest, p2c: { ...p2c, errors: 3 } })).toEqual([
    'slow-replica: 3 reads failed with "p2c"',
  ]);
});

test("the command prints a table for each scenario, writes the figures, and says what it expected of bad options", async () => {
  const directory = mkdtempSync(path.join(tmpdir(), "halo-balance-"));
  const printed = vi.spyOn(console, "log").mockImplementation(() => undefined);
  onTestFinished(() => {
    printed.mockRestore();
    rmSync(directory, { recursive: true });
  });
  const file = path.join(directory, "figures.json");
  await balance(["--requests", "300", "--json", file]);
  const text = printed.mock.calls.flat().join("\n");
  for (const { name } of SCENARIOS) expect(text).toContain(name);
  const { scenarios, requests } = JSON.parse(readFileSync(file, "utf8"));
  expect([requests, Object.keys(scenarios)]).toEqual([300, SCENARIOS.map(({ name }) => name)]);
  expect(scenarios["slow-replica"].p2c).toMatchObject({ p50_ms: expect.any(Number), spread: expect.any(Number) });
  for (const bad of [
    ["--requests", "none"],
    ["--requests", "5"],
    ["--seed", "-1"],
    ["--speed", "3"],
  ]) {
    await expect(balance(bad)).rejects.toThrow(UsageError);
  }
});

test("simulated time runs what is due in order, ties as they came, and nothing that was cancelled", async () => {
  const delays = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 20 }), isCancelled: fc.boolean() }), {
    maxLength: 30,
  });
  await fc.assert(
    fc.asyncProperty(delays, async (timers) => {
      const time = new SimulatedTime();
      const ran: number[] = [];
      for (const [index, { ms, isCancelled }] of timers.entries()) {
        const cancel = time.after(ms, () => ran.push(index));
        if (isCancelled) cancel();
      }
      await time.run();
      const expected = [...timers.entries()]
        .filter(([, { isCancelled }]) => !isCancelled)
        .sort(([left, a], [right, b]) => a.ms - b.ms || left - right)
        .map(([index]) => index);
      expect(ran).toEqual(expected);
    }),
    { numRuns: 50 },
  );
});
