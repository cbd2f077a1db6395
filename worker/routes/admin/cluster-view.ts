// The cluster as an operator sees it, from what the Directory's document lists and what every replica says of itself when it is
// asked. A replica that does not answer is in it with the reason. Asking wakes nobody's group.

import type { HealthView } from "../../../durable/health-protocol.ts";
import { underReplicated } from "../../../durable/health-sweep.ts";
import type { ReplicaStatus } from "../../../durable/protocol.ts";
import type { Topology } from "../../../routing/topology.ts";
import type { ShardView as ListedShard, ReplicaView as Placed, TopologyView } from "../../../routing/topology-view.ts";
import type { ClusterView, ReplicaView, ShardView } from "../../api/admin-schemas.ts";
import { within } from "../../clients/within.ts";
import { VERSION } from "../../version.ts";
import { healthReport, type ReplicaReport, replicaReport, STATUS_DEADLINE_MS, type StatusDeps } from "../status.ts";
import { progressOf, type TopologyDeps } from "./topology.ts";

export interface ClusterViewDeps extends StatusDeps {
  readonly admin: Pick<TopologyDeps["admin"], "read">;
  /** Of requests that say nothing else. */
  readonly defaults: ClusterView["defaults"];
  now(): number;
}

/** What a view is made of. */
export interface Findings {
  readonly view: TopologyView;
  /** By name. */
  readonly reports: ReadonlyMap<string, ReplicaReport>;
  /** Null: the Directory did not say. */
  readonly health: HealthView | null;
}

export async function readClusterView(deps: ClusterViewDeps): Promise<ClusterView> {
  const { topology, health } = await readDirectory(deps);
  const replicas = topology.shards.flatMap((shard) =>
    shard.replicas.map((placed) => ({ ...placed, shard: shard.shard })),
  );
  const reports = await Promise.all(replicas.map((address) => replicaReport(deps, address, { wantsColo: true })));
  const byName = new Map(reports.map((report) => [report.name, report]));
  return {
    version: VERSION,
    defaults: deps.defaults,
    atMs: deps.now(),
    background: { paused: health?.pausedUntilMs !== undefined, untilMs: health?.pausedUntilMs ?? null },
    ...clusterViewOf({ view: topology, reports: byName, health }),
  };
}

/** The newest document that can be had, which this edge routes by from now on; its own where the Directory does not answer. */
export async function readTopology({ admin, topology, timers }: ClusterViewDeps): Promise<TopologyView> {
  const document = await within(timers, STATUS_DEADLINE_MS, admin.read(), () => undefined);
  topology.maybeInstall(document);
  return topology.view;
}

async function readDirectory(deps: ClusterViewDeps): Promise<{ topology: TopologyView; health: HealthView | null }> {
  const [topology, health] = await Promise.all([readTopology(deps), healthReport(deps)]);
  return { topology, health };
}

/** Everything that follows from the findings alone. */
export function clusterViewOf({
  view,
  reports,
  health,
}: Findings): Omit<ClusterView, "version" | "defaults" | "atMs" | "background"> {
  const { topology, epoch } = view;
  const doubts = new Map((health?.doubted ?? []).map(({ name, state }) => [name, state]));
  const shards = view.shards.map((shard) => shardViewOf(shard, topology, reports, doubts));
  return {
    cluster: topology.cluster,
    epoch,
    moves: { ...progressOf(topology), ...waitingAmong(view, reports) },
    underReplicated: view.shards.flatMap((shard) => underReplicated({ shard, answers: answersOf(shard, reports) })),
    shards,
  };
}

/** As the leaders of the sources say. */
function waitingAmong(view: TopologyView, reports: Findings["reports"]): Pick<ClusterView["moves"], "waiting"> {
  const waiting = view.shards.flatMap((listed) => {
    const leader = leaderAmong([...answersOf(listed, reports).values()]);
    return (leader?.moves?.waiting ?? []).map(({ slot, to, reason }) => ({ slot, from: listed.shard, to, reason }));
  });
  return waiting.length === 0 ? {} : { waiting };
}

type Doubts = ReadonlyMap<string, "suspect" | "dead">;

function shardViewOf(
  listed: ListedShard,
  { slots }: Topology,
  reports: Findings["reports"],
  doubts: Doubts,
): ShardView {
  const { shard, weight, replicas } = listed;
  const owned = slots.filter((owner) => owner === shard).length;
  const statuses = [...answersOf(listed, reports).values()];
  const leader = leaderAmong(statuses);
  // Without a leader those who know most of the log know best what the shard holds.
  const best = leader ?? statuses.toSorted((one, other) => other.commitIndex - one.commitIndex)[0];
  return {
    shard,
    weight,
    slots: owned,
    state: owned === 0 ? "empty" : weight === 0 ? "draining" : "active",
    leader: leader?.name ?? null,
    term: best?.term ?? null,
    keys: best?.keys ?? 0,
    bytes: best?.bytes ?? 0,
    replicas: replicas.map((placed) => replicaViewOf(shard, placed, reports.get(placed.name), leader, doubts)),
  };
}

function answersOf({ replicas }: ListedShard, reports: Findings["reports"]): ReadonlyMap<string, ReplicaStatus> {
  const answers = new Map<string, ReplicaStatus>();
  for (const { name } of replicas) {
    const report = reports.get(name);
    if (report !== undefined && !("error" in report)) answers.set(name, report);
  }
  return answers;
}

/** A deposed leader may not have heard of it yet: the highest term counts. */
function leaderAmong(statuses: readonly ReplicaStatus[]): ReplicaStatus | undefined {
  return statuses.filter(({ role }) => role === "leader").toSorted((one, other) => other.term - one.term)[0];
}

function replicaViewOf(
  shard: number,
  { name, replica, generation, region }: Placed,
  report: ReplicaReport | undefined,
  leader: ReplicaStatus | undefined,
  doubts: Doubts,
): ReplicaView {
  const placed = { name, shard, replica, generation, region };
  if (report === undefined || "error" in report) {
    const health = doubts.get(name) ?? "suspect";
    return { ...placed, ...NOTHING_KNOWN, health, error: report?.error ?? "was not asked" };
  }
  const { role, term, firstIndex, lastIndex, commitIndex, appliedIndex, checkpointIndex } = report;
  return {
    ...placed,
    colo: report.colo ?? null,
    // That it has answered this edge does not say that others reach it.
    health: doubts.get(name) ?? "alive",
    error: null,
    role,
    term,
    firstIndex,
    lastIndex,
    commitIndex,
    appliedIndex,
    checkpointIndex,
    // The two were asked at moments of their own.
    lag: leader === undefined ? null : Math.max(0, leader.commitIndex - appliedIndex),
    keys: report.keys,
    logBytes: report.logBytes,
    bytes: report.bytes ?? null,
    quiesced: report.quiesced,
    leaseRemainingMs: report.leaseRemainingMs,
    counters: report.counters,
  };
}

const NOTHING_KNOWN = {
  colo: null,
  role: null,
  term: null,
  firstIndex: null,
  lastIndex: null,
  commitIndex: null,
  appliedIndex: null,
  checkpointIndex: null,
  lag: null,
  keys: null,
  logBytes: null,
  bytes: null,
  quiesced: null,
  leaseRemainingMs: null,
  counters: null,
} as const;
