// Membership: Ongaro's dissertation, chapter 4. Changes one member at a time.

import { describe, expect, test } from "vitest";
import {
  changedMembership,
  decodeMembership,
  encodeMembership,
  type Membership,
  type MembershipChange,
} from "../../../durable/replication/membership.ts";
import { quorumSize, quorumValue, voteResult } from "../../../durable/replication/quorum.ts";
import { append, CoreGroup, entry, type Node, T } from "./core-group.ts";

const THREE: Membership = { voters: ["a", "b", "c"], learners: [] };

function configEntry(index: number, term: number, membership: Membership) {
  return { index, term, kind: "config", data: encodeMembership(membership) } as const;
}

describe("membership entries", () => {
  test("are in force from the moment they are in the log, not when they are committed", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.cut("b", "c");
    leader.act((core, nowMs) => core.changeMembership({ kind: "add_learner", id: "d" }, nowMs));
    expect(leader.core.membership.learners).toEqual(["d"]);
    expect(leader.core.commitIndex).toBe(1);
    group.outbox = [];
    group.nowMs += 1;
    leader.tick();
    expect(group.outbox.map(({ to }) => to)).toContain("d");
  });

  test("are rolled back when a new leader's log replaces them", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const changed: Membership = { voters: ["a", "b", "c", "d"], learners: [] };
    follower.step(append({ from: "a", to: "b", term: 1, entries: [entry(1, 1, "x"), configEntry(2, 1, changed)] }));
    expect(follower.core.membership).toEqual(changed);
    follower.step(append({ from: "c", to: "b", term: 2, prevIndex: 1, prevTerm: 1, entries: [entry(2, 2, "y")] }));
    expect(follower.core.membership).toEqual(THREE);
    expect(follower.core.membershipIndex).toBe(0);
  });

  test("are read back from the log after a restart", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const changed: Membership = { voters: ["a", "b"], learners: ["e"] };
    follower.step(append({ from: "a", to: "b", term: 1, entries: [configEntry(1, 1, changed)] }));
    follower.restart();
    expect(follower.core.membership).toEqual(changed);
    expect(follower.core.membershipIndex).toBe(1);
  });

  test("survive compaction as the membership of the snapshot", () => {
    const group = new CoreGroup();
    const follower = group.node("b");
    const changed: Membership = { voters: ["a", "b"], learners: [] };
    const entries = [configEntry(1, 1, changed), entry(2, 1, "x"), configEntry(3, 1, THREE), entry(4, 1, "y")];
    follower.step(append({ from: "a", to: "b", term: 1, entries, commit: 4 }));
    follower.core.compactTo(2);
    expect(follower.core.log.snapshot).toEqual({ index: 2, term: 1, membership: changed });
    expect(follower.core.membershipAt(2)).toEqual(changed);
    expect(follower.core.membership).toEqual(THREE);
  });

  test("keep their meaning on the wire", () => {
    const membership: Membership = { voters: ["0.1", "1.1", "2.3"], learners: ["3.1"] };
    expect(decodeMembership(encodeMembership(membership))).toEqual(membership);
    expect(() => decodeMembership(new Uint8Array([0xc0]))).toThrow("unreadable membership");
  });
});

describe("learners", () => {
  test("receive the log but do not count for commitment", () => {
    const group = new CoreGroup(["a", "b", "c"], ["d"]);
    const leader = group.elect("a");
    group.cut("b", "c");
    leader.propose("x");
    group.deliver();
    expect(group.node("d").log).toBe("1:noop 1:x");
    expect(leader.core.commitIndex).toBe(1);
  });

  test("grant no lease", () => {
    const group = new CoreGroup(["a", "b", "c"], ["d"]);
    const leader = group.elect("a");
    group.cut("b", "c");
    group.pass(T.leaseMs);
    expect(leader.core.serveFromLease(group.nowMs)).toBe(false);
  });

  test("never campaign, however long they hear nothing, and sleep in the end", () => {
    const group = new CoreGroup(["a", "b", "c"], ["d"]);
    group.elect("a");
    group.cut("d");
    const learner = group.node("d");
    learner.act((core, nowMs) => core.suspect("a", nowMs));
    group.pass(T.electionMaxMs * 3);
    expect(learner.core).toMatchObject({ role: "follower", term: 1 });
    expect(learner.journal.filter((line) => line.includes("vote"))).toEqual([]);
    group.pass(T.quiesceAfterMs);
    expect(learner.core.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
  });
});

/** Lets `node` lead by itself wherever it can, and change the members; everybody who is not cut off hears of it. */
function change(leader: Node, ...steps: readonly MembershipChange[]): void {
  for (const step of steps) {
    expect(leader.act((core, nowMs) => core.changeMembership(step, nowMs))).toMatchObject({ ok: true });
    leader.group.deliver();
    // Whoever has just become a member is spoken to by the next heartbeat.
    leader.group.pass(T.heartbeatMs);
  }
}

function refusal(leader: Node, step: MembershipChange): string | undefined {
  const result = leader.act((core, nowMs) => core.changeMembership(step, nowMs));
  return result.ok ? undefined : result.reason;
}

describe("a leader changes the members", () => {
  const ADD_D: MembershipChange = { kind: "add_learner", id: "d" };
  const ADD_E: MembershipChange = { kind: "add_learner", id: "e" };

  test("one after the other: the next change waits until the last one is committed", () => {
    const group = new CoreGroup(["a", "b", "c"], [], {}, ["d", "e"]);
    const leader = group.elect("a");
    group.cut("b", "c");
    expect(refusal(leader, ADD_D)).toBeUndefined();
    expect(refusal(leader, ADD_E)).toBe("the change before is not committed yet");
    group.heal();
    group.pass(T.heartbeatMs * 2);
    expect(refusal(leader, ADD_E)).toBeUndefined();
  });

  test("only after an entry of its own term is committed (Ongaro, raft-dev, July 2015)", () => {
    // a promotes e and reaches nobody else. b, elected without that entry, wants to remove a. Let to do so at once, it could
    // commit that with c alone, two of {b, c, d}; and a could be elected with d and e, three of {a, b, c, d, e}.
    const group = new CoreGroup(["a", "b", "c", "d"], ["e"]);
    const first = group.elect("a");
    group.cut("b", "c", "d");
    expect(refusal(first, { kind: "promote", id: "e" })).toBeUndefined();
    group.deliver();
    group.heal();
    group.cut("a", "e");
    group.nowMs += 2 * T.leaseMs;
    const second = group.node("b");
    second.act((core, nowMs) => core.suspect("a", nowMs));
    group.nowMs = Math.max(group.nowMs, second.core.nextDeadlineMs);
    second.tick();
    group.deliver((message) => message.kind === "append_reply" || (message.kind === "append" && message.to === "d"));
    expect(second.core.role).toBe("leader");
    expect(refusal(second, { kind: "remove", id: "a" })).toBe("no entry of this term is committed yet");
    group.deliver();
    expect(refusal(second, { kind: "remove", id: "a" })).toBeUndefined();
    group.deliver((message) => message.to === "d");
    // By now d has an entry of b's term, or b would not have been let: it votes for a no more.
    group.heal();
    group.outbox = [];
    group.cut("b", "c");
    group.pass(T.electionMaxMs * 3);
    expect(first.core.role).not.toBe("leader");
    expect(group.node("d").core.log.lastTerm).toBe(second.core.term);
  });

  test("not before its first entry is committed, even where nothing else is open", () => {
    const group = new CoreGroup(["a", "b", "c"], [], {}, ["d"]);
    const candidate = group.node("a");
    candidate.act((core, nowMs) => core.wake(nowMs));
    candidate.tick();
    group.deliver((message) => message.kind === "append_reply");
    expect(candidate.core).toMatchObject({ role: "leader", commitIndex: 0 });
    expect(refusal(candidate, ADD_D)).toBe("no entry of this term is committed yet");
    group.deliver();
    expect(refusal(candidate, ADD_D)).toBeUndefined();
  });

  test("never its own membership, and nothing while it hands over", () => {
    const group = new CoreGroup(["a", "b", "c"], [], {}, ["d"]);
    const leader = group.elect("a");
    expect(refusal(leader, { kind: "remove", id: "a" })).toBe("a leader does not remove itself");
    group.cut("b");
    leader.propose("x");
    group.outbox = [];
    leader.act((core, nowMs) => core.transferLeadership("b", nowMs));
    expect(refusal(leader, ADD_D)).toContain("hands over");
    expect(refusal(group.node("c"), ADD_D)).toBe("only a leader changes the members");
  });

  test("and a promoted member counts from the moment that its promotion is in the log", () => {
    const group = new CoreGroup(["a"], [], {}, ["b"]);
    const leader = group.elect("a");
    change(leader, { kind: "add_learner", id: "b" }, { kind: "promote", id: "b" });
    group.cut("b");
    const committed = leader.core.commitIndex;
    leader.propose("x");
    group.deliver();
    expect(leader.core.commitIndex).toBe(committed);
    group.heal();
    group.pass(T.heartbeatMs * 2);
    expect(leader.core.commitIndex).toBe(committed + 1);
  });

  test("and a removed one does not count any more: not for commits, not for the lease, not for a round, not for a vote", () => {
    const group = new CoreGroup(["a", "b", "c", "d"]);
    const leader = group.elect("a");
    change(leader, { kind: "remove", id: "d" });
    expect(leader.core.leaderState?.progress.has("d")).toBe(false);
    group.cut("b", "c");
    const committed = leader.core.commitIndex;
    group.pass(T.leaseMs);
    leader.propose("x");
    leader.act((core, nowMs) => core.readIndex(1, nowMs));
    group.deliver();
    // What it still says counts for nothing.
    for (const sequence of [1, 100]) {
      const { term } = leader.core;
      leader.step({
        ...{ v: 1, kind: "append_reply", from: "d", to: "a", term, success: true, index: 99, hintTerm: 0 },
        ...{ sequence, sentAtMs: group.nowMs, clockMs: group.nowMs, instance: "d", quiesced: false },
      });
    }
    expect(leader.core.role).toBe("leader");
    expect(leader.core.commitIndex).toBe(committed);
    expect(leader.core.serveFromLease(group.nowMs)).toBe(false);
    expect(leader.reads).toEqual([]);
    group.heal();
    group.cut("a", "c");
    const candidate = group.node("b");
    candidate.act((core, nowMs) => core.suspect("a", nowMs));
    group.pass(T.electionMaxMs * 2);
    // Its own vote and d's would be two of three.
    expect(candidate.core.role).not.toBe("leader");
  });

  test("and check-quorum follows: a leader that hears learners and removed members only steps down", () => {
    const group = new CoreGroup(["a", "b", "c"], ["d"]);
    const leader = group.elect("a");
    group.cut("b", "c");
    for (let beats = 0; beats * T.heartbeatMs < T.electionMaxMs + T.heartbeatMs; beats++) {
      group.nowMs += T.heartbeatMs;
      leader.tick();
      group.deliver();
    }
    expect(leader.core.role).not.toBe("leader");
  });

  test("and a member that was added late gets the membership with the snapshot", () => {
    const group = new CoreGroup(["a", "b", "c"], [], {}, ["d"]);
    const leader = group.elect("a");
    change(leader, ADD_D);
    const late = group.node("d");
    late.install(
      { index: 99, term: 1, membership: { voters: ["a", "b", "d"], learners: ["c"] } },
      { id: "a", term: 1 },
    );
    expect(late.core.membership).toEqual({ voters: ["a", "b", "d"], learners: ["c"] });
    expect(late.core.isVoter).toBe(true);
    expect(late.core.isMembershipCommitted).toBe(true);
  });
});

describe("a removed member that returns", () => {
  function removed() {
    const group = new CoreGroup(["a", "b", "c", "d"]);
    const leader = group.elect("a");
    group.cut("d");
    change(leader, { kind: "remove", id: "d" });
    group.heal();
    return { group, leader, returned: group.node("d") };
  }

  test("asks in vain, deposes nobody, raises nobody's term, and learns that it is a stranger", () => {
    const { group, leader, returned } = removed();
    const { term } = leader.core;
    returned.act((core, nowMs) => core.wake(nowMs));
    leader.propose("x");
    group.pass(T.electionMaxMs * 3);
    expect(returned.core.role).not.toBe("leader");
    expect(leader.core).toMatchObject({ role: "leader", term });
    expect(returned.core.isDisowned).toBe(true);
    expect(group.node("b").core.isDisowned).toBe(false);
  });

  test("does not wake a group that sleeps", () => {
    const { group, returned } = removed();
    group.pass(T.quiesceAfterMs * 4);
    const members = ["a", "b", "c"].map((id) => group.node(id).core);
    expect(members.map(({ asleep }) => asleep)).toEqual([true, true, true]);
    returned.act((core, nowMs) => core.suspect(core.leader ?? "", nowMs));
    returned.act((core, nowMs) => core.wake(nowMs));
    group.pass(T.electionMaxMs * 2);
    expect(returned.core.isDisowned).toBe(true);
    expect(members.map(({ asleep }) => asleep)).toEqual([true, true, true]);
  });
});

describe("a member confirms that it lives", () => {
  test("by an answer to what was sent later, not to what was under way", () => {
    const group = new CoreGroup();
    const leader = group.elect("a");
    group.pass(T.heartbeatMs);
    leader.propose("x");
    group.nowMs += 1;
    const sinceMs = group.nowMs;
    group.deliver();
    expect(leader.core.healthOf("b", sinceMs)).toMatchObject({ isLive: true, isCaughtUp: true, isConfirmed: false });
    group.pass(T.heartbeatMs);
    expect(leader.core.healthOf("b", sinceMs)).toMatchObject({ isLive: true, isConfirmed: true });
  });
});

describe("a replica that founds nothing", () => {
  test("has no say, and asks for none, until the log tells it who the members are", () => {
    const group = new CoreGroup(["a", "b", "c"], [], {}, ["d"]);
    const fresh = group.node("d");
    expect(fresh.core.membership).toEqual({ voters: [], learners: [] });
    fresh.act((core, nowMs) => core.wake(nowMs));
    group.pass(T.electionMaxMs * 3);
    expect(fresh.core).toMatchObject({ role: "follower", term: 0 });
    const leader = group.elect("a");
    change(leader, { kind: "add_learner", id: "d" });
    expect(fresh.core.membership).toEqual({ voters: ["a", "b", "c"], learners: ["d"] });
    expect(leader.core.healthOf("d", 0)).toEqual({ isLive: true, isCaughtUp: true, isConfirmed: true });
    change(leader, { kind: "promote", id: "d" });
    expect(fresh.core.isVoter).toBe(true);
  });

  test("answers a candidate that counts it: whoever is asked is a voter in a newer log than its own", () => {
    // As etcd found: were it to refuse, a group whose promotion has reached a majority only could be without a leader.
    const group = new CoreGroup(["a", "b"], ["c"]);
    const learner = group.node("c");
    learner.step({ v: 1, kind: "vote", from: "b", to: "c", term: 5, lastIndex: 9, lastTerm: 4, transfer: false });
    expect(group.take("vote_reply", "b")).toMatchObject([{ granted: true }]);
  });
});

describe("one change at a time", () => {
  test("adds a learner, promotes it and removes a voter", () => {
    const steps = [
      { kind: "add_learner", id: "d" },
      { kind: "promote", id: "d" },
      { kind: "remove", id: "a" },
    ] as const;
    let membership = THREE;
    for (const change of steps) {
      const result = changedMembership(membership, change);
      if (!result.ok) throw new Error(result.reason);
      membership = result.membership;
    }
    expect(membership).toEqual({ voters: ["b", "c", "d"], learners: [] });
  });

  test("refuses what makes no sense", () => {
    const refusal = (membership: Membership, change: Parameters<typeof changedMembership>[1]) => {
      const result = changedMembership(membership, change);
      return result.ok ? undefined : result.reason;
    };
    expect(refusal(THREE, { kind: "add_learner", id: "a" })).toBe("a is a member already");
    expect(refusal(THREE, { kind: "promote", id: "a" })).toBe("a is not a learner");
    expect(refusal(THREE, { kind: "remove", id: "z" })).toBe("z is not a member");
    expect(refusal({ voters: ["a"], learners: [] }, { kind: "remove", id: "a" })).toBe("a is the last voter");
  });
});

describe("majorities", () => {
  test("of even groups are more than half", () => {
    expect([1, 2, 3, 4, 5].map(quorumSize)).toEqual([1, 2, 2, 3, 3]);
  });

  test("have reached the value that enough of them have", () => {
    const reached: Record<string, number> = { a: 9, b: 4, c: 7 };
    expect(quorumValue(["a", "b", "c"], (id) => reached[id] ?? 0)).toBe(7);
    expect(quorumValue(["a", "b", "c", "d"], (id) => reached[id] ?? 0)).toBe(4);
    expect(quorumValue([], () => 1)).toBe(0);
  });

  test("decide an election as soon as it is decided", () => {
    const voters = ["a", "b", "c"];
    expect(voteResult(voters, new Map([["a", true]]))).toBe("pending");
    expect(
      voteResult(
        voters,
        new Map([
          ["a", true],
          ["c", true],
        ]),
      ),
    ).toBe("won");
    expect(
      voteResult(
        voters,
        new Map([
          ["b", false],
          ["c", false],
        ]),
      ),
    ).toBe("lost");
    expect(
      voteResult(
        voters,
        new Map([
          ["a", true],
          ["z", true],
        ]),
      ),
    ).toBe("pending");
  });
});
