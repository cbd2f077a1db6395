// Membership: Ongaro's dissertation, chapter 4. Changes one member at a time.

import { describe, expect, test } from "vitest";
import {
  changedMembership,
  decodeMembership,
  encodeMembership,
  type Membership,
} from "../../../durable/replication/membership.ts";
import { quorumSize, quorumValue, voteResult } from "../../../durable/replication/quorum.ts";
import { append, CoreGroup, entry, T } from "./core-group.ts";

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
