// What a replica says of itself, where a test cares only about some of it.

import type { ReplicaStatus } from "../../../../durable/protocol.ts";
import type { ReplicaAddress } from "../../../../worker/clients/ports.ts";

export function statusOf(
  { name, shard, replica, generation, region }: ReplicaAddress,
  said: Partial<ReplicaStatus> = {},
): ReplicaStatus {
  return {
    name,
    shard,
    replica,
    generation,
    region,
    role: replica === 0 ? "leader" : "follower",
    term: 1,
    leader: 0,
    firstIndex: 1,
    lastIndex: 9,
    commitIndex: 9,
    appliedIndex: 9,
    checkpointIndex: 0,
    leaseRemainingMs: 0,
    quiesced: false,
    epoch: 0,
    keys: 5,
    bytes: 700,
    logBytes: 900,
    voters: ["0.1", "1.1", "2.1"],
    members: [],
    counters: { reads: 3 },
    ...said,
  };
}
