// Waits that share a timer across the requests of an isolate, in workerd: the requests that wait never arm a timer of their
// own, are woken by another request's, and go on in their own name.

import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestWorker, type TestWorker } from "./support/test-worker.ts";

let worker: TestWorker;

beforeAll(async () => {
  worker = await startTestWorker("timers", "test/cluster/support/timers/worker.ts");
});

afterAll(() => worker.stop());

test("waits end by the timer of a request that was answered long ago, while nothing else comes in", async () => {
  // As long as its wait is open, its ticker is in office.
  await (await fetch(`${worker.url}/instant?ms=15000`)).text();
  const waitsMs = [400, 150, 300];
  const replies = await Promise.all(waitsMs.map((ms) => fetch(`${worker.url}/wait?ms=${ms}`)));
  for (const [at, reply] of replies.entries()) {
    const text = await reply.text();
    expect(reply.status, text).toBe(200);
    const { answered, armed, waitedMs } = JSON.parse(text);
    expect([answered, armed]).toEqual(["answered", 0]);
    expect(waitedMs).toBeGreaterThanOrEqual(waitsMs[at] ?? Number.NaN);
  }
});
