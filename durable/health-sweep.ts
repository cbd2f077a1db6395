// One slow look at replicas that nobody may be using: a cron trigger runs it, a limited number of shards at a time. It asks each
// replica for its status, which wakes no Raft group (an object that hibernates is loaded, and hibernates again ten seconds
// later; a group that sleeps goes on sleeping), and writes down in the Directory who does not answer and which shards have
// fewer voters than they should. Woken are only those who still have slots to give away: they fall asleep over a target that does not
// answer, and without clients of their own nobody else would come by.
//
// Repairs: a replica that no sweep has reached for the configured time gets a successor in a new placement generation. That
// is the operator's `replace_replica`, with all its checks. Here is only when: one in a cool-down, never without a majority, and
// never on the sweep's word alone, since it may be the one that is cut off. Platform-free.

import type { Region } from "../routing/region.ts";
import { REGIONS } from "../routing/region.ts";
import { regionRoundTripMs } from "../routing/region-distance.ts";
import { replicaName } from "../routing/replica-name.ts";
import type { RetiredReplica } from "../routing/retired-shards.ts";
import type { Topology } from "../routing/topology.ts";
import { type ReplicaView, type ShardView, TopologyView } from "../routing/topology-view.ts";
import { agreementOf } from "./agreement.ts";
import type { DivergedShard, SweepRecord, UnderReplicatedShard, UnreachableReplica } from "./health-protocol.ts";
import { memberId } from "./ownership.ts";
import type { ReplicaStatus } from "./protocol.ts";
import { quorumSize } from "./replication/quorum.ts";
import { isAliveByFormer, newestStatus } from "./voters-alive.ts";

/** Of five replicas each: a third of a thousand calls, of the ten thousand that an invocation may make. */
export const SWEEP_SHARDS_MAX = 64;
/** Shards asked at once, so that the sweep takes little of what an isolate may have open at a time. */
const SHARDS_AT_ONCE = 2;
/** Between two replacements anywhere in the cluster, so that each is over, or seen to have failed, before the next. */
export const REPLACE_COOLDOWN_MS = 600_000;

export interface SweepPorts {
  now(): number;
  topology(): Promise<Topology>;
  /** Of the sweep before; undefined: there was none. */
  lastRecord(): Promise<SweepRecord | undefined>;
  record(record: SweepRecord): Promise<void>;
  /** Undefined: no answer in time. Never rejects. */
  status(replica: ReplicaView): Promise<ReplicaStatus | undefined>;
  /** Whether `witness` reaches the replica of its shard with this member id. Never rejects. */
  reaches(witness: ReplicaView, member: string): Promise<boolean>;
  /**
   * Has an object of a removed shard delete all that it holds, if the document says so to it as well. True: it holds nothing. Never
   * rejects, and may be repeated.
   */
  wipe(replica: ReplicaView, epoch: number): Promise<boolean>;
  /** Takes these off the document's list. Rejects where the Directory is out of reach: the next sweep does all of it again. */
  settleWiped(wiped: readonly RetiredReplica[]): Promise<void>;
  /** Lets those go on whose moves are in the document. Never rejects. */
  rouse(topology: Topology): Promise<void>;
  /** Publishes a successor; returns the epoch in which it is listed, or undefined: nothing has changed. */
  replace(lost: LostReplica, epoch: number): Promise<number | undefined>;
}

export interface LostReplica {
  readonly shard: number;
  readonly replica: number;
  /** Where its successor goes. */
  readonly region: Region;
}

export interface SweepOptions {
  /** 0: nothing is replaced. */
  readonly replaceAfterMs: number;
  /** Absent: REPLACE_COOLDOWN_MS. */
  readonly cooldownMs?: number | undefined;
}

/** What one sweep heard of one shard. */
interface Heard {
  readonly shard: ShardView;
  readonly answers: ReadonlyMap<string, ReplicaStatus>;
}

export async function sweep(ports: SweepPorts, options: SweepOptions): Promise<SweepRecord> {
  const view = new TopologyView(await ports.topology());
  const last = await ports.lastRecord();
  const { chosen, nextShard } = chooseShards(view, last?.nextShard ?? 0);
  const heard: Heard[] = [];
  for (let at = 0; at < chosen.length; at += SHARDS_AT_ONCE) {
    heard.push(...(await Promise.all(chosen.slice(at, at + SHARDS_AT_ONCE).map((shard) => ask(ports, shard)))));
  }
  const nowMs = ports.now();
  // What the last sweeps found of shards that are not looked at in this one still holds, as far as anybody knows.
  const isKept = ({ shard }: { readonly shard: number }) =>
    view.shard(shard) !== undefined && !chosen.some((asked) => asked.shard === shard);
  const found: SweepRecord = {
    atMs: nowMs,
    epoch: view.epoch,
    nextShard,
    unreachable: [
      ...(last?.unreachable ?? []).filter(isKept),
      ...heard.flatMap((shard) => unreachableIn(shard, last, nowMs)),
    ],
    underReplicated: [...(last?.underReplicated ?? []).filter(isKept), ...heard.flatMap(underReplicated)],
    diverged: [...(last?.diverged ?? []).filter(isKept), ...heard.flatMap(divergedIn)],
    ...(last?.replaced === undefined ? {} : { replaced: last.replaced }),
  };
  const replaced = await maybeReplace(ports, options, found, heard);
  const wiping = await wipeRetired(ports, view.topology, last?.nextWipe ?? 0);
  if ((view.topology.moves ?? view.topology.cancelled) !== undefined) await ports.rouse(view.topology);
  const record = { ...found, ...(replaced === undefined ? {} : { replaced }), ...wiping };
  await ports.record(record);
  return record;
}

function chooseShards({ shards }: TopologyView, from: number) {
  const count = Math.min(shards.length, SWEEP_SHARDS_MAX);
  const chosen = Array.from({ length: count }, (_, step) => shards[(from + step) % shards.length]);
  return { chosen: chosen.filter((shard) => shard !== undefined), nextShard: (from + count) % shards.length };
}

async function ask(ports: SweepPorts, shard: ShardView): Promise<Heard> {
  const answers = new Map<string, ReplicaStatus>();
  await Promise.all(
    shard.replicas.map(async (replica) => {
      const status = await ports.status(replica);
      if (status !== undefined) answers.set(replica.name, status);
    }),
  );
  return { shard, answers };
}

function unreachableIn({ shard, answers }: Heard, last: SweepRecord | undefined, nowMs: number): UnreachableReplica[] {
  return shard.replicas
    .filter(({ name }) => !answers.has(name))
    .map(({ name }) => ({
      shard: shard.shard,
      name,
      sinceMs: last?.unreachable.find((before) => before.name === name)?.sinceMs ?? nowMs,
    }));
}

/** The shard, if listed replicas of it do not answer or do not vote. */
export function underReplicated({ shard, answers }: Heard): UnderReplicatedShard[] {
  const voters = newestStatus(answers)?.voters;
  const missing = shard.replicas.filter(
    (replica) => !answers.has(replica.name) || voters?.includes(memberId(replica)) === false,
  );
  return missing.length === 0 ? [] : [{ shard: shard.shard, missing: missing.map(({ name }) => name) }];
}

/** Replicas that have applied the same and hold something else than others: a leader with traffic has it repaired. */
export function divergedIn({ shard, answers }: Heard): DivergedShard[] {
  const replicas = [...answers].map(([name, { states = [] }]) => ({ name, states }));
  const agreement = agreementOf(replicas);
  if (agreement === undefined || agreement.differing.length === 0) return [];
  return [{ shard: shard.shard, index: agreement.index, differing: agreement.differing }];
}

/** So many objects of removed shards are asked in one sweep: those that are out of reach are asked again in their turn. */
export const WIPES_MAX = 16;

/**
 * What removed shards still hold. Whatever dies in the middle of this, here or there, is made up for by the next sweep: an object
 * that was wiped says so again, and the list is only shortened by what was.
 */
async function wipeRetired(
  ports: SweepPorts,
  { cluster, retired = [] }: Topology,
  from: number,
): Promise<Pick<SweepRecord, "unwiped" | "nextWipe">> {
  const all = retired.flatMap(({ shard, epoch, replicas }) =>
    replicas.map((placed) => ({ shard, epoch, ...placed, name: replicaName({ cluster, shard, ...placed }) })),
  );
  if (all.length === 0) return {};
  const start = from % all.length;
  const chosen = [...all.slice(start), ...all.slice(0, start)].slice(0, WIPES_MAX);
  const answers = await Promise.all(chosen.map((object) => ports.wipe(object, object.epoch)));
  const wiped = chosen.filter((_, at) => answers[at]);
  if (wiped.length > 0) {
    const names = wiped.map(({ shard, replica, generation }) => ({ shard, replica, generation }));
    await ports.settleWiped(names).catch(() => undefined);
  }
  const unwiped = all.length - wiped.length;
  return unwiped === 0 ? {} : { unwiped, nextWipe: (start + chosen.length - wiped.length) % unwiped };
}

async function maybeReplace(
  ports: SweepPorts,
  { replaceAfterMs, cooldownMs = REPLACE_COOLDOWN_MS }: SweepOptions,
  { atMs, epoch, unreachable, replaced }: SweepRecord,
  heard: readonly Heard[],
): Promise<SweepRecord["replaced"]> {
  if (replaceAfterMs === 0 || (replaced !== undefined && atMs - replaced.atMs < cooldownMs)) return undefined;
  const due = unreachable
    .filter(({ sinceMs }) => atMs - sinceMs >= replaceAfterMs)
    .toSorted((left, right) => left.sinceMs - right.sinceMs);
  for (const { name } of due) {
    const of = heard.find(({ shard }) => shard.replicas.some((replica) => replica.name === name));
    const lost = of?.shard.replicas.find((replica) => replica.name === name);
    if (of === undefined || lost === undefined || !(await hasMajority(ports, of))) continue;
    const witness = of.shard.replicas.find((replica) => of.answers.has(replica.name));
    // It is the sweep that does not reach it.
    if (witness === undefined || (await ports.reaches(witness, memberId(lost)))) continue;
    const region = successorRegion(lost, of.shard, heard);
    const inEpoch = await ports.replace({ shard: of.shard.shard, replica: lost.replica, region }, epoch);
    // Whatever was in the way (another change, a majority that is gone since) may be in the way of others too.
    return inEpoch === undefined ? undefined : { atMs, name, epoch: inEpoch };
  }
  return undefined;
}

/**
 * Of those that are listed, and of those that vote: while a change is under way they differ. Where too few of the listed are left,
 * the others that vote may still be enough.
 */
async function hasMajority({ status }: SweepPorts, { shard, answers }: Heard): Promise<boolean> {
  const voters = newestStatus(answers)?.voters ?? [];
  const answering = shard.replicas.filter(({ name }) => answers.has(name));
  const voting = answering.filter((replica) => voters.includes(memberId(replica)));
  if (answering.length >= quorumSize(shard.replicas.length) && voting.length >= quorumSize(voters.length)) return true;
  return isAliveByFormer(shard, answers, status);
}

/** The same region if anything in it answers; otherwise the nearest in which the shard has no replica yet. */
export function successorRegion(
  lost: Pick<ReplicaView, "region">,
  shard: Pick<ShardView, "replicas">,
  heard: readonly { readonly shard: ShardView; readonly answers: ReadonlyMap<string, unknown> }[],
): Region {
  const isReached = heard.some(({ shard: { replicas }, answers }) =>
    replicas.some(({ region, name }) => region === lost.region && answers.has(name)),
  );
  if (isReached) return lost.region;
  const free = REGIONS.filter((region) => shard.replicas.every((replica) => replica.region !== region));
  const byDistance = free.toSorted(
    (left, right) => regionRoundTripMs(lost.region, left) - regionRoundTripMs(lost.region, right),
  );
  return byDistance[0] ?? lost.region;
}
