// How an operator's change gets into the cluster: the Directory publishes the next document, if nobody was faster, and then the
// replicas that it concerns are told, which also creates the new objects, each with its location hint, and founds the group of
// a new shard. That comes after publishing: a replica that no published document lists must not come to be. A replica that is
// not told hears of it from its peers, from routers and, a new one, from whoever moves the first slot to it; telling only
// saves the time until then. Platform-free: topology-admin.ts gives it stubs, a simulator its network.

import type { Topology } from "../routing/topology.ts";
import { changedTopology, type TopologyChange } from "../routing/topology-change.ts";
import { type ReplicaView, type ShardView, TopologyView } from "../routing/topology-view.ts";
import type { ChangeReply, PublishReply } from "./ports.ts";
import { quorumSize } from "./replication/quorum.ts";
import { isAliveByFormer, type VoterStatus } from "./voters-alive.ts";

export interface TopologyChangePorts {
  read(): Promise<Topology>;
  /** Compare and set: nothing changes where the topology is not that of `expectedEpoch` any more. */
  publish(topology: Topology, expectedEpoch: number): Promise<PublishReply>;
  /** Whether the replica has answered in time. Never rejects. */
  readonly tell: TellReplica;
  /** Undefined: no answer in time. Never rejects. Asked where too few of a shard's listed replicas answer. */
  status(replica: ReplicaView): Promise<VoterStatus | undefined>;
}

export type TellReplica = (replica: ReplicaView, epoch: number) => Promise<boolean>;

export interface ChangeConditions {
  /** A replica is replaced only because it is taken for dead: not if it answers now. */
  readonly onlyOfTheDead?: boolean | undefined;
}

/** `expectedEpoch`: of the topology that the operator saw when deciding. */
export async function publishChange(
  ports: TopologyChangePorts,
  change: TopologyChange,
  expectedEpoch: number,
  { onlyOfTheDead = false }: ChangeConditions = {},
): Promise<ChangeReply> {
  const current = await ports.read();
  if (current.epoch !== expectedEpoch) return { status: "epoch_conflict", current };
  const changed = changedTopology(current, change);
  if (!changed.ok) return { status: "refused", code: changed.code, problem: changed.problem };
  const { epoch } = changed.topology;
  const changing = changed.topology.shards.filter(({ since, createdIn }) => since === epoch && createdIn !== epoch);
  const before = new TopologyView(current);
  const after = new TopologyView(changed.topology);
  for (const { shard } of changing) {
    const replicas = before.shard(shard)?.replicas ?? [];
    const told = await tellAll(ports.tell, replicas, current.epoch);
    const answering = replicas.filter((_, index) => told[index]);
    const isAlive = isMajority(answering, replicas) || (await isAliveUnlisted(ports, before.shard(shard), answering));
    const isBack = ({ replica }: ReplicaView) => change.kind === "replace_replica" && replica === change.replica;
    const problem =
      onlyOfTheDead && answering.some(isBack)
        ? `shard ${shard}: the replica that was taken for dead answers`
        : majorityProblem(before.shard(shard), after.shard(shard), new Set(answering.map(({ name }) => name)), isAlive);
    if (problem !== undefined) return { status: "unavailable", problem };
  }
  const reply = await ports.publish(changed.topology, expectedEpoch);
  if (reply.status !== "ok") return reply;
  const concerned = new Map<string, ReplicaView>();
  for (const shard of concernedShards(current, changed.topology)) {
    // Those that leave as well: one of them may lead.
    for (const view of [before, after]) {
      for (const replica of view.shard(shard)?.replicas ?? []) concerned.set(replica.name, replica);
    }
  }
  const told = await tellAll(ports.tell, [...concerned.values()], reply.topology.epoch);
  return { ...reply, plan: changed.plan, untold: [...concerned.keys()].filter((_, index) => !told[index]) };
}

function isMajority(some: readonly ReplicaView[], all: readonly ReplicaView[]): boolean {
  return some.length >= quorumSize(all.length);
}

/** Only of a shard whose replicas have changed before: its group was founded then. */
async function isAliveUnlisted(
  ports: TopologyChangePorts,
  shard: ShardView | undefined,
  answering: readonly ReplicaView[],
): Promise<boolean> {
  if (shard?.former === undefined) return false;
  const answers = new Map<string, VoterStatus>();
  await Promise.all(
    answering.map(async (replica) => {
      const status = await ports.status(replica);
      if (status !== undefined) answers.set(replica.name, status);
    }),
  );
  return isAliveByFormer(shard, answers, (replica) => ports.status(replica));
}

/**
 * Why a shard cannot get other replicas now. Nobody founds a group once its replicas have changed (`foundingMembership`): one
 * that was never used is founded by the calls that a majority has answered, and one that is used is alive enough to follow
 * (`isAlive`), be it by voters that are not listed any more.
 *
 * And of those that the document would list a majority must live, the new ones included. Otherwise a group that is alive would
 * never get there, edges would ask nobody but the dead, and no later change could be made any more.
 */
export function majorityProblem(
  before: ShardView | undefined,
  after: ShardView | undefined,
  answering: ReadonlySet<string>,
  isAlive: boolean,
): string | undefined {
  if (before === undefined || after === undefined) return undefined;
  const silent = before.replicas.filter(({ name }) => !answering.has(name));
  const count = before.replicas.length;
  if (!isAlive) {
    return `shard ${before.shard}: only ${count - silent.length} of ${count} replicas answer, a majority must`;
  }
  const kept = after.replicas.filter(({ name }) => silent.some((replica) => replica.name === name));
  if (after.replicas.length - kept.length >= quorumSize(after.replicas.length)) return undefined;
  const numbers = kept.map(({ replica }) => replica).join(", ");
  return `shard ${before.shard}: of the ${after.replicas.length} replicas that it would have, ${numbers} do not answer, and a majority must; replace these first`;
}

/**
 * Sources of moves that sleep in the middle go on: nobody is kept awake for a target that does not answer, nor where the Directory
 * was out of reach for a report. Whoever looks how far the moves are is reason enough to try again.
 */
export async function tellSources(tell: TellReplica, topology: Topology): Promise<void> {
  const view = new TopologyView(topology);
  const sources = new Set([...(topology.moves ?? []), ...(topology.cancelled ?? [])].map(({ from }) => from));
  const replicas = [...sources].flatMap((shard) => view.shard(shard)?.replicas ?? []);
  await tellAll(tell, replicas, topology.epoch);
}

/** Shards whose replicas change, that are new or gone, and sources of moves that are planned or cancelled. */
function concernedShards(current: Topology, next: Topology): ReadonlySet<number> {
  const changing = next.shards.filter(({ since }) => since === next.epoch);
  const gone = current.shards.filter(({ shard }) => !next.shards.some((kept) => kept.shard === shard));
  const planned = (next.moves ?? []).filter(({ epoch }) => epoch === next.epoch);
  const cancelled = (next.cancelled ?? []).slice(current.cancelled?.length ?? 0);
  return new Set([
    ...[...changing, ...gone].map(({ shard }) => shard),
    ...[...planned, ...cancelled].map(({ from }) => from),
  ]);
}

function tellAll(tell: TellReplica, replicas: readonly ReplicaView[], epoch: number): Promise<readonly boolean[]> {
  return Promise.all(replicas.map((replica) => tell(replica, epoch)));
}
