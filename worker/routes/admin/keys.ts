// What an operator looks up of keys: one key on every replica, and the keys that are asked for most.

import { PROTOCOL_VERSION, type ReadEntry } from "../../../durable/protocol.ts";
import { parseKey } from "../../../durable/store/keyspace.ts";
import type { ReplicaView, ShardView } from "../../../routing/topology-view.ts";
import type { AccessDeps } from "../../access/audit.ts";
import { keyRefusal } from "../../access/guarded-client.ts";
import { type HotKeysReply, inspectQuerySchema, type KeyView } from "../../api/admin-schemas.ts";
import { readQuery } from "../../api/request-body.ts";
import { noQuerySchema } from "../../api/schemas.ts";
import { valueOfBytes } from "../../api/values.ts";
import { HttpAnswer } from "../../clients/http-answer.ts";
import type { Operations } from "../../clients/operations.ts";
import type { ReplicaPort } from "../../clients/ports.ts";
import { classifyTransportError } from "../../clients/transport-errors.ts";
import { within } from "../../clients/within.ts";
import { type KeyTarget, readTarget } from "../key-request.ts";
import { jsonReply, problemOfRefusal, problemReply, refusalReply } from "../replies.ts";
import { replicaReport, STATUS_DEADLINE_MS } from "../status.ts";
import { type ClusterViewDeps, readTopology } from "./cluster-view.ts";

export const INSPECT_PATH = "/admin/v1/keys/";
export const HOT_KEYS_PATH = "/admin/v1/hot-keys";

export interface KeyAdminDeps extends ClusterViewDeps, Pick<AccessDeps, "principal"> {
  readonly whole: Pick<Operations, "batch">;
  readonly port: ClusterViewDeps["port"] & Pick<ReplicaPort<HttpAnswer>, "read">;
}

type ReplicaOfKey = KeyView["replicas"][number];

export async function handleInspect(deps: KeyAdminDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, inspectQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const target = readTarget(request, INSPECT_PATH, "with a query");
  if (!target.ok) return problemReply(target.problem);
  const { slot, key: stored } = target.value;
  const name = parseKey(stored);
  if (name === undefined) throw new Error("halo: the key of a request is one of a user");
  const { principal } = deps;
  const refusal = principal.scopes.has("admin") ? undefined : keyRefusal(principal, "read", stored);
  if (refusal !== undefined) return refusalReply(refusal);
  const shard = deps.topology.view.ownerOf(slot);
  const { epoch } = deps.topology.view;
  const [answer, replicas] = await Promise.all([
    deps.whole.batch([{ kind: "get", slot, key: stored }], { level: "strong" }),
    Promise.all(shard.replicas.map((replica) => askReplica(deps, shard, replica, target.value, epoch))),
  ]);
  const [item] = answer.items;
  if (item !== undefined && "status" in item) return refusalReply(item);
  const entry = item?.kind === "entry" ? item.entry : undefined;
  const view: KeyView = {
    key: name.key,
    namespace: name.namespace,
    slot,
    // Race: the slot may have moved since the replicas were chosen; who has answered owns it.
    shard: answer.from[0]?.shard ?? shard.shard,
    entry: entry === undefined ? null : entryOf(entry, query.value.value === "true"),
    replicas,
  };
  return jsonReply(view, {});
}

function entryOf(entry: ReadEntry, wantsValue: boolean): NonNullable<KeyView["entry"]> {
  const { version, size, contentType, modifiedMs, expiresMs, extras, stale, value } = entry;
  return {
    version,
    size,
    contentType,
    modifiedMs,
    expiresMs: expiresMs ?? null,
    staleMs: extras?.staleMs ?? null,
    stale: stale !== undefined,
    tags: [...(extras?.tags ?? [])],
    metadata: extras?.metadata ?? null,
    sourceVersion: extras?.sourceVersion ?? null,
    // At most VALUE_BYTES_MAX: a larger one is in parts.
    ...(wantsValue && extras?.parts === undefined && value !== undefined ? { value: valueOfBytes(value) } : {}),
  };
}

/** What this replica itself has, be it behind. */
function askReplica(
  { port, timers }: KeyAdminDeps,
  { shard }: ShardView,
  replica: ReplicaView,
  { slot, key }: KeyTarget,
  epoch: number,
): Promise<ReplicaOfKey> {
  const { name } = replica;
  const nothing = { name, role: null, appliedIndex: null, version: null };
  const request = { v: PROTOCOL_VERSION, to: name, epoch, slot, key, level: "eventual", omitValue: true } as const;
  const asked = port.read({ ...replica, shard }, request).then((answer): ReplicaOfKey => {
    if (!(answer instanceof HttpAnswer)) return { ...nothing, error: wordOf(answer) };
    const { role, index } = answer.from;
    return { name, role, appliedIndex: index, version: answer.isFound ? answer.version : null, error: null };
  });
  return within(timers, STATUS_DEADLINE_MS, asked, (error) => ({
    ...nothing,
    error: error === undefined ? `no answer within ${STATUS_DEADLINE_MS} ms` : classifyTransportError(error).kind,
  }));
}

function wordOf(refusal: Exclude<Awaited<ReturnType<KeyAdminDeps["port"]["read"]>>, HttpAnswer>): string {
  switch (refusal.status) {
    case "not_leader":
      return "does not answer reads: it is catching up";
    case "wrong_owner":
      return "does not own the slot";
    default:
      return problemOfRefusal(refusal).detail;
  }
}

export async function handleHotKeys(deps: ClusterViewDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { shards } = await readTopology(deps);
  const addresses = shards.flatMap(({ shard, replicas }) => replicas.map((replica) => ({ ...replica, shard })));
  const reports = await Promise.all(addresses.map((address) => replicaReport(deps, address)));
  const keys = reports.flatMap((report) => ("error" in report ? [] : hotKeysOf(report)));
  const reply: HotKeysReply = { keys: keys.sort((one, other) => other.perSecond - one.perSecond) };
  return jsonReply(reply, {});
}

function hotKeysOf({
  shard,
  replica,
  hotKeys = [],
}: Extract<Awaited<ReturnType<typeof replicaReport>>, { term: number }>) {
  return hotKeys.flatMap(({ key: stored, readsPerSecond, writesPerSecond }): HotKeysReply["keys"] => {
    const name = parseKey(stored);
    // Parts of large values, and what Halo writes for itself, have no name that means anything to anybody.
    if (name === undefined || name.kind === "audit" || name.kind === "quota") return [];
    return [
      {
        ...name,
        kind: name.kind,
        shard,
        replica,
        perSecond: readsPerSecond + writesPerSecond,
        readsPerSecond,
        writesPerSecond,
      },
    ];
  });
}
