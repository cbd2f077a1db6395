// Membership entries as bytes: whatever they are, they are read, or they are a broken invariant that stops the replica.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvariantError } from "../../../durable/replication/invariant.ts";
import { decodeMembership, encodeMembership, type Membership } from "../../../durable/replication/membership.ts";

const someIds = fc.array(fc.string({ maxLength: 12 }), { maxLength: 6 });
const someMembership: fc.Arbitrary<Membership> = fc.record({ voters: someIds, learners: someIds });

function isReadOrBroken(bytes: Uint8Array): void {
  try {
    const { voters, learners } = decodeMembership(bytes);
    for (const id of [...voters, ...learners]) expect(typeof id).toBe("string");
  } catch (error) {
    expect(error).toBeInstanceOf(InvariantError);
  }
}

describe("a membership entry", () => {
  test("keeps any membership unchanged", () => {
    fc.assert(
      fc.property(someMembership, (membership) => {
        expect(decodeMembership(encodeMembership(membership))).toEqual(membership);
      }),
    );
  });

  test("that is garbage, cut short or damaged is a broken invariant and nothing else", () => {
    const cut = fc.tuple(someMembership, fc.nat()).map(([membership, at]) => {
      const bytes = encodeMembership(membership);
      return bytes.subarray(0, at % bytes.length);
    });
    const damaged = fc
      .tuple(someMembership, fc.nat(), fc.integer({ min: 1, max: 255 }))
      .map(([membership, at, mask]) => {
        const bytes = encodeMembership(membership);
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ mask;
        return bytes;
      });
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), cut, damaged), isReadOrBroken), {
      numRuns: 1_000,
    });
  });
});
