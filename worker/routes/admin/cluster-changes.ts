// Pure. What has changed between two views of the cluster, in words for whoever watches it.

import type { ClusterChange, ClusterView, ReplicaView, ShardView } from "../../api/admin-schemas.ts";

/** Only what differs, in the order of the shards. */
export function changesBetween(before: ClusterView, after: ClusterView): readonly ClusterChange[] {
  const { atMs } = after;
  const changes: ClusterChange[] = [];
  if (after.epoch !== before.epoch) {
    changes.push({ atMs, kind: "epoch", text: `the topology is that of epoch ${after.epoch}` });
  }
  const movingBefore = slotsToMove(before);
  const movingAfter = slotsToMove(after);
  if (movingAfter !== movingBefore) {
    const text = movingAfter === 0 ? "all slots are where they are to be" : `${movingAfter} slots are still to move`;
    changes.push({ atMs, kind: "move", text });
  }
  const known = new Map(before.shards.map((shard) => [shard.shard, shard]));
  for (const shard of after.shards) {
    const same = known.get(shard.shard);
    known.delete(shard.shard);
    if (same === undefined) changes.push({ atMs, kind: "replica", shard: shard.shard, text: "the shard was added" });
    else changes.push(...shardChanges(same, shard, atMs));
  }
  for (const shard of known.keys()) changes.push({ atMs, kind: "replica", shard, text: "the shard was removed" });
  return changes;
}

function slotsToMove({ moves: { pending, cancelled } }: ClusterView): number {
  return [...pending, ...cancelled].reduce((sum, { slots }) => sum + slots, 0);
}

function shardChanges(before: ShardView, after: ShardView, atMs: number): readonly ClusterChange[] {
  const { shard } = after;
  const changes: ClusterChange[] = [];
  if (after.leader !== before.leader) {
    const text =
      after.leader === null ? `${before.leader} leads no more` : `${after.leader} leads in term ${after.term}`;
    changes.push({ atMs, kind: "leader", shard, text });
  }
  const known = new Map(before.replicas.map((replica) => [replica.name, replica]));
  for (const replica of after.replicas) {
    const same = known.get(replica.name);
    known.delete(replica.name);
    const about = { atMs, shard, replica: replica.replica };
    if (same === undefined) changes.push({ ...about, kind: "replica", text: `${replica.name} was placed` });
    else changes.push(...replicaChanges(same, replica).map((change) => ({ ...about, ...change })));
  }
  for (const { replica, name } of known.values()) {
    changes.push({ atMs, kind: "replica", shard, replica, text: `${name} is not listed any more` });
  }
  return changes;
}

function replicaChanges(before: ReplicaView, after: ReplicaView): readonly Pick<ClusterChange, "kind" | "text">[] {
  const changes: Pick<ClusterChange, "kind" | "text">[] = [];
  if (after.health !== before.health || (after.error === null) !== (before.error === null)) {
    const reason = after.error === null ? "" : `: ${after.error}`;
    changes.push({ kind: "health", text: `${after.name} is ${after.health}${reason}` });
  }
  // Whoever leads is a change of its own; whoever does not answer has no role.
  const isMember = (role: ReplicaView["role"]): boolean => role !== null && role !== "learner";
  if (before.role === "learner" && isMember(after.role)) {
    changes.push({ kind: "replica", text: `${after.name} votes` });
  }
  return changes;
}
