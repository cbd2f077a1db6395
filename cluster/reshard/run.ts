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
import { makeChange, readTopology } from "./admin.ts";
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
  /** Shards that are added, one after the other; at least one. */
  readonly added: number;
  /** Their weight; those of the start have weight 1. */
  readonly weight: number;
  /** The shard that is drained and removed in the end. */
  readonly drained: number;
  readonly onStep?: ((step: string) => void) | undefined;
}

export async function runReshard(cluster: RegionCluster, options: ReshardOptions): Promise<ReshardRun> {
  const { records, added, weight, drained, onStep = () => undefined } = options;
  const startMs = performance.now();
  onStep(`storing ${records.length} records`);
  await storeRecords(cluster, records);
  const status = await readStatus(cluster);
  const history = new History(status.shards.length);
  const load = await Load.start(cluster, history, randomBytes(RUN_ID_BYTES).toString("hex"));
  const keys = [...records.map(({ key }) => key), ...load.keys.map(({ name }) => name)];
  const shape = new Shape(cluster, history, keys, onStep);
  let interruption: Interruption | undefined;
  try {
    await untilSteady(history);
    for (let number = 0; number < added; number += 1) {
      const add: TopologyChange = {
        kind: "add_shard",
        replicas: cluster.regions.length,
        regions: cluster.regions,
        weight,
      };
      const meanwhile =
        number > 0
          ? undefined
          : async () => {
              interruption = await interrupt(cluster, history, onStep);
            };
      await shape.change(add, 1, meanwhile);
    }
    await shape.removeShard(drained);
  } finally {
    await load.stop();
  }
  if (interruption === undefined) throw new Error("nothing was killed: no shard was added");

  onStep("reading back every acknowledged write");
  await checkKeys(cluster, history, load.keys);
  for (const key of await findLostRecords(cluster, records)) history.report("acknowledgedLost", key);
  return {
    history,
    changes: shape.changes,
    interruption,
    records: records.length,
    recordsCounted: await countRecords(cluster),
    shardsAtEnd: (await readTopology(cluster)).topology.shards.length,
    writes: load.keys.reduce((sum, key) => sum + key.acked, 0),
    seconds: (performance.now() - startMs) / 1000,
  };
}

/** Changes the shape, waits until it has changed, and keeps account of it. */
class Shape {
  readonly changes: ShapeChange[] = [];
  readonly #cluster: RegionCluster;
  readonly #history: History;
  readonly #keys: readonly string[];
  readonly #onStep: (step: string) => void;

  constructor(cluster: RegionCluster, history: History, keys: readonly string[], onStep: (step: string) => void) {
    this.#cluster = cluster;
    this.#history = history;
    this.#keys = keys;
    this.#onStep = onStep;
  }

  /** Makes `grown` shards more or fewer. `meanwhile` begins when the change is under way; it ends when both have. */
  async change(change: TopologyChange, grown: 1 | -1, meanwhile?: () => Promise<void>): Promise<void> {
    const before = (await readTopology(this.#cluster)).topology;
    const owners = new Set(before.slots).size;
    const title = `${owners} to ${owners + grown} shards`;
    const startMs = performance.now();
    const plan = await makeChange(this.#cluster, change);
    this.#onStep(`${title}: ${plan.movedSlots} slots are to move, ${plan.idealSlots.toFixed(1)} at the least`);
    if (meanwhile !== undefined) {
      const isUnderWay = (pending: number) => pending <= plan.movedSlots * (1 - DONE_AT_KILL);
      await untilPending(this.#cluster, isUnderWay, `${title}: has begun`);
      await meanwhile();
    }
    await untilPending(this.#cluster, (pending) => pending === 0, title);
    const { topology } = await readTopology(this.#cluster);
    const moved = new Set([...topology.slots.keys()].filter((slot) => topology.slots[slot] !== before.slots[slot]));
    const seconds = (performance.now() - startMs) / 1000;
    this.#onStep(`${title}: ${moved.size} slots have moved in ${seconds.toFixed(1)} s`);
    this.changes.push({
      title,
      movedSlots: moved.size,
      idealSlots: plan.idealSlots,
      movedKeys: this.#keys.filter((key) => moved.has(slotOf(storedKey("", key)))).length,
      idealKeys: (plan.idealSlots * this.#keys.length) / SLOT_COUNT,
      seconds,
    });
    await untilSteady(this.#history);
  }

  async removeShard(shard: number): Promise<void> {
    await this.change({ kind: "drain_shard", shard }, -1);
    await makeChange(this.#cluster, { kind: "remove_shard", shard });
    this.#onStep(`shard ${shard} is removed`);
    await untilSteady(this.#history);
  }
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
