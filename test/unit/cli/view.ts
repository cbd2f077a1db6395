// A view of a cluster for the CLI's tests, healthy unless the test says otherwise.

import type { ClusterView, ReplicaView, ShardView } from "../../../worker/api/admin-schemas.ts";

export function replicaView(changed: Partial<ReplicaView> = {}): ReplicaView {
  const { shard = 0, replica = 0, generation = 1 } = changed;
  return {
    name: `halo:halo:s${shard}:r${replica}:g${generation}`,
    shard,
    replica,
    generation,
    region: ["weur", "enam", "apac"][replica] ?? "weur",
    colo: null,
    health: "alive",
    error: null,
    role: replica === 0 ? "leader" : "follower",
    term: 3,
    firstIndex: 1,
    lastIndex: 10,
    commitIndex: 10,
    appliedIndex: 10,
    checkpointIndex: 5,
    lag: 0,
    keys: 2,
    logBytes: 100,
    bytes: 198,
    quiesced: false,
    leaseRemainingMs: 100,
    counters: { reads: 0, mutations: 0, elections: 0 },
    ...changed,
  };
}

export function shardView(changed: Partial<ShardView> = {}): ShardView {
  const { shard = 0 } = changed;
  const replicas = changed.replicas ?? [0, 1, 2].map((replica) => replicaView({ shard, replica }));
  return {
    shard,
    weight: 1,
    slots: 512,
    state: "active",
    leader: replicas.find(({ role }) => role === "leader")?.name ?? null,
    term: 3,
    keys: 2,
    bytes: 198,
    ...changed,
    replicas,
  };
}

export function clusterView(changed: Partial<ClusterView> = {}): ClusterView {
  return {
    cluster: "halo",
    version: "0.1.0",
    epoch: 0,
    atMs: Date.UTC(2026, 0, 1, 12),
    defaults: { consistency: "strong", balance: "nearest" },
    moves: { pending: [], cancelled: [] },
    underReplicated: [],
    background: { paused: false, untilMs: null },
    shards: [shardView(), shardView({ shard: 1 })],
    ...changed,
  };
}
