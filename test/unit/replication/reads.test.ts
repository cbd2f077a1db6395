// Reads: ReadIndex (Ongaro's dissertation, section 6.4), and how fresh a follower may call itself.

import { describe, expect, test } from "vitest";
import { append, CoreGroup, entry, T } from "./core-group.ts";

/** A leader whose lease has run out, with everything delivered before. */
function leaderWithoutLease(): CoreGroup {
  const group = new CoreGroup();
  group.elect("a");
  group.outbox = [];
  group.nowMs += T.leaseMs;
  return group;
}

describe("ReadIndex", () => {
  test("with a lease the answer needs no round", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    leader.act((core, nowMs) => core.readIndex(7, nowMs));
    expect(leader.reads).toEqual([{ id: 7, index: 1 }]);
    expect(group.outbox).toEqual([]);
  });

  test("without a lease the answer waits for a majority to confirm the leadership", () => {
    const group = leaderWithoutLease();
    const leader = group.node("a");
    leader.act((core, nowMs) => core.readIndex(7, nowMs));
    expect(leader.reads).toEqual([]);
    group.cut("c");
    group.deliver();
    expect(leader.reads).toEqual([{ id: 7, index: 1 }]);
  });

  test("an answer to an append from before the read confirms nothing", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.nowMs += T.heartbeatMs;
    leader.tick();
    group.deliver((message) => message.kind === "append_reply");
    const early = group.take("append_reply");
    group.nowMs += T.leaseMs;
    leader.act((core, nowMs) => core.readIndex(1, nowMs));
    group.take("append");
    for (const reply of early) leader.step(reply);
    group.deliver((message) => message.kind === "append");
    expect(early).toHaveLength(2);
    expect(leader.reads).toEqual([]);
  });

  test("reads that come during a round share the next one", () => {
    const group = leaderWithoutLease();
    const leader = group.node("a");
    leader.act((core, nowMs) => {
      for (let id = 0; id < 100; id++) core.readIndex(id, nowMs);
    });
    expect(group.outbox).toHaveLength(2);
    group.deliver();
    expect(leader.reads).toHaveLength(100);
  });

  test("reads that come while a round is under way wait for it, and then share the next", () => {
    const group = leaderWithoutLease();
    const leader = group.node("a");
    const ask = (id: number) => leader.act((core, nowMs) => core.readIndex(id, nowMs));
    for (let id = 0; id < 10; id++) ask(id);
    expect(group.outbox).toHaveLength(2);
    group.deliver((message) => message.kind === "append_reply");
    expect(leader.reads).toEqual([]);
    const [first] = group.outbox;
    if (first === undefined) throw new Error("nobody answered");
    group.outbox = [];
    leader.step(first);
    expect(leader.reads).toEqual([{ id: 0, index: 1 }]);
    expect(group.outbox).toHaveLength(2);
    group.deliver();
    expect(leader.reads).toHaveLength(10);
  });

  test("a fresh leader's read waits for the entry that opened its term", () => {
    const group = new CoreGroup();
    const leader = group.node("a");
    leader.act((core, nowMs) => {
      core.wake(nowMs);
      core.tick(nowMs);
    });
    group.deliver((message) => message.kind === "append");
    leader.act((core, nowMs) => core.readIndex(1, nowMs));
    group.deliver((message) => message.kind === "append_reply");
    // A majority answers, but lacks the entry.
    for (const reply of group.take("append_reply")) {
      leader.step({ ...reply, success: false, index: 0, sequence: 99 });
      group.take("append");
    }
    expect(leader.core.commitIndex).toBe(0);
    expect(leader.reads).toEqual([]);
    leader.act((core, nowMs) => {
      for (const id of ["b", "c"]) core.reportUnreachable(id, nowMs);
    });
    group.pass(T.heartbeatMs);
    expect(leader.reads).toEqual([{ id: 1, index: 1 }]);
  });

  test("a leader that was deposed without knowing it confirms no read", () => {
    const group = new CoreGroup();
    const old = group.elect("a");
    group.cut("a");
    group.elect("b");
    group.heal();
    group.outbox = [];
    expect(old.core.role).toBe("leader");
    old.act((core, nowMs) => core.readIndex(1, nowMs));
    group.deliver();
    expect(old.reads).toEqual([]);
    expect(old.core.role).toBe("follower");
  });

  test("a superseded leader confirms no read, though its followers would answer", () => {
    const group = leaderWithoutLease();
    const old = group.node("a");
    old.disk.open();
    expect(() => old.act((core, nowMs) => core.readIndex(1, nowMs))).toThrow("superseded");
    expect(old.reads).toEqual([]);
  });

  test("a group of one confirms its reads by a storage access", () => {
    const group = new CoreGroup(["a"]);
    const leader = group.elect("a");
    group.nowMs += T.leaseMs;
    leader.journal = [];
    leader.act((core, nowMs) => core.readIndex(1, nowMs));
    expect(leader.reads).toEqual([{ id: 1, index: 1 }]);
    expect(leader.journal).toContain("touch");
  });

  test("learners confirm nothing", () => {
    const group = new CoreGroup(["a", "b", "c"], ["d"]);
    const leader = group.elect("a");
    group.nowMs += T.leaseMs;
    group.cut("b", "c");
    leader.act((core, nowMs) => core.readIndex(1, nowMs));
    group.deliver();
    expect(leader.reads).toEqual([]);
  });
});

describe("freshness", () => {
  const fresh = (group: CoreGroup) => group.node("b").core.freshAsOfMs;

  test("a follower is as fresh as its own clock was when it last answered a leader that then held its lease", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.node("b").clockOffsetMs = 12_345;
    group.pass(T.heartbeatMs);
    const answeredMs = group.node("b").nowMs;
    group.nowMs += 50;
    leader.propose("x");
    group.deliver((message) => message.kind === "append_reply");
    expect(fresh(group)).toBe(answeredMs);
  });

  test("a delayed append makes nobody fresher than the answer that it echoes", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.pass(T.heartbeatMs);
    const answeredMs = group.nowMs;
    group.nowMs += T.heartbeatMs;
    group.node("a").tick();
    group.nowMs += 10_000;
    group.deliver();
    expect(fresh(group)).toBe(answeredMs);
  });

  test("an append of a leader without a lease makes nobody fresh", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const { instance } = follower.core;
    const base = { from: "a", to: "b", term: 1, echoMs: group.nowMs, echoInstance: instance } as const;
    follower.step(append({ ...base, sequence: 1, leaseHeld: false }));
    expect(fresh(group)).toBe(Number.NEGATIVE_INFINITY);
    follower.step(append({ ...base, sequence: 2, leaseHeld: true }));
    expect(fresh(group)).toBe(group.nowMs);
  });

  test("a follower that lacks what the leader has committed is not fresh", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const { instance } = follower.core;
    const base = { from: "a", to: "b", term: 1, echoMs: group.nowMs, echoInstance: instance, leaseHeld: true } as const;
    follower.step(append({ ...base, commit: 5, entries: [entry(1, 1, "x")] }));
    expect(follower.core.commitIndex).toBe(1);
    expect(fresh(group)).toBe(Number.NEGATIVE_INFINITY);
  });

  test("the clock of an earlier instance says nothing about this one's freshness", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.pass(T.heartbeatMs);
    const follower = group.node("b");
    // It comes back on a machine whose clock is far behind.
    follower.clockOffsetMs = -60_000;
    follower.restart();
    leader.propose("x");
    group.cut("c");
    group.deliver((message) => message.kind === "append_reply");
    expect(follower.core.commitIndex).toBe(1);
    expect(fresh(group)).toBe(Number.NEGATIVE_INFINITY);
    group.deliver();
    group.pass(T.heartbeatMs * 2);
    expect(fresh(group)).toBeLessThanOrEqual(follower.nowMs);
    expect(fresh(group)).toBeGreaterThanOrEqual(follower.nowMs - T.heartbeatMs * 2);
  });
});
