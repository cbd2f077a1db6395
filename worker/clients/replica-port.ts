// The way to replicas in a Worker: Durable Object stubs. Ids are cached for the life of the isolate; stubs are not,
// because a stub belongs to the request that made it. What a replica answers is plain data.

import { waitUntil } from "cloudflare:workers";
import type { CacheReplica } from "../../durable/cache-replica.ts";
import { type ReplicaBindings, type ReplicaNamespace, replicaNamespace } from "../../durable/namespaces.ts";
import type { ReplicaAddress, ReplicaPort } from "./ports.ts";

/** The runtime would retry for up to ten seconds, hiding a dead leader for as long: retries are the shard client's. */
const NO_RETRIES = { maxRetries: 0 } as const;

/** More objects than any cluster has replicas; a topology of many generations must not grow the cache without end. */
const OBJECTS_MAX = 4_096;

/** What making a stub takes; all of it outlives requests, unlike the stub. */
interface ReplicaObject {
  readonly namespace: ReplicaNamespace;
  readonly id: DurableObjectId;
  readonly options: DurableObjectNamespaceGetDurableObjectOptions;
}

export function createReplicaPort(env: ReplicaBindings): ReplicaPort {
  const objects = new Map<string, ReplicaObject>();

  const objectOf = ({ name, region }: ReplicaAddress): ReplicaObject => {
    const namespace = replicaNamespace(env, region);
    return { namespace, id: namespace.idFromName(name), options: { locationHint: region, retry: NO_RETRIES } };
  };

  const stubOf = (address: ReplicaAddress): DurableObjectStub<CacheReplica> => {
    let object = objects.get(address.name);
    if (object === undefined) {
      if (objects.size >= OBJECTS_MAX) objects.clear();
      object = objectOf(address);
      objects.set(address.name, object);
    }
    return object.namespace.get(object.id, object.options);
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
