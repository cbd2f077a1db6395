// The leader's lease and its end: Ongaro's dissertation, sections 6.2 (check-quorum) and 6.4.1 (lease by clocks).

import { describe, expect, test } from "vitest";
import { CLOCK_DRIFT_MAX, FAR_ROUND_TRIP_MS } from "../../../durable/replication/config.ts";
import type { AppendReplyMessage } from "../../../durable/replication/message.ts";
import { append, CoreGroup, only, T } from "./core-group.ts";

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

describe("the lease of a group whose members are near each other", () => {
  const nearGroup = () => new CoreGroup(undefined, undefined, { nearLeaseMs: T.nearLeaseMs });

  /** A round of heartbeats, answered after so long. */
  function heartbeat(group: CoreGroup, roundTripMs: number): void {
    group.nowMs += T.heartbeatMs;
    group.node("a").tick();
    group.deliver((message) => message.kind === "append_reply");
    group.nowMs += roundTripMs;
    group.deliver();
  }

  test("is the short one, as soon as it is known that they are near", () => {
    const group = nearGroup();
    group.elect("a");
    heartbeat(group, FAR_ROUND_TRIP_MS - 1);
    group.nowMs += T.leaseMs;
    heartbeat(group, FAR_ROUND_TRIP_MS - 1);
    expect(group.node("b").core.promiseUntilMs - group.nowMs).toBe(T.nearLeaseMs - FAR_ROUND_TRIP_MS + 1);
    expect(leaseRemainingMs(group, "a")).toBe(T.nearLeaseMs * (1 - CLOCK_DRIFT_MAX) - FAR_ROUND_TRIP_MS + 1);
  });

  test("is the long one where no round trip is short", () => {
    const group = nearGroup();
    const leader = group.node("a");
    leader.act((core, nowMs) => {
      core.wake(nowMs);
      core.tick(nowMs);
    });
    group.deliver((message) => message.kind === "append_reply");
    group.nowMs += FAR_ROUND_TRIP_MS;
    for (const reply of group.take("append_reply")) leader.step(reply);
    group.outbox = [];
    heartbeat(group, FAR_ROUND_TRIP_MS);
    expect(group.node("b").core.promiseUntilMs - group.nowMs).toBe(T.leaseMs - FAR_ROUND_TRIP_MS);
    expect(leaseRemainingMs(group, "a")).toBe(LEASE_MS - FAR_ROUND_TRIP_MS);
  });

  test("does not end earlier because a shorter promise follows a longer one", () => {
    const group = nearGroup();
    const follower = group.node("b");
    follower.step(append({ from: "a", to: "b", term: 1, leaseMs: T.leaseMs }));
    group.nowMs += 10;
    follower.step(append({ from: "a", to: "b", term: 1, sequence: 2, leaseMs: T.nearLeaseMs }));
    expect(follower.core.promiseUntilMs - group.nowMs).toBe(T.leaseMs - 10);
    expect(group.take("append_reply").map(({ promisedMs }) => promisedMs)).toEqual([T.leaseMs, T.leaseMs - 10]);
  });

  test("counts what the member says that it has promised, not what it was asked for", () => {
    const group = nearGroup();
    const leader = group.elect("a");
    group.cut("c");
    heartbeat(group, 0);
    const reply = (fields: Partial<AppendReplyMessage>) => {
      group.nowMs += T.heartbeatMs;
      leader.tick();
      group.deliver((message) => message.kind === "append_reply");
      leader.step({ ...only(group.take("append_reply", "a")), ...fields });
      group.outbox = [];
      return leaseRemainingMs(group, "a");
    };
    group.nowMs += T.leaseMs;
    expect(reply({ promisedMs: 40 })).toBeCloseTo(40 * (1 - CLOCK_DRIFT_MAX));
    // Code from before promises were told promises as long as it is configured to.
    expect(reply({ promisedMs: undefined })).toBeCloseTo(LEASE_MS);
  });

  test("a leader that does not say for how long is promised the long one", () => {
    const group = nearGroup();
    group.node("b").step(append({ from: "a", to: "b", term: 1 }));
    expect(group.node("b").core.promiseUntilMs - group.nowMs).toBe(T.leaseMs);
  });

  test("followers that miss their leader ask for pre-votes within it, once all of them have missed it", () => {
    const group = nearGroup();
    group.elect("a");
    group.pass(T.leaseMs + T.heartbeatMs);
    group.cut("a");
    const follower = group.node("b");
    const heardMs = follower.core.heardMs;
    follower.act((core, nowMs) => core.suspect("a", nowMs));
    expect(follower.core.electionDeadlineMs).toBeGreaterThanOrEqual(heardMs + 2 * T.heartbeatMs + FAR_ROUND_TRIP_MS);
    expect(follower.core.electionDeadlineMs).toBeLessThan(follower.core.promiseUntilMs);
    group.pass(follower.core.promiseUntilMs - follower.nowMs);
    expect(follower.core).toMatchObject({ role: "leader", term: 2 });
    expect(group.nowMs - heardMs).toBe(T.nearLeaseMs);
  });
});
