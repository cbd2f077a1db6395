// Pure. What several commands read off a view of the cluster.

import type { ClusterView, ReplicaView, ShardView } from "../worker/api/admin-schemas.ts";

export function slotsOf(pairs: ClusterView["moves"]["pending"]): number {
  return pairs.reduce((sum, { slots }) => sum + slots, 0);
}

/** Why some of the pending moves do not get on; undefined: nobody has said so. */
export function waitingText({ waiting = [] }: ClusterView["moves"]): string | undefined {
  const [first] = waiting;
  if (first === undefined) return undefined;
  const others = waiting.length === 1 ? "" : `, and ${waiting.length - 1} more`;
  return `slot ${first.slot} from shard ${first.from} to ${first.to}: ${first.reason}${others}`;
}

/** A group that nobody asks anything has no leader, and needs none: the first request wakes it. */
export function isAsleep({ replicas }: ShardView): boolean {
  return replicas.some(({ error }) => error === null) && replicas.every(({ quiesced }) => quiesced !== false);
}

export function noLeaderText(shard: ShardView): string {
  return isAsleep(shard) ? "asleep" : "none";
}

export function followerText(replica: ReplicaView): string {
  if (replica.error !== null) return `${replica.region} ${replica.health}`;
  const role = replica.role === "follower" ? "" : ` ${replica.role}`;
  const doubt = replica.health === "alive" ? "" : ` ${replica.health}`;
  return `${placeOf(replica)}${role}${doubt} (${replica.lag ?? "?"})`;
}

export function placeOf({ region, colo }: ReplicaView): string {
  return colo === null ? region : `${region}/${colo}`;
}
