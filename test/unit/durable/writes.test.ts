// Writes through a whole group: acknowledgement, group commit, failover, and what a client may conclude from each answer.

import { describe, expect, test } from "vitest";
import type { WriteReply } from "../../../durable/protocol.ts";
import { BATCH_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_MUTATIONS_MAX } from "../../../durable/write-queue.ts";
import { settle } from "../../support/manual-clock.ts";
import { batches, type Host, ShardGroup, T, textIn } from "./shard-group.ts";

function holds(host: Host, index: number): boolean {
  return host.disk.content.row(index) !== undefined;
}

describe("acknowledgement", () => {
  test("a put is acknowledged when a majority has it on disk", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const reply = await group.clock.until(leader.put("k", "v"));
    expect(reply).toMatchObject({ status: "ok", outcome: { kind: "stored", created: true } });
    const index = reply.status === "ok" ? reply.from.index : 0;
    expect(group.hosts.filter((host) => holds(host, index)).length).toBeGreaterThanOrEqual(2);
  });

  test("and not before: with one follower silent and the other's answer under way it still waits", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("1.1", "silent");
    group.network.fault("2.1", "answers_lost");
    let reply: WriteReply | undefined;
    const write = leader.put("k", "v").then((answer) => {
      reply = answer;
    });
    await group.clock.pass(200);
    expect(batches(group.host(2))).toBe(1);
    expect(reply).toBeUndefined();
    group.network.fault("2.1", undefined);
    await group.clock.until(write);
    expect(reply).toMatchObject({ status: "ok" });
  });

  test("one dead follower of three delays nobody", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.host(2).crash();
    const startMs = group.clock.nowMs;
    await group.clock.until(leader.put("k", "v"));
    expect(group.clock.nowMs - startMs).toBeLessThan(10);
  });

  test("a group of one acknowledges what it has on disk", async () => {
    const group = new ShardGroup(1);
    const only = await group.lead(0);
    expect(await group.clock.until(only.put("k", "v"))).toMatchObject({ status: "ok" });
    await group.clock.pass(T.leaseMs * 3);
    expect(textIn(await group.clock.until(only.read("k")))).toBe("v");
    expect(group.network.calls).toEqual([]);
  });
});

describe("group commit", () => {
  test("what arrives while a batch is in flight goes into the next one: two rows and two calls a follower", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const callsBefore = group.network.calls.length;
    const writes = Array.from({ length: 100 }, (_, at) => leader.put(`k${at}`, `v${at}`));
    const replies = await group.clock.until(Promise.all(writes));
    expect(replies.every(({ status }) => status === "ok")).toBe(true);
    for (const host of group.hosts) expect(batches(host)).toBe(2);
    const carrying = group.network.calls.slice(callsBefore).filter(({ entries }) => entries > 0);
    expect(carrying).toHaveLength(4);
    expect(leader.replica.status().counters).toMatchObject({ batches: 2, mutations: 100 });
  });

  test("each write of a batch gets its own outcome, in order of arrival", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const replies = await group.clock.until(
      Promise.all([
        leader.put("k", "1"),
        leader.put("k", "2", { ifNoneMatch: "any" }),
        leader.put("k", "3", { ifMatch: [1] }),
        leader.put("k", "4", { ifMatch: [99] }),
      ]),
    );
    expect(replies.map((reply) => (reply.status === "ok" ? reply.outcome.kind : reply.status))).toEqual([
      "stored",
      "precondition_failed",
      "stored",
      "precondition_failed",
    ]);
    expect(textIn(await group.clock.until(leader.read("k")))).toBe("3");
  });

  test("a batch is no larger than a row may be", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const value = "x".repeat(400_000);
    const writes = Array.from({ length: 12 }, (_, at) => leader.put(`k${at}`, value));
    await group.clock.until(Promise.all(writes));
    for (const { data } of leader.disk.appended) expect(data.byteLength).toBeLessThan(BATCH_BYTES_MAX);
    expect(batches(leader)).toBeGreaterThanOrEqual(4);
  });

  test("headers count too: many small writes with long conditions stay under a row's size", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const versions = Array.from({ length: 64 }, (_, at) => 2 ** 52 + at);
    const options = {
      contentType: "x".repeat(255),
      ifNoneMatch: versions,
      idempotency: { id: "i".repeat(255), fingerprint: "f".repeat(128) },
    };
    const writes = Array.from({ length: 1_500 }, (_, at) => leader.put(`k${at}`, "v".repeat(1_000), options));
    await group.clock.until(Promise.all(writes));
    expect(Math.max(...leader.disk.appended.map(({ data }) => data.byteLength))).toBeLessThan(BATCH_BYTES_MAX);
  });
});

describe("failover", () => {
  test("another replica leads after the leader's crash, and every acknowledged write is there", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    for (let at = 0; at < 20; at++) await group.clock.until(leader.put(`k${at}`, `v${at}`));
    leader.crash();
    const successor = await group.newLeader(group.hosts.slice(1));
    for (let at = 0; at < 20; at++) {
      expect(textIn(await group.clock.until(successor.read(`k${at}`)))).toBe(`v${at}`);
    }
    expect(await group.clock.until(successor.put("k0", "again"))).toMatchObject({ status: "ok" });
  });

  test("an edge that is refused by the dead leader shortens the gap: the followers are told and look for themselves", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await group.clock.until(leader.put("k", "v"));
    leader.crash();
    const crashedMs = group.clock.nowMs;
    for (const host of group.hosts.slice(1)) {
      void host.replica.suspect({ v: 1, to: host.name, leader: 0, evidence: "refused" });
    }
    const successor = await group.newLeader(group.hosts.slice(1));
    await group.clock.until(successor.put("k", "after"));
    expect(group.clock.nowMs - crashedMs).toBeLessThan(T.leaseMs + 100);
  });

  test("a report about a leader that answers its followers changes nothing", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    for (const evidence of ["refused", "silent"] as const) {
      const follower = group.host(1);
      await group.clock.until(follower.replica.suspect({ v: 1, to: follower.name, leader: 0, evidence }));
      const startMs = group.clock.nowMs;
      expect(await group.clock.until(follower.put("k", "v"))).toMatchObject({ status: "not_leader", leader: 0 });
      expect(group.clock.nowMs).toBe(startMs);
    }
    await group.clock.pass(T.electionMaxMs * 2);
    expect(group.host(0).replica.status()).toMatchObject({ role: "leader", term: 1 });
  });

  test("a frozen leader is suspected by silence", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    group.network.fault("0.1", "silent");
    await group.clock.pass(2 * T.heartbeatMs);
    for (const host of group.hosts.slice(1)) {
      void host.replica.suspect({ v: 1, to: host.name, leader: 0, evidence: "silent" });
    }
    const startMs = group.clock.nowMs;
    await group.newLeader(group.hosts.slice(1));
    expect(group.clock.nowMs - startMs).toBeLessThan(T.leaseMs + 100);
  });

  test("a retry with the same idempotency key after a failover returns the first outcome", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const idempotency = { id: "order-1", fingerprint: "f" };
    const first = await group.clock.until(leader.put("k", "1", { idempotency }));
    await group.clock.until(leader.put("k", "2"));
    leader.crash();
    const successor = await group.newLeader(group.hosts.slice(1));
    const retried = await group.clock.until(successor.put("k", "1", { idempotency }));
    expect(first.status === "ok" && retried.status === "ok" && [first.outcome, retried.outcome]).toEqual([
      first.status === "ok" && first.outcome,
      first.status === "ok" && first.outcome,
    ]);
    expect(textIn(await group.clock.until(successor.read("k")))).toBe("2");
  });

  test("restarted from disk, a whole group has everything that was acknowledged", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    for (let at = 0; at < 10; at++) await group.clock.until(leader.put(`k${at}`, `v${at}`));
    for (const host of group.hosts) host.crash();
    for (const host of group.hosts) host.restart();
    const successor = await group.newLeader(group.hosts);
    for (let at = 0; at < 10; at++) {
      expect(textIn(await group.clock.until(successor.read(`k${at}`)))).toBe(`v${at}`);
    }
  });

  test("handing over the leadership takes no election timeout and loses nothing", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await group.clock.until(leader.put("k", "v"));
    expect(leader.replica.transferLeadership(9)).toBe(false);
    const startMs = group.clock.nowMs;
    expect(leader.replica.transferLeadership(2)).toBe(true);
    await group.newLeader([group.host(2)]);
    expect(group.clock.nowMs - startMs).toBeLessThan(20);
    expect(textIn(await group.clock.until(group.host(2).read("k")))).toBe("v");
  });
});

describe("what an answer means", () => {
  test("a follower names the leader and has changed nothing", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const reply = await group.clock.until(group.host(1).put("k", "v"));
    expect(reply).toEqual({ status: "not_leader", leader: 0, term: 1 });
    expect(batches(leader)).toBe(0);
  });

  test("a write that was proposed and never answered is unknown at its deadline, not failed", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.host(1).crash();
    group.host(2).crash();
    const startMs = group.clock.nowMs;
    const reply = await group.clock.until(leader.put("k", "v", { deadlineMs: 400 }));
    expect(reply.status).toBe("unknown");
    expect(group.clock.nowMs - startMs).toBeLessThan(600);
  });

  test("a write that was never proposed is refused when the leadership is lost: it can go elsewhere", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "refused");
    const proposed = leader.put("k", "1", { deadlineMs: 10_000 });
    await settle();
    const waiting = leader.put("k", "2", { deadlineMs: 10_000 });
    expect(await group.clock.until(waiting)).toMatchObject({ status: "not_leader" });
    group.network.fault("0.1", undefined);
    // The proposed one is overwritten by the successor's log: certainly not applied, so not unknown.
    expect(await group.clock.until(proposed)).toMatchObject({ status: "not_leader" });
  });

  test("writes that another leader cut from the log are settled when their replica leads again", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    // Far replicas: batches are pipelined, so that three entries can be proposed alone.
    group.network.oneWayMs = 30;
    for (let at = 0; at < 130; at++) await group.clock.until(leader.put("k", `${at}`));
    group.network.fault("0.1", "refused");
    const cut: Promise<WriteReply>[] = [];
    for (const text of ["replaced", "replaced too", "cut off"]) {
      cut.push(leader.put("k", text, { deadlineMs: 1_000_000 }));
      await group.clock.pass(20);
    }
    expect(leader.disk.appended.slice(-3).map(({ kind }) => kind)).toEqual(["batch", "batch", "batch"]);
    const other = await group.newLeader(group.hosts.slice(1));
    group.network.fault("0.1", undefined);
    await group.clock.when(() => leader.replica.status().leader === other.number);
    await group.clock.pass(T.heartbeatMs * 2);
    expect(other.replica.transferLeadership(0)).toBe(true);
    await group.newLeader([leader]);
    expect(await group.clock.until(leader.put("k", "new"))).toMatchObject({ status: "ok" });
    const fates = (await group.clock.until(Promise.all(cut))).map(({ status }) => status);
    expect(fates).toEqual(["not_leader", "unavailable", "unknown"]);
  });

  test("a leader without a majority answers unavailable, and so does everybody who knows no leader", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    group.host(0).crash();
    group.host(1).crash();
    const survivor = group.host(2);
    await group.clock.pass(T.electionMaxMs * 2);
    expect(await group.clock.until(survivor.put("k", "v", { deadlineMs: 300 }))).toMatchObject({
      status: "unavailable",
      leader: undefined,
    });
  });

  test("a request that comes during an election waits for its end", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    group.host(0).crash();
    await group.clock.pass(T.electionMinMs + T.electionMaxMs);
    for (const host of group.hosts) if (host.number !== 0) host.crash();
    for (const host of group.hosts) host.restart();
    const replies = await group.clock.until(Promise.all(group.hosts.map((host) => host.put("k", "v"))));
    expect(replies.filter(({ status }) => status === "ok")).toHaveLength(1);
    expect(replies.filter(({ status }) => status === "not_leader")).toHaveLength(2);
  });

  test("a superseded leader acknowledges nothing: its instance ends at its first storage access, and the fate is open", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const zombie = leader.superseded();
    await expect(zombie.write(leader.putRequest("k", "ghost"))).rejects.toThrow("superseded");
    expect(leader.failures).toHaveLength(1);
  });
});

describe("limits and refusals", () => {
  test("writes are shed before they fill the memory, and served again when the queue is empty", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "silent");
    const put = (_: unknown, at: number) => leader.put(`k${at}`, "v", { urgency: 0 });
    const writes = Array.from({ length: QUEUE_MUTATIONS_MAX + 2 }, put);
    const replies: WriteReply[] = [];
    for (const write of writes) void write.then((reply) => replies.push(reply));
    await settle();
    expect(replies).toMatchObject([{ status: "overloaded" }]);
    group.network.fault("0.1", undefined);
    await group.clock.until(Promise.all(writes));
    expect(await group.clock.until(leader.put("k", "v"))).toMatchObject({ status: "ok" });
  });

  test("the less urgent writes are shed while there is still room for the rest", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "silent");
    group.network.fault("0.2", "silent");
    const writes = Array.from({ length: QUEUE_MUTATIONS_MAX / 2 + 1 }, (_, at) => leader.put(`k${at}`, "v"));
    const shed = { status: "overloaded", shedFrom: 7 };
    expect(await leader.put("k", "v", { urgency: 7 })).toMatchObject(shed);
    const more = [leader.put("usual", "v"), leader.put("urgent", "v", { urgency: 0 })];
    group.network.fault("0.1", undefined);
    const replies = await group.clock.until(Promise.all([...writes, ...more]));
    expect(replies.filter(({ status }) => status !== "ok")).toEqual([]);
  });

  test("reads and writes above the rate are shed by urgency, before anything is done", async () => {
    const group = new ShardGroup();
    group.requestsPerSecondMax = 10;
    for (const host of group.hosts) host.restart();
    const leader = await group.lead(0);
    await group.clock.pass(5_000);
    const replies = [];
    for (let read = 0; read < 9; read++) replies.push(await group.clock.until(leader.read("k", "eventual")));
    expect(replies.map(({ status }) => status)).toEqual(Array(9).fill("ok"));
    const before = leader.disk.appended.length;
    expect(await leader.put("k", "v")).toMatchObject({ status: "overloaded", shedFrom: 3 });
    expect(leader.read("k", "strong", { urgency: 7 })).toMatchObject({ status: "overloaded", shedFrom: 3 });
    expect(leader.disk.appended.length).toBe(before);
    expect(await group.clock.until(leader.put("k", "v", { urgency: 0 }))).toMatchObject({ status: "ok" });
    await group.clock.pass(2_000);
    expect(await group.clock.until(leader.put("k", "v"))).toMatchObject({ status: "ok" });
  });

  test("writes that wait for an election are limited by their bytes as those in the queue are", async () => {
    const group = new ShardGroup();
    group.network.fault("0.1", "silent");
    const value = "x".repeat(1024 * 1024);
    const fitting = Math.floor(QUEUE_BYTES_MAX / (1024 * 1024 + 1024));
    const waiting = Array.from({ length: fitting }, (_, at) => group.host(0).put(`k${at}`, value));
    const shed = await group.clock.until(group.host(0).put("one-more", value));
    expect(shed).toMatchObject({ status: "overloaded" });
    const replies = await group.clock.until(Promise.all(waiting));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set(["unavailable"]));
  });

  test("a request for another replica, version, slot or shard is refused and changes nothing", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const refused = async (options: Parameters<Host["putRequest"]>[2]) => {
      const reply = await group.clock.until(leader.put("k", "v", options));
      return reply.status === "invalid" ? reply.reason : reply.status;
    };
    expect(await refused({ v: 2 })).toBe("protocol version 2 is not 1");
    expect(await refused({ to: "halo:test:s0:r1:g1" })).toContain("not halo:test:s0:r1:g1");
    expect(await refused({ slot: 1023 })).toContain("slot 1023 is not the key's");
    expect(await refused({ contentType: "x".repeat(300) })).toContain("contentType");
    expect(batches(leader)).toBe(0);
  });
});
