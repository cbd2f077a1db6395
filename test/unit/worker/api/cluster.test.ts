// What an operator sees of the cluster: the views, and the stream of them.

import { describe, expect, test } from "vitest";
import packageFile from "../../../../package.json" with { type: "json" };
import type { ClusterView } from "../../../../worker/api/admin-schemas.ts";
import {
  clusterChangeSchema,
  clusterViewSchema,
  eventsEndSchema,
  slotsViewSchema,
} from "../../../../worker/api/admin-schemas.ts";
import { HEARTBEAT_MS, STREAM_CALLS_MAX, STREAM_MS_MAX } from "../../../../worker/routes/admin/events.ts";
import { EVENT_STREAMS_MAX } from "../../../../worker/routes/admin/open-streams.ts";
import { VERSION } from "../../../../worker/version.ts";
import { problemOf, setUp } from "../fake-edge.ts";
import { connectionLost, settle } from "../fake-world.ts";
import { statusOf } from "./statuses.ts";

const ADD = { kind: "add_shard", epoch: 0, replicas: 3, regions: ["weur", "enam", "apac"] };

function edge(readHealth?: Parameters<typeof setUp>[1]) {
  const world = setUp({}, readHealth);
  world.port.onStatus = (address) => statusOf(address);
  const view = async (): Promise<ClusterView> => {
    const reply = await world.call("GET", "/admin/v1/cluster");
    expect([reply.status, reply.headers.get("Cache-Control")]).toEqual([200, "no-store"]);
    return clusterViewSchema.parse(await reply.json());
  };
  return { ...world, view };
}

describe("GET /admin/v1/cluster", () => {
  test("says of every replica what it says of itself, and how far it is behind its leader", async () => {
    const { port, view, clock } = edge();
    port.onStatus = (address, { wantsColo }) =>
      statusOf(address, {
        appliedIndex: 9 - address.replica,
        ...(address.replica === 1 && wantsColo === true ? { colo: "AMS" } : {}),
      });
    const found = await view();
    expect(found).toMatchObject({
      cluster: "test",
      version: VERSION,
      epoch: 0,
      atMs: clock.nowMs,
      defaults: { consistency: "strong", balance: "nearest" },
      moves: { pending: [], cancelled: [] },
      underReplicated: [],
      background: { paused: false, untilMs: null },
    });
    const [shard] = found.shards;
    expect(shard).toMatchObject({ shard: 0, weight: 1, slots: 1_024, state: "active", term: 1, keys: 5, bytes: 700 });
    expect(shard?.leader).toBe("halo:test:s0:r0:g1");
    expect(shard?.replicas.map(({ lag, colo, health }) => [lag, colo, health])).toEqual([
      [0, null, "alive"],
      [1, "AMS", "alive"],
      [2, null, "alive"],
    ]);
  });

  test("keeps a replica that does not answer, with the reason, and counts the shard as under-replicated", async () => {
    const { port, view } = edge();
    port.onStatus = (address) => (address.replica === 0 ? connectionLost() : statusOf(address));
    const found = await view();
    expect(found.underReplicated).toEqual([{ shard: 0, missing: ["halo:test:s0:r0:g1"] }]);
    const [shard] = found.shards;
    expect([shard?.leader, shard?.keys]).toEqual([null, 5]);
    expect(shard?.replicas[0]).toMatchObject({ health: "suspect", role: null, lag: null, keys: null, region: "weur" });
    expect(shard?.replicas[0]?.error).toEqual(expect.any(String));
    expect(shard?.replicas[1]).toMatchObject({ health: "alive", role: "follower", lag: null, error: null });
  });

  test("waits a second for a replica that is silent, and for the Directory, and shows the rest", async () => {
    const { port, call, clock, admin } = edge({ readHealth: () => new Promise(() => undefined) });
    admin.read = () => new Promise(() => undefined);
    port.onStatus = (address) => (address.replica === 2 ? "silence" : statusOf(address));
    const asked = call("GET", "/admin/v1/cluster");
    await clock.advance(2_000);
    const { shards } = clusterViewSchema.parse(await (await asked).json());
    expect(shards[0]?.replicas.map(({ error }) => error)).toEqual([null, null, "no answer within 1000 ms"]);
  });

  test("takes the leader of the highest term, where a deposed one has not heard of it", async () => {
    const { port, view } = edge();
    port.onStatus = (address) =>
      statusOf(address, address.replica === 0 ? {} : { role: address.replica === 1 ? "leader" : "follower", term: 2 });
    expect((await view()).shards[0]).toMatchObject({ leader: "halo:test:s0:r1:g1", term: 2 });
  });

  test("shows what edges doubt, and a replica that is listed and does not vote", async () => {
    const doubted = [
      { name: "halo:test:s0:r1:g1", state: "dead" as const, suspect: 0, dead: 2, regions: [], sinceMs: 1 },
    ];
    const { port, view } = edge({ readHealth: async () => ({ doubted, reporters: 2 }) });
    port.onStatus = (address) => statusOf(address, { voters: ["0.1", "1.1"] });
    const { shards, underReplicated } = await view();
    expect(shards[0]?.replicas.map(({ health }) => health)).toEqual(["alive", "dead", "alive"]);
    expect(underReplicated).toEqual([{ shard: 0, missing: ["halo:test:s0:r2:g1"] }]);
  });

  test("follows the Directory's document: moves, a new shard, one that is drained", async () => {
    const { call, view, admin, topology } = edge();
    await call("POST", "/admin/v1/topology", {}, JSON.stringify(ADD));
    expect((await view()).moves).toEqual({ pending: [{ from: 0, to: 1, epoch: 1, slots: 512 }], cancelled: [] });
    expect((await view()).shards.map(({ slots, state }) => [slots, state])).toEqual([
      [1_024, "active"],
      [0, "empty"],
    ]);
    const { shards } = admin.current;
    admin.current = { ...admin.current, epoch: 2, shards: shards.map((shard) => ({ ...shard, weight: shard.shard })) };
    expect((await view()).shards.map(({ state }) => state)).toEqual(["draining", "empty"]);
    expect(topology.view.epoch).toBe(2);
  });

  test("says for which moves a target has no room, as the sources' leaders do", async () => {
    const { call, view, port } = edge();
    await call("POST", "/admin/v1/topology", {}, JSON.stringify(ADD));
    const waiting = [{ slot: 7, to: 1, reason: "9 bytes do not fit" }];
    port.onStatus = (address) =>
      statusOf(address, address.shard === 0 ? { moves: { pending: 512, longestPauseMs: 0, waiting } } : {});
    expect((await view()).moves.waiting).toEqual([{ slot: 7, from: 0, to: 1, reason: "9 bytes do not fit" }]);
  });

  test("refuses a query", async () => {
    expect(await problemOf(await edge().call("GET", "/admin/v1/cluster?x=1"))).toMatchObject({ status: 400 });
  });
});

describe("GET /admin/v1/slots", () => {
  test("lists the owner of every slot, and what moves", async () => {
    const { call } = edge();
    await call("POST", "/admin/v1/topology", {}, JSON.stringify(ADD));
    const slots = slotsViewSchema.parse(await (await call("GET", "/admin/v1/slots")).json());
    expect([slots.epoch, slots.owners.length, slots.moving.length]).toEqual([1, 1_024, 512]);
    expect(slots.moving[0]).toEqual({ slot: expect.any(Number), from: 0, to: 1 });
  });
});

interface Event {
  readonly name: string;
  readonly data: unknown;
}

/** Reads a stream chunk by chunk, moving the clock on until there is one. */
function eventsOf(response: Response, clock: { advance(ms: number): Promise<void> }) {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const next = async (): Promise<string | undefined> => {
    let chunk: string | undefined | null = null;
    const reading = reader.read().then(({ value }) => {
      chunk = value === undefined ? undefined : new TextDecoder().decode(value);
    });
    for (await settle(); chunk === null; await settle()) await clock.advance(100);
    await reading;
    return chunk;
  };
  return { next, cancel: () => reader.cancel() };
}

function parse(chunk: string | undefined): Event[] {
  return (chunk ?? "")
    .split("\n\n")
    .filter((block) => block.startsWith("event: "))
    .map((block) => {
      const [, name = "", data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      return { name, data: JSON.parse(data) };
    });
}

describe("GET /admin/v1/events", () => {
  test("sends the view at once, then every interval, and before it what has changed", async () => {
    const { call, port, clock } = edge();
    const response = await call("GET", "/admin/v1/events?interval_ms=500");
    expect(response.headers.get("Content-Type")).toBe("text/event-stream");
    const { next } = eventsOf(response, clock);
    const first = await next();
    expect(first).toMatch(/^retry: \d+\n\n/);
    expect(parse(first).map(({ name, data }) => [name, clusterViewSchema.parse(data).atMs])).toEqual([
      ["cluster", clock.nowMs],
    ]);
    const startMs = clock.nowMs;
    port.onStatus = (address) =>
      address.replica === 0
        ? connectionLost()
        : statusOf(address, { role: address.replica === 1 ? "leader" : "follower", term: 2 });
    const events = parse(await next());
    expect(clock.nowMs - startMs).toBe(500);
    expect(events.map(({ name }) => name)).toEqual(["change", "change", "cluster"]);
    expect(events.slice(0, 2).map(({ data }) => clusterChangeSchema.parse(data))).toEqual([
      { atMs: clock.nowMs, kind: "leader", shard: 0, text: "halo:test:s0:r1:g1 leads in term 2" },
      { atMs: clock.nowMs, kind: "health", shard: 0, replica: 0, text: expect.stringMatching(/r0:g1 is suspect: \w+/) },
    ]);
    port.onStatus = (address) => statusOf(address);
    expect(parse(await next()).map(({ data }) => (data as { kind?: string }).kind)).toEqual([
      "leader",
      "health",
      undefined,
    ]);
  });

  test("says that it is alive where views come seldom", async () => {
    const { call, clock } = edge();
    const { next } = eventsOf(await call("GET", "/admin/v1/events?interval_ms=10000"), clock);
    await next();
    const startMs = clock.nowMs;
    expect([await next(), clock.nowMs - startMs]).toEqual([": still here\n\n", HEARTBEAT_MS]);
    expect([await next(), clock.nowMs - startMs]).toEqual([": still here\n\n", 2 * HEARTBEAT_MS]);
    expect([parse(await next()).length, clock.nowMs - startMs]).toEqual([1, 10_000]);
  });

  test("ends within its limits of time and of calls, and says so", async () => {
    for (const intervalMs of [500, 10_000]) {
      const { call, clock, port } = edge();
      let asked = 0;
      port.onStatus = (address) => {
        asked += 1;
        return statusOf(address);
      };
      const { next } = eventsOf(await call("GET", `/admin/v1/events?interval_ms=${intervalMs}`), clock);
      const startMs = clock.nowMs;
      let last: Event | undefined;
      for (let chunk = await next(); chunk !== undefined; chunk = await next()) last = parse(chunk).at(-1) ?? last;
      expect(eventsEndSchema.safeParse(last?.data).success).toBe(true);
      expect(last?.name).toBe("end");
      expect(asked).toBeLessThanOrEqual(STREAM_CALLS_MAX);
      expect(clock.nowMs - startMs).toBeLessThanOrEqual(STREAM_MS_MAX + intervalMs);
    }
  });

  test("asks nothing for a reader that does not read, and leaves nothing behind of one that goes", async () => {
    const { call, clock, port } = edge();
    let asked = 0;
    port.onStatus = (address) => {
      asked += 1;
      return statusOf(address);
    };
    const { next, cancel } = eventsOf(await call("GET", "/admin/v1/events"), clock);
    await clock.advance(60_000);
    expect(asked).toBe(0);
    await next();
    expect(asked).toBe(3);
    const waiting = next();
    await settle();
    await cancel();
    await waiting;
    await clock.advance(60_000);
    expect([asked, clock.pending]).toEqual([3, 0]);
  });

  test("one isolate serves a limited number; a place is free when a reader goes, or was lost without a word", async () => {
    const { call, clock } = edge();
    const open = () => call("GET", "/admin/v1/events");
    const streams = await Promise.all(Array.from({ length: EVENT_STREAMS_MAX }, open));
    expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 200));
    expect(await problemOf(await open())).toMatchObject({ status: 503, type: "/problems/too-many-streams" });
    await streams[0]?.body?.cancel();
    expect((await open()).status).toBe(200);
    expect((await open()).status).toBe(503);
    await clock.advance(60_000);
    expect((await open()).status).toBe(200);
  });

  test.each(["499", "10001", "1e3", "-1", "", "x"])("refuses an interval of %j", async (interval) => {
    const reply = await edge().call("GET", `/admin/v1/events?interval_ms=${interval}`);
    expect(await problemOf(reply)).toMatchObject({ status: 400, type: "/problems/malformed-query" });
  });
});

test("the version that a deployment names is that of the package", () => {
  expect(VERSION).toBe(packageFile.version);
});
