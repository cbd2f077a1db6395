// The leader's lease and its end: Ongaro's dissertation, sections 6.2 (check-quorum) and 6.4.1 (lease by clocks).

import { describe, expect, test } from "vitest";
import { CLOCK_DRIFT_MAX } from "../../../durable/replication/config.ts";
import { CoreGroup, only, T } from "./core-group.ts";

const LEASE_MS = T.leaseMs * (1 - CLOCK_DRIFT_MAX);

function leaseRemainingMs(group: CoreGroup, id: string): number {
  const { core } = group.node(id);
  return core.leaderState?.leaseRemainingMs(core) ?? 0;
}

describe("the lease", () => {
  test("counts from when the acknowledged append was sent, not from when its answer came", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.nowMs += 100;
    leader.act((core, nowMs) => core.tick(nowMs));
    group.deliver((message) => message.kind === "append_reply");
    group.nowMs += 150;
    group.deliver();
    leader.tick();
    group.outbox = [];
    expect(leaseRemainingMs(group, "a")).toBe(LEASE_MS - 150);
  });

  test("is shorter than the followers' promises by the drift of the clocks", () => {
    const group = new CoreGroup();
    group.elect("a");
    expect(leaseRemainingMs(group, "a")).toBe(LEASE_MS);
    expect(group.node("b").core.promiseUntilMs - group.nowMs).toBe(T.leaseMs);
  });

  test("is not held before an entry of the own term is committed, though a majority answers", () => {
    const group = new CoreGroup();
    const leader = group.node("a");
    leader.act((core, nowMs) => {
      core.wake(nowMs);
      core.tick(nowMs);
    });
    group.deliver((message) => message.kind === "append_reply");
    const reply = group.take("append_reply").find(({ from }) => from === "b");
    if (reply === undefined) throw new Error("b did not answer");
    leader.step({ ...reply, success: false, index: 0 });
    expect(leaseRemainingMs(group, "a")).toBeGreaterThan(0);
    expect(leader.core.leaseHeld).toBe(false);
    expect(leader.act((core, nowMs) => core.serveFromLease(nowMs))).toBe(false);
    leader.step(reply);
    expect(leader.core.leaseHeld).toBe(true);
  });

  test("needs a majority: one of four others is not enough", () => {
    const group = new CoreGroup(["a", "b", "c", "d", "e"]);
    const leader = group.elect("a");
    group.cut("c", "d", "e");
    group.pass(LEASE_MS + 1);
    expect(leader.core.serveFromLease(group.nowMs)).toBe(false);
    expect(leader.core.role).toBe("leader");
  });

  test("runs out by the clock even if nothing else happens, and reads notice", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.nowMs += LEASE_MS - 1;
    expect(leader.core.serveFromLease(group.nowMs)).toBe(true);
    group.nowMs += 1;
    expect(leader.core.serveFromLease(group.nowMs)).toBe(false);
  });

  test("an answer to an append that was sent before the lease was given up grants none", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.pass(T.quiesceAfterMs - 1);
    group.outbox = [];
    group.nowMs += 1;
    leader.tick();
    expect(leader.core.asleep).toBe(true);
    // The good-night's answers come when the leader is awake again.
    group.deliver((message) => message.kind === "append_reply");
    const answers = group.take("append_reply");
    expect(answers).toHaveLength(2);
    leader.act((core, nowMs) => core.wake(nowMs));
    group.outbox = [];
    for (const answer of answers) leader.step(answer);
    expect(leader.core.leaseHeld).toBe(false);
  });

  test("a clock that jumps back does not lengthen it beyond what was promised", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.nowMs += 200;
    leader.core.serveFromLease(group.nowMs);
    leader.core.serveFromLease(group.nowMs - 10_000);
    expect(leaseRemainingMs(group, "a")).toBe(LEASE_MS - 200);
  });

  test("a superseded leader cannot renew it: its next append ends it", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.disk.open();
    group.nowMs += T.heartbeatMs;
    expect(() => leader.tick()).toThrow("superseded");
  });

  test("a group of one renews it with a storage access, so that a superseded instance loses it", () => {
    const group = new CoreGroup(["a"]);
    const leader = group.elect("a");
    leader.journal = [];
    group.pass(T.heartbeatMs * 3);
    expect(leader.core.leaseHeld).toBe(true);
    expect(leader.journal).toEqual(["touch", "touch", "touch"]);
    leader.disk.open();
    expect(() => group.pass(T.heartbeatMs)).toThrow("superseded");
  });
});

describe("check-quorum", () => {
  test("a leader that no majority answers steps down, so that its clients go elsewhere", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("a");
    group.pass(T.electionMaxMs - 1);
    expect(leader.core.role).toBe("leader");
    group.pass(T.heartbeatMs);
    expect(leader.core.role).not.toBe("leader");
    expect(leader.core.leader).toBeUndefined();
  });

  test("a leader that a majority answers stays, though one member is silent", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("c");
    group.pass(T.electionMaxMs * 3);
    expect(leader.core.role).toBe("leader");
  });

  test("the pending reads of a leader that steps down are never answered", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("a");
    group.pass(LEASE_MS + 1);
    leader.act((core, nowMs) => core.readIndex(1, nowMs));
    group.pass(T.electionMaxMs);
    group.heal();
    group.pass(T.electionMaxMs * 2);
    expect(leader.reads).toEqual([]);
  });
});

test("a leader deposed by a higher term holds no lease from that moment", () => {
  const group = new CoreGroup();
  const leader = group.elect("a");
  leader.step({ v: 1, kind: "vote_reply", from: "b", to: "a", term: 9, granted: false, promiseRemainingMs: 0 });
  expect(leader.core).toMatchObject({ role: "follower", term: 9, leaseHeld: false });
  expect(leader.disk.content.hardState.term).toBe(9);
});

test("whoever grants the next leader a vote has let the old lease run out first, whatever the delays", () => {
  const group = new CoreGroup();
  group.elect("a");
  group.cut("a");
  group.node("b").act((core, nowMs) => core.suspect("a", nowMs));
  while (group.node("b").core.role !== "leader") {
    group.pass(1);
    expect(group.node("a").core.leaseHeld && group.node("b").core.role === "leader").toBe(false);
  }
  expect(only([...group.nodes.values()].filter(({ core }) => core.leaseHeld)).id).toBe("b");
});
