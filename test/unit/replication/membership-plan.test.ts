// The plan from the members that a group has to those that are listed: a table of steps, and what holds for all of them.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changedMembership, type Membership } from "../../../durable/replication/membership.ts";
import {
  isMembershipOf,
  type MembershipStep,
  nextMembershipStep,
} from "../../../durable/replication/membership-plan.ts";
import { quorumSize } from "../../../durable/replication/quorum.ts";

interface Situation {
  readonly self?: string;
  readonly listed: string;
  readonly voters: string;
  readonly learners?: string;
  readonly dead?: string;
  readonly behind?: string;
  /** Have answered lately, but nothing that was sent since the last change. */
  readonly unheard?: string;
}

/** One letter a member, to be read at a glance. */
function stepOf({ self, listed, voters, learners = "", dead = "", behind = "", unheard = "" }: Situation): string {
  const leader = self ?? voters[0] ?? "";
  const healthOf = (id: string) => ({
    isLive: !dead.includes(id),
    isCaughtUp: !behind.includes(id),
    isConfirmed: !unheard.includes(id),
  });
  return textOf(nextMembershipStep(leader, [...listed], { voters: [...voters], learners: [...learners] }, healthOf));
}

function textOf(step: MembershipStep | undefined): string {
  if (step === undefined) return "settled";
  if (step.kind === "wait") return "wait";
  return step.kind === "transfer" ? `transfer to ${step.to}` : `${step.change.kind} ${step.change.id}`;
}

/** All steps from here on, as long as there are any; the leader that is to leave hands over. */
function stepsFrom(start: Situation): readonly string[] {
  const steps: string[] = [];
  let situation = start;
  for (let step = stepOf(situation); step !== "settled" && step !== "wait"; step = stepOf(situation)) {
    steps.push(step);
    const [kind = "", ...words] = step.split(" ");
    const id = words.at(-1) ?? "";
    const { voters, learners = "" } = situation;
    if (kind === "transfer") situation = { ...situation, self: id };
    if (kind === "add_learner") situation = { ...situation, learners: learners + id };
    if (kind === "promote") situation = { ...situation, voters: voters + id, learners: learners.replace(id, "") };
    if (kind === "remove") situation = { ...situation, voters: voters.replace(id, "") };
  }
  return steps;
}

// Five were to become three, and two of those that are kept died before anybody left: "abc" are listed, "cde" alive.
describe("a group whose kept replicas die before the others have left", () => {
  const stuck: Situation = { self: "d", listed: "abc", voters: "abcde", dead: "ab" };

  test("waits for as long as they are listed: whoever left would take the majority along", () => {
    expect(stepsFrom(stuck)).toEqual(["transfer to c"]);
  });

  test("gets where it is to be once they are replaced, the one after the other", () => {
    const first = stepsFrom({ ...stuck, listed: "fbc" });
    expect(first).toEqual(["transfer to c", "add_learner f", "remove a", "remove d", "promote f", "remove e"]);
    const second = stepsFrom({ self: "c", listed: "fgc", voters: "bcf", dead: "b" });
    expect(second).toEqual(["add_learner g", "promote g", "remove b"]);
  });

  test("gets there as well if both have successors at once", () => {
    expect(stepsFrom({ ...stuck, listed: "fgc" })).toEqual([
      "transfer to c",
      "add_learner f",
      "add_learner g",
      "remove a",
      "remove b",
      "promote f",
      "remove d",
      "promote g",
      "remove e",
    ]);
  });
});

describe("the next step", () => {
  test.each<[string, Situation, string]>([
    ["there is nothing to do", { listed: "abc", voters: "cab" }, "settled"],
    ["one is missing", { listed: "abcd", voters: "abc" }, "add_learner d"],
    ["two are missing: both begin to catch up", { listed: "abcde", voters: "abc", learners: "d" }, "add_learner e"],
    ["a learner is behind", { listed: "abcd", voters: "abc", learners: "d", behind: "d" }, "wait"],
    ["a learner does not answer", { listed: "abcd", voters: "abc", learners: "d", dead: "d" }, "wait"],
    ["one of two learners is ready", { listed: "abcde", voters: "abc", learners: "de", behind: "d" }, "promote e"],
    ["one is too many", { listed: "abc", voters: "abcd" }, "remove d"],
    ["the dead one of two leaves first", { listed: "abc", voters: "abcde", dead: "e" }, "remove e"],
    [
      "a successor votes before the dead one leaves",
      { listed: "abd", voters: "abc", learners: "d", dead: "c" },
      "promote d",
    ],
    ["the dead one leaves once its successor votes", { listed: "abd", voters: "abcd", dead: "c" }, "remove c"],
    [
      "the successor of a dead one is behind",
      { listed: "abd", voters: "abc", learners: "d", dead: "c", behind: "d" },
      "wait",
    ],
    ["a living one must stay, because one that stays is dead", { listed: "ac", voters: "abc", dead: "c" }, "wait"],
    ["a learner is not wanted any more", { listed: "abc", voters: "abc", learners: "d" }, "remove d"],
    ["the leader is to leave", { listed: "bc", voters: "abc" }, "transfer to b"],
    ["the leader is to leave, and the first heir is dead", { listed: "bc", voters: "abc", dead: "b" }, "transfer to c"],
    ["the leader is to leave, and no heir votes yet", { listed: "d", voters: "a" }, "add_learner d"],
    ["the leader is to leave, and its heir has caught up", { listed: "d", voters: "a", learners: "d" }, "promote d"],
    ["the leader is the last that is to leave", { listed: "d", voters: "ad" }, "transfer to d"],
    ["only the leader is to leave, and nobody can take over", { listed: "b", voters: "ab", behind: "b" }, "wait"],
    [
      "the other of two has not confirmed that it is one of two",
      { listed: "a", voters: "ab", unheard: "b" },
      "remove b",
    ],
    [
      "the only newcomer is not heard since it is a learner",
      { listed: "ad", voters: "a", learners: "d", unheard: "d" },
      "wait",
    ],
    [
      "a newcomer is ready, but the fourth that its majority would need is not heard since the last change",
      { listed: "abd", voters: "abc", learners: "d", dead: "c", unheard: "b" },
      "wait",
    ],
    [
      "one is too many, and those that stay are not heard since the last change",
      { listed: "abc", voters: "abcd", unheard: "bc" },
      "wait",
    ],
    [
      "one is too many, and a majority of those that stay has confirmed the last change",
      { listed: "abc", voters: "abcd", unheard: "cd" },
      "remove d",
    ],
    [
      "one of those that leave is not heard: it leaves first",
      { listed: "abd", voters: "abecd", unheard: "cd" },
      "remove c",
    ],
    [
      "one of two newcomers is not heard since the last change",
      { listed: "abcde", voters: "abc", learners: "de", unheard: "d" },
      "promote e",
    ],
    ["the new leader removes the old one", { self: "d", listed: "d", voters: "ad" }, "remove a"],
  ])("when %s", (_, situation, expected) => {
    expect(stepOf(situation)).toBe(expected);
  });
});

const MEMBERS = ["a", "b", "c", "d", "e", "f", "g", "h"];

const someMembers = fc.subarray(MEMBERS, { minLength: 1, maxLength: 5 });
/** A group that has a leader: itself alive, and with it a majority of the voters. */
const situations = fc
  .record({ voters: someMembers, learners: fc.subarray(MEMBERS), listed: someMembers, order: fc.nat() })
  .chain(({ voters, learners, listed, order }) =>
    fc.record({
      self: fc.constant(voters[order % voters.length] ?? ""),
      membership: fc.constant<Membership>({ voters, learners: learners.filter((id) => !voters.includes(id)) }),
      listed: fc.constant(listed),
      dead: fc.subarray(MEMBERS),
      unheard: fc.subarray(MEMBERS),
    }),
  )
  .filter(
    ({ self, membership, dead }) =>
      !dead.includes(self) && livingVoters(membership, dead) >= quorumSize(membership.voters.length),
  );

function livingVoters({ voters }: Membership, dead: readonly string[]): number {
  return voters.filter((id) => !dead.includes(id)).length;
}

/** Follows the plan with `dead` dead and everybody else caught up; every membership on the way. */
function follow(start: { self: string; membership: Membership; listed: readonly string[]; dead: readonly string[] }) {
  const { listed, dead } = start;
  const path: Membership[] = [start.membership];
  let { self, membership } = start;
  for (let steps = 0; steps < 100; steps++) {
    const step = nextMembershipStep(self, listed, membership, (id) => ({
      isLive: !dead.includes(id),
      isCaughtUp: true,
      isConfirmed: true,
    }));
    if (step === undefined || step.kind === "wait") return { path, isSettled: step === undefined, self };
    if (step.kind === "transfer") {
      expect(step.to).not.toBe(self);
      expect(membership.voters).toContain(step.to);
      expect(dead).not.toContain(step.to);
      self = step.to;
      continue;
    }
    expect(step.change).not.toEqual({ kind: "remove", id: self });
    const changed = changedMembership(membership, step.change);
    if (!changed.ok) throw new Error(changed.reason);
    membership = changed.membership;
    path.push(membership);
  }
  throw new Error("the plan goes round in circles");
}

describe("the plan as a whole", () => {
  test("ends with the listed members, whatever there was, when all of them live", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const dead = situation.dead.filter((id) => !situation.listed.includes(id));
        const { path, isSettled } = follow({ ...situation, dead });
        expect(isSettled).toBe(true);
        expect(isMembershipOf(situation.listed, path.at(-1) as Membership)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test("never leaves fewer living voters than a majority, and never fewer voters than are listed by removing one", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const { path } = follow(situation);
        for (const [index, membership] of path.entries()) {
          expect(livingVoters(membership, situation.dead)).toBeGreaterThanOrEqual(quorumSize(membership.voters.length));
          const before = path[index - 1];
          if (before !== undefined && membership.voters.length < before.voters.length) {
            expect(membership.voters.length).toBeGreaterThanOrEqual(situation.listed.length);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("leaves a majority by every step, even if all are gone that have not answered since the last change", () => {
    fc.assert(
      fc.property(situations, ({ self, listed, membership, dead, unheard }) => {
        const gone = [...dead, ...unheard.filter((id) => id !== self)];
        const step = nextMembershipStep(self, listed, membership, (id) => ({
          isLive: !dead.includes(id),
          isCaughtUp: true,
          isConfirmed: !gone.includes(id),
        }));
        const changed = step?.kind === "change" ? changedMembership(membership, step.change) : undefined;
        fc.pre(changed?.ok === true && changed.membership.voters.length !== membership.voters.length);
        if (changed?.ok !== true) return;
        const { voters } = changed.membership;
        expect(livingVoters(changed.membership, gone)).toBeGreaterThanOrEqual(quorumSize(voters.length));
      }),
      { numRuns: 100 },
    );
  });

  test("goes on from any point with the same result, because it remembers nothing", () => {
    fc.assert(
      fc.property(situations, fc.nat(), (situation, cut) => {
        const dead: string[] = [];
        const { path, self } = follow({ ...situation, dead });
        const membership = path[cut % path.length] as Membership;
        const heir = membership.voters.includes(self) ? self : (membership.voters[0] as string);
        expect(follow({ ...situation, dead, membership, self: heir }).isSettled).toBe(true);
      }),
    );
  });
});
