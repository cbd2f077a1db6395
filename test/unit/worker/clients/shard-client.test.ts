import { describe, expect, it } from "vitest";
import type { ReadReply, WriteReply } from "../../../../durable/protocol.ts";
import type { KeyMutation } from "../../../../durable/store/command.ts";
import { storedKey } from "../../../../durable/store/keyspace.ts";
import { SAMPLES_MIN } from "../../../../routing/latency-quantile.ts";
import { HEDGE_BUDGET, RETRY_BUDGET } from "../../../../routing/request-budget.ts";
import { slotOf } from "../../../../routing/slots.ts";
import { buildTopology, type Topology } from "../../../../routing/topology.ts";
import type { Timers } from "../../../../worker/clients/ports.ts";
import {
  type ClientRead,
  createShardClient,
  SHARD_CLIENT_DEFAULTS,
  type ShardClientOptions,
  TOPOLOGY_READ_INTERVAL_MS,
} from "../../../../worker/clients/shard-client.ts";
import { HEDGE_AFTER_MS_MIN, SUSPICION_MS } from "../../../../worker/clients/shard-group.ts";
import { withEpoch } from "../../../../worker/http/bookmark.ts";
import { CLUSTER, connectionLost, createWorld, from, readOk, settle, stored } from "../fake-world.ts";

const KEY = "greeting";
const SLOT = slotOf(KEY);
const STRONG: ClientRead = { key: KEY, slot: SLOT, level: "strong" };
const EVENTUAL: ClientRead = { key: KEY, slot: SLOT, level: "eventual" };
const DELETE: KeyMutation = { kind: "delete", key: KEY, slot: SLOT };
const REPEATABLE: KeyMutation = { ...DELETE, idempotency: { id: "once", fingerprint: "f" } };

const deleted = (replica: number, term = 1): WriteReply => ({
  status: "ok",
  outcome: { kind: "deleted", existed: true },
  from: from(replica, "leader", term),
  clockMs: 0,
});
const notLeader = (leader?: number, term = 1): Extract<ReadReply, { status: "not_leader" }> => ({
  status: "not_leader",
  leader,
  term,
});

function setUp(options: Partial<ShardClientOptions> = {}, topology?: Topology) {
  const world = createWorld(topology);
  return { ...world, client: createShardClient({ ...world, options }) };
}

/** Where a call has got to, without waiting for it. */
function track<T>(promise: Promise<T>): { result: T | undefined } {
  const tracked: { result: T | undefined } = { result: undefined };
  promise.then((result) => {
    tracked.result = result;
  });
  return tracked;
}

describe("the way to the leader", () => {
  it("is one call and one timer, which is gone afterwards, when the guess is right", async () => {
    const { client, port, clock } = setUp();
    port.onRead = () => readOk(from(0));
    expect(await client.read(STRONG)).toMatchObject({ status: "ok" });
    expect(port.asked("read")).toEqual([0]);
    expect([clock.started, clock.pending]).toEqual([1, 0]);
  });

  it("says to the replica by which epoch and to which name it was sent", async () => {
    const { client, port } = setUp();
    port.onRead = () => readOk(from(0));
    await client.read(STRONG);
    expect(port.calls[0]?.request).toEqual({
      v: 1,
      to: "halo:test:s0:r0:g1",
      epoch: 0,
      slot: SLOT,
      key: KEY,
      level: "strong",
    });
  });

  it("follows the hint of a replica that does not lead, and remembers it", async () => {
    const { client, port } = setUp();
    port.onWrite = ({ replica }) => (replica === 2 ? deleted(2) : notLeader(2));
    expect(await client.write(DELETE)).toMatchObject({ status: "ok", from: { replica: 2 } });
    await client.write(DELETE);
    expect(port.asked("write")).toEqual([0, 2, 2]);
  });

  it("asks the others when the replica knows no leader", async () => {
    const { client, port } = setUp();
    port.onWrite = ({ replica }) => (replica === 1 ? deleted(1) : notLeader());
    await client.write(DELETE);
    expect(port.asked("write")).toEqual([0, 1]);
  });

  it("does not run in circles when two replicas point at each other", async () => {
    const { client, port, clock } = setUp({ deadlineMs: 1_000 });
    port.onWrite = ({ replica }) => notLeader(replica === 0 ? 1 : 0);
    const call = track(client.write(DELETE));
    await clock.advance(1_100);
    expect(call.result).toMatchObject({ status: "unavailable" });
    // Every round asks each of the three at most once, and rounds are at least 5 ms apart and soon 37.
    expect(port.asked("write").length).toBeLessThan((1_000 / 35) * 3);
  });

  it("does not forget the leader for a hint of an older term", async () => {
    const { client, port } = setUp();
    port.onRead = ({ replica }) => (replica === 1 ? readOk(from(1, "leader", 7)) : notLeader(1, 7));
    await client.read(STRONG);
    port.onRead = ({ replica }) =>
      replica === 0
        ? { status: "unavailable", reason: "cut off", leader: 2, term: 3 }
        : readOk(from(replica, "follower", 7));
    await client.read(EVENTUAL);
    expect(port.asked("read").slice(-2)).toEqual([0, 2]);
    port.calls.length = 0;
    port.onRead = ({ replica }) => (replica === 1 ? readOk(from(1, "leader", 7)) : notLeader(1, 7));
    await client.read(STRONG);
    expect(port.asked("read")).toEqual([1]);
  });
});

describe("a leader that is known", () => {
  it("stays the one to ask while it says that it is not ready", async () => {
    const { client, port } = setUp();
    port.onRead = ({ replica }) => (replica === 1 ? readOk(from(1, "leader", 7)) : notLeader(1, 7));
    await client.read(STRONG);
    port.onRead = ({ replica }) =>
      replica === 1 ? { status: "unavailable", reason: "no quorum yet", leader: 1, term: 7 } : "silence";
    void client.read(STRONG);
    await settle();
    port.calls.length = 0;
    port.onRead = () => readOk(from(1, "leader", 7));
    await client.read(STRONG);
    expect(port.asked("read")).toEqual([1]);
  });

  it("is not displaced by the late answer of its predecessor", async () => {
    const { client, port, clock } = setUp();
    let answerLate: (reply: WriteReply) => void = () => {};
    port.onWrite = () =>
      new Promise((resolve) => {
        answerLate = resolve;
      });
    void client.write(DELETE);
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs);
    port.onRead = ({ replica }) => (replica === 1 ? readOk(from(1, "leader", 2)) : notLeader(1, 2));
    await client.read(STRONG);
    answerLate(deleted(0, 1));
    await settle();
    port.calls.length = 0;
    await client.read(STRONG);
    expect(port.asked("read")).toEqual([1]);
  });
});

describe("a leader that dies", () => {
  it("is reported to the others at once, and a strong read goes to its successor", async () => {
    const { client, port, clock } = setUp();
    let hasSuccessor = false;
    port.onRead = ({ replica }) => {
      if (replica === 0) return connectionLost();
      if (!hasSuccessor) return notLeader(0);
      return replica === 1 ? readOk(from(1, "leader", 2)) : notLeader(1, 2);
    };
    const call = track(client.read(STRONG));
    await clock.advance(300);
    expect(
      port.calls.filter(({ kind }) => kind === "suspect").map(({ replica, request }) => [replica, request]),
    ).toEqual([
      [1, { v: 1, to: "halo:test:s0:r1:g1", leader: 0, evidence: "refused" }],
      [2, { v: 1, to: "halo:test:s0:r2:g1", leader: 0, evidence: "refused" }],
    ]);
    expect(call.result).toBeUndefined();
    // The dead one is not asked again, although both others still point at it.
    expect(port.asked("read").filter((replica) => replica === 0)).toEqual([0]);
    hasSuccessor = true;
    await clock.advance(50);
    expect(call.result).toMatchObject({ status: "ok", from: { replica: 1 } });
  });

  it("leaves the fate of a write that was on its way unknown", async () => {
    const { client, port } = setUp();
    port.onWrite = () => connectionLost();
    expect(await client.write(DELETE)).toMatchObject({ status: "unknown" });
    expect(port.asked("write")).toEqual([0]);
  });

  it("does not keep later writes from the successor", async () => {
    const { client, port } = setUp();
    port.onWrite = ({ replica }) =>
      replica === 0 ? connectionLost() : replica === 1 ? deleted(1, 2) : notLeader(1, 2);
    await client.write(DELETE);
    expect(await client.write(DELETE)).toMatchObject({ status: "ok", from: { replica: 1 } });
    expect(port.asked("write")).toEqual([0, 1]);
  });

  it("does not matter to a write that certainly never left", async () => {
    const { client, port } = setUp();
    port.onWrite = ({ replica }) => (replica === 0 ? new Error("connect(): Connection refused") : deleted(1, 2));
    expect(await client.write(DELETE)).toMatchObject({ status: "ok", from: { replica: 1 } });
  });

  it("does not matter to a write that can be repeated", async () => {
    const { client, port } = setUp();
    port.onWrite = ({ replica }) => (replica === 0 ? connectionLost() : deleted(1, 2));
    expect(await client.write(REPEATABLE)).toMatchObject({ status: "ok", from: { replica: 1 } });
  });

  it("has a successor that is not taken for silent, because a call has waited at it for the election that it has won", async () => {
    const { client, port, clock } = setUp();
    port.onWrite = ({ replica }) => (replica === 0 ? connectionLost() : replica === 1 ? "silence" : deleted(2, 2));
    void client.write(REPEATABLE);
    await settle();
    expect(port.asked("write")).toEqual([0, 1]);
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs - 1);
    port.onWrite = ({ replica }) => (replica === 1 ? deleted(1, 2) : notLeader(1, 2));
    await client.write(DELETE);
    port.calls.length = 0;
    await clock.advance(1);
    await client.write(DELETE);
    expect(port.asked("suspect")).toEqual([]);
    expect(port.asked("write").at(-1)).toBe(1);
    // A call that was sent when it led already is another matter.
    port.onWrite = () => "silence";
    void client.write(DELETE);
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs);
    expect(port.asked("suspect")).toEqual([0, 2]);
  });

  it("is asked again as soon as it wins an election", async () => {
    const { client, port, clock } = setUp();
    let term = 1;
    port.onRead = ({ replica }) => {
      if (replica !== 0) return notLeader(0, term);
      return term === 1 ? readOk(from(0)) : readOk(from(0, "leader", term));
    };
    await client.read(STRONG);
    port.onRead = ({ replica }) =>
      replica === 0 ? (term === 1 ? connectionLost() : readOk(from(0, "leader", term))) : notLeader(0, term);
    const call = track(client.read(STRONG));
    await clock.advance(30);
    expect(call.result).toBeUndefined();
    term = 2;
    await clock.advance(50);
    expect(call.result).toMatchObject({ status: "ok", from: { replica: 0, term: 2 } });
  });
});

describe("a leader that only this edge cannot reach", () => {
  it("is tried by a trickle once it is believed again, not by every request", async () => {
    const { client, port, clock } = setUp();
    port.onWrite = ({ replica }) => (replica === 0 ? connectionLost() : notLeader(0));
    await client.write(DELETE);
    await clock.advance(SUSPICION_MS);
    port.calls.length = 0;
    port.onWrite = ({ replica }) => (replica === 0 ? "silence" : notLeader(0));
    for (let write = 0; write < 5; write++) void client.write(DELETE);
    await settle();
    expect(port.asked("write").filter((replica) => replica === 0)).toEqual([0]);
  });
});

describe("a leader that freezes", () => {
  it("is reported after the silence that a garbage collection cannot explain", async () => {
    const { client, port, clock } = setUp();
    void client.write(DELETE);
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs - 1);
    expect(port.asked("suspect")).toEqual([]);
    await clock.advance(1);
    expect(port.asked("suspect")).toEqual([1, 2]);
    expect(port.calls.at(-1)?.request).toMatchObject({ leader: 0, evidence: "silent" });
  });

  it("is reported no later because a follower still points at it meanwhile", async () => {
    const { client, port, clock } = setUp();
    port.onWrite = () => deleted(0, 1);
    await client.write(DELETE);
    port.onWrite = () => "silence";
    void client.write(DELETE);
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs - 1);
    port.onRead = ({ replica }) => (replica === 0 ? "silence" : notLeader(0, 1));
    void client.read(EVENTUAL);
    await settle();
    void client.read({ ...EVENTUAL, level: "session" });
    await clock.advance(1);
    expect(port.asked("suspect")).toEqual([1, 2]);
  });

  it("is reported at most once in a while, however many requests it leaves waiting", async () => {
    const { client, port, clock } = setUp();
    for (let write = 0; write < 20; write++) void client.write(DELETE);
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs);
    expect(port.asked("suspect")).toEqual([1, 2]);
  });

  it("costs a write that cannot be repeated its attempt, and its fate is unknown", async () => {
    const { client, port, clock } = setUp();
    const call = track(client.write(DELETE));
    await clock.advance(SHARD_CLIENT_DEFAULTS.attemptMs - 1);
    expect(call.result).toBeUndefined();
    await clock.advance(1);
    expect(call.result).toMatchObject({ status: "unknown" });
    expect(port.asked("write")).toEqual([0]);
    expect(clock.pending).toBe(0);
  });

  it("lets a strong read and a repeatable write look for its successor while they wait", async () => {
    const { client, port, clock } = setUp();
    port.onRead = ({ replica }) =>
      replica === 0 ? "silence" : replica === 1 ? readOk(from(1, "leader", 2)) : notLeader(1, 2);
    port.onWrite = ({ replica }) => (replica === 0 ? "silence" : replica === 1 ? deleted(1, 2) : notLeader(1, 2));
    const [read, write] = [track(client.read(STRONG)), track(client.write(REPEATABLE))];
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs);
    expect(read.result).toMatchObject({ status: "ok", from: { replica: 1 } });
    expect(write.result).toMatchObject({ status: "ok", from: { replica: 1 } });
  });

  it("leads on when it thaws in time", async () => {
    const { client, port, clock } = setUp();
    let thaw: (reply: WriteReply) => void = () => {};
    port.onWrite = () =>
      new Promise((resolve) => {
        thaw = resolve;
      });
    const call = track(client.write(DELETE));
    await clock.advance(400);
    thaw(deleted(0));
    await settle();
    expect(call.result).toMatchObject({ status: "ok" });
    port.onWrite = () => deleted(0);
    await client.write(DELETE);
    expect(port.asked("write")).toEqual([0, 0]);
  });

  it("does no harm when its answer comes after the request was answered", async () => {
    const { client, port, clock } = setUp();
    let reject: (error: Error) => void = () => {};
    port.onRead = ({ replica }) => {
      if (replica === 1) return readOk(from(1, "leader", 2));
      return new Promise((_, fail) => {
        reject = fail;
      });
    };
    const call = track(client.read(STRONG));
    await clock.advance(SHARD_CLIENT_DEFAULTS.silenceMs);
    reject(connectionLost());
    await settle();
    expect(call.result).toMatchObject({ status: "ok", from: { replica: 1 } });
    expect(clock.pending).toBe(0);
  });
});

describe("an outage", () => {
  const REQUESTS = 100;
  const OUTAGE_MS = 3_000;
  const { reserve, share, perSecond } = RETRY_BUDGET;
  const ROUNDS_MAX = REQUESTS + reserve + REQUESTS * share + (perSecond * OUTAGE_MS) / 1_000;

  it("is not made worse by retries: they are a tenth of the requests and a few a second beyond the reserve", async () => {
    const { client, port, clock } = setUp();
    port.onWrite = () => notLeader();
    const calls = Array.from({ length: REQUESTS }, () => track(client.write(DELETE)));
    await clock.advance(OUTAGE_MS);
    // A round asks each of the three at most.
    expect(port.asked("write").length).toBeLessThanOrEqual(3 * ROUNDS_MAX);
    expect(calls.filter(({ result }) => result !== undefined)).toEqual([]);
    port.calls.length = 0;
    port.onWrite = ({ replica }) => (replica === 1 ? deleted(1, 2) : notLeader(1, 2));
    // One that has a budget finds the new leader; those that wait without one follow it at once.
    await clock.advance(200);
    expect(calls.filter(({ result }) => result?.status === "ok")).toHaveLength(REQUESTS);
    expect(port.asked("write").length).toBeLessThanOrEqual(REQUESTS + 3 * 10);
  });

  it("that is over before the deadline fails no read", async () => {
    const { client, port, clock } = setUp();
    port.onRead = () => connectionLost();
    const calls = Array.from({ length: REQUESTS }, () => track(client.read(EVENTUAL)));
    await clock.advance(OUTAGE_MS);
    expect(port.asked("read").length).toBeLessThanOrEqual(ROUNDS_MAX);
    port.onRead = ({ replica }) => readOk(from(replica, "follower"));
    await clock.advance(1_500);
    expect(calls.filter(({ result }) => result?.status === "ok")).toHaveLength(REQUESTS);
  });
});

describe("an attempt that was given up", () => {
  it("does not answer the request any more, whatever it says in the end", async () => {
    const { client, port, clock } = setUp();
    let answerLate: (reply: WriteReply) => void = () => {};
    port.onWrite = ({ replica }) => {
      if (replica !== 0) return notLeader();
      return new Promise((resolve) => {
        answerLate = resolve;
      });
    };
    const call = track(client.write(REPEATABLE));
    await clock.advance(SHARD_CLIENT_DEFAULTS.attemptMs);
    const firstAnswer = answerLate;
    await clock.advance(100);
    firstAnswer({ status: "invalid", reason: "late" });
    await settle();
    expect(call.result).toBeUndefined();
    await clock.advance(SHARD_CLIENT_DEFAULTS.deadlineMs);
    expect(call.result).toMatchObject({ status: "unknown" });
  });
});

describe("the policy of balancing", () => {
  const eventually = async ({ client, port }: ReturnType<typeof setUp>, reads: readonly Partial<ClientRead>[]) => {
    port.onRead = ({ replica }) => readOk(from(replica, replica === 2 ? "leader" : "follower", 7));
    await client.read(STRONG);
    port.onWrite = ({ replica }) => (replica === 2 ? deleted(2, 7) : notLeader(2, 7));
    await client.write(DELETE);
    port.calls.length = 0;
    for (const read of reads) await client.read({ ...EVENTUAL, ...read });
    return port.asked("read");
  };

  it("is the deployment's, the namespace's or the request's, the latter first", async () => {
    const world = setUp();
    // The map knows no distance between a region and itself.
    expect(await eventually(world, [{}, {}, { balance: "nearest" }, { balance: "nearest" }])).toEqual([0, 1, 0, 0]);
    const namespaced = createWorld();
    namespaced.policies.ofNamespace.set("near", "nearest");
    const other = { ...namespaced, client: createShardClient(namespaced) };
    const inNamespace = { key: storedKey("near", KEY), slot: slotOf(storedKey("near", KEY)) };
    const reads = [inNamespace, inNamespace, { ...inNamespace, balance: "round-robin" as const }];
    expect(await eventually(other, [...reads, reads[2] ?? {}])).toEqual([0, 0, 0, 1]);
  });

  it("decides whom to ask who leads, for what only the leader can do", async () => {
    const { client, port } = setUp();
    port.onWrite = ({ replica }) => (replica === 2 ? deleted(2) : notLeader());
    // Replica 0 is the guess; by the map of the isolate in weur replica 1 is the nearest of the others.
    await client.write(DELETE, { balance: "nearest" });
    expect(port.asked("write")).toEqual([0, 1, 2]);
    const other = setUp();
    other.loads.end("halo:test:s0:r2:g1", 0, other.clock.nowMs, 1);
    other.port.onWrite = port.onWrite;
    await other.client.write(DELETE, { balance: "nearest" });
    expect(other.port.asked("write")).toEqual([0, 2]);
  });

  it("sees a read in flight until it is answered, given up or overtaken, and what it took", async () => {
    const { client, port, clock, loads } = setUp();
    const [slow, fast] = ["halo:test:s0:r0:g1", "halo:test:s0:r1:g1"];
    port.onRead = ({ replica }) => (replica === 0 ? "silence" : readOk(from(replica, "follower")));
    const call = track(client.read(EVENTUAL));
    await settle();
    expect(loads.inFlight(slow, clock.nowMs)).toBe(1);
    await clock.advance(SHARD_CLIENT_DEFAULTS.hedgeAfterMs);
    expect(call.result?.status).toBe("ok");
    expect([loads.inFlight(slow, clock.nowMs), loads.inFlight(fast, clock.nowMs)]).toEqual([0, 0]);
    expect(loads.peakMs(slow, clock.nowMs)).toBe(SHARD_CLIENT_DEFAULTS.hedgeAfterMs);
    expect(loads.peakMs(fast, clock.nowMs)).toBe(0);
    port.onRead = () => connectionLost();
    void client.read(EVENTUAL);
    await settle();
    expect([slow, fast].map((name) => loads.inFlight(name, clock.nowMs))).toEqual([0, 0]);
  });
});

describe("reads that any replica may serve", () => {
  it("are hedged when the first replica is silent, and the first good answer wins", async () => {
    const { client, port, clock } = setUp();
    port.onRead = ({ replica }) =>
      replica === 0 ? "silence" : readOk(from(replica, "follower"), { level: "eventual" });
    const call = track(client.read(EVENTUAL));
    await clock.advance(SHARD_CLIENT_DEFAULTS.hedgeAfterMs - 1);
    expect(port.asked("read")).toEqual([0]);
    await clock.advance(1);
    expect(call.result).toMatchObject({ status: "ok", from: { role: "follower" } });
    expect(clock.pending).toBe(0);
  });

  it("survive two frozen replicas of three within a tenth of a second and a bit", async () => {
    const { client, port, clock } = setUp();
    port.onRead = ({ replica }) => (replica === 2 ? readOk(from(2, "follower")) : "silence");
    const calls = [track(client.read(EVENTUAL)), track(client.read(EVENTUAL)), track(client.read(EVENTUAL))];
    await clock.advance(100);
    expect(calls.map(({ result }) => result?.status)).toEqual(["ok", "ok", "ok"]);
  });

  it("go to the next replica at once when one cannot meet the level, to the leader last", async () => {
    const { client, port } = setUp();
    port.onRead = ({ replica }) =>
      replica === 1 ? readOk(from(1)) : { status: "unavailable", reason: "too stale", leader: 1, term: 1 };
    await client.read(STRONG);
    port.calls.length = 0;
    expect(await client.read({ ...EVENTUAL, level: "bounded", boundMs: 5 })).toMatchObject({ status: "ok" });
    expect(port.asked("read")).toEqual([0, 2, 1]);
    expect(port.calls[0]?.request).toMatchObject({ level: "bounded", boundMs: 5 });
  });

  it("go elsewhere when one replica sheds load", async () => {
    const { client, port } = setUp();
    port.onRead = ({ replica }) =>
      replica === 0 ? { status: "overloaded", retryAfterMs: 500 } : readOk(from(replica, "follower"));
    expect(await client.read(EVENTUAL)).toMatchObject({ status: "ok", from: { replica: 1 } });
  });

  it("tell the replica what the session has seen of its shard", async () => {
    const { client, port } = setUp();
    port.onRead = ({ replica }) => readOk(from(replica, "follower"), { level: "session" });
    const after = new Map([
      [7, { term: 1, index: 1 }],
      [0, { term: 2, index: 9 }],
    ]);
    await client.read({ ...EVENTUAL, level: "session", after });
    expect(port.calls[0]?.request).toMatchObject({ level: "session", after: { term: 2, index: 9 } });
  });

  it("stop paying for a frozen replica after a few hedges", async () => {
    const { client, port, clock } = setUp();
    port.onRead = ({ replica }) => (replica === 1 ? "silence" : readOk(from(replica, "follower")));
    const asked = async (reads: number) => {
      for (let read = 0; read < reads; read++) {
        void client.read(EVENTUAL);
        await clock.advance(SHARD_CLIENT_DEFAULTS.hedgeAfterMs);
      }
      return port.asked("read").filter((replica) => replica === 1).length;
    };
    // Each read in its turn is 50 ms of silence; after 300 ms there can be no doubt.
    expect(await asked(18)).toBe(6);
    expect(await asked(3)).toBe(6);
  });

  it("are hedged when they are slower than most, once it is known what most take", async () => {
    const { client, port, clock } = setUp();
    const answerAfter = (ms: number) => (replica: number) =>
      new Promise<ReadReply>((resolve) => {
        clock.after(ms, () => resolve(readOk(from(replica, "follower"))));
      });
    port.onRead = ({ replica }) => answerAfter(20)(replica);
    for (let read = 0; read < SAMPLES_MIN; read++) {
      void client.read(EVENTUAL);
      await clock.advance(20);
    }
    port.calls.length = 0;
    port.onRead = ({ replica }) => (replica === 0 ? "silence" : readOk(from(replica, "follower")));
    for (let read = 0; read < 3; read++) void client.read(EVENTUAL);
    await clock.advance(19);
    expect(port.asked("read").toSorted()).toEqual([0, 1, 2]);
    await clock.advance(6);
    expect(port.asked("read")).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  it("are not hedged while they are as fast as nobody can tell from a hedge", async () => {
    const { client, port, clock } = setUp();
    port.onRead = ({ replica }) => readOk(from(replica, "follower"));
    for (let read = 0; read < SAMPLES_MIN; read++) await client.read(EVENTUAL);
    port.calls.length = 0;
    port.onRead = () => "silence";
    void client.read(EVENTUAL);
    await clock.advance(HEDGE_AFTER_MS_MIN - 1);
    expect(port.asked("read")).toHaveLength(1);
    await clock.advance(1);
    expect(port.asked("read")).toHaveLength(2);
  });

  it("are hedged within a budget, and beyond it ask another replica only after a silence", async () => {
    const { client, port, clock } = setUp();
    const reads = 200;
    // All turns go to the same silent replica: nothing is measured of it, and the policy is the map's.
    port.onRead = ({ replica }) => (replica === 0 ? "silence" : readOk(from(replica, "follower")));
    const calls = Array.from({ length: reads }, () => track(client.read({ ...EVENTUAL, balance: "nearest" })));
    await clock.advance(SHARD_CLIENT_DEFAULTS.hedgeAfterMs);
    const answered = () => calls.filter(({ result }) => result?.status === "ok").length;
    expect(answered()).toBe(HEDGE_BUDGET.reserve);
    expect(port.asked("read")).toHaveLength(reads + HEDGE_BUDGET.reserve);
    await clock.advance(SHARD_CLIENT_DEFAULTS.attemptMs);
    expect(answered()).toBe(reads);
  });

  it("skip a replica whose breaker is open, and try it again later by a trickle", async () => {
    const { client, port, clock } = setUp();
    let isDead = true;
    port.onRead = ({ replica }) => (replica === 1 && isDead ? connectionLost() : readOk(from(replica, "follower")));
    for (let read = 0; read < 12; read++) await client.read(EVENTUAL);
    expect(port.asked("read").filter((replica) => replica === 1)).toEqual([1]);
    isDead = false;
    await clock.advance(10_000);
    for (let read = 0; read < 12; read++) await client.read(EVENTUAL);
    expect(port.asked("read").filter((replica) => replica === 1).length).toBeGreaterThan(1);
  });

  it("are answered unavailable, with the reason, when nobody can meet the level until the deadline", async () => {
    const { client, port, clock } = setUp();
    port.onRead = () => ({ status: "unavailable", reason: "no quorum", term: 1 });
    const call = track(client.read(EVENTUAL));
    await clock.advance(SHARD_CLIENT_DEFAULTS.deadlineMs - 1);
    expect(call.result).toBeUndefined();
    await clock.advance(1);
    expect(call.result).toMatchObject({ status: "unavailable", reason: "no quorum" });
    expect(clock.pending).toBe(0);
  });
});

describe("a pause between attempts", () => {
  it("has a timer of its own, even if the wait for the last attempt would end sooner", async () => {
    const world = createWorld();
    const { port, clock } = world;
    const armed: { readonly delayMs: number; readonly isCalling: boolean }[] = [];
    const timers: Timers = {
      after(delayMs, callback, isCalling = false) {
        armed.push({ delayMs, isCalling });
        return clock.after(delayMs, callback);
      },
    };
    const client = createShardClient({ ...world, timers, options: { backoffMinMs: 40 } });
    // All of them know no leader, the last one says so just before its silence would count.
    const lateMs = SHARD_CLIENT_DEFAULTS.silenceMs - 1;
    port.onWrite = ({ replica }) =>
      replica === 2 ? new Promise((resolve) => clock.after(lateMs, () => resolve(notLeader()))) : notLeader();
    const call = track(client.write(DELETE));
    await settle();
    expect(armed.at(-1)).toEqual({ delayMs: SHARD_CLIENT_DEFAULTS.silenceMs, isCalling: true });
    await clock.advance(lateMs);
    expect(armed.at(-1)?.isCalling).toBe(false);
    expect(armed.at(-1)?.delayMs).toBeLessThanOrEqual(40);
    port.onWrite = ({ replica }) => deleted(replica);
    await clock.advance(40);
    expect(call.result).toMatchObject({ status: "ok" });
    expect(clock.pending).toBe(0);
  });
});

describe("a topology that has moved on", () => {
  const older = buildTopology({ ...CLUSTER, weights: [1, 0] });
  const newer: Topology = { ...older, epoch: 1, slots: older.slots.map(() => 1) };

  it("costs one extra hop once, and none afterwards", async () => {
    const { client, port, topology } = setUp({}, older);
    port.onWrite = ({ shard }) =>
      shard === 0 ? { status: "wrong_owner", topology: newer } : stored(from(0, "leader", 1, 1, 1));
    expect(await client.write(DELETE)).toMatchObject({ status: "ok", from: { shard: 1 } });
    expect(topology.view.epoch).toBe(1);
    await client.write(DELETE);
    expect(port.calls.map(({ shard, request }) => [shard, "epoch" in request && request.epoch])).toEqual([
      [0, 0],
      [1, 1],
      [1, 1],
    ]);
  });

  it("is followed once at once; to another owner only after a pause, and not longer than to the deadline", async () => {
    const { client, port, clock } = setUp({}, older);
    let epoch = 0;
    port.onRead = ({ shard }) => {
      epoch++;
      return { status: "wrong_owner", topology: { ...newer, epoch, slots: older.slots.map(() => 1 - shard) } };
    };
    const call = track(client.read(STRONG));
    await settle();
    expect(port.calls.map(({ shard }) => shard)).toEqual([0, 1]);
    await clock.advance(SHARD_CLIENT_DEFAULTS.deadlineMs);
    expect(call.result).toMatchObject({ status: "unavailable", reason: expect.stringContaining("do not agree") });
    // A pause is 5 ms at least and soon 37, and comes after every second hop.
    expect(port.asked("read").length).toBeLessThan((SHARD_CLIENT_DEFAULTS.deadlineMs / 35) * 2);
    expect(clock.pending).toBe(0);
  });

  it("makes an answer of the old owner worthless, even if it comes first", async () => {
    const { client, port, clock } = setUp({}, older);
    let answerLate: (reply: ReadReply) => void = () => {};
    port.onRead = ({ shard, replica }) => {
      if (shard === 1) return "silence";
      if (replica !== 0) return { status: "wrong_owner", topology: newer };
      return new Promise((resolve) => {
        answerLate = resolve;
      });
    };
    const call = track(client.read(EVENTUAL));
    await clock.advance(SHARD_CLIENT_DEFAULTS.hedgeAfterMs);
    port.onRead = ({ replica }) => readOk(from(replica, "follower", 1, 1, 1));
    answerLate(readOk(from(0, "leader")));
    await clock.advance(SHARD_CLIENT_DEFAULTS.hedgeAfterMs);
    expect(call.result).toMatchObject({ status: "ok", from: { shard: 1 } });
  });

  it("leaves the fate of a write open that the old owner had not answered", async () => {
    const { client, port, clock } = setUp({}, older);
    // Replica 0 may have done it, and says nothing; the hedge learns that the slot has moved, to where nobody leads.
    port.onWrite = ({ shard, replica }) => {
      if (shard === 1) return notLeader();
      return replica === 0 ? "silence" : { status: "wrong_owner", topology: newer };
    };
    const call = track(client.write(REPEATABLE));
    await clock.advance(SHARD_CLIENT_DEFAULTS.deadlineMs);
    expect(call.result).toMatchObject({ status: "unknown" });
  });

  it("is asked of the Directory where no replica that is known can serve, at a limited rate, and followed at once", async () => {
    let asked = 0;
    const readTopology = (): Promise<unknown> => {
      asked++;
      return asked < 3 ? Promise.reject(new Error("out of reach")) : Promise.resolve(newer);
    };
    const world = createWorld(older);
    const client = createShardClient({ ...world, readTopology });
    const { port, clock } = world;
    port.onWrite = ({ shard }) => (shard === 0 ? new Error("gone") : stored(from(0, "leader", 1, 1, 1)));
    const call = track(client.write(REPEATABLE));
    await clock.advance(2 * TOPOLOGY_READ_INTERVAL_MS - 1);
    expect(asked).toBe(2);
    expect(call.result).toBeUndefined();
    await clock.advance(500);
    expect(asked).toBe(3);
    expect(call.result).toMatchObject({ status: "ok", from: { shard: 1 } });
  });

  it("does not make the edge forget who leads, and since when", async () => {
    const { client, port, topology } = setUp({}, older);
    port.onRead = ({ replica }) => (replica === 2 ? readOk(from(2, "leader", 7)) : notLeader(2, 7));
    await client.read(STRONG);
    expect(topology.maybeInstall({ ...older, epoch: 1 })).toBe(true);
    port.onRead = ({ replica }) =>
      replica === 0
        ? { status: "unavailable", reason: "cut off", leader: 1, term: 3 }
        : readOk(from(replica, "follower", 7));
    await client.read(EVENTUAL);
    port.calls.length = 0;
    port.onRead = ({ replica }) => (replica === 2 ? readOk(from(2, "leader", 7)) : notLeader(2, 7));
    await client.read(STRONG);
    expect(port.asked("read")).toEqual([2]);
  });

  it("does not make the edge forget who is down: even the leader is asked before", async () => {
    const { client, port, topology } = setUp({}, older);
    port.onRead = ({ replica }) => (replica === 2 ? readOk(from(2, "leader", 7)) : notLeader(2, 7));
    await client.read(STRONG);
    port.onRead = ({ replica }) => (replica === 0 ? connectionLost() : readOk(from(replica, "follower", 7)));
    await client.read(EVENTUAL);
    expect(topology.maybeInstall({ ...older, epoch: 1 })).toBe(true);
    port.calls.length = 0;
    port.onRead = ({ replica }) =>
      replica === 2 ? readOk(from(2, "leader", 7)) : { status: "unavailable", reason: "too stale", leader: 2, term: 7 };
    await client.read(EVENTUAL);
    expect(port.asked("read")).toEqual([1, 2]);
  });

  const unfit: [string, Topology][] = [
    ["no newer", { ...newer, epoch: 0 }],
    ["of another cluster", { ...newer, cluster: "other" }],
    ["broken", { ...newer, slots: [1] }],
  ];
  for (const [name, document] of unfit) {
    it(`is not taken from a document that is ${name}`, async () => {
      const { client, port, topology, clock } = setUp({}, older);
      port.onRead = () => ({ status: "wrong_owner", topology: document });
      const call = track(client.read(STRONG));
      await clock.advance(SHARD_CLIENT_DEFAULTS.deadlineMs);
      expect(call.result).toMatchObject({ status: "unavailable" });
      expect(topology.view.topology).toEqual(older);
      expect(port.calls.every(({ shard }) => shard === 0)).toBe(true);
    });
  }
});

describe("a slot that its owner has given away, before a document says so", () => {
  const planned: Topology = {
    ...buildTopology({ ...CLUSTER, weights: [1, 0] }),
    epoch: 5,
    moves: [{ slot: SLOT, from: 0, to: 1, epoch: 5 }],
  };
  const moved = { slot: SLOT, shard: 1, epoch: 5 };
  const sentAway = { status: "wrong_owner", topology: planned, moved } as const;

  it("costs one extra hop once, and none afterwards", async () => {
    const { client, port, topology } = setUp({}, planned);
    port.onWrite = ({ shard }) => (shard === 0 ? sentAway : stored(from(0, "leader", 1, 1, 1)));
    expect(await client.write(DELETE)).toMatchObject({ status: "ok", from: { shard: 1 } });
    expect(await client.write(DELETE)).toMatchObject({ status: "ok", from: { shard: 1 } });
    expect(port.calls.map(({ shard }) => shard)).toEqual([0, 1, 1]);
    expect(topology.view.ownerOf(SLOT).shard).toBe(1);
  });

  it("is waited for while its new owner does not know yet that it is the owner", async () => {
    const { client, port, clock } = setUp({}, planned);
    let asked = 0;
    port.onWrite = ({ shard }) => {
      if (shard === 0) return sentAway;
      asked++;
      return asked <= 3 ? { status: "wrong_owner", topology: planned } : stored(from(0, "leader", 1, 1, 1));
    };
    const call = track(client.write(DELETE));
    await clock.advance(200);
    expect(call.result).toMatchObject({ status: "ok", from: { shard: 1 } });
    expect(port.calls.map(({ shard }) => shard)).toEqual([0, 1, 1, 1, 1]);
  });

  it("is remembered until a document has recorded the move, which may know of a later one", async () => {
    const { client, port, topology } = setUp({}, planned);
    port.onRead = ({ shard }) => (shard === 0 ? sentAway : readOk(from(0, "leader", 1, 1, 1)));
    await client.read(STRONG);
    // Of another slot's move.
    topology.maybeInstall({ ...planned, epoch: 6 });
    expect(topology.view.ownerOf(SLOT).shard).toBe(1);
    const { moves: _, ...back } = planned;
    topology.maybeInstall({ ...back, epoch: 9, movedAt: [{ epoch: 8, slots: [SLOT] }] });
    expect(topology.view.ownerOf(SLOT).shard).toBe(0);
    // The first move's owner may still say so: it is old news.
    expect(topology.maybeMove(moved)).toBe(false);
    expect(topology.view.ownerOf(SLOT).shard).toBe(0);
  });

  it("is not believed to be where there is no shard, nor of a slot that is none", () => {
    const { topology } = setUp({}, planned);
    for (const wrong of [{ shard: 7 }, { slot: 1_024 }, { slot: -1 }, { slot: 0.5 }, { epoch: 0 }]) {
      expect(topology.maybeMove({ ...moved, ...wrong })).toBe(false);
    }
    expect(topology.view.topology).toEqual(planned);
  });
});

describe("a session", () => {
  it("sends the newest epoch that it has met, where the edge is behind", async () => {
    const { client, port } = setUp();
    port.onRead = () => readOk(from(0, "follower"));
    const read = { ...EVENTUAL, level: "session" } as const;
    await client.read({ ...read, after: withEpoch(new Map([[0, { term: 1, index: 2 }]]), 4) });
    await client.read({ ...read, after: new Map() });
    expect(port.calls.map(({ request }) => "epoch" in request && request.epoch)).toEqual([4, 0]);
  });
});

describe("a bookmark of a write that was acknowledged here", () => {
  const read = { ...EVENTUAL, level: "session" } as const;

  /** For each position, whether the client has vouched for it. */
  async function vouched(
    positions: readonly (readonly [term: number, index: number])[],
    acknowledged = [3, 8] as const,
  ) {
    const { client, port } = setUp();
    port.onWrite = () => stored(from(0, "leader", acknowledged[0], acknowledged[1]));
    port.onRead = ({ replica }) => readOk(from(replica, "follower"), { level: "session" });
    await client.write(DELETE);
    port.calls.length = 0;
    for (const [term, index] of positions) await client.read({ ...read, after: new Map([[0, { term, index }]]) });
    return port.calls.map(({ request }) => "isAcknowledged" in request && request.isAcknowledged === true);
  }

  it("is vouched for, and so is what its leader wrote before", async () => {
    expect(
      await vouched([
        [3, 8],
        [3, 5],
      ]),
    ).toEqual([true, true]);
  });

  it("is not where it is beyond that, or of another term: it may be made up, or of a leader that was deposed", async () => {
    expect(
      await vouched([
        [3, 9],
        [2, 8],
        [4, 1],
      ]),
    ).toEqual([false, false, false]);
  });

  it("is not for a client's word alone", async () => {
    const { client, port } = setUp();
    port.onRead = ({ replica }) => readOk(from(replica, "follower", 3, 8), { level: "session" });
    await client.read({ ...read, after: new Map([[0, { term: 3, index: 8 }]]) });
    await client.read({ ...read, after: new Map([[0, { term: 3, index: 8 }]]) });
    expect(port.calls.map(({ request }) => "isAcknowledged" in request)).toEqual([false, false]);
  });
});

describe("refusals that end a request", () => {
  it("a shed write is not sent again", async () => {
    const { client, port } = setUp();
    port.onWrite = () => ({ status: "overloaded", retryAfterMs: 250 });
    expect(await client.write(REPEATABLE)).toEqual({ status: "overloaded", retryAfterMs: 250 });
    expect(port.asked("write")).toEqual([0]);
  });

  it("a write that was sent again is not told as refused for want of room: it may have found it the first time", async () => {
    const { client, port } = setUp();
    const full = { status: "full", reason: "no room" } as const;
    port.onWrite = () => full;
    expect(await client.write(REPEATABLE)).toEqual(full);
    let sent = 0;
    port.onWrite = () => (++sent === 1 ? connectionLost() : full);
    expect(await client.write(REPEATABLE)).toMatchObject({ status: "unknown", reason: "no room" });
    expect(sent).toBe(2);
  });

  it("a replica that sheds is spared most of what it would shed for so long, and sent what is more urgent", async () => {
    const world = createWorld();
    // Above the trickle.
    const client = createShardClient({ ...world, random: () => 0.5 });
    const { port, clock } = world;
    port.onWrite = () => ({ status: "overloaded", retryAfterMs: 400, shedFrom: 3 });
    await client.write(DELETE);
    expect(await client.write(DELETE)).toEqual({ status: "overloaded", retryAfterMs: 400 });
    expect(await client.write(DELETE, { urgency: 7 })).toMatchObject({ status: "overloaded" });
    expect(await client.read(STRONG)).toMatchObject({ status: "overloaded" });
    expect(port.calls).toHaveLength(1);
    port.onWrite = () => deleted(0);
    expect(await client.write(DELETE, { urgency: 2 })).toMatchObject({ status: "ok" });
    expect(port.calls.at(-1)?.request).toMatchObject({ urgency: 2 });
    await clock.advance(399);
    expect(await client.write(DELETE)).toEqual({ status: "overloaded", retryAfterMs: 1 });
    await clock.advance(1);
    expect(await client.write(DELETE)).toMatchObject({ status: "ok" });
    expect(port.calls.at(-1)?.request).not.toHaveProperty("urgency");
  });

  it("a replica that sheds is sent a trickle, to notice when it does not any more", async () => {
    const world = createWorld();
    let draw = 0.05;
    const client = createShardClient({ ...world, random: () => draw });
    world.port.onWrite = () => ({ status: "overloaded", retryAfterMs: 400, shedFrom: 0 });
    await client.write(DELETE);
    await client.write(DELETE);
    draw = 0.1;
    await client.write(DELETE);
    expect(world.port.calls).toHaveLength(2);
  });

  it("a read that one replica would shed goes to another", async () => {
    const { client, port } = setUp();
    port.onRead = ({ replica }) =>
      replica === 0 ? { status: "overloaded", retryAfterMs: 1_000, shedFrom: 0 } : readOk(from(replica, "follower"));
    for (let read = 0; read < 6; read++) expect(await client.read(EVENTUAL)).toMatchObject({ status: "ok" });
    expect(port.asked("read").filter((replica) => replica === 0)).toHaveLength(1);
  });

  it("a write that is shed for what it wants says nothing of others", async () => {
    const { client, port } = setUp();
    port.onWrite = () => ({ status: "overloaded", retryAfterMs: 1_000 });
    await client.write(DELETE);
    port.onWrite = () => deleted(0);
    expect(await client.write(DELETE)).toMatchObject({ status: "ok" });
  });

  it("a call shed by the platform keeps the next ones from the object for a while", async () => {
    const { client, port, clock } = setUp();
    port.onWrite = () => Object.assign(new Error("overloaded"), { overloaded: true });
    await client.write(REPEATABLE);
    expect(await client.write(DELETE, { urgency: 0 })).toMatchObject({ status: "overloaded" });
    expect(port.asked("write")).toEqual([0]);
    await clock.advance(SHARD_CLIENT_DEFAULTS.overloadedRetryAfterMs);
    port.onWrite = () => deleted(0);
    expect(await client.write(DELETE)).toMatchObject({ status: "ok" });
  });

  it("a call shed by the platform is not sent again and not held against the replica", async () => {
    const { client, port } = setUp();
    port.onWrite = () => Object.assign(new Error("overloaded"), { overloaded: true });
    expect(await client.write(REPEATABLE)).toMatchObject({ status: "overloaded" });
    expect(port.asked("write")).toEqual([0]);
    expect(port.asked("suspect")).toEqual([]);
  });

  it("a request that the replica calls invalid is not sent again", async () => {
    const { client, port } = setUp();
    port.onRead = () => ({ status: "invalid", reason: "unknown protocol version" });
    expect(await client.read(STRONG)).toEqual({ status: "invalid", reason: "unknown protocol version" });
    expect(port.asked("read")).toEqual([0]);
  });

  it("a write whose fate the replica does not know is unknown, unless it can be repeated", async () => {
    const { client, port } = setUp();
    port.onWrite = ({ replica }) =>
      replica === 0 ? { status: "unknown", reason: "deposed", term: 1 } : deleted(replica, 2);
    expect(await client.write(DELETE)).toMatchObject({ status: "unknown", reason: "deposed" });
    expect(await client.write(REPEATABLE)).toMatchObject({ status: "ok" });
  });

  it("a repeated write that ends without an answer is unknown, not unavailable: its first attempt may have worked", async () => {
    const { client, port, clock } = setUp();
    port.onWrite = ({ replica }) => (replica === 0 ? connectionLost() : notLeader());
    const call = track(client.write(REPEATABLE));
    await clock.advance(SHARD_CLIENT_DEFAULTS.deadlineMs);
    expect(call.result).toMatchObject({ status: "unknown" });
  });

  for (const reply of [
    { status: "overloaded", retryAfterMs: 250 },
    { status: "invalid", reason: "unknown protocol version" },
  ] as const) {
    it(`a repeated write that is then answered ${reply.status} is unknown all the same`, async () => {
      const { client, port } = setUp();
      port.onWrite = ({ replica }) => (replica === 0 ? connectionLost() : reply);
      expect(await client.write(REPEATABLE)).toMatchObject({ status: "unknown" });
    });
  }

  it("a write that no replica ever took is unavailable: nothing was changed", async () => {
    const { client, port, clock } = setUp();
    port.onWrite = () => notLeader();
    const call = track(client.write(DELETE));
    await clock.advance(SHARD_CLIENT_DEFAULTS.deadlineMs);
    expect(call.result).toMatchObject({ status: "unavailable" });
  });
});
