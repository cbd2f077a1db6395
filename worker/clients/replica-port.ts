// The way to replicas in a Worker: Durable Object stubs. Ids are cached for the life of the isolate; stubs are not,
// because a stub belongs to the request that made it. Reads go as HTTP (durable/http/read-wire.ts), the rest as RPC, writes
// in a form of their own (durable/write-wire.ts).

import { waitUntil } from "cloudflare:workers";
import type { CacheReplica } from "../../durable/cache-replica.ts";
import { readUrl, readUrlBase } from "../../durable/http/read-wire.ts";
import { type ReplicaBindings, type ReplicaNamespace, replicaNamespace } from "../../durable/namespaces.ts";
import type { Refusal } from "../../durable/protocol.ts";
import { writeArguments, writeReply } from "../../durable/write-wire.ts";
import type { HealthPorts } from "./health-watch.ts";
import { answerOf, HttpAnswer } from "./http-answer.ts";
import type { AdminPort, ReplicaAddress, ReplicaPort } from "./ports.ts";

/** The runtime would retry for up to ten seconds, hiding a dead leader for as long: retries are the shard client's. */
const NO_RETRIES = { maxRetries: 0 } as const;
/** A hint counts for an object's first call ever, and costs every call; one that has answered needs none. */
const EXISTING: DurableObjectNamespaceGetDurableObjectOptions = { retry: NO_RETRIES };

/** More objects than any cluster has replicas; a topology of many generations must not grow the cache without end. */
const OBJECTS_MAX = 4_096;

/** What making a stub takes; all of it outlives requests, unlike the stub. */
interface ReplicaObject {
  readonly namespace: ReplicaNamespace;
  readonly id: DurableObjectId;
  options: DurableObjectNamespaceGetDurableObjectOptions;
  readonly readUrlBase: string;
}

const HEAD: RequestInit = { method: "HEAD" };

export function createReplicaPort(
  env: ReplicaBindings,
): ReplicaPort<HttpAnswer> & AdminPort & Pick<HealthPorts, "ping"> {
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
  const stubOf = ({ namespace, id, options }: ReplicaObject): DurableObjectStub<CacheReplica> =>
    namespace.get(id, options);

  return {
    read(address, request) {
      const object = knownObject(address);
      const url = readUrl(object.readUrlBase, request);
      const sent = request.omitValue === true ? stubOf(object).fetch(url, HEAD) : stubOf(object).fetch(url);
      return sent.then<HttpAnswer | Refusal>((response) => {
        const answer = answerOf(response);
        if (answer instanceof HttpAnswer) object.options = EXISTING;
        return answer;
      });
    },
    async write(address, request) {
      const object = knownObject(address);
      const reply = await stubOf(object).write(...writeArguments(request));
      object.options = EXISTING;
      return writeReply(reply);
    },
    batch: (address, request) => stubOf(knownObject(address)).batch(request),
    fill: (address, request) => stubOf(knownObject(address)).fill(request),
    scan: (address, request) => stubOf(knownObject(address)).scan(request),
    purge: (address, request) => stubOf(knownObject(address)).purge(request),
    part: (address, request) => stubOf(knownObject(address)).part(request),
    async suspect(address, request) {
      const sent = stubOf(knownObject(address)).suspect(request);
      // The report must leave even when the request that made it has been answered meanwhile.
      waitUntil(sent.catch(() => undefined));
      await sent;
    },
    status: (address, request) => stubOf(knownObject(address)).status(request),
    transferLeadership: (address, to) => stubOf(knownObject(address)).transferLeadership(address.name, to),
    ping: async (address) => {
      await stubOf(knownObject(address)).ping(address.name);
    },
  };
}
