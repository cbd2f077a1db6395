// A whole run of changes of the shape under load: data in, load on, two shards more, one fewer, and in the middle of the first
// change the region that leads most is killed and comes back. Then load off, and every acknowledged write is checked.

import { randomBytes } from "node:crypto";
import { storedKey } from "../../durable/store/keyspace.ts";
import { SLOT_COUNT, slotOf } from "../../routing/slots.ts";
import type { TopologyChange } from "../../routing/topology-change.ts";
import { type DataRecord, findLostRecords, storeRecords } from "../failover/data-set.ts";
import { History } from "../failover/history.ts";
import { Load } from "../failover/load.ts";
import {
  allShards,
  commitIndexes,
  leadingRegion,
  untilCaughtUp,
  untilNextSuccess,
  untilOtherLeaders,
  untilSteady,
} from "../failover/rounds.ts";
import { checkKeys } from "../failover/run.ts";
import { readStatus } from "../status.ts";
import type { RegionCluster } from "../supervisor.ts";
import { until } from "../until.ts";
import { makeChange, planChange, readTopology } from "./admin.ts";
import { countRecords } from "./count.ts";
import type { Interruption, ReshardRun, ShapeChange } from "./report.ts";

const RUN_ID_BYTES = 4;
/** Generous: this only ends a run that hangs. */
const MOVES_TIMEOUT_MS = 300_000;
const PROGRESS_EVERY_MS = 100;
/** The region is killed when so much of the first change is done. */
const DONE_AT_KILL = 0.1;

export interface ReshardOptions {
  readonly records: readonly DataRecord[];
  readonly onStep?: ((step: string) => void) | undefined;
}

export async function runReshard(cluster: RegionCluster, options: ReshardOptions): Promise<ReshardRun> {
  const { records, onStep = () => undefined } = options;
  const startMs = performance.now();
  onStep(`storing ${records.length} records`);
  await storeRecords(cluster, records);
  const status = await readStatus(cluster);
  const history = new History(status.shards.length);
  const load = await Load.start(cluster, history, randomBytes(RUN_ID_BYTES).toString("hex"));
  const keys = [...records.map(({ key }) => key), ...load.keys.map(({ name }) => name)];
  const changes: ShapeChange[] = [];
  let interruption: Interruption;
  try {
    await untilSteady(history);
    const add: TopologyChange = { kind: "add_shard", replicas: cluster.regions.length, regions: cluster.regions };
    const change = async (title: string, wanted: TopologyChange, meanwhile?: () => Promise<void>): Promise<void> => {
      const done = await makeShapeChange(cluster, keys, { title, change: wanted, meanwhile }, onStep);
      await untilSteady(history);
      changes.push(done);
    };
    const first = { interruption: undefined as Interruption | undefined };
    await change(`${status.shards.length} to ${status.shards.length + 1} shards`, add, async () => {
      first.interruption = await interrupt(cluster, history, onStep);
    });
    if (first.interruption === undefined) throw new Error("the first change was not interrupted");
    interruption = first.interruption;
    await change(`${status.shards.length + 1} to ${status.shards.length + 2} shards`, add);
    const [leaving] = status.shards;
    if (leaving === undefined) throw new Error("a cluster has shards");
    await change(`${status.shards.length + 2} to ${status.shards.length + 1} shards`, {
      kind: "drain_shard",
      shard: leaving.shard,
    });
    await makeChange(cluster, { kind: "remove_shard", shard: leaving.shard });
    onStep(`shard ${leaving.shard} is removed`);
    await untilSteady(history);
  } finally {
    await load.stop();
  }

  onStep("reading back every acknowledged write");
  await checkKeys(cluster, history, load.keys);
  for (const key of await findLostRecords(cluster, records)) history.report("acknowledgedLost", key);
  return {
    history,
    changes,
    interruption,
    records: records.length,
    recordsCounted: await countRecords(cluster),
    shardsAtEnd: (await readTopology(cluster)).topology.shards.length,
    writes: load.keys.reduce((sum, key) => sum + key.acked, 0),
    seconds: (performance.now() - startMs) / 1000,
  };
}

interface WantedChange {
  readonly title: string;
  readonly change: TopologyChange;
  /** Begins when the change is under way; the change ends when both have. */
  readonly meanwhile?: (() => Promise<void>) | undefined;
}

async function makeShapeChange(
  cluster: RegionCluster,
  keys: readonly string[],
  { title, change, meanwhile }: WantedChange,
  onStep: (step: string) => void,
): Promise<ShapeChange> {
  const planned = await planChange(cluster, change);
  onStep(`${title}: ${planned.movedSlots} slots are to move, ${planned.idealSlots.toFixed(1)} at the least`);
  const before = (await readTopology(cluster)).topology;
  const startMs = performance.now();
  const plan = await makeChange(cluster, change);
  if (meanwhile !== undefined) {
    await untilPending(cluster, (pending) => pending <= plan.movedSlots * (1 - DONE_AT_KILL), `${title}: has begun`);
    await meanwhile();
  }
  await untilPending(cluster, (pending) => pending === 0, title);
  const { topology } = await readTopology(cluster);
  const movedSlots = new Set([...topology.slots.keys()].filter((slot) => topology.slots[slot] !== before.slots[slot]));
  const seconds = (performance.now() - startMs) / 1000;
  onStep(`${title}: ${movedSlots.size} slots have moved in ${seconds.toFixed(1)} s`);
  return {
    title,
    movedSlots: movedSlots.size,
    idealSlots: plan.idealSlots,
    movedKeys: keys.filter((key) => movedSlots.has(slotOf(storedKey("", key)))).length,
    idealKeys: (plan.idealSlots * keys.length) / SLOT_COUNT,
    seconds,
  };
}

async function untilPending(
  cluster: RegionCluster,
  isReached: (pending: number) => boolean,
  what: string,
): Promise<void> {
  await until(
    what,
    async () => {
      const { progress } = await readTopology(cluster);
      return isReached([...progress.pending, ...progress.cancelled].reduce((sum, { slots }) => sum + slots, 0));
    },
    { timeoutMs: MOVES_TIMEOUT_MS, everyMs: PROGRESS_EVERY_MS },
  );
}

/** Kills the region that leads most, and brings it back once everybody gets through without it. */
async function interrupt(
  cluster: RegionCluster,
  history: History,
  onStep: (step: string) => void,
): Promise<Interruption> {
  const pendingSlots = await countPending(cluster);
  const { region, shards } = leadingRegion(await readStatus(cluster), cluster.regions);
  onStep(`killing ${region}, which leads shards ${shards.join(", ")}, with ${pendingSlots} slots still to move`);
  const killedMs = performance.now();
  await cluster.kill(region);
  await untilOtherLeaders(cluster, region, shards);
  await untilNextSuccess(history, allShards(history));
  const resumedMs = performance.now();
  const expected = commitIndexes(await readStatus(cluster));
  await cluster.restart(region);
  await untilCaughtUp(cluster, region, expected);
  onStep(`${region} is back and has caught up`);
  return { region, pendingSlots, killedMs, resumedMs };
}

async function countPending(cluster: RegionCluster): Promise<number> {
  const { progress } = await readTopology(cluster);
  return progress.pending.reduce((sum, { slots }) => sum + slots, 0);
}
