// Pure. The topology document: which shard owns each slot and where the replicas of each shard live.
// It is the only shared configuration of a cluster: plain JSON, ordered by `epoch`, small enough to travel in a reply.

import type { ClusterConfig } from "./cluster-config.ts";
import { placeSlots } from "./placement.ts";
import type { Region } from "./region.ts";

export interface ReplicaPlacement {
  /** Number of the replica in its shard, 0-based; never reused for another region without a new generation. */
  readonly replica: number;
  readonly region: Region;
  /** Objects never move: a re-placed replica is a new object under the next generation. */
  readonly generation: number;
}

export interface ShardPlacement {
  readonly shard: number;
  /** Share of the slots relative to the other shards; 0 drains the shard. */
  readonly weight: number;
  readonly replicas: readonly ReplicaPlacement[];
  /** Epoch since which the replicas are these; absent: since epoch 0. Who routes by an older one does not know them all. */
  readonly since?: number | undefined;
  /**
   * Replicas of earlier epochs, the latest last. The shard's log may still have them as members, so they must be found;
   * nobody else has business with them.
   */
  readonly former?: readonly ReplicaPlacement[] | undefined;
  /** Epoch in which the shard was added; absent: 0. The replicas placed in it found the group. */
  readonly createdIn?: number | undefined;
}

/**
 * A slot that is to move. Its id is (slot, epoch), the epoch being that of the document in which the move was planned. The log
 * of `from` decides whether it happens; the document only wishes and records.
 */
export interface SlotMove {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
}

/** A shard that was removed, with those of its objects that still hold what they held. */
export interface RetiredShard {
  readonly shard: number;
  /** Since which there is no such shard. */
  readonly epoch: number;
  readonly replicas: readonly ReplicaPlacement[];
}

/** Slots that came to their present owners by moves planned in the same epoch. */
export interface MovedSlots {
  readonly epoch: number;
  readonly slots: readonly number[];
}

export interface Topology {
  readonly cluster: string;
  /** 0 is computed from the deployment's variables alone; every published change adds one. */
  readonly epoch: number;
  readonly shards: readonly ShardPlacement[];
  /** `slots[slot]` is the number of the shard that owns it; SLOT_COUNT long. */
  readonly slots: readonly number[];
  /** Pending, at most one a slot; while it is, `slots[slot]` stays `from`. */
  readonly moves?: readonly SlotMove[] | undefined;
  /**
   * No longer wanted, but the source's log may have decided otherwise before it heard so. Each stays until the leader of `from`
   * says what became of it: moved (`completeMoves`), or called off for good in its log (`settleCancelled`). Until then the
   * target must not go, and the slot gets no other move.
   */
  readonly cancelled?: readonly SlotMove[] | undefined;
  /** For slots that have moved, the epoch of the latest move; absent slots are where epoch 0 put them. One item an epoch. */
  readonly movedAt?: readonly MovedSlots[] | undefined;
  /** Number of the next shard to be added; absent: the one after the highest. A removed shard's number is not used again. */
  readonly nextShard?: number | undefined;
  /** To be wiped, by whoever sweeps; nobody else has business with them. */
  readonly retired?: readonly RetiredShard[] | undefined;
}

/** Generation of every replica in epoch 0. */
export const FIRST_GENERATION = 1;

/**
 * Generation of a replica that is placed in `epoch`. Epochs only rise, so no (replica, generation) is ever used twice, however
 * often a shard grows and shrinks: an object that was removed never comes back under a name that means something again.
 */
export function generationIn(epoch: number): number {
  return FIRST_GENERATION + epoch;
}

/**
 * Epoch 0, the same wherever it is computed. Replica i of shard s lives in regions[(i + s) mod n]: with the rotation the
 * preferred leaders (see `preferredLeader`) of the shards spread over the regions.
 */
export function buildTopology(config: ClusterConfig): Topology {
  const shards = config.weights.map((weight, shard) => ({
    shard,
    weight,
    replicas: Array.from({ length: config.replicas }, (_, replica) => ({
      replica,
      region: rotatedRegion(config.regions, replica + shard),
      generation: FIRST_GENERATION,
    })),
  }));
  const placed = placeSlots(shards);
  if (!placed.ok) throw new Error(`a checked cluster config cannot be placed: ${placed.problem}`);
  return { cluster: config.cluster, epoch: 0, shards, slots: placed.slots };
}

/** The replica that leads when nothing speaks against it: the first to be asked, and the first to campaign. */
export function preferredLeader(shard: ShardPlacement): number {
  const [first] = shard.replicas;
  if (first === undefined) throw new Error(`shard ${shard.shard} has no replicas`);
  return first.replica;
}

function rotatedRegion(regions: readonly Region[], turn: number): Region {
  const region = regions[turn % regions.length];
  if (region === undefined) throw new Error("a checked cluster config has at least one region");
  return region;
}
