import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LOAD_FACTOR, placeSlots, slotCapacities, type WeightedShard } from "../../../routing/placement.ts";
import { SLOT_COUNT } from "../../../routing/slots.ts";

/** Each example builds a ring or three: enough to find a mistake, few enough to be quick. */
const RUNS = { numRuns: 40 };
/** For those that build four. */
const FEW_RUNS = { numRuns: 15 };

/** Slots that move besides those that must, because a shard stood over its new bound; 4 in 1,500 random changes. */
const MOVED_SLACK = 16;

/** Shards are numbered with gaps, as they are once some have been removed. */
const someShards = (minLength: number) =>
  fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { minLength, maxLength: 24 });

const someWeightedShards = fc
  .array(fc.constantFrom(0, 0.5, 1, 1, 1, 2, 4), { minLength: 1, maxLength: 16 })
  .filter((weights) => weights.some((weight) => weight > 0))
  .map((weights) => weights.map((weight, shard) => ({ shard, weight })));

/** The same shards in two orders. */
function reorderingOf(shards: readonly WeightedShard[]) {
  return fc.shuffledSubarray([...shards], { minLength: shards.length }).map((or) => ({ as: shards, or }));
}

function equalShards(numbers: readonly number[]): WeightedShard[] {
  return numbers.map((shard) => ({ shard, weight: 1 }));
}

function placed(...args: Parameters<typeof placeSlots>): readonly number[] {
  const result = placeSlots(...args);
  if (!result.ok) throw new Error(result.problem);
  return result.slots;
}

function countOf(slots: readonly number[], shard: number): number {
  return slots.filter((owner) => owner === shard).length;
}

function movedSlots(before: readonly number[], after: readonly number[]): number[] {
  return [...before.keys()].filter((slot) => before[slot] !== after[slot]);
}

test("epoch 0 of the default cluster never changes: every edge computes it for itself", () => {
  const slots = placed(equalShards([0, 1, 2, 3]));
  expect([0, 1, 2, 3].map((shard) => countOf(slots, shard))).toEqual([250, 244, 255, 275]);
  expect(slots.slice(0, 16)).toEqual([3, 0, 0, 3, 1, 1, 3, 3, 0, 2, 2, 0, 2, 3, 1, 2]);
});

describe("bounded loads", () => {
  test("every slot has one owner, and no shard more than 1.25 times its share by weight, rounded up", () => {
    fc.assert(
      fc.property(someWeightedShards, (shards) => {
        const slots = placed(shards);
        const totalWeight = shards.reduce((sum, { weight }) => sum + weight, 0);
        expect(slots).toHaveLength(SLOT_COUNT);
        for (const { shard, weight } of shards) {
          expect(countOf(slots, shard)).toBeLessThanOrEqual(Math.ceil((1.25 * SLOT_COUNT * weight) / totalWeight));
        }
        expect(slots.every((owner) => shards.some(({ shard }) => shard === owner))).toBe(true);
      }),
      RUNS,
    );
  });

  test("every shard gets a good part of its share by weight, and one of weight 0 nothing", () => {
    fc.assert(
      fc.property(someWeightedShards, (shards) => {
        const slots = placed(shards);
        const totalWeight = shards.reduce((sum, { weight }) => sum + weight, 0);
        for (const { shard, weight } of shards) {
          const share = (SLOT_COUNT * weight) / totalWeight;
          // Four standard deviations of the ring's spread (6 %) below, and three of the slots' sampling.
          expect(countOf(slots, shard)).toBeGreaterThanOrEqual(share - share * 0.25 - 3 * Math.sqrt(share));
          if (weight === 0) expect(countOf(slots, shard)).toBe(0);
        }
      }),
      RUNS,
    );
  });

  test("a bound that cannot hold is a value, not a panic", () => {
    const tooTight = placeSlots(equalShards([0, 1, 2, 3]), undefined, 0.9);
    expect(tooTight).toEqual({
      ok: false,
      problem: "the shards have room for 924 slots under the load bound, not 1024",
    });
    expect(placeSlots([]).ok).toBe(false);
    expect(placeSlots([{ shard: 0, weight: 0 }]).ok).toBe(false);
  });

  test("the tightest bound that can hold is met exactly", () => {
    const slots = placed(equalShards([0, 1, 2, 3]), undefined, 1);
    expect([0, 1, 2, 3].map((shard) => countOf(slots, shard))).toEqual([256, 256, 256, 256]);
  });

  test("the order in which the shards are listed makes no difference, now or in what was before", () => {
    const reorderedChange = fc
      .tuple(someWeightedShards, someWeightedShards)
      .chain(([before, after]) => fc.tuple(reorderingOf(before), reorderingOf(after)));
    fc.assert(
      fc.property(reorderedChange, ([before, after]) => {
        const slots = placed(before.as);
        expect(placed(before.or)).toEqual(slots);
        expect(placed(after.or, { shards: before.or, slots })).toEqual(placed(after.as, { shards: before.as, slots }));
      }),
      FEW_RUNS,
    );
  });

  test("a load factor is met exactly if it can be, and refused as a value if it cannot, whatever the shards", () => {
    fc.assert(
      fc.property(someWeightedShards, fc.double({ min: 0, max: 1.5, noNaN: true }), (shards, loadFactor) => {
        const capacities = slotCapacities(shards, loadFactor);
        const room = [...capacities.values()].reduce((sum, capacity) => sum + capacity, 0);
        const result = placeSlots(shards, undefined, loadFactor);
        expect(result.ok).toBe(room >= SLOT_COUNT);
        if (!result.ok) expect(result.problem).toContain(`room for ${room} slots`);
        else
          for (const [shard, capacity] of capacities)
            expect(countOf(result.slots, shard)).toBeLessThanOrEqual(capacity);
      }),
      RUNS,
    );
  });
});

describe("a change of the shards", () => {
  test("one more among N+1 moves at most 1/(N+1) of the slots and a quarter of that, plus rounding", () => {
    fc.assert(
      fc.property(someShards(2), (numbers) => {
        const [added = 0, ...others] = numbers;
        const shards = equalShards(others);
        const before = placed(shards);
        const after = placed([...shards, { shard: added, weight: 1 }], { shards, slots: before });
        const moved = movedSlots(before, after);
        const fair = SLOT_COUNT / numbers.length;
        expect(moved.length).toBeLessThanOrEqual(LOAD_FACTOR * fair + MOVED_SLACK);
        expect(countOf(after, added)).toBeGreaterThan(0);
      }),
      RUNS,
    );
  });

  test("one fewer moves the slots of the removed shard and no others", () => {
    fc.assert(
      fc.property(someShards(2), (numbers) => {
        const [removed = 0, ...others] = numbers;
        const shards = equalShards(numbers);
        const before = placed(shards);
        const after = placed(equalShards(others), { shards, slots: before });
        expect(movedSlots(before, after)).toEqual([...before.keys()].filter((slot) => before[slot] === removed));
      }),
      RUNS,
    );
  });

  test("every slot that moves has a reason: its owner is gone or full, or the shard that takes it is new or has grown", () => {
    fc.assert(
      fc.property(someWeightedShards, someWeightedShards, (shards, changed) => {
        const before = placed(shards);
        const after = placed(changed, { shards, slots: before });
        const capacities = slotCapacities(changed);
        const weightIn = (of: readonly WeightedShard[], shard?: number) =>
          of.find((one) => one.shard === shard)?.weight ?? 0;
        for (const slot of movedSlots(before, after)) {
          const [from = -1, to = -1] = [before[slot], after[slot]];
          const hasGrown = weightIn(changed, to) > weightIn(shards, to);
          // A full owner keeps as many as it may; it need not be full of the slots that it had.
          const isFull = countOf(after, from) === (capacities.get(from) ?? 0);
          expect(hasGrown || isFull).toBe(true);
        }
      }),
      FEW_RUNS,
    );
  });

  test("a shard that shrinks in weight gives slots away, and no others move", () => {
    fc.assert(
      fc.property(someShards(2), fc.constantFrom(0, 0.25, 0.5), (numbers, weight) => {
        const shards = equalShards(numbers);
        const [shrunk = 0] = numbers;
        const before = placed(shards);
        const changed = shards.map((one) => (one.shard === shrunk ? { shard: shrunk, weight } : one));
        const after = placed(changed, { shards, slots: before });
        for (const slot of movedSlots(before, after)) expect(before[slot]).toBe(shrunk);
      }),
      FEW_RUNS,
    );
  });

  test("the slots of a drained shard go to all the others", () => {
    const shards = equalShards([0, 1, 2, 3]);
    const before = placed(shards);
    const after = placed(
      shards.map(({ shard }) => ({ shard, weight: shard === 2 ? 0 : 1 })),
      { shards, slots: before },
    );
    const heirs = new Set(movedSlots(before, after).map((slot) => after[slot]));
    expect([...heirs].sort()).toEqual([0, 1, 3]);
  });

  test("nothing moves when nothing has changed", () => {
    fc.assert(
      fc.property(someWeightedShards, (shards) => {
        const slots = placed(shards);
        expect(placed(shards, { shards, slots })).toEqual(slots);
      }),
      RUNS,
    );
  });

  test("a shard that grows in weight takes slots, and hardly any others move", () => {
    const shards = equalShards([0, 1, 2, 3]);
    const before = placed(shards);
    const grown = shards.map(({ shard }) => ({ shard, weight: shard === 1 ? 2 : 1 }));
    const after = placed(grown, { shards, slots: before });
    expect(countOf(after, 1)).toBeGreaterThan(countOf(before, 1) * 1.4);
    const movedElsewhere = movedSlots(before, after).filter((slot) => after[slot] !== 1);
    expect(movedElsewhere.length).toBeLessThanOrEqual(MOVED_SLACK);
  });

  test("the bound holds through any series of changes", () => {
    fc.assert(
      fc.property(fc.array(someWeightedShards, { minLength: 2, maxLength: 4 }), (series) => {
        let previous: Parameters<typeof placeSlots>[1];
        for (const shards of series) {
          const slots = placed(shards, previous);
          for (const [shard, capacity] of slotCapacities(shards)) {
            expect(countOf(slots, shard)).toBeLessThanOrEqual(capacity);
          }
          previous = { shards, slots };
        }
      }),
      RUNS,
    );
  });
});
