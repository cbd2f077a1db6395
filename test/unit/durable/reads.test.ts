// Reads at each level through a whole group: what is answered from where, and what is refused.

import { describe, expect, test } from "vitest";
import { WAITING_READS_MAX } from "../../../durable/read-queue.ts";
import { type Host, ShardGroup, T, textIn } from "./shard-group.ts";

async function written(group: ShardGroup, key: string, text: string, options = {}) {
  const reply = await group.clock.until(group.host(0).put(key, text, options));
  if (reply.status !== "ok") throw new Error(`not written: ${JSON.stringify(reply)}`);
  return reply.from;
}

describe("strong", () => {
  test("with a lease the leader answers from memory: no call, no promise", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await written(group, "k", "v");
    const calls = group.network.calls.length;
    const reply = leader.read("k");
    if (reply instanceof Promise) throw new Error("it was not answered at once");
    expect(textIn(reply)).toBe("v");
    expect(reply).toMatchObject({ level: "strong", from: { role: "leader", replica: 0 } });
    expect(group.network.calls).toHaveLength(calls);
  });

  test("without a lease one round confirms all the reads that wait", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await written(group, "k", "v");
    leader.replica.transferLeadership(1);
    // The successor's answer is lost, so the leader goes on for its term, without its lease.
    group.network.fault("1.1", "silent");
    await group.clock.pass(T.electionMinMs + T.heartbeatMs);
    expect(leader.replica.status()).toMatchObject({ role: "leader", leaseRemainingMs: 0 });
    const calls = group.network.calls.length;
    const replies = await group.clock.until(Promise.all(Array.from({ length: 50 }, () => leader.read("k"))));
    expect(new Set(replies.map(textIn))).toEqual(new Set(["v"]));
    expect(group.network.calls.length - calls).toBeLessThan(10);
  });

  // Race: the round may take as long as a partition does, and reads below `strong` go on throughout.
  test("in one call with a read that needs no round it does not keep that one waiting", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await written(group, "k", "v");
    const strong = leader.readRequest("k");
    const eventual = leader.readRequest("k", "eventual");
    const answered = leader.replica.readTogether([strong, eventual]);
    if (answered instanceof Promise) throw new Error("they were not answered at once");
    expect(answered).toMatchObject([{ status: "ok" }, { status: "ok" }]);
    group.network.fault("0.1", "silent");
    await group.clock.pass(T.leaseMs * 2);
    const mixed = leader.replica.readTogether([strong, eventual, strong]);
    if (mixed instanceof Promise) throw new Error("the eventual read was kept waiting");
    expect(mixed).toMatchObject([undefined, { status: "ok", level: "eventual" }, undefined]);
    const waiting = leader.replica.readTogether([strong, strong]);
    expect(waiting).toBeInstanceOf(Promise);
    expect(await group.clock.until(Promise.resolve(waiting))).toHaveLength(2);
  });

  test("a follower sends the client to the leader", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    expect(await group.clock.until(group.host(1).read("k"))).toEqual({ status: "not_leader", leader: 0, term: 1 });
  });

  test("a cut-off leader stops answering before another one can write", async () => {
    const group = new ShardGroup();
    const old = await group.lead(0);
    await written(group, "k", "old");
    group.network.fault("0.1", "refused");
    for (const host of group.hosts.slice(1)) {
      void host.replica.suspect({ v: 1, to: host.name, leader: 0, evidence: "refused" });
    }
    const successor = await group.newLeader(group.hosts.slice(1));
    await group.clock.until(successor.put("k", "new"));
    const late = old.read("k");
    group.network.fault("0.1", undefined);
    expect(await group.clock.until(late)).toMatchObject({ status: "not_leader" });
  });

  test("a superseded leader that still answers from memory loses its lease before a successor can write", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await written(group, "k", "old");
    const zombie = leader.superseded();
    const request = { v: 1, to: leader.name, epoch: 0, slot: leader.putRequest("k", "").slot, key: "k" };
    for (const host of group.hosts) host.replica.suspect({ v: 1, to: host.name, leader: 0, evidence: "silent" });
    let zombieAnswers = 0;
    while (!group.hosts.some((host) => host.replica.status().role === "leader")) {
      const reply = zombie.read({ ...request, level: "strong" });
      if (reply instanceof Promise) reply.catch(() => undefined);
      else zombieAnswers++;
      await group.clock.pass(5);
    }
    expect(zombieAnswers).toBeGreaterThan(0);
    const reply = zombie.read({ ...request, level: "strong" });
    expect(reply).toBeInstanceOf(Promise);
    await expect(reply).rejects.toThrow();
  });

  test("where no majority confirms the leadership the read says so at its deadline", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "silent");
    await group.clock.pass(T.leaseMs);
    const startMs = group.clock.nowMs;
    const reply = await group.clock.until(leader.read("k"));
    expect(["unavailable", "not_leader"]).toContain(reply.status);
    expect(group.clock.nowMs - startMs).toBeLessThanOrEqual(1_200);
  });

  test("more waiting reads than the memory should hold are shed", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("0.1", "silent");
    await group.clock.pass(T.leaseMs);
    const replies = await group.clock.until(
      Promise.all(Array.from({ length: WAITING_READS_MAX + 1 }, () => leader.read("k"))),
    );
    expect(replies.filter(({ status }) => status === "overloaded")).toHaveLength(1);
  });
});

describe("session", () => {
  test("a follower that has applied the bookmark answers; its position is in the answer", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    const after = await written(group, "k", "v");
    await group.clock.pass(T.heartbeatMs);
    const reply = await group.clock.until(group.host(1).read("k", "session", { after }));
    expect(textIn(reply)).toBe("v");
    expect(reply).toMatchObject({ level: "session", from: { role: "follower", index: after.index } });
  });

  test("a follower that is a little behind waits for the bookmark", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    // The write is applied at the leader; the follower hears of the commit two messages later.
    const after = await written(group, "k", "v");
    expect(group.host(2).replica.status().appliedIndex).toBeLessThan(after.index);
    const reply = await group.clock.until(group.host(2).read("k", "session", { after }));
    expect(textIn(reply)).toBe("v");
  });

  test("a follower that stays behind says so, and names the leader", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    group.network.fault("2.1", "refused");
    const after = await written(group, "k", "v");
    const startMs = group.clock.nowMs;
    const reply = await group.clock.until(group.host(2).read("k", "session", { after }));
    expect(reply).toMatchObject({ status: "unavailable", leader: 0 });
    expect(group.clock.nowMs - startMs).toBeLessThanOrEqual(200);
  });

  test("a bookmark beyond everything that the leader has was made elsewhere", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const reply = await group.clock.until(leader.read("k", "session", { after: { term: 1, index: 999 } }));
    expect(reply).toMatchObject({ status: "invalid" });
  });

  test("followers go on answering sessions while the leader is dead", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const after = await written(group, "k", "v");
    await group.clock.pass(T.heartbeatMs);
    leader.crash();
    for (const host of group.hosts.slice(1)) expect(textIn(await host.read("k", "session", { after }))).toBe("v");
  });

  // Race: the leader dies between its acknowledgement of a write and its next append, which would have told the followers.
  test("what an edge has seen acknowledged is committed for a follower that holds it, without a leader to say so", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    const after = await written(group, "k", "v");
    leader.crash();
    const follower = group.host(1);
    expect(follower.replica.status().appliedIndex).toBeLessThan(after.index);
    const calls = group.network.calls.length;
    const beyond = { after: { ...after, index: after.index + 1 }, isAcknowledged: true };
    expect(await group.clock.until(follower.read("k", "session", beyond))).toMatchObject({ status: "unavailable" });
    const foreign = { after: { ...after, term: after.term + 1 }, isAcknowledged: true };
    expect(await group.clock.until(follower.read("k", "session", foreign))).toMatchObject({ status: "unavailable" });
    const startMs = group.clock.nowMs;
    const reply = await group.clock.until(follower.read("k", "session", { after, isAcknowledged: true }));
    expect(textIn(reply)).toBe("v");
    expect(reply).toMatchObject({ level: "session", from: { role: "follower", index: after.index } });
    expect(group.clock.nowMs).toBe(startMs);
    expect(group.network.calls.slice(calls).filter(({ from }) => from === "1.1")).toEqual([]);
  });

  // Race: the slot moved long ago, as every document since says; this follower has missed the end of its log, and the Directory.
  test("a follower that cannot get hold of a topology which the session has met sends the client to the leader", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    const after = await written(group, "k", "v");
    await group.clock.pass(T.heartbeatMs);
    const ahead = { after, epoch: 1 };
    expect(await group.clock.until(group.host(1).read("k", "session", ahead))).toMatchObject({ status: "not_leader" });
    expect(textIn(await group.clock.until(group.host(0).read("k", "session", ahead)))).toBe("v");
    expect(textIn(await group.clock.until(group.host(1).read("k", "eventual", ahead)))).toBe("v");
    group.host(1).ownership.install({ ...group.topology, epoch: 1 });
    expect(textIn(await group.clock.until(group.host(1).read("k", "session", ahead)))).toBe("v");
  });

  test("a sleeping follower that lacks the bookmark sends the client to the leader instead of waiting", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    await group.clock.pass(T.quiesceAfterMs * 2);
    const startMs = group.clock.nowMs;
    const reply = await group.clock.until(group.host(1).read("k", "session", { after: { term: 1, index: 50 } }));
    expect(reply).toMatchObject({ status: "not_leader", leader: 0 });
    expect(group.clock.nowMs).toBe(startMs);
  });
});

describe("bounded and eventual", () => {
  test("a follower that heard the leader lately answers within the bound", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    await written(group, "k", "v");
    await group.clock.pass(2 * T.heartbeatMs);
    const reply = await group.clock.until(group.host(1).read("k", "bounded", { boundMs: 3 * T.heartbeatMs }));
    expect(textIn(reply)).toBe("v");
    expect(reply).toMatchObject({ level: "bounded" });
  });

  test("a follower that is too stale refuses, and still answers eventual reads", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    await written(group, "k", "v");
    await group.clock.pass(2 * T.heartbeatMs);
    group.network.fault("1.1", "refused");
    await group.clock.pass(300);
    const follower = group.host(1);
    expect(await group.clock.until(follower.read("k", "bounded", { boundMs: 200 }))).toMatchObject({
      status: "not_leader",
    });
    expect(textIn(await follower.read("k", "eventual"))).toBe("v");
  });

  test("a bound of zero is met by the leader only", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await written(group, "k", "v");
    expect(await group.clock.until(group.host(1).read("k", "bounded"))).toMatchObject({ status: "not_leader" });
    expect(await leader.read("k", "bounded")).toMatchObject({ status: "ok", level: "strong" });
  });

  test("values are left out where the caller holds them", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await written(group, "k", "value");
    const sizeOf = async (options: Parameters<Host["read"]>[2]) => {
      const reply = await leader.read("k", "strong", options);
      return reply.status === "ok" && [reply.entry?.value?.byteLength, reply.entry?.size];
    };
    expect(await sizeOf({})).toEqual([5, 5]);
    expect(await sizeOf({ omitValue: true })).toEqual([undefined, 5]);
    expect(await sizeOf({ omitValueOfVersions: [1] })).toEqual([undefined, 5]);
    expect(await sizeOf({ omitValueOfVersions: [2] })).toEqual([5, 5]);
  });
});

describe("time", () => {
  test("a follower whose clock is ahead lets nothing expire before the leader does", async () => {
    const group = new ShardGroup();
    const follower = group.host(1);
    follower.clockOffsetMs = 60_000;
    const leader = await group.lead(0);
    await written(group, "k", "v", { ttlMs: 1_000 });
    await group.clock.pass(900);
    expect(textIn(await follower.read("k", "eventual"))).toBe("v");
    await group.clock.pass(200);
    expect(textIn(await leader.read("k"))).toBeUndefined();
    expect(textIn(await follower.read("k", "eventual"))).toBeUndefined();
  });

  test("a sleeper that is opened again has the last write too, although nobody stored it that nothing came after", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    await written(group, "k", "v");
    await group.clock.pass(20_000);
    for (const host of group.hosts) {
      host.crash();
      host.restart();
      expect(textIn(await host.read("k", "eventual"))).toBe("v");
      expect(host.replica.status()).toMatchObject({ quiesced: true });
    }
  });

  test("nor does one whose clock runs fast while the group sleeps", async () => {
    const group = new ShardGroup();
    const follower = group.host(1);
    await group.lead(0);
    await written(group, "k", "v", { ttlMs: 600_000 });
    await group.clock.pass(590_000);
    expect(follower.replica.status().quiesced).toBe(true);
    // 4 % faster than the leader's, which is within the bound that the protocol allows.
    follower.clockOffsetMs += 590_000 * 0.04;
    expect(textIn(await follower.read("k", "eventual"))).toBe("v");
  });
});
