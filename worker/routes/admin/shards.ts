// What an operator does to one shard: hand its leadership to another replica, put a new replica in the place of one.

import type { Provenance } from "../../../durable/protocol.ts";
import type { ReplicaView, ShardView } from "../../../routing/topology-view.ts";
import { replaceSchema, type TransferReply, transferSchema } from "../../api/admin-schemas.ts";
import { readJson, readQuery, SMALL_BODY_BYTES_MAX } from "../../api/request-body.ts";
import { noQuerySchema } from "../../api/schemas.ts";
import type { Operations } from "../../clients/operations.ts";
import type { AdminPort } from "../../clients/ports.ts";
import { type Parsed, parsed, problem, refused } from "../../http/problem.ts";
import type { KeepAlive } from "../kv-context.ts";
import { jsonReply, problemOfRefusal, problemReply } from "../replies.ts";
import { type ClusterViewDeps, readTopology } from "./cluster-view.ts";
import { published, type TopologyDeps } from "./topology.ts";

export const TRANSFER_PATH = "/admin/v1/shards/:shard/transfer";
export const REPLACE_PATH = "/admin/v1/shards/:shard/replicas/:replica/replace";

/** A follower that is far behind is brought up first; one that cannot be in this time had better not lead. */
export const TRANSFER_MS_MAX = 5_000;
const POLL_MS = 50;

export interface ShardAdminDeps extends ClusterViewDeps, TopologyDeps {
  readonly whole: Pick<Operations, "leader">;
  readonly replicas: Pick<AdminPort, "transferLeadership">;
  readonly topology: ClusterViewDeps["topology"];
  readonly admin: TopologyDeps["admin"];
}

export async function handleTransfer(deps: ShardAdminDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const found = await readShard(deps, request);
  if (!found.ok) return problemReply(found.problem);
  const body = await readJson(request, transferSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { to } = body.value;
  const shard = found.value;
  const target = shard.replicas.find(({ replica }) => replica === to);
  if (target === undefined) return problemReply(unknownReplica(shard, to));
  const transfer = auditedTransfer(deps, shard, target);
  keepAlive(transfer);
  return transfer;
}

async function auditedTransfer(deps: ShardAdminDeps, shard: ShardView, to: ReplicaView): Promise<Response> {
  const found = await transferTo(deps, shard, to);
  const detail = { shard: shard.shard, to: to.replica };
  await deps.audit(deps.principal, "shard.transfer", to.name, detail, found.ok ? "ok" : found.problem.slug);
  if (found.ok) return jsonReply(found.value, {});
  return problemReply(found.problem, { "Retry-After": "1" });
}

async function transferTo(
  deps: ShardAdminDeps,
  { shard, replicas, former }: ShardView,
  to: ReplicaView,
): Promise<Parsed<TransferReply>> {
  const deadlineMs = deps.now() + TRANSFER_MS_MAX;
  let asked: Provenance | undefined;
  for (;;) {
    const leader = await deps.whole.leader(shard);
    if ("status" in leader) return { ok: false, problem: problemOfRefusal(leader) };
    if (leader.replica === to.replica) return parsed({ leader: to.name, term: leader.term });
    // Whoever leads in another term than the one that was asked was elected meanwhile, and knows nothing of the wish.
    if (asked?.term !== leader.term) {
      const address = [...replicas, ...(former ?? [])].find(({ replica }) => replica === leader.replica);
      const isAsked = address !== undefined && (await isTransferBegun(deps, { ...address, shard }, to.replica));
      if (isAsked) asked = leader;
    }
    if (deps.now() >= deadlineMs) break;
    await new Promise<void>((resolve) => deps.timers.after(POLL_MS, resolve));
  }
  const detail = `${to.name} does not lead yet: it is out of reach, far behind or no voter. Read /admin/v1/cluster`;
  return refused("unavailable", detail);
}

/** False also where it cannot be told: then the leader is asked for again. */
function isTransferBegun({ replicas }: ShardAdminDeps, ...call: Parameters<AdminPort["transferLeadership"]>) {
  return replicas.transferLeadership(...call).catch(() => false);
}

/** The same as the change of the topology that it is. */
export async function handleReplace(deps: ShardAdminDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const found = await readShard(deps, request);
  if (!found.ok) return problemReply(found.problem);
  const body = await readJson(request, replaceSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const shard = found.value;
  const number = Number(/\/replicas\/([^/?]*)/.exec(request.url)?.[1]);
  const replaced = shard.replicas.find(({ replica }) => replica === number);
  if (replaced === undefined) return problemReply(unknownReplica(shard, number));
  const { epoch, region = replaced.region, allowSharedRegions } = body.value;
  const change = { kind: "replace_replica", shard: shard.shard, replica: replaced.replica, region } as const;
  // Which regions there are is for the change to say.
  const wanted = { ...change, region: region as ReplicaView["region"], allowSharedRegions };
  return published(deps, wanted, epoch, keepAlive);
}

/** The shard that the path names. */
async function readShard(deps: ShardAdminDeps, request: Request): Promise<Parsed<ShardView>> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return query;
  const text = /\/shards\/([^/]*)\//.exec(request.url)?.[1] ?? "";
  const view = await readTopology(deps);
  const shard = /^\d{1,9}$/.test(text) ? view.shard(Number(text)) : undefined;
  if (shard !== undefined) return parsed(shard);
  const known = view.shards.map((listed) => listed.shard).join(", ");
  return refused("unknown-shard", `expected the number of a shard in the path; there are ${known}`);
}

function unknownReplica({ shard, replicas }: ShardView, number: number) {
  const known = replicas.map(({ replica }) => replica).join(", ");
  return problem("unknown-replica", `shard ${shard} has no replica ${number}; it has ${known}`);
}
