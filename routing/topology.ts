// Pure. The topology document: which shard owns each slot and where the replicas of each shard live.
// It is the only shared configuration of a cluster: plain JSON, ordered by `epoch`, small enough to travel in a reply.

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
}

export interface Topology {
  readonly cluster: string;
  /** 0 is computed from the deployment's variables alone; every published change adds one. */
  readonly epoch: number;
  readonly shards: readonly ShardPlacement[];
  /** `slots[slot]` is the number of the shard that owns it; SLOT_COUNT long. */
  readonly slots: readonly number[];
}
