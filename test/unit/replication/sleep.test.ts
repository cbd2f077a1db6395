// Falling asleep and waking up: an idle group costs nothing, and sleeping breaks no promise.

import { describe, expect, test } from "vitest";
import { append, CoreGroup, entry, only, T } from "./core-group.ts";

/** A leader and two followers that went to sleep together. */
function sleepingGroup(): CoreGroup {
  const group = new CoreGroup();
  group.elect("a");
  group.pass(T.quiesceAfterMs + T.heartbeatMs);
  return group;
}

describe("falling asleep", () => {
  test("after some seconds without a client the whole group sleeps and has no deadline left", () => {
    const group = sleepingGroup();
    for (const { core } of group.nodes.values()) {
      expect(core.asleep).toBe(true);
      expect(core.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
    }
    expect(group.node("a").core.role).toBe("leader");
    expect(group.outbox).toEqual([]);
  });

  test("a leader that serves reads from its lease stays awake", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    for (let round = 0; round < 3; round++) {
      group.pass(T.quiesceAfterMs - 1_000);
      expect(leader.core.serveFromLease(group.nowMs)).toBe(true);
    }
    expect(leader.core.asleep).toBe(false);
  });

  test("the lease is given up before anybody is told to sleep", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.pass(T.quiesceAfterMs - 1);
    group.nowMs += 1;
    leader.tick();
    expect(group.take("append").map(({ quiesce, leaseHeld }) => [quiesce, leaseHeld])).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(leader.core.leaseHeld).toBe(false);
    expect(leader.core.serveFromLease(group.nowMs)).toBe(false);
  });

  test("that no promise is left is persisted, so that a replica restarted in its sleep votes and wakes at once", () => {
    const group = sleepingGroup();
    for (const node of group.nodes.values()) {
      expect(node.disk.content.hardState).toMatchObject({ quiesced: true, commit: node.core.commitIndex });
      node.restart();
    }
    const startMs = group.nowMs;
    expect(group.elect("b").core.term).toBe(2);
    expect(group.nowMs).toBe(startMs);
  });

  test("a group does not sleep while an entry is uncommitted or a follower lacks something", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("c");
    leader.propose("x");
    group.deliver();
    group.pass(T.quiesceAfterMs + 1_000);
    expect(leader.core.asleep).toBe(false);
  });

  test("but an unreachable follower does not keep it awake for ever", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("c");
    leader.propose("x");
    group.deliver();
    group.pass(T.quiesceAfterMs * 4);
    for (const { core } of group.nodes.values()) expect(core.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  test("replicas without a leader and without a client give up campaigning and sleep", () => {
    const group = new CoreGroup();
    group.elect("a");
    group.cut("a", "b", "c");
    group.pass(T.quiesceAfterMs * 2);
    for (const { core } of group.nodes.values()) {
      expect(core).toMatchObject({ asleep: true, role: "follower" });
      expect(core.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test("a follower that missed the good-night is sent to sleep by the leader that it asks for a vote", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.node("b").draw = 0.9;
    group.node("c").draw = 0;
    group.pass(T.quiesceAfterMs - 1);
    group.nowMs += 1;
    leader.tick();
    group.outbox = group.outbox.filter(({ to }) => to !== "c");
    group.deliver();
    const missed = group.node("c");
    expect(missed.core.asleep).toBe(false);
    group.pass(T.electionMaxMs);
    expect(missed.core).toMatchObject({ asleep: true, leader: "a", suspectsLeader: false });
    expect(leader.core).toMatchObject({ role: "leader", term: 1, asleep: true });
  });
});

describe("waking up", () => {
  test("a sleeping leader that is asked wakes its group with one round, without an election", () => {
    const group = sleepingGroup();
    const leader = group.node("a");
    const startMs = group.nowMs;
    leader.propose("x");
    group.deliver();
    expect(group.nowMs).toBe(startMs);
    for (const { core } of group.nodes.values()) expect(core).toMatchObject({ asleep: false, term: 1, commitIndex: 2 });
  });

  test("after waking the lease must be earned anew, by appends sent since then", () => {
    const group = sleepingGroup();
    const leader = group.node("a");
    group.nowMs += 1;
    leader.act((core, nowMs) => core.wake(nowMs));
    expect(leader.core.leaseHeld).toBe(false);
    group.nowMs += 1;
    leader.propose("x");
    group.deliver();
    expect(leader.core.leaseHeld).toBe(true);
  });

  test("waking is persisted before the first promise, so that a restart remembers that there may be one", () => {
    const group = sleepingGroup();
    group.node("a").propose("x");
    group.deliver();
    for (const { disk } of group.nodes.values()) expect(disk.content.hardState.quiesced).toBe(false);
  });

  test("a restarted follower that is asked while its leader sleeps follows the leader, and says so to its clients", () => {
    const group = sleepingGroup();
    const follower = group.node("b");
    group.cut("c");
    follower.restart();
    follower.act((core, nowMs) => {
      core.wake(nowMs);
      core.tick(nowMs);
    });
    group.deliver();
    expect(follower.core).toMatchObject({ leader: "a", asleep: true, suspectsLeader: false });
  });

  test("a restarted leader that is asked campaigns at once: its group sleeps, so nobody holds a lease", () => {
    const group = sleepingGroup();
    const leader = group.node("a");
    leader.restart();
    const startMs = group.nowMs;
    group.elect("a");
    expect(group.nowMs).toBe(startMs);
    expect(leader.core).toMatchObject({ role: "leader", term: 2 });
  });

  /** A client asks it, in a new life. Nothing is delivered yet. */
  function askAnew(group: CoreGroup, id: string) {
    const node = group.node(id);
    node.restart();
    node.act((core, nowMs) => {
      core.wake(nowMs);
      core.tick(nowMs);
    });
    return node;
  }

  test("whoever led the group to sleep asks for votes at once, and anybody else asks first whether it would win", () => {
    const group = sleepingGroup();
    for (const node of group.nodes.values()) node.restart();
    askAnew(group, "a");
    expect(group.outbox.map(({ kind, term }) => [kind, term])).toEqual([
      ["vote", 2],
      ["vote", 2],
    ]);
    group.outbox = [];
    askAnew(group, "b");
    expect(group.outbox.map(({ kind }) => kind)).toEqual(["pre_vote", "pre_vote"]);
  });

  test("a former leader that hears nothing asks for votes once: its term does not rise while it is alone", () => {
    const group = sleepingGroup();
    group.cut("a");
    const alone = askAnew(group, "a");
    group.pass(T.campaignMs * 8);
    expect(alone.core.role).toBe("pre_candidate");
    expect(alone.core.term).toBe(2);
  });

  test("a former leader whom another has replaced in its sleep deposes nobody", () => {
    const group = sleepingGroup();
    group.cut("a");
    for (const id of ["b", "c"]) group.node(id).restart();
    const next = group.elect("b");
    for (const isAwake of [true, false]) {
      if (!isAwake) group.pass(T.quiesceAfterMs + T.heartbeatMs);
      group.heal();
      const former = askAnew(group, "a");
      expect(group.outbox.map(({ kind }) => kind)).toContain("vote");
      group.deliver();
      expect(former.core.role).not.toBe("leader");
      expect(next.core).toMatchObject({ role: "leader", term: 2 });
      group.cut("a");
      former.disk.content.hardState = { term: 1, vote: "a", quiesced: true };
    }
  });

  test("a leader deposed in its sleep does not go on leading when it wakes", () => {
    const group = sleepingGroup();
    group.cut("a");
    for (const id of ["b", "c"]) group.node(id).act((core, nowMs) => core.suspect("a", nowMs));
    group.pass(T.campaignMs);
    group.heal();
    const old = group.node("a");
    old.act((core, nowMs) => core.readIndex(1, nowMs));
    group.deliver();
    expect(old.core.role).toBe("follower");
    expect(old.reads).toEqual([]);
  });
});

describe("a good-night that arrives late", () => {
  function goodNight(group: CoreGroup) {
    const leader = group.node("a");
    group.pass(T.quiesceAfterMs - 1);
    group.nowMs += 1;
    leader.tick();
    const late = only(group.outbox.filter(({ to }) => to === "b"));
    group.outbox = group.outbox.filter(({ to }) => to !== "b");
    group.deliver();
    // The leader wakes again and is granted a lease.
    leader.propose("x");
    group.deliver();
    group.pass(T.heartbeatMs);
    expect(leader.core.leaseHeld).toBe(true);
    return late;
  }

  test("after a later append is ignored", () => {
    const group = new CoreGroup();
    group.elect("a");
    const late = goodNight(group);
    const follower = group.node("b");
    follower.step(late);
    expect(follower.core).toMatchObject({ asleep: false, quiesced: false });
    expect(follower.core.promiseUntilMs).toBeGreaterThan(group.nowMs);
  });

  test("at a restarted follower does not end the promise that its earlier instance gave", () => {
    const group = new CoreGroup();
    group.elect("a");
    const late = goodNight(group);
    const follower = group.node("b");
    follower.restart();
    follower.step(late);
    expect(follower.core.quiesced).toBe(false);
    expect(follower.core.promiseUntilMs - group.nowMs).toBe(T.leaseMs);
    expect(follower.disk.content.hardState.quiesced).toBe(false);
  });

  test("not even where the new instance's clock is behind the earlier one's", () => {
    const group = new CoreGroup();
    group.elect("a");
    const late = goodNight(group);
    const follower = group.node("b");
    follower.clockOffsetMs = -5_000;
    follower.restart();
    follower.step(late);
    expect(follower.core.quiesced).toBe(false);
    expect(follower.core.promiseUntilMs - follower.nowMs).toBe(T.leaseMs);
  });

  test("twice is as good as once", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.pass(T.quiesceAfterMs - 1);
    group.nowMs += 1;
    leader.tick();
    const messages = [...group.outbox];
    group.deliver();
    for (const message of messages) group.node(message.to).step(message);
    group.deliver();
    for (const { core } of group.nodes.values()) expect(core).toMatchObject({ asleep: true, quiesced: true });
  });

  test("of an earlier term does nothing", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    follower.step(append({ from: "a", to: "b", term: 2, entries: [entry(1, 2, "x")] }));
    follower.step(append({ from: "c", to: "b", term: 1, sequence: 9, quiesce: true }));
    expect(follower.core.asleep).toBe(false);
    expect(follower.core.promiseUntilMs).toBe(group.nowMs + T.leaseMs);
  });
});
