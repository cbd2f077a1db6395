import { describe, expect, it } from "vitest";
import { type LoadClock, SystemClock } from "../../../bench/load/clock.ts";
import { runClosedLoop } from "../../../bench/load/closed-loop.ts";
import { runOpenLoop } from "../../../bench/load/open-loop.ts";
import type { LoadRequest, Workload } from "../../../bench/load/workload.ts";
import { httpServer, refusingTarget } from "./servers.ts";

/** Time stands still but for waits, which end at once, and for what a test's server takes. */
class ManualClock implements LoadClock {
  #nowMs = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  async waitUntil(timeMs: number): Promise<void> {
    this.#nowMs = Math.max(this.#nowMs, timeMs);
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}

function workloadOf(requests: number): Workload {
  let left = requests;
  return {
    next: () => {
      left -= 1;
      return left < 0 ? undefined : { method: "GET", path: `/${left}` };
    },
    check: (request, reply) => (reply.text() === request.path ? undefined : `got ${reply.text()}`),
  };
}

/** 200 requests, the fiftieth of which takes a second; the others take no time. */
async function stallingServer(clock: ManualClock) {
  let requests = 0;
  return await httpServer((request, response) => {
    requests += 1;
    if (requests === 50) clock.advance(1_000);
    response.end(request.url);
  });
}

describe("a closed loop", () => {
  it("ends with the workload and counts right replies", async () => {
    const target = await httpServer((request, response) => response.end(request.url));
    const result = await runClosedLoop(target, workloadOf(40), { connections: 4 });
    expect(result).toMatchObject({ count: 40, errors: 0, errorSamples: [] });
    expect(result.rps).toBeCloseTo(40 / result.seconds);
    expect(result.p50Ms).toBeGreaterThan(0);
    expect(result.p99Ms).toBeLessThanOrEqual(result.maxMs);
    expect(result.cpuSeconds).toBeGreaterThan(0);
  });

  it("counts wrong replies as errors and not as requests", async () => {
    const target = await httpServer((request, response) => response.end(request.url === "/3" ? "wrong" : request.url));
    const result = await runClosedLoop(target, workloadOf(10), { connections: 1 });
    expect(result).toMatchObject({ count: 9, errors: 1, errorSamples: ["GET /3: got wrong"] });
  });

  it("goes on over a new connection after one broke, and tells the workload", async () => {
    const target = await httpServer((request, response) => {
      if (request.url === "/5") request.socket.destroy();
      else response.end(request.url);
    });
    const failed: LoadRequest[] = [];
    const workload = { ...workloadOf(10), failed: (request: LoadRequest) => failed.push(request) };
    expect(await runClosedLoop(target, workload, { connections: 2 })).toMatchObject({ count: 9, errors: 1 });
    expect(failed).toMatchObject([{ path: "/5" }]);
  });

  it("counts every request to a server that is not there", async () => {
    const result = await runClosedLoop(await refusingTarget(), workloadOf(3), {
      connections: 1,
      clock: new ManualClock(),
    });
    expect(result).toMatchObject({ count: 0, errors: 3 });
    expect(result.errorSamples[0]).toContain("refused");
  });

  it("sends nothing after its time or its signal, and waits for what is under way", async () => {
    const clock = new ManualClock();
    const target = await httpServer((request, response) => {
      clock.advance(100);
      response.end(request.url);
    });
    expect(await runClosedLoop(target, workloadOf(1_000), { connections: 1, seconds: 1, clock })).toMatchObject({
      count: 10,
      seconds: 1,
    });
    const stop = new AbortController();
    const workload = workloadOf(1_000);
    const check: Workload["check"] = (request, reply, lane) => {
      if (request.path === "/990") stop.abort();
      return workload.check(request, reply, lane);
    };
    const stopped = await runClosedLoop(target, { ...workload, check }, { connections: 1, signal: stop.signal });
    expect(stopped.count).toBe(10);
  });

  it("hides a stall from its percentiles, which is why there is an open loop", async () => {
    const clock = new ManualClock();
    const result = await runClosedLoop(await stallingServer(clock), workloadOf(200), { connections: 1, clock });
    expect(result.p99Ms).toBeLessThan(1);
    expect(result.maxMs).toBeGreaterThan(990);
  });
});

describe("an open loop", () => {
  it("counts a stall for every request that was due during it", async () => {
    const clock = new ManualClock();
    const options = { connections: 1, ratePerSecond: 100, seconds: 2, clock };
    const result = await runOpenLoop(await stallingServer(clock), workloadOf(1_000), options);
    // Due every 10 ms: the stalled one waits 1,000 ms, the next ones 990, 980, … 10; the other half waits not at all.
    expect(result).toMatchObject({ count: 200, errors: 0 });
    expect(result.maxMs).toBeCloseTo(1_000, -1);
    expect(result.p99Ms).toBeCloseTo(985, -1.5);
    expect(result.p50Ms).toBeLessThanOrEqual(10.1);
  });

  it("sends at its rate when the server is quick", async () => {
    const clock = new ManualClock();
    const arrivalsMs: number[] = [];
    const target = await httpServer((request, response) => {
      arrivalsMs.push(clock.nowMs());
      response.end(request.url);
    });
    await runOpenLoop(target, workloadOf(1_000), { connections: 1, ratePerSecond: 4, seconds: 2, clock });
    expect(arrivalsMs).toEqual([0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750]);
  });

  it("counts as errors what could not be sent in time", async () => {
    const clock = new ManualClock();
    const target = await httpServer((request, response) => {
      clock.advance(500);
      response.end(request.url);
    });
    const options = { connections: 1, ratePerSecond: 10, seconds: 1, drainSeconds: 1, clock };
    const result = await runOpenLoop(target, workloadOf(1_000), options);
    // Sent at 0, 500, 1,000, 1,500 and 2,000 ms; the run gives up after that.
    expect(result).toMatchObject({ count: 5, errors: 5 });
    expect(result.errorSamples[0]).toContain("never sent");
  });
});

describe("the system's clock", () => {
  it("wakes each waiter in order and none too early", async () => {
    const clock = new SystemClock();
    const startMs = clock.nowMs();
    const woken: number[] = [];
    await Promise.all(
      [6, 2, 4, 0].map(async (delayMs) => {
        await clock.waitUntil(startMs + delayMs);
        expect(clock.nowMs()).toBeGreaterThanOrEqual(startMs + delayMs);
        woken.push(delayMs);
      }),
    );
    expect(woken).toEqual([0, 2, 4, 6]);
  });
});
