// Pure. The next topology document for a change of a shard's replicas, and what may follow what. The document says what is
// wanted; what each shard's log has as members follows it, one step at a time (durable/replication/membership-plan.ts).

import { REPLICA_COUNTS } from "./cluster-config.ts";
import type { Region } from "./region.ts";
import { generationIn, type ReplicaPlacement, type ShardPlacement, type Topology } from "./topology.ts";
import { FORMER_REPLICAS_MAX, type TopologyResult } from "./topology-parser.ts";

export type TopologyChange =
  | {
      readonly kind: "set_replicas";
      /** Absent: every shard. */
      readonly shard?: number | undefined;
      /** 1, 3 or 5, as in epoch 0. */
      readonly replicas: number;
      /** Where the added ones go: one for each, or one for all; none where replicas are taken away. */
      readonly regions?: readonly Region[] | undefined;
    }
  | {
      /** A new object takes the number over: the old one is dead, or the region is not the right one. */
      readonly kind: "replace_replica";
      readonly shard: number;
      readonly replica: number;
      readonly region: Region;
    };

type Problem = { readonly problem: string };

/** The document of the next epoch, or one line that says what is wrong with the change. */
export function changedTopology(topology: Topology, change: TopologyChange): TopologyResult {
  if (change.shard !== undefined && !topology.shards.some(({ shard }) => shard === change.shard)) {
    return { ok: false, problem: `shard: there is no shard ${change.shard}` };
  }
  const epoch = topology.epoch + 1;
  const shards: ShardPlacement[] = [];
  for (const placement of topology.shards) {
    const isMeant = change.shard === undefined || change.shard === placement.shard;
    const replicas = isMeant ? changedReplicas(placement, change, generationIn(epoch)) : placement.replicas;
    if ("problem" in replicas) return { ok: false, problem: replicas.problem };
    shards.push(withReplicas(placement, replicas, epoch));
  }
  if (shards.every((placement, index) => placement === topology.shards[index])) {
    return { ok: false, problem: "the change changes nothing: the replicas are as it says" };
  }
  return { ok: true, topology: { ...topology, epoch, shards } };
}

function changedReplicas(
  { shard, replicas }: ShardPlacement,
  change: TopologyChange,
  generation: number,
): readonly ReplicaPlacement[] | Problem {
  if (change.kind === "replace_replica") {
    const { replica, region } = change;
    if (!replicas.some((placed) => placed.replica === replica)) {
      return { problem: `replica: shard ${shard} has no replica ${replica}` };
    }
    return replicas.map((placed) => (placed.replica === replica ? { replica, region, generation } : placed));
  }
  if (!REPLICA_COUNTS.includes(change.replicas)) {
    return { problem: `replicas: expected one of ${REPLICA_COUNTS.join(", ")}, got ${change.replicas}` };
  }
  const regions = change.regions ?? [];
  const added = Math.max(0, change.replicas - replicas.length);
  if (added === 0 && regions.length > 0) {
    return { problem: `regions: shard ${shard} gets no new replica, so there is no region to give` };
  }
  if (added > 0 && regions.length !== added && regions.length !== 1) {
    return {
      problem: `regions: shard ${shard} gets ${added} new replica(s), expected a region for each or one for all, got ${regions.length}`,
    };
  }
  const numbers = freeNumbers(replicas, added);
  const kept = replicas.slice(0, change.replicas);
  return [...kept, ...numbers.map((replica, at) => ({ replica, region: turned(regions, at + shard), generation }))];
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
    const problem = before === undefined ? undefined : placementProblem(before, placement, next.epoch);
    if (problem !== undefined) return `shards.${index}.${problem}`;
  }
  return undefined;
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
