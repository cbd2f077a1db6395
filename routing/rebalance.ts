// Pure. Which slots move when the shards or their weights change: as few as possible, starting from where the slots are and not
// from scratch. Shards that are to be levelled (the one that is added, drained or re-weighted, or all) come to their share;
// everybody else only stays within the load bound. Whom a slot goes to, and which slots go, follows the ring of placement.ts.
//
// A shard never gets more than its share rounded up, so a plan that is carried out leaves nothing to plan.

import { hash32 } from "./hash.ts";
import { slotCapacities, type WeightedShard } from "./placement.ts";
import { HashRing } from "./ring.ts";
import { SLOT_COUNT } from "./slots.ts";

export type MoveReason =
  /** The owner has weight 0. */
  | "drained"
  /** The owner has more than the load bound allows. */
  | "above_bound"
  /** The owner is to be levelled and has more than its share. */
  | "above_share"
  /** The new owner is to be levelled and has less than its share. */
  | "below_share"
  /** The operator has said so. */
  | "chosen";

export interface PlannedMove {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  readonly reason: MoveReason;
}

export interface ShardLoad {
  readonly shard: number;
  readonly weight: number;
  /** Slots by weight, as a fraction of slots too. */
  readonly share: number;
  readonly slotsBefore: number;
  readonly slotsAfter: number;
}

export interface MovePlan {
  /** In order of the slots. */
  readonly moves: readonly PlannedMove[];
  /** How far the levelled shards are from their shares: fewer slots than that cannot be moved. Of chosen slots, all of them. */
  readonly idealSlots: number;
  readonly loads: readonly ShardLoad[];
}

interface Load extends WeightedShard {
  readonly share: number;
  readonly before: number;
  readonly isLevelled: boolean;
  /** It gives away what it has beyond this. */
  readonly limit: number;
  slots: number;
}

/**
 * `owners[slot]`: shard that owns the slot, or will once the moves that are under way are made; every one is among `shards`, at
 * least one of which has a weight. `levelled`: numbers of the shards to bring to their share.
 */
export function planMoves(
  shards: readonly WeightedShard[],
  owners: readonly number[],
  levelled: ReadonlySet<number>,
): MovePlan {
  const loads = loadsOf(shards, owners, levelled);
  const walks = new SlotWalks(shards);
  const planned = [...owners];
  const reasons = new Map<number, MoveReason>();
  const move = (slot: number, from: Load, to: Load, reason: MoveReason) => {
    planned[slot] = to.shard;
    reasons.set(slot, reason);
    from.slots -= 1;
    to.slots += 1;
  };
  const slotsOf = ({ shard }: Load) => [...planned.keys()].filter((slot) => planned[slot] === shard);

  // What must go feeds those that are to grow first; then it goes to whoever the ring names of those below their share.
  for (const from of loads.filter(({ slots, limit }) => slots > limit)) {
    for (const slot of walks.leastAtHome(from.shard, slotsOf(from)).slice(0, from.slots - from.limit)) {
      const walk = walks.of(slot);
      const to = firstIn(walk, loads.filter(isBelowShare)) ?? firstIn(walk, loads.filter(hasRoom));
      if (to === undefined) throw new Error("shares rounded up have room for every slot");
      move(slot, from, to, reasonToGive(from));
    }
  }
  for (const to of loads.filter(isBelowShare)) {
    // Of each giver, the slots that the ring would give to this shard soonest.
    const offered = new Map<Load, number[]>();
    while (isBelowShare(to)) {
      const from = mostLoaded(loads);
      const slots = offered.get(from) ?? walks.soonestTo(to.shard, slotsOf(from));
      offered.set(from, slots);
      const slot = slots.shift();
      if (slot === undefined) throw new Error(`shard ${from.shard} has more than its share, but no slots`);
      move(slot, from, to, "below_share");
    }
  }
  const moves = [...reasons]
    .map(([slot, reason]) => ({ slot, from: owners[slot] ?? -1, to: planned[slot] ?? -1, reason }))
    .sort((one, other) => one.slot - other.slot);
  return { moves, idealSlots: distanceToShares(loads), loads: loads.map(reportOf) };
}

function loadsOf(
  shards: readonly WeightedShard[],
  owners: readonly number[],
  levelled: ReadonlySet<number>,
): readonly Load[] {
  const capacities = slotCapacities(shards);
  const totalWeight = shards.reduce((sum, { weight }) => sum + weight, 0);
  const counts = new Map<number, number>();
  for (const shard of owners) counts.set(shard, (counts.get(shard) ?? 0) + 1);
  // In order of the numbers, so that a plan does not depend on the order of the document.
  return [...shards]
    .sort((one, other) => one.shard - other.shard)
    .map(({ shard, weight }) => {
      const share = (SLOT_COUNT * weight) / totalWeight;
      const before = counts.get(shard) ?? 0;
      const isLevelled = levelled.has(shard);
      const limit = isLevelled ? Math.ceil(share) : (capacities.get(shard) ?? 0);
      return { shard, weight, share, before, isLevelled, limit, slots: before };
    });
}

function isBelowShare({ isLevelled, slots, share }: Load): boolean {
  return isLevelled && slots < Math.floor(share);
}

function hasRoom({ slots, share }: Load): boolean {
  return slots < Math.ceil(share);
}

function reasonToGive({ weight, isLevelled }: Load): MoveReason {
  if (weight === 0) return "drained";
  return isLevelled ? "above_share" : "above_bound";
}

/**
 * While one shard is below its share rounded down another is above its own, since the shares add up to all slots: whoever has
 * the most slots for its weight, which giving one away does not bring below its share rounded down.
 */
function mostLoaded(loads: readonly Load[]): Load {
  const weighted = loads.filter(({ weight }) => weight > 0);
  return weighted.reduce((most, load) => (load.slots * most.share > most.slots * load.share ? load : most));
}

function firstIn(walk: readonly number[], loads: readonly Load[]): Load | undefined {
  for (const shard of walk) {
    const load = loads.find((candidate) => candidate.shard === shard);
    if (load !== undefined) return load;
  }
  return undefined;
}

function distanceToShares(loads: readonly Load[]): number {
  const sum = (distances: readonly number[]) => distances.reduce((total, distance) => total + Math.max(0, distance), 0);
  const levelled = loads.filter(({ isLevelled }) => isLevelled);
  return Math.max(
    sum(levelled.map(({ share, before }) => share - before)),
    sum(levelled.map(({ share, before }) => before - share)),
  );
}

function reportOf({ shard, weight, share, before, slots }: Load): ShardLoad {
  return { shard, weight, share, slotsBefore: before, slotsAfter: slots };
}

/** Every one of the slots, which are others' now, to one shard. What the shares and the bound say does not matter. */
export function chosenMoves(
  shards: readonly WeightedShard[],
  owners: readonly number[],
  to: number,
  chosen: readonly number[],
): MovePlan {
  const loads = loadsOf(shards, owners, new Set());
  const moves = [...chosen]
    .sort((one, other) => one - other)
    .map((slot): PlannedMove => ({ slot, from: owners[slot] ?? -1, to, reason: "chosen" }));
  for (const move of moves) {
    for (const load of loads) load.slots += Number(load.shard === to) - Number(load.shard === move.from);
  }
  return { moves, idealSlots: moves.length, loads: loads.map(reportOf) };
}

/** For every slot the shards with a weight in the order in which its walk around the ring meets them. */
class SlotWalks {
  readonly #ring: HashRing;
  readonly #walks = new Map<number, readonly number[]>();

  constructor(shards: readonly WeightedShard[]) {
    this.#ring = new HashRing(
      shards.map(({ shard, weight }) => ({ name: String(shard), weight })),
      hash32,
    );
  }

  of(slot: number): readonly number[] {
    let walk = this.#walks.get(slot);
    if (walk === undefined) {
      walk = [...this.#ring.walk(hash32(`slot ${slot}`))].map(Number);
      this.#walks.set(slot, walk);
    }
    return walk;
  }

  /** The slots whose walks meet the shard latest come first; of equals, the lower one. */
  leastAtHome(shard: number, slots: readonly number[]): readonly number[] {
    return this.#sorted(shard, slots, -1);
  }

  /** The slots whose walks meet the shard soonest come first; of equals, the lower one. */
  soonestTo(shard: number, slots: readonly number[]): number[] {
    return this.#sorted(shard, slots, 1);
  }

  #sorted(shard: number, slots: readonly number[], sign: 1 | -1): number[] {
    const ranks = new Map(slots.map((slot) => [slot, sign * this.of(slot).indexOf(shard)]));
    return [...slots].sort((one, other) => (ranks.get(one) ?? 0) - (ranks.get(other) ?? 0) || one - other);
  }
}
