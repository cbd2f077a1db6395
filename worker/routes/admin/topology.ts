// /admin/v1/topology: the cluster's shape, for operators. GET reads the document, POST plans a change and, unless it is a dry
// run, publishes it, DELETE of the moves cancels what is pending. What a change means is decided in routing/.

import type { z } from "zod";
import type { ChangeReply } from "../../../durable/ports.ts";
import type { MovePlan, MoveReason } from "../../../routing/rebalance.ts";
import type { ChangeRefusalCode } from "../../../routing/shard-change.ts";
import type { SlotMove, Topology } from "../../../routing/topology.ts";
import { changedTopology, type TopologyChange } from "../../../routing/topology-change.ts";
import type { AccessDeps } from "../../access/audit.ts";
import type { ClusterView, MovePair } from "../../api/admin-schemas.ts";
import { readJson, readQuery, SMALL_BODY_BYTES_MAX } from "../../api/request-body.ts";
import { changeQuerySchema, epochQuerySchema, noQuerySchema, topologyChangeSchema } from "../../api/schemas.ts";
import type { Timers } from "../../clients/ports.ts";
import type { TopologyHolder } from "../../clients/topology-holder.ts";
import { within } from "../../clients/within.ts";
import { checkKey } from "../../http/key.ts";
import { parseNamespace } from "../../http/namespace.ts";
import { type Parsed, type ProblemSlug, parsed, problem } from "../../http/problem.ts";
import { targetIn } from "../key-request.ts";
import type { KeepAlive } from "../kv-context.ts";
import { jsonReply, problemReply } from "../replies.ts";

export const TOPOLOGY_PATH = "/admin/v1/topology";
export const MOVES_PATH = `${TOPOLOGY_PATH}/moves`;

/** The way to the Directory and the replicas. Both reject where the Directory is out of reach. */
export interface TopologyAdmin {
  read(): Promise<Topology>;
  change(change: TopologyChange, expectedEpoch: number): Promise<ChangeReply>;
  /** Has the Directory note for how long background work is paused; brings until when that is. */
  pauseBackground(forMs: number): Promise<number>;
}

/** A Directory that takes longer is as good as gone for whoever looks. */
export const DIRECTORY_MS_MAX = 5_000;
/** A change asks the replicas of every shard that it changes before it is published, and tells them after it. */
export const CHANGE_MS_MAX = 30_000;

export interface TopologyDeps extends AccessDeps {
  readonly timers: Timers;
  readonly admin: TopologyAdmin;
  readonly topology: Pick<TopologyHolder, "maybeInstall">;
}

const SLUGS: Readonly<Record<ChangeRefusalCode, ProblemSlug>> = {
  invalid: "invalid-change",
  unknown_shard: "unknown-shard",
  unknown_region: "unknown-region",
  shared_regions: "shared-regions",
  moves_pending: "moves-pending",
  last_shard: "last-shard",
  shard_not_empty: "shard-not-empty",
  shard_draining: "shard-draining",
  move_finished: "move-finished",
  nothing_to_change: "nothing-to-change",
};

export async function handleTopology({ admin, timers }: TopologyDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const topology = await reached(timers, DIRECTORY_MS_MAX, admin.read());
  return topology === undefined ? unreachable() : jsonReply({ topology, progress: progressOf(topology) }, {});
}

export async function handleTopologyChange(
  deps: TopologyDeps,
  request: Request,
  keepAlive: KeepAlive,
): Promise<Response> {
  const query = readQuery(request.url, changeQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const body = await readJson(request, topologyChangeSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { epoch, ...asked } = body.value;
  const change = changeOf(asked, request.headers);
  if (!change.ok) return problemReply(change.problem);
  if (query.value.dry_run === "true") return dryRun(deps, change.value, epoch);
  return published(deps, change.value, epoch, keepAlive);
}

/** A key stands for its slot, in the namespace of the request as everywhere. */
function changeOf(
  asked: Omit<z.infer<typeof topologyChangeSchema>, "epoch">,
  headers: Headers,
): Parsed<TopologyChange> {
  // The schema leaves it open which regions there are: that is for the change to refuse.
  const change = asked as TopologyChange | { readonly kind: "move_slots"; readonly to: number; readonly key: string };
  if (change.kind !== "move_slots" || !("key" in change)) return parsed(change);
  const namespace = parseNamespace(headers.get("Halo-Namespace"));
  if (!namespace.ok) return namespace;
  const key = checkKey(change.key);
  if (!key.ok) return key;
  return parsed({ kind: "move_slots", to: change.to, slots: [targetIn(namespace.value, key.value).slot] });
}

export async function handleMovesCancel(deps: TopologyDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const query = readQuery(request.url, epochQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  return published(deps, { kind: "cancel_moves" }, Number(query.value.epoch), keepAlive);
}

/** What the change would do to the topology of now. */
async function dryRun({ admin, timers }: TopologyDeps, change: TopologyChange, epoch: number): Promise<Response> {
  const current = await reached(timers, DIRECTORY_MS_MAX, admin.read());
  if (current === undefined) return unreachable();
  if (current.epoch !== epoch) return epochConflict(current);
  const changed = changedTopology(current, change);
  if (!changed.ok) return problemReply(problem(SLUGS[changed.code], changed.problem));
  return jsonReply({ dryRun: true, epoch: changed.topology.epoch, plan: planOf(changed.plan) }, {});
}

export async function published(
  deps: TopologyDeps,
  change: TopologyChange,
  epoch: number,
  keepAlive: KeepAlive,
): Promise<Response> {
  const publishing = publish(deps, change, epoch);
  // Whoever hangs up must not leave replicas untold that are in the document already, nor the change out of the audit log.
  keepAlive(publishing);
  const reply = await publishing;
  const { topology: holder } = deps;
  switch (reply?.status) {
    case undefined:
      return unreachable();
    case "epoch_conflict":
      return epochConflict(reply.current);
    case "refused":
      return problemReply(problem(SLUGS[reply.code], reply.problem));
    case "invalid":
      return problemReply(problem("invalid-change", reply.problem));
    case "unavailable":
      return problemReply(problem("unavailable", `${reply.problem}; nothing was changed`), { "Retry-After": "1" });
    case "ok": {
      const { topology, plan, untold } = reply;
      holder.maybeInstall(topology);
      return jsonReply({ dryRun: false, epoch: topology.epoch, plan: planOf(plan), untold }, {});
    }
  }
}

async function publish(
  { admin, audit, principal, timers }: TopologyDeps,
  change: TopologyChange,
  epoch: number,
): Promise<ChangeReply | undefined> {
  const reply = await reached(timers, CHANGE_MS_MAX, admin.change(change, epoch));
  await audit(principal, "topology.change", change.kind, { ...change, epoch }, outcomeOf(reply));
  return reply;
}

/** For the audit log. */
function outcomeOf(reply: ChangeReply | undefined): string {
  if (reply === undefined) return "unknown-outcome";
  if (reply.status === "refused") return SLUGS[reply.code];
  return reply.status.replaceAll("_", "-");
}

/** Undefined: the Directory, or the way to it, has failed, or takes too long. */
function reached<T>(timers: Timers, ms: number, call: Promise<T>): Promise<T | undefined> {
  return within(timers, ms, call, () => undefined);
}

function unreachable(): Response {
  const detail = "the Directory cannot be reached; a change may have been published all the same: read the topology";
  return problemReply(problem("unavailable", detail), { "Retry-After": "1" });
}

function epochConflict({ epoch }: Topology): Response {
  const found = problem("epoch-conflict", `the epoch is ${epoch}; read the topology, and decide again`);
  return problemReply(found, {}, { epoch });
}

/** A line for each pair of shards and reason, in order. */
function planOf(plan: MovePlan | undefined) {
  const { moves = [], idealSlots = 0, loads = [] } = plan ?? {};
  const groups = new Map<string, { from: number; to: number; reason: MoveReason; slots: number[] }>();
  for (const { slot, from, to, reason } of moves) {
    const name = `${from} ${to} ${reason}`;
    const group = groups.get(name) ?? { from, to, reason, slots: [] };
    group.slots.push(slot);
    groups.set(name, group);
  }
  const ordered = [...groups.values()].sort(
    (one, other) => one.from - other.from || one.to - other.to || (one.reason < other.reason ? -1 : 1),
  );
  return { movedSlots: moves.length, idealSlots, moves: ordered, shards: loads };
}

/** How many slots are still to move between which shards. */
export function progressOf({ moves = [], cancelled = [] }: Topology): ClusterView["moves"] {
  return { pending: countPairs(moves), cancelled: countPairs(cancelled) };
}

function countPairs(moves: readonly SlotMove[]): MovePair[] {
  const pairs = new Map<string, MovePair>();
  for (const { from, to, epoch } of moves) {
    const name = `${from} ${to} ${epoch}`;
    const pair = pairs.get(name) ?? { from, to, epoch, slots: 0 };
    pair.slots += 1;
    pairs.set(name, pair);
  }
  return [...pairs.values()];
}
