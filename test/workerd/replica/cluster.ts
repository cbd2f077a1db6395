// The deployed Worker as the tests see it: its HTTP interface, and the objects behind it.

import { SELF } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { CacheReplica } from "../../../durable/cache-replica.ts";
import { readUrl, readUrlBase, STATUS_NO_ENTRY, STATUS_REFUSED } from "../../../durable/http/read-wire.ts";
import { parseServedBy, SERVED_BY } from "../../../durable/http/served-by.ts";
import {
  PROTOCOL_VERSION,
  type Provenance,
  type ReadRequest,
  type Refusal,
  type ReplicaStatus,
} from "../../../durable/protocol.ts";
import { parseClusterConfig } from "../../../routing/cluster-config.ts";
import { slotOf } from "../../../routing/slots.ts";
import { buildTopology } from "../../../routing/topology.ts";
import { type ShardView, TopologyView } from "../../../routing/topology-view.ts";

export const TOKEN = "token-of-the-tests";

const bindings = env as unknown as { readonly REPLICA: DurableObjectNamespace<CacheReplica> };

export function topologyView(): TopologyView {
  const parsed = parseClusterConfig(env);
  if (!parsed.ok) throw new Error(parsed.problem);
  return new TopologyView(buildTopology(parsed.config));
}

export function shardOf(key: string): ShardView {
  return topologyView().ownerOf(slotOf(key));
}

export function stubOf(name: string): DurableObjectStub<CacheReplica> {
  return bindings.REPLICA.getByName(name);
}

export async function statusOf(name: string): Promise<ReplicaStatus> {
  return (await stubOf(name).status({ v: PROTOCOL_VERSION, to: name })) as ReplicaStatus;
}

export async function statusesOf(shard: ShardView): Promise<readonly ReplicaStatus[]> {
  return Promise.all(shard.replicas.map(({ name }) => statusOf(name)));
}

export async function leaderOf(shard: ShardView): Promise<ReplicaStatus> {
  const leader = (await statusesOf(shard)).find(({ role }) => role === "leader");
  if (leader === undefined) throw new Error(`shard ${shard.shard} has no leader`);
  return leader;
}

/** What a replica answers to a read: a refusal, or how large the value is. */
export async function readFrom(name: string, read: ReadRequest) {
  const response = await stubOf(name).fetch(readUrl(readUrlBase(read.to), read));
  if (response.status === STATUS_REFUSED) return (await response.json()) as Refusal;
  const size = (await response.arrayBuffer()).byteLength;
  return { status: "ok", entry: response.status === STATUS_NO_ENTRY ? undefined : { size } };
}

/** Who answered, and from where in the log. */
export function servedFrom(response: Response): Provenance {
  const from = parseServedBy(response.headers.get(SERVED_BY) ?? "");
  if (from === undefined) throw new Error("a reply says who has made it");
  return from;
}

export function request(method: string, key: string, init: { headers?: Record<string, string>; body?: BodyInit } = {}) {
  return SELF.fetch(`https://halo.test/v1/kv/${key}`, {
    method,
    headers: { Authorization: `Bearer ${TOKEN}`, ...init.headers },
    body: init.body ?? null,
  });
}

export async function put(key: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  return request("PUT", key, { body, headers });
}

export async function text(key: string, consistency = "strong"): Promise<string | number> {
  const response = await request("GET", key, { headers: { "Halo-Consistency": consistency } });
  const body = await response.text();
  return response.ok ? body : response.status;
}

/** Asks until the answer is the awaited one; a bounded number of times, each after a turn of the event loop. */
export async function until<T>(ask: () => Promise<T>, isAwaited: (answer: T) => boolean): Promise<T> {
  const deadlineMs = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (isAwaited(answer)) return answer;
    if (Date.now() > deadlineMs) throw new Error(`still waiting; the last answer was ${JSON.stringify(answer)}`);
    await scheduler.wait(10);
  }
}
