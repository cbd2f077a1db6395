// Pure. The next topology document for a change, that of a shard's replicas or of the shards (shard-change.ts), and what may
// follow what. The document says what is wanted; the logs follow it: each shard's members one step at a time
// (durable/replication/membership-plan.ts), each slot when its source's log has decided to give it away.

import { REPLICA_COUNTS } from "./cluster-config.ts";
import { REGIONS, type Region } from "./region.ts";
import { retiredSuccessorProblem } from "./retired-shards.ts";
import {
  type ChangeRefusal,
  type ChangeResult,
  changedShards,
  nextShardNumber,
  refused,
  type ShardChange,
} from "./shard-change.ts";
import { movesSuccessorProblem } from "./slot-moves.ts";
import { generationIn, type ReplicaPlacement, type ShardPlacement, type Topology } from "./topology.ts";
import { FORMER_REPLICAS_MAX } from "./topology-parser.ts";

export type TopologyChange = ReplicaChange | ShardChange;

/** May be made while slots move: a replica that dies in the middle has to be replaced. */
export type ReplicaChange =
  | {
      readonly kind: "set_replicas";
      /** Absent: every shard. */
      readonly shard?: number | undefined;
      /** 1, 3 or 5, as in epoch 0. */
      readonly replicas: number;
      /** Where the added ones go: one for each, or one for all; none where replicas are taken away. */
      readonly regions?: readonly Region[] | undefined;
      /** Consent to replicas that one region's failure takes down together. */
      readonly allowSharedRegions?: boolean | undefined;
    }
  | {
      /** A new object takes the number over: the old one is dead, or the region is not the right one. */
      readonly kind: "replace_replica";
      readonly shard: number;
      readonly replica: number;
      readonly region: Region;
      readonly allowSharedRegions?: boolean | undefined;
    };

/** The document of the next epoch, or why there is none. */
export function changedTopology(topology: Topology, change: TopologyChange): ChangeResult {
  const shard = "shard" in change ? change.shard : undefined;
  if (shard !== undefined && !topology.shards.some((placement) => placement.shard === shard)) {
    return refused("unknown_shard", `shard: there is no shard ${shard}`);
  }
  if (change.kind === "set_replicas" || change.kind === "replace_replica") return withChangedReplicas(topology, change);
  if (change.kind !== "add_shard") return changedShards(topology, change);
  const added = addedShard(topology, change);
  return "problem" in added ? added : changedShards(topology, { kind: "add_shard", placement: added });
}

function addedShard(
  topology: Topology,
  { replicas, regions, weight = 1, allowSharedRegions }: Extract<ShardChange, { kind: "add_shard" }>,
): ShardPlacement | ChangeRefusal {
  const shard = nextShardNumber(topology);
  const epoch = topology.epoch + 1;
  const asked = { kind: "set_replicas", replicas, regions, allowSharedRegions } as const;
  const placed = changedReplicas({ shard, weight, replicas: [] }, asked, generationIn(epoch));
  return "problem" in placed ? placed : { shard, weight, replicas: placed, since: epoch, createdIn: epoch };
}

function withChangedReplicas(topology: Topology, change: ReplicaChange): ChangeResult {
  const epoch = topology.epoch + 1;
  const shards: ShardPlacement[] = [];
  for (const placement of topology.shards) {
    const isMeant = change.shard === undefined || change.shard === placement.shard;
    const replicas = isMeant ? changedReplicas(placement, change, generationIn(epoch)) : placement.replicas;
    if ("problem" in replicas) return replicas;
    shards.push(withReplicas(placement, replicas, epoch));
  }
  if (shards.every((placement, index) => placement === topology.shards[index])) {
    return refused("nothing_to_change", "the change changes nothing: the replicas are as it says");
  }
  return { ok: true, topology: { ...topology, epoch, shards } };
}

function changedReplicas(
  placement: ShardPlacement,
  change: ReplicaChange,
  generation: number,
): readonly ReplicaPlacement[] | ChangeRefusal {
  const unknown = regionsOf(change).find((region) => !REGIONS.includes(region));
  if (unknown !== undefined)
    return refused("unknown_region", `${unknown} is no region: known are ${REGIONS.join(", ")}`);
  const replicas =
    change.kind === "replace_replica"
      ? replacedReplica(placement, change, generation)
      : resizedReplicas(placement, change, generation);
  if ("problem" in replicas || change.allowSharedRegions === true) return replicas;
  if (sharingRegions(replicas) <= sharingRegions(placement.replicas)) return replicas;
  const regions = new Set(replicas.map(({ region }) => region)).size;
  return refused(
    "shared_regions",
    `shard ${placement.shard} would have ${replicas.length} replicas in ${regions} region(s); expected a region for each, or allowSharedRegions`,
  );
}

function replacedReplica(
  { shard, replicas }: ShardPlacement,
  { replica, region }: Extract<ReplicaChange, { kind: "replace_replica" }>,
  generation: number,
): readonly ReplicaPlacement[] | ChangeRefusal {
  if (!replicas.some((placed) => placed.replica === replica)) {
    return refused("invalid", `replica: shard ${shard} has no replica ${replica}`);
  }
  return replicas.map((placed) => (placed.replica === replica ? { replica, region, generation } : placed));
}

function resizedReplicas(
  { shard, replicas }: ShardPlacement,
  change: Extract<ReplicaChange, { kind: "set_replicas" }>,
  generation: number,
): readonly ReplicaPlacement[] | ChangeRefusal {
  if (!REPLICA_COUNTS.includes(change.replicas)) {
    return refused("invalid", `replicas: expected one of ${REPLICA_COUNTS.join(", ")}, got ${change.replicas}`);
  }
  const regions = change.regions ?? [];
  const added = Math.max(0, change.replicas - replicas.length);
  if (added === 0 && regions.length > 0) {
    return refused("invalid", `regions: shard ${shard} gets no new replica, so there is no region to give`);
  }
  if (added > 0 && regions.length !== added && regions.length !== 1) {
    return refused(
      "invalid",
      `regions: shard ${shard} gets ${added} new replica(s), expected a region for each or one for all, got ${regions.length}`,
    );
  }
  const numbers = freeNumbers(replicas, added);
  const kept = replicas.slice(0, change.replicas);
  return [...kept, ...numbers.map((replica, at) => ({ replica, region: turned(regions, at + shard), generation }))];
}

function regionsOf(change: ReplicaChange): readonly Region[] {
  return change.kind === "replace_replica" ? [change.region] : (change.regions ?? []);
}

/** How many replicas live where another one lives too. */
function sharingRegions(replicas: readonly ReplicaPlacement[]): number {
  return replicas.length - new Set(replicas.map(({ region }) => region)).size;
}

function freeNumbers(replicas: readonly ReplicaPlacement[], count: number): readonly number[] {
  const numbers: number[] = [];
  for (let number = 0; numbers.length < count; number++) {
    if (!replicas.some(({ replica }) => replica === number)) numbers.push(number);
  }
  return numbers;
}

/** The regions take turns from shard to shard, as in epoch 0. */
function turned(regions: readonly Region[], turn: number): Region {
  const region = regions[turn % regions.length];
  if (region === undefined) throw new Error("a region for every new replica was checked before");
  return region;
}

function withReplicas(placement: ShardPlacement, replicas: readonly ReplicaPlacement[], epoch: number): ShardPlacement {
  if (isSamePlacement(placement.replicas, replicas)) return placement;
  const left = placement.replicas.filter((old) => !replicas.some((placed) => isSameReplica(placed, old)));
  const former = [...(placement.former ?? []), ...left].slice(-FORMER_REPLICAS_MAX);
  return { ...placement, replicas, since: epoch, former };
}

/**
 * Why `next` must not follow `current`; undefined: it may. A document that names an old object as a new replica, or moves one
 * that cannot move, would look right and lose data; one that hides the change from old routers would strand them.
 */
export function successorProblem(current: Topology, next: Topology): string | undefined {
  if (next.epoch !== current.epoch + 1) {
    return `epoch: expected ${current.epoch + 1}, the one after the current epoch`;
  }
  for (const [index, placement] of next.shards.entries()) {
    const before = current.shards.find(({ shard }) => shard === placement.shard);
    const problem =
      before === undefined
        ? newcomerProblem(placement, next.epoch, nextShardNumber(current))
        : placementProblem(before, placement, next.epoch);
    if (problem !== undefined) return `shards.${index}.${problem}`;
  }
  const least = nextShardNumber(current);
  if (nextShardNumber(next) < least) return `nextShard: expected ${least} at least: a number is not used again`;
  return retiredSuccessorProblem(current, next) ?? movesSuccessorProblem(current, next);
}

/** A shard that is not new has to be one of those before: under its old number it would be taken for what it was. */
function newcomerProblem(placement: ShardPlacement, epoch: number, leastNumber: number): string | undefined {
  if (placement.shard < leastNumber) return `shard: expected ${leastNumber} at least, the number of the next new one`;
  if (placement.createdIn !== epoch) return `createdIn: expected ${epoch}, the epoch in which the shard is added`;
  if (placement.since !== epoch) return `since: expected ${epoch}`;
  if ((placement.former ?? []).length > 0) return "former: a new shard has no former replicas";
  const index = placement.replicas.findIndex(({ generation }) => generation !== generationIn(epoch));
  return index === -1 ? undefined : `replicas.${index}.generation: expected ${generationIn(epoch)}`;
}

function placementProblem(before: ShardPlacement, after: ShardPlacement, epoch: number): string | undefined {
  for (const [index, placed] of after.replicas.entries()) {
    const known = before.replicas.find((old) => isSameReplica(old, placed));
    if (known === undefined && placed.generation !== generationIn(epoch)) {
      return `replicas.${index}.generation: expected ${generationIn(epoch)}, that of a replica placed in epoch ${epoch}`;
    }
    if (known !== undefined && known.region !== placed.region) {
      return `replicas.${index}.region: an object never moves; expected ${known.region}, or a new generation`;
    }
  }
  if (after.createdIn !== before.createdIn) return `createdIn: expected ${before.createdIn ?? "none"}`;
  const expected = withReplicas(before, after.replicas, epoch);
  if (after.since !== expected.since) return `since: expected ${expected.since ?? "none"}`;
  if (!isSamePlacement(after.former ?? [], expected.former ?? [])) {
    return "former: expected the replicas of earlier epochs, those that leave with this one last";
  }
  return undefined;
}

function isSameReplica(left: ReplicaPlacement, right: ReplicaPlacement): boolean {
  return left.replica === right.replica && left.generation === right.generation;
}

function isSamePlacement(left: readonly ReplicaPlacement[], right: readonly ReplicaPlacement[]): boolean {
  return (
    left.length === right.length &&
    left.every((placed, index) => {
      const other = right[index];
      return other !== undefined && isSameReplica(placed, other) && placed.region === other.region;
    })
  );
}
