// What an object is to routers when the topology has no replica in it any more: whoever comes by an older document, which every
// isolate does that starts with epoch 0, is sent on with the newer one. To nobody else it is anything: it has no say and no rows.
// Platform-free.

import type { Ownership } from "./ownership.ts";
import type { ShardReplica } from "./shard-replica.ts";

/** The calls of routers. */
export type RoutedReplica = Pick<ShardReplica, "read" | "write" | "batch" | "fill" | "scan" | "purge" | "part">;

export function removedReplica(ownership: Ownership): RoutedReplica {
  const sendOn = () => ownership.wrongOwner();
  const sendOnLater = async () => sendOn();
  return {
    read: sendOn,
    write: sendOnLater,
    batch: sendOnLater,
    fill: sendOnLater,
    scan: sendOn,
    purge: sendOnLater,
    part: sendOn,
  };
}
