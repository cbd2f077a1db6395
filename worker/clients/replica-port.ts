// The way to replicas in a Worker: Durable Object stubs. Ids are cached for the life of the isolate; stubs are not,
// because a stub belongs to the request that made it. Calls are RPC, reads and writes in forms of their own
// (durable/reads-wire.ts, durable/write-wire.ts). Only values that no call carries come as HTTP (durable/http/read-wire.ts), and
// are passed on as they come.
//
// Race: a replica's process may end between the head of such a reply and the value. The runtime then closes the client's
// connection, often without a byte, while other replicas could have answered. A call fails as a whole, and is made again
// elsewhere; what is left of a long value comes from another replica (unbroken-reads.ts).

import { waitUntil } from "cloudflare:workers";
import { LRUCache } from "lru-cache";
import type { CacheReplica } from "../../durable/cache-replica.ts";
import { getsArguments, getsReply } from "../../durable/gets-wire.ts";
import { readUrl, readUrlBase } from "../../durable/http/read-wire.ts";
import { type ReplicaBindings, type ReplicaNamespace, replicaNamespace } from "../../durable/namespaces.ts";
import {
  PROTOCOL_VERSION,
  type ReadReply,
  type ReadRequest,
  type Refusal,
  type WriteReply,
  type WriteRequest,
} from "../../durable/protocol.ts";
import { readResponse } from "../../durable/read-response.ts";
import { parseReplies, READS_BYTES_MAX, READS_MAX, readLines } from "../../durable/reads-wire.ts";
import type { SlowEntry } from "../../durable/telemetry/slow-log.ts";
import {
  type WireWriteReply,
  WRITES_BYTES_MAX,
  WRITES_MAX,
  writeArguments,
  writeReply,
} from "../../durable/write-wire.ts";
import { Gatherer } from "./gatherer.ts";
import type { HealthPorts } from "./health-watch.ts";
import { answerOf, HttpAnswer } from "./http-answer.ts";
import type { AdminPort, ReplicaAddress, ReplicaPort } from "./ports.ts";
import type { TimerPlatform } from "./shared-timers.ts";
import { lacksMethod } from "./transport-errors.ts";

/** The runtime would retry for up to ten seconds, hiding a dead leader for as long: retries are the shard client's. */
const NO_RETRIES = { maxRetries: 0 } as const;
/** A hint counts for an object's first call ever, and costs every call; one that has answered needs none. */
const EXISTING: DurableObjectNamespaceGetDurableObjectOptions = { retry: NO_RETRIES };

/** More objects than any cluster has replicas; a topology of many generations must not grow the cache without end. */
const OBJECTS_MAX = 4_096;

/** Keys whose values no call carries, or whose replica runs code from before there were such calls: the next read is HTTP at once. */
const LONG_KEYS_MAX = 4_096;
const LONG_KEY_MS = 60_000;

/** What making a stub takes; all of it outlives requests, unlike the stub. */
interface ReplicaObject {
  readonly namespace: ReplicaNamespace;
  readonly id: DurableObjectId;
  options: DurableObjectNamespaceGetDurableObjectOptions;
  readonly readUrlBase: string;
  /** Absent: every call is sent by itself. */
  readonly reads?: Gatherer<ReadRequest, TimedReply> | undefined;
  readonly writes?: Gatherer<WriteRequest, WireWriteReply> | undefined;
}

/** A reply that came with others, and how long the replica had their call. */
interface TimedReply {
  readonly read: ReadReply;
  readonly tookMs: number | undefined;
}

function answerFrom({ read, tookMs }: TimedReply, { omitValue }: ReadRequest): HttpAnswer | Refusal {
  return read.status === "ok" ? new HttpAnswer(readResponse(read, omitValue === true, tookMs), read.from) : read;
}

function valueBytes({ mutation }: WriteRequest): number {
  return "value" in mutation ? mutation.value.byteLength : 0;
}

export interface SlowLogPort {
  slowLog(address: ReplicaAddress): Promise<readonly SlowEntry[]>;
}

const READS_LIMITS = { calls: READS_MAX, bytes: READS_BYTES_MAX };
const WRITES_LIMITS = { calls: WRITES_MAX, bytes: WRITES_BYTES_MAX };

export function createReplicaPort(
  env: ReplicaBindings,
  platform: TimerPlatform | undefined,
): ReplicaPort<HttpAnswer> & AdminPort & Pick<HealthPorts, "ping"> & SlowLogPort {
  const objects = new Map<string, ReplicaObject>();
  // Race: to save looks at the clock the library keeps a time until a timer ends it, and a timer ends with the request that armed it:
  // the minute would never be over. Hence no resolution.
  const longKeys = new LRUCache<string, true>({ max: LONG_KEYS_MAX, ttl: LONG_KEY_MS, ttlResolution: 0 });

  const objectOf = ({ name, region }: ReplicaAddress): ReplicaObject => {
    const namespace = replicaNamespace(env, region);
    return {
      namespace,
      id: namespace.idFromName(name),
      options: { locationHint: region, retry: NO_RETRIES },
      readUrlBase: readUrlBase(name),
      reads: platform && new Gatherer(platform, "reads", READS_LIMITS),
      writes: platform && new Gatherer(platform, "writes", WRITES_LIMITS),
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

  const isStreamed = ({ key, omitValue }: ReadRequest): boolean => omitValue !== true && longKeys.has(key);

  const readStreamed = async (object: ReplicaObject, request: ReadRequest): Promise<HttpAnswer | Refusal> =>
    answerOf(await stubOf(object).fetch(readUrl(object.readUrlBase, request)));

  const readTogether = async (object: ReplicaObject, requests: readonly ReadRequest[]) => {
    const reply = await stubOf(object).reads(object.readUrlBase, readLines(requests));
    object.options = EXISTING;
    const { tookMs } = reply;
    return parseReplies(reply).map((read) => (read === null ? undefined : { read, tookMs }));
  };

  const readAlone = async (object: ReplicaObject, request: ReadRequest): Promise<HttpAnswer | Refusal> => {
    if (isStreamed(request)) return readStreamed(object, request);
    const [reply] = await readTogether(object, [request]).catch((error: unknown) => {
      if (lacksMethod(error, "reads")) return [];
      throw error;
    });
    if (reply !== undefined) return answerFrom(reply, request);
    longKeys.set(request.key, true);
    return readStreamed(object, request);
  };

  const writeAlone = async (object: ReplicaObject, request: WriteRequest): Promise<WriteReply> => {
    const reply = await stubOf(object).write(...writeArguments(request));
    object.options = EXISTING;
    return writeReply(reply);
  };

  const writeTogether = async (object: ReplicaObject, requests: readonly WriteRequest[]) => {
    const replies: readonly (WireWriteReply | null)[] = await stubOf(object).writes(requests.map(writeArguments));
    object.options = EXISTING;
    return replies.map((reply) => reply ?? undefined);
  };

  return {
    read(address, request) {
      const object = knownObject(address);
      const alone = () => readAlone(object, request);
      // A read that may have to wait at the replica would keep those waiting that need not.
      if (object.reads === undefined || request.after !== undefined || isStreamed(request)) return alone();
      const together = (requests: readonly ReadRequest[]) => readTogether(object, requests);
      return object.reads.call(request, 0, { alone, together, take: (reply) => answerFrom(reply, request) });
    },
    write(address, request) {
      const object = knownObject(address);
      const alone = () => writeAlone(object, request);
      if (object.writes === undefined) return alone();
      const together = (requests: readonly WriteRequest[]) => writeTogether(object, requests);
      return object.writes.call(request, valueBytes(request), { alone, together, take: writeReply });
    },
    async batch(address, request) {
      const object = knownObject(address);
      const gets = getsArguments(request);
      if (gets === undefined) return stubOf(object).batch(request);
      try {
        return getsReply(await stubOf(object).gets(...gets));
      } catch (error) {
        if (!lacksMethod(error, "gets")) throw error;
        return stubOf(object).batch(request);
      }
    },
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
    pauseBackground: (address, forMs) => stubOf(knownObject(address)).pauseBackground(address.name, forMs),
    // Plain data: the platform's own type wraps every part of it in promises.
    slowLog: (address) =>
      stubOf(knownObject(address)).slowLog({ v: PROTOCOL_VERSION, to: address.name }) as unknown as ReturnType<
        SlowLogPort["slowLog"]
      >,
    transferLeadership: (address, to) => stubOf(knownObject(address)).transferLeadership(address.name, to),
    ping: async (address) => {
      await stubOf(knownObject(address)).ping(address.name);
    },
  };
}
