// Pure. Places the 1,024 slots on shards: consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018),
// with weights. Deterministic, so that every edge computes the same epoch 0 from the same variables. Given the previous
// placement it moves no slot without a reason, which bare bounded loads do not promise (one full shard pushes the next).

import { hash32 } from "./hash.ts";
import { HashRing } from "./ring.ts";
import { SLOT_COUNT } from "./slots.ts";

export interface WeightedShard {
  readonly shard: number;
  /** Share of the slots relative to the other shards; 0 gets none. */
  readonly weight: number;
}

export interface Placement {
  readonly shards: readonly WeightedShard[];
  /** `slots[slot]` is the shard that owns it. */
  readonly slots: readonly number[];
}

export type PlacementResult =
  | { readonly ok: true; readonly slots: readonly number[] }
  | { readonly ok: false; readonly problem: string };

/** No shard owns more than 1.25 times its fair share: tighter moves more slots at each change, looser balances worse. */
export const LOAD_FACTOR = 1.25;

/** The most slots that each shard may own: ceil(loadFactor × its share by weight). */
export function slotCapacities(shards: readonly WeightedShard[], loadFactor = LOAD_FACTOR): Map<number, number> {
  const totalWeight = shards.reduce((sum, { weight }) => sum + weight, 0);
  const capacityOf = (weight: number) => (weight > 0 ? Math.ceil((loadFactor * SLOT_COUNT * weight) / totalWeight) : 0);
  return new Map(shards.map(({ shard, weight }) => [shard, capacityOf(weight)]));
}

/**
 * A slot leaves the owner that it had in `previous` only for one of three reasons: that owner is gone or drained, it is
 * over its capacity, or a shard that is new or grew in weight comes before it on the slot's walk around the ring.
 */
export function placeSlots(
  shards: readonly WeightedShard[],
  previous: Placement = { shards: [], slots: [] },
  loadFactor = LOAD_FACTOR,
): PlacementResult {
  const room = slotCapacities(shards, loadFactor);
  const totalRoom = [...room.values()].reduce((sum, capacity) => sum + capacity, 0);
  if (totalRoom < SLOT_COUNT) {
    return {
      ok: false,
      problem: `the shards have room for ${totalRoom} slots under the load bound, not ${SLOT_COUNT}`,
    };
  }
  const ring = new HashRing(
    shards.map(({ shard, weight }) => ({ name: String(shard), weight })),
    hash32,
  );
  const grown = grownShards(shards, previous.shards);
  const owners = new Map<number, number>();
  const placeAll = (choose: (slot: number) => Iterable<number | undefined>) => {
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (!owners.has(slot)) takeFirstWithRoom(slot, choose(slot), room, owners);
    }
  };
  // First what new and grown shards take over, then those who stay, then the homeless wherever their walk finds room.
  placeAll((slot) => [firstClaimant(slot, ring, grown, previous.slots[slot])]);
  placeAll((slot) => [previous.slots[slot]]);
  placeAll((slot) => walkFrom(slot, ring));
  return { ok: true, slots: Array.from({ length: SLOT_COUNT }, (_, slot) => ownerIn(owners, slot)) };
}

function takeFirstWithRoom(
  slot: number,
  candidates: Iterable<number | undefined>,
  room: Map<number, number>,
  owners: Map<number, number>,
): void {
  for (const shard of candidates) {
    if (shard === undefined) return;
    const left = room.get(shard) ?? 0;
    if (left === 0) continue;
    room.set(shard, left - 1);
    owners.set(slot, shard);
    return;
  }
}

/** The new or grown shard that comes before the slot's owner on its walk, if there is one. */
function firstClaimant(
  slot: number,
  ring: HashRing,
  grown: ReadonlySet<number>,
  owner: number | undefined,
): number | undefined {
  for (const shard of walkFrom(slot, ring)) {
    if (shard === owner) return undefined;
    if (grown.has(shard)) return shard;
  }
  return undefined;
}

function grownShards(now: readonly WeightedShard[], before: readonly WeightedShard[]): ReadonlySet<number> {
  const weightBefore = new Map(before.map(({ shard, weight }) => [shard, weight]));
  return new Set(now.filter(({ shard, weight }) => weight > (weightBefore.get(shard) ?? 0)).map(({ shard }) => shard));
}

function* walkFrom(slot: number, ring: HashRing): Generator<number, void, undefined> {
  for (const name of ring.walk(hash32(`slot ${slot}`))) yield Number(name);
}

function ownerIn(owners: ReadonlyMap<number, number>, slot: number): number {
  const owner = owners.get(slot);
  if (owner === undefined) throw new Error(`slot ${slot} found no shard although there was room for all`);
  return owner;
}
