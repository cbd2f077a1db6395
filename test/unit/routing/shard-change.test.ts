// Changes of the shards: what the next document plans, and what is refused; and the way of a move through the documents.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Region } from "../../../routing/region.ts";
import type { ChangeRefusalCode } from "../../../routing/shard-change.ts";
import { withCompleted, withSettled } from "../../../routing/slot-moves.ts";
import { SLOT_COUNT } from "../../../routing/slots.ts";
import { buildTopology, type SlotMove, type Topology } from "../../../routing/topology.ts";
import { changedTopology, successorProblem, type TopologyChange } from "../../../routing/topology-change.ts";
import { parseTopology } from "../../../routing/topology-parser.ts";
import { TopologyView } from "../../../routing/topology-view.ts";

const REGIONS: readonly Region[] = ["weur", "enam", "apac"];
const SEED = buildTopology({ cluster: "test", replicas: 3, regions: REGIONS, weights: [1, 1, 1, 1] });
const ADD: TopologyChange = { kind: "add_shard", replicas: 3, regions: REGIONS };

function changed(topology: Topology, change: TopologyChange): Topology {
  const result = changedTopology(topology, change);
  if (!result.ok) throw new Error(result.problem);
  return result.topology;
}

function recorded(result: ReturnType<typeof withCompleted>): Topology {
  if (!result.ok) throw new Error(result.problem);
  return result.topology;
}

function completedAll(topology: Topology): Topology {
  return recorded(withCompleted(topology, topology.moves ?? []));
}

function countOf({ slots }: Topology, shard: number): number {
  return slots.filter((owner) => owner === shard).length;
}

function ownedBy({ slots }: Topology, shard: number): readonly number[] {
  return [...slots.keys()].filter((slot) => slots[slot] === shard);
}

const GROWN = changed(SEED, ADD);
const [FIRST, SECOND] = GROWN.moves ?? [];
if (FIRST === undefined || SECOND === undefined) throw new Error("a shard that is added gets slots");

describe("a shard that is added", () => {
  test("has replicas of a generation of its own, in regions that take their turns, and no slot yet", () => {
    expect(GROWN.shards[4]).toEqual({
      shard: 4,
      weight: 1,
      replicas: [
        { replica: 0, region: "enam", generation: 2 },
        { replica: 1, region: "apac", generation: 2 },
        { replica: 2, region: "weur", generation: 2 },
      ],
      since: 1,
      createdIn: 1,
    });
    expect(GROWN.slots).toEqual(SEED.slots);
    expect(GROWN).toMatchObject({ epoch: 1, nextShard: 5 });
  });

  test("is to get its share of the slots, by moves that carry the epoch", () => {
    expect(GROWN.moves).toHaveLength(Math.floor(SLOT_COUNT / 5));
    for (const { slot, from, to, epoch } of GROWN.moves ?? []) {
      expect([from, to, epoch]).toEqual([SEED.slots[slot], 4, 1]);
    }
    expect(new TopologyView(GROWN).movesTo(4)).toHaveLength(204);
    expect(new TopologyView(GROWN).movesFrom(0)).toEqual(GROWN.moves?.filter(({ from }) => from === 0));
  });

  test("may have its weight, from the start", () => {
    const heavy = changed(SEED, { ...ADD, weight: 4 });
    expect(heavy.moves).toHaveLength(SLOT_COUNT / 2);
    expect(changed(SEED, { ...ADD, weight: 0 }).moves).toBeUndefined();
  });

  test("never gets the number of one that was removed", () => {
    const drained = completedAll(changed(completedAll(GROWN), { kind: "drain_shard", shard: 4 }));
    const removed = changed(drained, { kind: "remove_shard", shard: 4 });
    expect(removed.shards.map(({ shard }) => shard)).toEqual([0, 1, 2, 3]);
    expect(changed(removed, ADD).shards.at(-1)).toMatchObject({ shard: 5, createdIn: removed.epoch + 1 });
    // Also of one that was there from the start.
    const three = changed(completedAll(changed(SEED, { kind: "drain_shard", shard: 3 })), {
      kind: "remove_shard",
      shard: 3,
    });
    expect(changed(three, ADD).shards.at(-1)?.shard).toBe(4);
  });
});

describe("the other changes", () => {
  test("a drain sets the weight to 0 and plans to move every slot of the shard to the others", () => {
    const drained = changed(SEED, { kind: "drain_shard", shard: 2 });
    expect(drained.shards[2]?.weight).toBe(0);
    expect(drained.moves).toHaveLength(countOf(SEED, 2));
    expect(new Set(drained.moves?.map(({ to }) => to))).toEqual(new Set([0, 1, 3]));
    expect(countOf(completedAll(drained), 2)).toBe(0);
  });

  test("a weight brings its shard to its share, up or down", () => {
    const heavier = completedAll(changed(SEED, { kind: "set_weight", shard: 1, weight: 2 }));
    expect(countOf(heavier, 1)).toBe(Math.floor((SLOT_COUNT * 2) / 5));
    const lighter = completedAll(changed(heavier, { kind: "set_weight", shard: 1, weight: 0.5 }));
    expect(countOf(lighter, 1)).toBe(Math.ceil((SLOT_COUNT * 0.5) / 3.5));
  });

  test("a rebalance levels all shards, whoever has changed", () => {
    const level = completedAll(changed(SEED, { kind: "rebalance" }));
    expect([0, 1, 2, 3].map((shard) => countOf(level, shard))).toEqual([256, 256, 256, 256]);
  });

  test("chosen slots move where they were sent, and nothing else does, whatever the shares say", () => {
    const slots = ownedBy(SEED, 0).slice(0, 3);
    const result = changedTopology(SEED, { kind: "move_slots", to: 3, slots: [...slots].reverse() });
    if (!result.ok) throw new Error(result.problem);
    expect(result.topology.moves).toEqual(slots.map((slot) => ({ slot, from: 0, to: 3, epoch: 1 })));
    expect(result.topology.slots).toEqual(SEED.slots);
    expect(result.plan?.moves.map(({ reason }) => reason)).toEqual(["chosen", "chosen", "chosen"]);
    expect(result.plan?.idealSlots).toBe(3);
    expect(result.plan?.loads[3]).toMatchObject({ slotsBefore: countOf(SEED, 3), slotsAfter: countOf(SEED, 3) + 3 });
    expect(successorProblem(SEED, result.topology)).toBeUndefined();
  });

  test("slots may be chosen beyond what a shard would get by itself; the next plan takes back what is above the bound", () => {
    const all = ownedBy(SEED, 0);
    const crowded = completedAll(changed(SEED, { kind: "move_slots", to: 3, slots: all }));
    expect(countOf(crowded, 3)).toBe(countOf(SEED, 3) + all.length);
    // Nothing is pinned: whoever levels the shards levels these as well.
    const level = completedAll(changed(crowded, { kind: "rebalance" }));
    expect([0, 1, 2, 3].map((shard) => countOf(level, shard))).toEqual([256, 256, 256, 256]);
  });

  test("a chosen slot stays where it is in a rebalance of shards that have their shares", () => {
    const level = completedAll(changed(SEED, { kind: "rebalance" }));
    const [one] = ownedBy(level, 0);
    const [other] = ownedBy(level, 3);
    if (one === undefined || other === undefined) throw new Error("every shard has slots");
    const there = completedAll(changed(level, { kind: "move_slots", to: 3, slots: [one] }));
    const exchanged = completedAll(changed(there, { kind: "move_slots", to: 0, slots: [other] }));
    expect(changedTopology(exchanged, { kind: "rebalance" })).toMatchObject({ code: "nothing_to_change" });
    expect([exchanged.slots[one], exchanged.slots[other]]).toEqual([3, 0]);
  });

  test("a change of the replicas may be made while slots move, and leaves the moves alone", () => {
    const next = changed(GROWN, { kind: "replace_replica", shard: 4, replica: 1, region: "oc" });
    expect(next.moves).toEqual(GROWN.moves);
    expect(next.shards[4]).toMatchObject({ createdIn: 1, since: 2 });
    expect(successorProblem(GROWN, next)).toBeUndefined();
  });

  test("a dry run's plan says what would move, why, and the loads before and after", () => {
    const result = changedTopology(SEED, ADD);
    expect(result).toMatchObject({ ok: true, plan: { idealSlots: SLOT_COUNT / 5 } });
    if (!result.ok) return;
    expect(result.plan?.moves[0]).toEqual({ ...omitEpoch(FIRST), reason: "below_share" });
    expect(result.plan?.loads[4]).toEqual({ shard: 4, weight: 1, share: 204.8, slotsBefore: 0, slotsAfter: 204 });
  });
});

function omitEpoch({ slot, from, to }: SlotMove) {
  return { slot, from, to };
}

describe("a refusal changes nothing and has a code:", () => {
  const drainedOf = (shard: number) => completedAll(changed(completedAll(GROWN), { kind: "drain_shard", shard }));
  const one = buildTopology({ cluster: "test", replicas: 1, regions: ["weur"], weights: [1] });
  const heavyOnes = buildTopology({ cluster: "test", replicas: 1, regions: ["weur"], weights: [1, 0] });
  const TWICE = ownedBy(SEED, 0).slice(0, 1);
  const firstDone = recorded(withCompleted(GROWN, [FIRST]));

  test.each<[string, Topology, TopologyChange, ChangeRefusalCode]>([
    ["removing the only shard", one, { kind: "remove_shard", shard: 0 }, "last_shard"],
    ["draining the only shard", one, { kind: "drain_shard", shard: 0 }, "last_shard"],
    ["draining the last one with a weight", heavyOnes, { kind: "drain_shard", shard: 0 }, "last_shard"],
    ["the weight 0 for it", heavyOnes, { kind: "set_weight", shard: 0, weight: 0 }, "last_shard"],
    ["removing a shard with slots", SEED, { kind: "remove_shard", shard: 3 }, "shard_not_empty"],
    ["draining a shard twice", drainedOf(1), { kind: "drain_shard", shard: 1 }, "nothing_to_change"],
    ["an unknown shard to drain", SEED, { kind: "drain_shard", shard: 7 }, "unknown_shard"],
    ["an unknown shard to remove", SEED, { kind: "remove_shard", shard: 7 }, "unknown_shard"],
    ["an unknown shard to weigh", SEED, { kind: "set_weight", shard: 7, weight: 1 }, "unknown_shard"],
    ["a weight below 0", SEED, { kind: "set_weight", shard: 0, weight: -1 }, "invalid"],
    ["a weight that is no number", SEED, { kind: "set_weight", shard: 0, weight: Number.NaN }, "invalid"],
    ["a weight beyond the most", SEED, { ...ADD, weight: 9 }, "invalid"],
    ["an unknown region", SEED, { ...ADD, regions: ["mars" as Region] }, "unknown_region"],
    ["too few regions", SEED, { ...ADD, regions: ["weur", "enam"] }, "invalid"],
    ["one region for all without consent", SEED, { ...ADD, regions: ["weur"] }, "shared_regions"],
    ["an even number of replicas", SEED, { ...ADD, replicas: 2 }, "invalid"],
    ["a shard more while slots move", GROWN, ADD, "moves_pending"],
    ["a drain while slots move", GROWN, { kind: "drain_shard", shard: 0 }, "moves_pending"],
    ["a weight while slots move", GROWN, { kind: "set_weight", shard: 0, weight: 2 }, "moves_pending"],
    ["a rebalance while slots move", GROWN, { kind: "rebalance" }, "moves_pending"],
    [
      "moving chosen slots while others move",
      GROWN,
      { kind: "move_slots", to: 0, slots: [SECOND.slot] },
      "moves_pending",
    ],
    ["moving no slot", SEED, { kind: "move_slots", to: 1, slots: [] }, "invalid"],
    ["moving a slot that is none", SEED, { kind: "move_slots", to: 1, slots: [SLOT_COUNT] }, "invalid"],
    ["moving a slot twice", SEED, { kind: "move_slots", to: 1, slots: [...TWICE, ...TWICE] }, "invalid"],
    ["moving to an unknown shard", SEED, { kind: "move_slots", to: 7, slots: TWICE }, "unknown_shard"],
    ["moving slots that are there", SEED, { kind: "move_slots", to: 0, slots: TWICE }, "nothing_to_change"],
    [
      "moving some slots that are there with some that are not",
      SEED,
      { kind: "move_slots", to: 0, slots: [...TWICE, ...ownedBy(SEED, 1)] },
      "nothing_to_change",
    ],
    [
      "moving slots to a shard that is drained",
      drainedOf(1),
      { kind: "move_slots", to: 1, slots: TWICE },
      "shard_draining",
    ],
    ["removing the target of moves", GROWN, { kind: "remove_shard", shard: 4 }, "moves_pending"],
    [
      "removing the target of cancelled moves that may have been made",
      changed(GROWN, { kind: "cancel_moves" }),
      { kind: "remove_shard", shard: 4 },
      "moves_pending",
    ],
    ["cancelling when nothing moves", SEED, { kind: "cancel_moves" }, "nothing_to_change"],
    ["cancelling a finished move", firstDone, { kind: "cancel_moves", moves: [FIRST] }, "move_finished"],
    [
      "cancelling a finished move and a pending",
      firstDone,
      { kind: "cancel_moves", moves: [SECOND, FIRST] },
      "move_finished",
    ],
    [
      "cancelling a move that was never planned",
      GROWN,
      { kind: "cancel_moves", moves: [{ slot: FIRST.slot, epoch: 7 }] },
      "invalid",
    ],
    [
      "rebalancing what is level",
      completedAll(changed(SEED, { kind: "rebalance" })),
      { kind: "rebalance" },
      "nothing_to_change",
    ],
  ])("%s", (_, topology, change, code) => {
    const result = changedTopology(topology, change);
    expect(result).toEqual({ ok: false, code, problem: expect.any(String) });
  });

  test("with consent one region may host all replicas of a shard", () => {
    const shared = changed(SEED, { ...ADD, regions: ["weur"], allowSharedRegions: true });
    expect(shared.shards[4]?.replicas.map(({ region }) => region)).toEqual(["weur", "weur", "weur"]);
  });
});

describe("a completed move", () => {
  const done = recorded(withCompleted(GROWN, [FIRST]));

  test("gives the slot to its target, remembers the move's epoch, and is no longer listed", () => {
    expect(done.epoch).toBe(2);
    expect(done.slots[FIRST.slot]).toBe(4);
    expect(done.slots.filter((owner, slot) => owner !== SEED.slots[slot])).toEqual([4]);
    expect(done.movedAt).toEqual([{ epoch: 1, slots: [FIRST.slot] }]);
    expect(done.moves).toEqual(GROWN.moves?.slice(1));
    const view = new TopologyView(done);
    expect([view.movedAt(FIRST.slot), view.movedAt(SECOND.slot)]).toEqual([1, 0]);
  });

  test("may be reported again: the document stays the very same", () => {
    expect(recorded(withCompleted(done, [FIRST]))).toBe(done);
    const back = completedAll(changed(completedAll(GROWN), { kind: "drain_shard", shard: 4 }));
    expect(recorded(withCompleted(back, [FIRST]))).toBe(back);
  });

  test("that was cancelled too late is recorded all the same", () => {
    const cancelled = changed(GROWN, { kind: "cancel_moves" });
    const late = recorded(withCompleted(cancelled, [FIRST]));
    expect(late.slots[FIRST.slot]).toBe(4);
    expect(late.cancelled).toEqual(GROWN.moves?.slice(1));
    const settled = recorded(withSettled(cancelled, [FIRST]));
    expect(recorded(withCompleted(settled, [FIRST])).slots[FIRST.slot]).toBe(4);
  });

  test.each<[string, Partial<SlotMove>]>([
    ["of a slot that its source does not own", { from: (FIRST.from + 1) % 4 }],
    ["to a shard that does not exist", { to: 9 }],
    ["of an epoch that has not been", { epoch: 5 }],
  ])("%s is refused, with the others that were reported", (_, fields) => {
    const result = withCompleted(GROWN, [SECOND, { ...FIRST, ...fields }]);
    expect(result).toEqual({ ok: false, problem: expect.stringContaining(`slot ${FIRST.slot}`) });
  });
});

describe("a cancelled move", () => {
  const cancelled = changed(GROWN, { kind: "cancel_moves", moves: [FIRST] });

  test("waits for its source to confirm, while the others go on", () => {
    expect(cancelled.moves).toEqual(GROWN.moves?.slice(1));
    expect(cancelled.cancelled).toEqual([FIRST]);
    expect(new TopologyView(cancelled).cancelledFrom(FIRST.from)).toEqual([FIRST]);
    expect(cancelled.slots).toEqual(SEED.slots);
  });

  test("is gone once the source has called it off, and the slot stays where it is", () => {
    const settled = recorded(withSettled(cancelled, [FIRST]));
    expect(settled.cancelled).toBeUndefined();
    expect(settled.slots).toEqual(SEED.slots);
    expect(settled.epoch).toBe(cancelled.epoch + 1);
    expect(recorded(withSettled(settled, [FIRST]))).toBe(settled);
  });

  test("cannot be confirmed before it was cancelled", () => {
    expect(withSettled(cancelled, [FIRST, SECOND]).ok).toBe(false);
  });

  test("leaves a new shard that a rebalance can fill later", () => {
    const all = changed(GROWN, { kind: "cancel_moves" });
    const settled = recorded(withSettled(all, GROWN.moves ?? []));
    expect(completedAll(changed(settled, { kind: "rebalance" })).slots.filter((owner) => owner === 4)).toHaveLength(
      204,
    );
  });
});

describe("over any series of changes and reports", () => {
  type Step = (topology: Topology) => { readonly next: Topology; readonly isReport: boolean };
  const shardAt = ({ shards }: Topology, at: number) => shards[at % shards.length]?.shard ?? 0;
  const changing =
    (changeOf: (topology: Topology) => TopologyChange): Step =>
    (topology) => {
      const result = changedTopology(topology, changeOf(topology));
      if (!result.ok) return { next: topology, isReport: false };
      expect(successorProblem(topology, result.topology)).toBeUndefined();
      return { next: result.topology, isReport: false };
    };
  const reporting =
    (report: (topology: Topology) => Topology): Step =>
    (topology) => ({ next: report(topology), isReport: true });

  const someStep: fc.Arbitrary<Step> = fc.oneof(
    fc.constantFrom(0, 1, 2).map((weight) => changing(() => ({ ...ADD, weight }))),
    fc.nat().map((at) => changing((topology) => ({ kind: "drain_shard", shard: shardAt(topology, at) }))),
    fc.nat().map((at) => changing((topology) => ({ kind: "remove_shard", shard: shardAt(topology, at) }))),
    fc
      .tuple(fc.nat(), fc.constantFrom(0, 0.5, 3))
      .map(([at, weight]) => changing((topology) => ({ kind: "set_weight", shard: shardAt(topology, at), weight }))),
    fc.tuple(fc.nat(), fc.uniqueArray(fc.nat(SLOT_COUNT - 1), { minLength: 1, maxLength: 5 })).map(([at, slots]) =>
      changing((topology) => {
        const to = shardAt(topology, at);
        return { kind: "move_slots", to, slots: slots.filter((slot) => topology.slots[slot] !== to) };
      }),
    ),
    fc.constantFrom("rebalance" as const, "cancel_moves" as const).map((kind) => changing(() => ({ kind }))),
    fc.nat().map((at) =>
      changing((topology) => {
        const shard = shardAt(topology, at);
        return { kind: "replace_replica", shard, replica: 0, region: "oc", allowSharedRegions: true };
      }),
    ),
    fc
      .nat(300)
      .map((count) =>
        reporting((topology) => recorded(withCompleted(topology, (topology.moves ?? []).slice(0, count)))),
      ),
    // Some of the cancelled have been made, the others are called off.
    fc.nat(2).map((made) =>
      reporting((topology) => {
        const cancelled = topology.cancelled ?? [];
        const isMade = ({ slot }: SlotMove) => slot % 3 === made;
        return recorded(withSettled(recorded(withCompleted(topology, cancelled.filter(isMade))), cancelled));
      }),
    ),
  );

  test("every document reads back, owners change by reports alone, and a slot's epoch never goes back", () => {
    fc.assert(
      fc.property(fc.array(someStep, { maxLength: 14 }), (steps) => {
        let topology = SEED;
        for (const step of steps) {
          const { next, isReport } = step(topology);
          expect(parseTopology(JSON.parse(JSON.stringify(next)))).toEqual({ ok: true, topology: next });
          const [before, after] = [new TopologyView(topology), new TopologyView(next)];
          for (let slot = 0; slot < SLOT_COUNT; slot++) {
            const hasMoved = next.slots[slot] !== topology.slots[slot];
            if (hasMoved) expect(isReport).toBe(true);
            if (hasMoved !== after.movedAt(slot) > before.movedAt(slot))
              expect.fail(`slot ${slot} of epoch ${next.epoch}`);
          }
          expect(next.epoch - topology.epoch).toBeLessThanOrEqual(2);
          topology = next;
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("a successor must not", () => {
  const drained = changed(completedAll(GROWN), { kind: "drain_shard", shard: 4 });

  test.each<[string, Topology, (next: Topology) => Topology, RegExp]>([
    ["hand a slot over on paper", SEED, (next) => ({ ...next, slots: next.slots.with(9, 4) }), /^slots\.9: /],
    ["rewrite when a slot moved", drained, (next) => ({ ...next, movedAt: [] }), /^movedAt: /],
    ["plan a move in the past", SEED, (next) => withMoves(next, [{ ...FIRST, epoch: 0 }]), /^moves: .* epoch 1/],
    [
      "plan moves on top of others",
      GROWN,
      (next) => withMoves(next, [{ ...FIRST, epoch: 2 }]),
      /^moves: others are pending/,
    ],
    ["drop a pending move without a trace", GROWN, (next) => withMoves(next, []), /^cancelled: /],
    [
      "cancel a move that was not pending",
      SEED,
      (next) => ({ ...withMoves(next, []), cancelled: [FIRST] }),
      /^cancelled: /,
    ],
    ["use a number again", SEED, (next) => withLast(next, { shard: -1 }), /^shards\.4\.shard: expected 4 at least/],
    [
      "hide since when a shard is there",
      SEED,
      (next) => withLast(next, { createdIn: 0 }),
      /^shards\.4\.createdIn: expected 1/,
    ],
    ["let a new shard look old", SEED, (next) => withLast(next, { since: 0 }), /^shards\.4\.since: expected 1/],
    [
      "give a new shard a past",
      SEED,
      (next) => withLast(next, { former: next.shards[0]?.replicas }),
      /^shards\.4\.former: /,
    ],
    [
      "let old objects found a new shard",
      SEED,
      (next) => withLast(next, { replicas: next.shards[0]?.replicas }),
      /^shards\.4\.replicas\.0\.generation: expected 2/,
    ],
    [
      "change when a shard was added",
      completedAll(GROWN),
      (next) => withLast(next, { createdIn: 2 }),
      /^shards\.4\.createdIn: expected 1/,
    ],
    ["free a number", completedAll(GROWN), (next) => withoutLast(next), /^nextShard: expected 5/],
  ])("%s", (_, current, spoil, problem) => {
    const change: TopologyChange =
      current.shards.length === 4 ? ADD : { kind: "replace_replica", shard: 0, replica: 0, region: "oc" };
    const next = changed(current, change);
    expect(successorProblem(current, next)).toBeUndefined();
    expect(successorProblem(current, spoil(next))).toMatch(problem);
  });

  function withMoves(topology: Topology, moves: readonly SlotMove[]): Topology {
    return { ...topology, moves };
  }

  function withLast(topology: Topology, fields: object): Topology {
    return { ...topology, shards: topology.shards.map((shard, at) => (at === 4 ? { ...shard, ...fields } : shard)) };
  }

  function withoutLast({ nextShard: _, ...topology }: Topology): Topology {
    return { ...topology, shards: topology.shards.slice(0, 4) };
  }
});
