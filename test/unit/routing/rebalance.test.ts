// Minimal movement, as properties: whatever the shards, their weights and where the slots are.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LOAD_FACTOR, placeSlots, slotCapacities, type WeightedShard } from "../../../routing/placement.ts";
import { type MovePlan, planMoves } from "../../../routing/rebalance.ts";
import { SLOT_COUNT } from "../../../routing/slots.ts";

/** Each example builds a ring or two, and walks it from every slot. */
const RUNS = { numRuns: 25 };

const someWeight = fc.constantFrom(0, 0.5, 1, 1, 1, 2, 4);
const someShards = fc
  .uniqueArray(fc.record({ shard: fc.integer({ min: 0, max: 300 }), weight: someWeight }), {
    minLength: 1,
    maxLength: 16,
    selector: ({ shard }) => shard,
  })
  .filter((shards) => shards.some(({ weight }) => weight > 0));

/** Shards, and slots anywhere on them: as the ring would place them, or as history has left them. */
const someCluster = someShards.chain((shards) =>
  fc.record({
    shards: fc.constant(shards),
    owners: fc.oneof(
      fc.constant(placed(shards)),
      fc.array(fc.constantFrom(...shards.map(({ shard }) => shard)), { minLength: SLOT_COUNT, maxLength: SLOT_COUNT }),
    ),
  }),
);

function placed(shards: readonly WeightedShard[]): readonly number[] {
  const result = placeSlots(shards);
  if (!result.ok) throw new Error(result.problem);
  return result.slots;
}

function carriedOut(owners: readonly number[], { moves }: MovePlan): readonly number[] {
  return moves.reduce((slots, { slot, to }) => slots.with(slot, to), owners);
}

function countOf(owners: readonly number[], shard: number): number {
  return owners.filter((owner) => owner === shard).length;
}

function shareOf(shards: readonly WeightedShard[], shard: number): number {
  const total = shards.reduce((sum, { weight }) => sum + weight, 0);
  return (SLOT_COUNT * (shards.find((one) => one.shard === shard)?.weight ?? 0)) / total;
}

function all(shards: readonly WeightedShard[]): ReadonlySet<number> {
  return new Set(shards.map(({ shard }) => shard));
}

/** Slots that stand above a bound that a change of the weights has brought down. */
function aboveBound(shards: readonly WeightedShard[], owners: readonly number[], others: ReadonlySet<number>): number {
  return [...slotCapacities(shards)]
    .filter(([shard]) => !others.has(shard))
    .reduce((sum, [shard, capacity]) => sum + Math.max(0, countOf(owners, shard) - capacity), 0);
}

describe("any plan", () => {
  const someLevelled = someCluster.chain(({ shards, owners }) =>
    fc.record({
      shards: fc.constant(shards),
      owners: fc.constant(owners),
      levelled: fc.subarray(shards.map(({ shard }) => shard)).map((numbers) => new Set(numbers)),
    }),
  );

  test("keeps the bound of 1.25 times the mean by weight, and brings the levelled shards to their shares", () => {
    fc.assert(
      fc.property(someLevelled, ({ shards, owners, levelled }) => {
        const after = carriedOut(owners, planMoves(shards, owners, levelled));
        for (const { shard, weight } of shards) {
          const share = shareOf(shards, shard);
          const count = countOf(after, shard);
          expect(count).toBeLessThanOrEqual(Math.ceil(LOAD_FACTOR * share));
          if (weight === 0) expect(count).toBe(0);
          if (!levelled.has(shard)) continue;
          expect(count).toBeGreaterThanOrEqual(Math.floor(share));
          expect(count).toBeLessThanOrEqual(Math.ceil(share));
        }
      }),
      RUNS,
    );
  });

  test("moves no more slots than the levelled are from their shares, and those above the bound", () => {
    fc.assert(
      fc.property(someLevelled, ({ shards, owners, levelled }) => {
        const { moves, idealSlots } = planMoves(shards, owners, levelled);
        expect(moves.length).toBeLessThanOrEqual(Math.ceil(idealSlots) + aboveBound(shards, owners, levelled));
      }),
      RUNS,
    );
  });

  test("moves each slot at most once, from its owner, to a shard that does not end above its share", () => {
    fc.assert(
      fc.property(someLevelled, ({ shards, owners, levelled }) => {
        const plan = planMoves(shards, owners, levelled);
        const after = carriedOut(owners, plan);
        expect(new Set(plan.moves.map(({ slot }) => slot)).size).toBe(plan.moves.length);
        for (const { slot, from, to } of plan.moves) {
          expect(from).toBe(owners[slot]);
          expect(to).not.toBe(from);
          expect(shareOf(shards, to)).toBeGreaterThan(0);
          expect(countOf(after, to)).toBeLessThanOrEqual(Math.ceil(shareOf(shards, to)));
        }
      }),
      RUNS,
    );
  });

  test("says why each slot moves, and the reason holds", () => {
    fc.assert(
      fc.property(someLevelled, ({ shards, owners, levelled }) => {
        const capacities = slotCapacities(shards);
        for (const { from, to, reason } of planMoves(shards, owners, levelled).moves) {
          const before = countOf(owners, from);
          if (reason === "drained") expect(shareOf(shards, from)).toBe(0);
          if (reason === "above_bound") expect(before).toBeGreaterThan(capacities.get(from) ?? 0);
          if (reason === "above_share") expect(levelled.has(from) && before > shareOf(shards, from)).toBe(true);
          if (reason === "below_share") {
            expect(levelled.has(to) && countOf(owners, to) < shareOf(shards, to)).toBe(true);
          }
        }
      }),
      RUNS,
    );
  });

  test("reports the loads before and after", () => {
    fc.assert(
      fc.property(someLevelled, ({ shards, owners, levelled }) => {
        const plan = planMoves(shards, owners, levelled);
        const after = carriedOut(owners, plan);
        expect(plan.loads).toHaveLength(shards.length);
        for (const { shard, slotsBefore, slotsAfter, share } of plan.loads) {
          expect([slotsBefore, slotsAfter]).toEqual([countOf(owners, shard), countOf(after, shard)]);
          expect(share).toBeCloseTo(shareOf(shards, shard), 9);
        }
      }),
      RUNS,
    );
  });

  test("leaves nothing to plan once it is carried out", () => {
    fc.assert(
      fc.property(someLevelled, ({ shards, owners, levelled }) => {
        const after = carriedOut(owners, planMoves(shards, owners, levelled));
        expect(planMoves(shards, after, levelled).moves).toEqual([]);
        expect(planMoves(shards, after, new Set()).moves).toEqual([]);
      }),
      RUNS,
    );
  });

  test("does not depend on the order in which the shards are listed", () => {
    const reordered = someLevelled.chain((cluster) =>
      fc.record({
        cluster: fc.constant(cluster),
        shards: fc.shuffledSubarray(cluster.shards, { minLength: cluster.shards.length }),
      }),
    );
    fc.assert(
      fc.property(reordered, ({ cluster, shards }) => {
        const { owners, levelled } = cluster;
        expect(planMoves(shards, owners, levelled)).toEqual(planMoves(cluster.shards, owners, levelled));
      }),
      RUNS,
    );
  });
});

describe("one shard more among N+1 equal ones", () => {
  const someNumbers = fc.uniqueArray(fc.nat(300), { minLength: 2, maxLength: 24 });

  test("takes 1/(N+1) of the slots, and nothing else moves but what stood above the new bound", () => {
    fc.assert(
      fc.property(someNumbers, (numbers) => {
        const [added = 0, ...others] = numbers;
        const shards = others.map((shard) => ({ shard, weight: 1 }));
        const owners = placed(shards);
        const grown = [...shards, { shard: added, weight: 1 }];
        const plan = planMoves(grown, owners, new Set([added]));
        const fair = Math.floor(SLOT_COUNT / numbers.length);
        expect(countOf(carriedOut(owners, plan), added)).toBe(fair);
        expect(plan.moves.length).toBe(Math.max(fair, aboveBound(grown, owners, new Set([added]))));
        expect(plan.idealSlots).toBeCloseTo(SLOT_COUNT / numbers.length, 9);
      }),
      RUNS,
    );
  });

  test("takes from those that have most", () => {
    const owners = Array.from({ length: SLOT_COUNT }, (_, slot) =>
      slot < 300 ? 0 : slot < 600 ? 1 : slot < 824 ? 2 : 3,
    );
    const shards = [0, 1, 2, 3, 4].map((shard) => ({ shard, weight: 1 }));
    const after = carriedOut(owners, planMoves(shards, owners, new Set([4])));
    // Shard 3 has less than its share even now.
    expect([0, 1, 2, 3, 4].map((shard) => countOf(after, shard))).toEqual([206, 207, 207, 200, 204]);
  });
});

describe("a drained shard", () => {
  test("gives all its slots away, to those with room below their share, and nothing else moves", () => {
    fc.assert(
      fc.property(someCluster, fc.nat(), ({ shards, owners }, pick) => {
        const { shard } = shards[pick % shards.length] ?? { shard: -1 };
        const drained = shards.map((one) => (one.shard === shard ? { shard, weight: 0 } : one));
        if (drained.every(({ weight }) => weight === 0)) return;
        const plan = planMoves(drained, owners, new Set([shard]));
        const after = carriedOut(owners, plan);
        expect(countOf(after, shard)).toBe(0);
        for (const { from, to, reason } of plan.moves) {
          expect(to).not.toBe(shard);
          if (from !== shard) expect(["above_bound", "drained"]).toContain(reason);
        }
      }),
      RUNS,
    );
  });
});

describe("a rebalance of everything", () => {
  test("levels all shards by their weights with the fewest moves that can do it", () => {
    fc.assert(
      fc.property(someCluster, ({ shards, owners }) => {
        const plan = planMoves(shards, owners, all(shards));
        const after = carriedOut(owners, plan);
        const sum = (of: (shard: number, share: number) => number) =>
          shards.reduce((total, { shard }) => total + Math.max(0, of(shard, shareOf(shards, shard))), 0);
        const giving = sum((shard, share) => countOf(owners, shard) - Math.ceil(share));
        const taking = sum((shard, share) => Math.floor(share) - countOf(owners, shard));
        expect(plan.moves.length).toBe(Math.max(giving, taking));
        for (const { shard } of shards)
          expect(Math.abs(countOf(after, shard) - shareOf(shards, shard))).toBeLessThan(1);
      }),
      RUNS,
    );
  });
});
