// Majorities against their definition, spelled out by trying everything.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changedMembership, type Membership, type MembershipChange } from "../../../durable/replication/membership.ts";
import { quorumSize, quorumValue, voteResult } from "../../../durable/replication/quorum.ts";

const IDS: readonly string[] = ["a", "b", "c", "d", "e", "f", "g"];

const someVoters = fc.uniqueArray(fc.constantFrom(...IDS), { minLength: 1 });
/** An answer of each server, asked or not, voter or not; undefined: none yet. */
const someAnswers = fc.array(fc.constantFrom(true, false, undefined), { minLength: IDS.length, maxLength: IDS.length });

function subsetsOf<T>(items: readonly T[]): T[][] {
  const [first, ...others] = items;
  if (first === undefined) return [[]];
  return subsetsOf(others).flatMap((subset) => [subset, [first, ...subset]]);
}

function majoritiesOf(voters: readonly string[]): string[][] {
  return subsetsOf(voters).filter((subset) => subset.length > voters.length / 2);
}

describe("quorumValue", () => {
  test("is the highest value that every server of some majority has reached", () => {
    const values = fc.array(fc.integer({ min: -3, max: 9 }), { minLength: IDS.length, maxLength: IDS.length });
    fc.assert(
      fc.property(someVoters, values, (voters, reached) => {
        const reachedBy = (id: string) => reached[IDS.indexOf(id)] ?? 0;
        const lowestOf = majoritiesOf(voters).map((majority) => Math.min(...majority.map(reachedBy)));
        expect(quorumValue(voters, reachedBy)).toBe(Math.max(...lowestOf));
      }),
    );
  });

  test("waits for a server that has reached nothing as long as a majority needs it", () => {
    const never = (id: string) => (id === "a" ? 5 : Number.NEGATIVE_INFINITY);
    expect(quorumValue(["a", "b"], never)).toBe(Number.NEGATIVE_INFINITY);
    expect(quorumValue(["a"], never)).toBe(5);
  });
});

test("a quorum is the smallest number of which any two share a server", () => {
  for (let voters = 1; voters <= 9; voters++) {
    expect(2 * quorumSize(voters)).toBeGreaterThan(voters);
    expect(2 * (quorumSize(voters) - 1)).toBeLessThanOrEqual(voters);
  }
});

describe("voteResult", () => {
  test("is won or lost exactly when no answer that may still come can change it", () => {
    fc.assert(
      fc.property(someVoters, someAnswers, (voters, answers) => {
        const votes = new Map<string, boolean>();
        IDS.forEach((id, at) => {
          const answer = answers[at];
          if (answer !== undefined) votes.set(id, answer);
        });
        const granted = voters.filter((id) => votes.get(id) === true).length;
        const open = voters.filter((id) => !votes.has(id));
        // Every way in which the open answers may come out.
        const ends = subsetsOf(open).map((late) => granted + late.length > voters.length / 2);
        const expected = ends.every((isWon) => isWon) ? "won" : ends.some((isWon) => isWon) ? "pending" : "lost";
        expect(voteResult(voters, votes)).toBe(expected);
      }),
    );
  });
});

describe("a change of one member", () => {
  const someMembership: fc.Arbitrary<Membership> = fc
    .tuple(someVoters, fc.uniqueArray(fc.constantFrom(...IDS)))
    .map(([voters, others]) => ({ voters, learners: others.filter((id) => !voters.includes(id)) }));
  const someChange: fc.Arbitrary<MembershipChange> = fc.record({
    kind: fc.constantFrom("add_learner", "promote", "remove"),
    id: fc.constantFrom(...IDS),
  });

  test("leaves no majority of before without a server in common with any majority of after", () => {
    fc.assert(
      fc.property(someMembership, someChange, (before, change) => {
        const changed = changedMembership(before, change);
        if (!changed.ok) return;
        for (const majority of majoritiesOf(before.voters)) {
          for (const other of majoritiesOf(changed.membership.voters)) {
            expect(majority.some((id) => other.includes(id))).toBe(true);
          }
        }
      }),
    );
  });

  test("keeps everybody at most once, a voter or a learner, and touches nobody else", () => {
    fc.assert(
      fc.property(someMembership, someChange, (before, change) => {
        const changed = changedMembership(before, change);
        if (!changed.ok) return;
        const { voters, learners } = changed.membership;
        expect(new Set([...voters, ...learners]).size).toBe(voters.length + learners.length);
        const others = (ids: readonly string[]) => ids.filter((id) => id !== change.id);
        expect([others(voters), others(learners)]).toEqual([others(before.voters), others(before.learners)]);
        expect(voters.length).toBeGreaterThan(0);
      }),
    );
  });
});
