// The way to replicas in a Worker: Durable Object stubs. Ids are cached for the life of the isolate; stubs are not,
// because a stub belongs to the request that made it. Reads go as HTTP (durable/http/read-wire.ts), the rest as RPC, writes
// in a form of their own (durable/write-wire.ts).

import { waitUntil } from "cloudflare:workers";
import type { CacheReplica } from "../../durable/cache-replica.ts";
import { readUrl, readUrlBase } from "../../durable/http/read-wire.ts";
import { type ReplicaBindings, type ReplicaNamespace, replicaNamespace } from "../../durable/namespaces.ts";
import type { ReadRequest, Refusal } from "../../durable/protocol.ts";
import { writeArguments, writeReply } from "../../durable/write-wire.ts";
import { answerOf, type HttpAnswer } from "./http-answer.ts";
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
  readonly readUrlBase: string;
}

const HEAD: RequestInit = { method: "HEAD" };

export function createReplicaPort(env: ReplicaBindings): ReplicaPort<HttpAnswer> {
  const objects = new Map<string, ReplicaObject>();

  const objectOf = ({ name, region }: ReplicaAddress): ReplicaObject => {
    const namespace = replicaNamespace(env, region);
    return {
      namespace,
      id: namespace.idFromName(name),
      options: { locationHint: region, retry: NO_RETRIES },
      readUrlBase: readUrlBase(name),
    };
  };

  const knownObject = (address: ReplicaAddress): ReplicaObject => {
    let object = objects.get(address.name);
    if (object === undefined) {
      if (objects.size >= OBJECTS_MAX) objects.clear();
      object = objectOf(address);
      objects.set(address.name, object);
    }
    return object;
  };
  const stubOf = (address: ReplicaAddress): DurableObjectStub<CacheReplica> => {
    const { namespace, id, options } = knownObject(address);
    return namespace.get(id, options);
  };

  return {
    read(address: ReplicaAddress, request: ReadRequest) {
      const { namespace, id, options, readUrlBase } = knownObject(address);
      const url = readUrl(readUrlBase, request);
      const stub = namespace.get(id, options);
      return (request.omitValue === true ? stub.fetch(url, HEAD) : stub.fetch(url)).then<HttpAnswer | Refusal>(
        answerOf,
      );
    },
    async write(address, request) {
      return writeReply(await stubOf(address).write(...writeArguments(request)));
    },
    async suspect(address, request) {
      const sent = stubOf(address).suspect(request);
      // The report must leave even when the request that made it has been answered meanwhile.
      waitUntil(sent.catch(() => undefined));
      await sent;
    },
    status: (address, request) => stubOf(address).status(request),
  };
}
