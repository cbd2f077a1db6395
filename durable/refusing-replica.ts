// What an object is to routers when there is no replica in it for them: the topology has none here any more, and whoever comes by
// an older document, as every isolate does that starts with epoch 0, is sent on with the newer one; or the deployment's variables
// make an epoch 0 that is not this cluster's, and everybody is told so. Platform-free.

import type { Refusal } from "./protocol.ts";
import type { ShardReplica } from "./shard-replica.ts";

/** The calls of routers. */
export type RoutedReplica = Pick<
  ShardReplica,
  "read" | "readTogether" | "write" | "writeTogether" | "batch" | "fill" | "scan" | "purge" | "part"
>;

export function refusingReplica(refusal: Refusal): RoutedReplica {
  const refuse = () => refusal;
  const refuseLater = async () => refusal;
  return {
    read: refuse,
    readTogether: (requests) => requests.map(refuse),
    write: refuseLater,
    writeTogether: async (requests) => requests.map(refuse),
    batch: refuseLater,
    fill: refuseLater,
    scan: refuse,
    purge: refuseLater,
    part: refuse,
  };
}
