import fc from "fast-check";
import { expect, test } from "vitest";
import { RequestBudget } from "../../../routing/request-budget.ts";

const LIMITS = { share: 0.1, perSecond: 10, reserve: 5 };

function spend(budget: RequestBudget, times: number, nowMs: number): number {
  let spent = 0;
  for (let attempt = 0; attempt < times; attempt++) if (budget.maybeSpend(nowMs)) spent += 1;
  return spent;
}

test("starts with its reserve", () => {
  expect(spend(new RequestBudget(LIMITS), 100, 0)).toBe(5);
});

test("earns a share of the requests and a few a second, and saves up no more than its reserve", () => {
  const budget = new RequestBudget(LIMITS);
  spend(budget, 5, 0);
  for (let request = 0; request < 29; request++) budget.noteRequest();
  expect(spend(budget, 100, 0)).toBe(2);
  budget.noteRequest();
  expect(spend(budget, 100, 0)).toBe(1);
  expect(spend(budget, 100, 300)).toBe(3);
  expect(spend(budget, 100, 60_000)).toBe(5);
  expect(spend(budget, 100, 0)).toBe(0);
});

test("never allows more than the reserve, the share and the rate, however requests and attempts follow each other", () => {
  const step = fc.record({
    requests: fc.integer({ min: 0, max: 50 }),
    attempts: fc.integer({ min: 0, max: 50 }),
    afterMs: fc.integer({ min: 0, max: 500 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const budget = new RequestBudget(LIMITS);
      let [nowMs, requests, spent] = [0, 0, 0];
      for (const { requests: more, attempts, afterMs } of steps) {
        nowMs += afterMs;
        for (let request = 0; request < more; request++) budget.noteRequest();
        requests += more;
        spent += spend(budget, attempts, nowMs);
        const { reserve, share, perSecond } = LIMITS;
        expect(spent).toBeLessThanOrEqual(reserve + requests * share + (nowMs / 1_000) * perSecond + 1e-6);
      }
    }),
  );
});
