// Pure. Shards that were removed, and whose objects still hold what they held: what the document remembers of them until somebody
// has wiped them. A number is never used again, nor is a generation, so the objects' names will never mean anything else.

import * as z from "zod";
import { once } from "./once.ts";
import type { ReplicaPlacement, RetiredShard, ShardPlacement, Topology } from "./topology.ts";

/** Removed shards that wait to be wiped; no other shard is removed then. Each of them is in every copy of the document. */
export const RETIRED_SHARDS_MAX = 32;

/** Names one object of a removed shard. */
export interface RetiredReplica extends Pick<ReplicaPlacement, "replica" | "generation"> {
  readonly shard: number;
}

/** The list with these shards, all of whose objects are to be wiped, those included that were replaced before. */
export function retiredWith(
  { retired = [], epoch }: Topology,
  removed: readonly ShardPlacement[],
): readonly RetiredShard[] {
  return [
    ...retired,
    ...removed.map(({ shard, replicas, former = [] }) => ({
      shard,
      epoch: epoch + 1,
      replicas: [...replicas, ...former],
    })),
  ];
}

/** Whether the document says that the object is to be wiped, and nothing in it says otherwise. */
export function isRetired({ retired = [], shards }: Topology, object: RetiredReplica): boolean {
  const isIn = (replicas: readonly ReplicaPlacement[]) => replicas.some((placed) => isObject(placed, object));
  const listed = shards.find(({ shard }) => shard === object.shard);
  if (listed !== undefined && (isIn(listed.replicas) || isIn(listed.former ?? []))) return false;
  return retired.some(({ shard, replicas }) => shard === object.shard && isIn(replicas));
}

/** The document without these objects; the very same where it lists none of them. So a report may be repeated. */
export function withWiped(topology: Topology, wiped: readonly RetiredReplica[]): Topology {
  const { retired = [], ...rest } = topology;
  const left = retired.flatMap(({ replicas, ...shard }): RetiredShard[] => {
    const kept = replicas.filter(
      (placed) => !wiped.some((object) => object.shard === shard.shard && isObject(placed, object)),
    );
    return kept.length === 0 ? [] : [{ ...shard, replicas: kept }];
  });
  const count = (shards: readonly RetiredShard[]) => shards.reduce((sum, { replicas }) => sum + replicas.length, 0);
  if (count(left) === count(retired)) return topology;
  return { ...rest, epoch: topology.epoch + 1, ...(left.length === 0 ? {} : { retired: left }) };
}

/** Why the list of an operator's document must not follow that of `current`; undefined: it may. */
export function retiredSuccessorProblem(current: Topology, next: Topology): string | undefined {
  const gone = current.shards.filter(({ shard }) => !next.shards.some((kept) => kept.shard === shard));
  const isSame = JSON.stringify(shapeOf(retiredWith(current, gone))) === JSON.stringify(shapeOf(next.retired));
  return isSame ? undefined : "retired: expected those of before, and the shards that this document removes";
}

function shapeOf(retired: readonly RetiredShard[] = []) {
  return retired.map(({ shard, epoch, replicas }) => [
    shard,
    epoch,
    replicas.map(({ replica, region, generation }) => [replica, region, generation]),
  ]);
}

const reportSchema = once(() =>
  z
    .array(z.object({ shard: z.int().min(0), replica: z.int().min(0), generation: z.int().min(1) }))
    .max(RETIRED_SHARDS_MAX * 64),
);

/** Undefined: it is no report. */
export function parseWiped(report: unknown): readonly RetiredReplica[] | undefined {
  const parsed = reportSchema().safeParse(report);
  return parsed.success ? parsed.data : undefined;
}

function isObject(placed: ReplicaPlacement, { replica, generation }: RetiredReplica): boolean {
  return placed.replica === replica && placed.generation === generation;
}
