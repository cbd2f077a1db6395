// The way to replicas in a Worker: Durable Object stubs. Ids are cached for the life of the isolate; stubs are not,
// because a stub belongs to the request that made it. What a replica answers is plain data.

import { waitUntil } from "cloudflare:workers";
import type { CacheReplica } from "../../durable/cache-replica.ts";
import { type ReplicaBindings, replicaNamespace } from "../../durable/namespaces.ts";
import type { ReplicaAddress, ReplicaPort } from "./ports.ts";

/** The runtime would retry for up to ten seconds, hiding a dead leader for as long: retries are the shard client's. */
const NO_RETRIES = { maxRetries: 0 } as const;

/** More ids than any cluster has replicas; a topology of many generations must not grow the cache without end. */
const IDS_MAX = 4_096;

export function createReplicaPort(env: ReplicaBindings): ReplicaPort {
  const ids = new Map<string, DurableObjectId>();

  const stubOf = ({ name, region }: ReplicaAddress): DurableObjectStub<CacheReplica> => {
    const namespace = replicaNamespace(env, region);
    let id = ids.get(name);
    if (id === undefined) {
      if (ids.size >= IDS_MAX) ids.clear();
      id = namespace.idFromName(name);
      ids.set(name, id);
    }
    return namespace.get(id, { locationHint: region, retry: NO_RETRIES });
  };

  return {
    read: (address, request) => stubOf(address).read(request),
    write: (address, request) => stubOf(address).write(request),
    async suspect(address, request) {
      const sent = stubOf(address).suspect(request);
      // The report must leave even when the request that made it has been answered meanwhile.
      waitUntil(sent.catch(() => undefined));
      await sent;
    },
    status: (address, request) => stubOf(address).status(request),
  };
}
