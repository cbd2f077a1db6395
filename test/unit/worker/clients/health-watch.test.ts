// Pings and reports of an edge, on the scripted cluster: what it asks of whom, and what it tells the Directory.

import { describe, expect, it } from "vitest";
import type { HealthReport } from "../../../../durable/health-protocol.ts";
import { CONFIRM_MS } from "../../../../routing/replica-health.ts";
import { slotOf } from "../../../../routing/slots.ts";
import { PING_DEADLINE_MS, REPORT_INTERVAL_MS, REPORT_REPEAT_MS } from "../../../../worker/clients/health-watch.ts";
import { type ClientRead, createShardClient } from "../../../../worker/clients/shard-client.ts";
import { PING_DOUBTED_MS, PING_EVERY_MS } from "../../../../worker/clients/shard-group.ts";
import { connectionLost, createWorld, from, readOk } from "../fake-world.ts";

const KEY = "greeting";
const STRONG: ClientRead = { key: KEY, slot: slotOf(KEY), level: "strong" };
const NAME = (replica: number) => `halo:test:s0:r${replica}:g1`;

function setUp() {
  const world = createWorld();
  const pings: number[] = [];
  const reports: HealthReport[] = [];
  /** By replica number: what a ping meets there. */
  const fates = new Map<number, "silence" | Error>();
  let backgrounds = 0;
  world.port.onRead = () => readOk(from(0));
  const client = createShardClient({
    ...world,
    health: {
      ping: ({ replica }) => {
        pings.push(replica);
        const fate = fates.get(replica);
        if (fate === "silence") return new Promise(() => {});
        return fate === undefined ? Promise.resolve() : Promise.reject(fate);
      },
      report: (report) => {
        reports.push(report);
        return Promise.reject(new Error("lost"));
      },
      background: (work) => {
        backgrounds += 1;
        void work;
      },
      region: "weur",
    },
  });
  /** A strong read every 500 ms. */
  const traffic = async (durationMs: number) => {
    for (let passedMs = 0; passedMs < durationMs; passedMs += 500) {
      await client.read(STRONG);
      await world.clock.advance(500);
    }
  };
  return { ...world, client, pings, reports, fates, traffic, backgrounds: () => backgrounds };
}

describe("pings", () => {
  it("go to all replicas of a group that is used, seldom, and leave no timer behind", async () => {
    const { traffic, pings, clock, reports } = setUp();
    await traffic(5 * PING_EVERY_MS);
    expect(pings.length).toBeGreaterThanOrEqual(3 * 4);
    expect(pings.length).toBeLessThanOrEqual(3 * 5);
    expect(new Set(pings)).toEqual(new Set([0, 1, 2]));
    expect([clock.pending, reports]).toEqual([0, []]);
  });

  it("do not go out without a request, nor for the first one", async () => {
    const { client, pings, clock } = setUp();
    await client.read(STRONG);
    await clock.advance(3_600_000);
    expect(pings).toEqual([]);
    expect(clock.started).toBe(1);
  });

  it("are not waited for by the request that they come with", async () => {
    const { client, pings, clock, fates, backgrounds } = setUp();
    await client.read(STRONG);
    await clock.advance(PING_EVERY_MS);
    for (const replica of [0, 1, 2]) fates.set(replica, "silence");
    expect(await client.read(STRONG)).toMatchObject({ status: "ok" });
    expect(pings).toHaveLength(3);
    expect(backgrounds()).toBe(1);
  });

  it("are more frequent to a replica that is down, and to that one alone, but not more than its breaker allows", async () => {
    const { traffic, pings, fates } = setUp();
    fates.set(1, connectionLost());
    await traffic(2 * PING_EVERY_MS);
    pings.length = 0;
    await traffic(PING_EVERY_MS);
    const toOthers = pings.filter((replica) => replica !== 1);
    expect(toOthers.length).toBeLessThanOrEqual(4);
    const toDead = pings.length - toOthers.length;
    // Every second at the most, every five seconds (the longest opening) at the least.
    expect(toDead).toBeGreaterThanOrEqual(2);
    expect(toDead).toBeLessThanOrEqual(PING_EVERY_MS / PING_DOUBTED_MS);
  });

  it("find a replica that is silent", async () => {
    const { traffic, fates, client, clock, reports } = setUp();
    await traffic(2 * PING_EVERY_MS);
    fates.set(2, "silence");
    await client.read(STRONG);
    await clock.advance(PING_EVERY_MS);
    await client.read(STRONG);
    await clock.advance(PING_DEADLINE_MS);
    expect(reports[0]?.replicas).toMatchObject([{ name: NAME(2), state: "suspect" }]);
  });

  it("that the platform sheds are no sign of death", async () => {
    const { traffic, fates, reports } = setUp();
    fates.set(1, Object.assign(new Error("busy"), { overloaded: true }));
    await traffic(3 * PING_EVERY_MS);
    expect(reports).toEqual([]);
  });
});

describe("reports", () => {
  it("tell of a suspect, then that it is dead, then that it is alive: each once", async () => {
    const { traffic, reports, fates } = setUp();
    fates.set(1, connectionLost());
    await traffic(PING_EVERY_MS + CONFIRM_MS + 12_000);
    expect(reports.map(({ replicas }) => replicas.map(({ name, state }) => `${name} ${state}`))).toEqual([
      [`${NAME(1)} suspect`],
      [`${NAME(1)} dead`],
    ]);
    expect(new Set(reports.map(({ reporter }) => reporter)).size).toBe(1);
    expect(reports[1]?.replicas[0]?.forMs).toBeGreaterThanOrEqual(CONFIRM_MS);
    fates.clear();
    reports.length = 0;
    await traffic(10_000);
    expect(reports.map(({ replicas }) => replicas.map(({ state }) => state))).toEqual([["suspect"], []]);
  });

  it("are repeated while something is wrong, so that the Directory does not forget it, and not otherwise", async () => {
    const { traffic, reports, fates } = setUp();
    fates.set(1, connectionLost());
    await traffic(PING_EVERY_MS + 15_000);
    reports.length = 0;
    await traffic(3 * REPORT_REPEAT_MS);
    expect(reports.length).toBeGreaterThanOrEqual(2);
    expect(reports.length).toBeLessThanOrEqual(4);
    fates.clear();
    await traffic(2 * REPORT_REPEAT_MS);
    reports.length = 0;
    await traffic(3 * REPORT_REPEAT_MS);
    expect(reports).toEqual([]);
  });

  it("are no closer to each other than that, whatever happens meanwhile", async () => {
    const { client, traffic, reports, port, fates, clock } = setUp();
    await traffic(1_000);
    const reportedAtMs: number[] = [];
    const down = new Set<number>();
    port.onRead = ({ replica }) => (down.has(replica) ? connectionLost() : readOk(from(replica)));
    for (let stepMs = 0; stepMs < 6_000; stepMs += 100) {
      // One replica goes down, and a second later, when the first was reported, the other.
      if (stepMs === 0) down.add(1);
      if (reports.length === 1) down.add(2);
      for (const replica of down) fates.set(replica, connectionLost());
      for (let read = 0; read < 3; read++) await client.read({ ...STRONG, level: "eventual" });
      await clock.advance(100);
      while (reportedAtMs.length < reports.length) reportedAtMs.push(clock.nowMs);
    }
    expect(reports[1]?.replicas.map(({ name }) => name)).toEqual([NAME(1), NAME(2)]);
    const gaps = reportedAtMs.slice(1).map((atMs, index) => atMs - (reportedAtMs[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(REPORT_INTERVAL_MS - 100);
  });

  it("put all that happens within a while into one", async () => {
    const { traffic, reports, fates } = setUp();
    for (const replica of [1, 2]) fates.set(replica, connectionLost());
    await traffic(PING_EVERY_MS + REPORT_INTERVAL_MS);
    expect(reports.map(({ replicas }) => replicas.map(({ state }) => state))).toEqual([
      ["suspect", "suspect"],
      ["dead", "dead"],
    ]);
  });

  it("hear of a replica that requests have found to be down, within a second or two", async () => {
    const { traffic, reports, port, client, clock, fates } = setUp();
    await traffic(1_000);
    fates.set(2, connectionLost());
    port.onRead = ({ replica }) => (replica === 2 ? connectionLost() : readOk(from(replica)));
    for (let read = 0; read < 6; read++) await client.read({ ...STRONG, level: "eventual" });
    await clock.advance(PING_DOUBTED_MS);
    await traffic(1_000);
    expect(reports[0]?.replicas).toMatchObject([{ name: NAME(2), state: "suspect" }]);
  });
});
