// One failure each: the region that leads is killed with everything that would respawn it, frozen, or loses its workerd
// alone; it comes back; and the round ends when it has caught up. Nothing here waits for a time, only for conditions.

import type { Region } from "../../routing/region.ts";
import { answeringReplicas, type ClusterStatus, leaderOf, readStatus } from "../status.ts";
import type { RegionCluster } from "../supervisor.ts";
import { until } from "../until.ts";
import { type History, LOWER_LEVELS, type Series } from "./history.ts";

export type Failure = "kill" | "freeze" | "workerd";

export interface RoundResult {
  readonly failure: Failure;
  readonly region: Region;
  /** Shards whose leader was in the region. */
  readonly shards: readonly number[];
  /** What the failure cost: longest times without success until the region was ordered back; the worst shard of each. */
  readonly writeGapMs: number;
  readonly strongGapMs: number;
  readonly lowerGapMs: number;
  /** What the same clients met before, with nothing broken: what is left of a gap below that is the failure's. */
  readonly steadyLowerGapMs: number;
  /** What the return cost: the same from the order until the region had caught up. */
  readonly rejoinWriteGapMs: number;
  readonly rejoinLowerGapMs: number;
  /** From the failure until every shard had another leader and accepted writes. */
  readonly resumedMs: number;
  /** From the order to come back until every replica of the region had what was committed when it was given. */
  readonly caughtUpMs: number;
}

/** Generous: the sanity limits judge the gaps, this only ends a run that hangs. */
const STEP_TIMEOUT_MS = 60_000;
const STATUS_EVERY_MS = 100;
/** Successes of each kind in every shard that show a steady state. */
const STEADY_SUCCESSES = 10;
/** The same before a failure: they take about as long as what the failure is watched for. */
const BEFORE_SUCCESSES = 30;

export async function runRound(cluster: RegionCluster, history: History, failure: Failure): Promise<RoundResult> {
  const steadyMs = performance.now();
  await untilSteady(history, BEFORE_SUCCESSES);
  const { region, shards } = leadingRegion(await readStatus(cluster), cluster.regions);
  const startMs = performance.now();
  await strike(cluster, region, failure);
  // A respawned workerd may lead again: what counts there is only that writes go on.
  if (failure !== "workerd") await untilOtherLeaders(cluster, region, shards);
  await untilNextSuccess(history, shards);
  const resumedMs = performance.now() - startMs;
  await untilSteady(history);

  const returnMs = performance.now();
  const expected = commitIndexes(await readStatus(cluster));
  if (failure === "kill") await cluster.restart(region);
  if (failure === "freeze") cluster.thaw(region);
  await untilCaughtUp(cluster, region, expected);
  const endMs = performance.now();
  await untilSteady(history);

  const gap = (series: Series, fromMs: number, toMs: number) =>
    Math.max(...allShards(history).map((shard) => history.longestGap(shard, series, fromMs, toMs)));
  const lowerGap = (fromMs: number, toMs: number) => Math.max(...LOWER_LEVELS.map((level) => gap(level, fromMs, toMs)));
  return {
    failure,
    region,
    shards,
    writeGapMs: gap("write", startMs, returnMs),
    strongGapMs: gap("strong", startMs, returnMs),
    lowerGapMs: lowerGap(startMs, returnMs),
    steadyLowerGapMs: lowerGap(steadyMs, startMs),
    rejoinWriteGapMs: gap("write", returnMs, endMs),
    rejoinLowerGapMs: lowerGap(returnMs, endMs),
    resumedMs,
    caughtUpMs: endMs - returnMs,
  };
}

async function strike(cluster: RegionCluster, region: Region, failure: Failure): Promise<void> {
  switch (failure) {
    case "kill":
      return await cluster.kill(region);
    case "workerd":
      return await cluster.killWorkerdOnly(region);
    case "freeze":
      cluster.freeze(region);
  }
}

/** The region that leads the most shards, and which. Throws if no shard has a leader. */
export function leadingRegion(
  status: ClusterStatus,
  regions: readonly Region[],
): { region: Region; shards: readonly number[] } {
  const led = regions.map((region) => ({
    region,
    shards: status.shards.map(({ shard }) => shard).filter((shard) => leaderOf(status, shard)?.region === region),
  }));
  const [most] = led.sort((one, other) => other.shards.length - one.shards.length);
  if (most === undefined || most.shards.length === 0) throw new Error("no shard has a leader");
  return most;
}

export function allShards(history: History): readonly number[] {
  return Array.from({ length: history.shards }, (_, shard) => shard);
}

/** Every client of every shard gets through, as often as shows that it is no accident. */
export async function untilSteady(history: History, successes = STEADY_SUCCESSES): Promise<void> {
  const series = ["write", "strong", ...LOWER_LEVELS] as const;
  const counts = () => allShards(history).flatMap((shard) => series.map((name) => history.count(shard, name)));
  const before = counts();
  await until("all clients get through", () => counts().every((count, at) => count >= (before[at] ?? 0) + successes), {
    timeoutMs: STEP_TIMEOUT_MS,
  });
}

export async function untilOtherLeaders(
  cluster: RegionCluster,
  region: Region,
  shards: readonly number[],
): Promise<void> {
  await until(
    `shards ${shards.join(", ")} have a leader outside ${region}`,
    async () => {
      const status = await readStatus(cluster);
      return shards.every((shard) => {
        const leader = leaderOf(status, shard);
        return leader !== undefined && leader.region !== region;
      });
    },
    { timeoutMs: STEP_TIMEOUT_MS, everyMs: STATUS_EVERY_MS },
  );
}

/** A write is acknowledged in every one of the shards from now on. */
export async function untilNextSuccess(history: History, shards: readonly number[]): Promise<void> {
  const nowMs = performance.now();
  await until(
    `writes resume in shards ${shards.join(", ")}`,
    () => shards.every((shard) => history.lastSuccess(shard, "write") > nowMs),
    { timeoutMs: STEP_TIMEOUT_MS, everyMs: 5 },
  );
}

/** Highest commit index known in each shard. */
export function commitIndexes(status: ClusterStatus): ReadonlyMap<number, number> {
  return new Map(
    status.shards.map(({ shard }) => [
      shard,
      Math.max(0, ...answeringReplicas(status, shard).map((replica) => replica.commitIndex)),
    ]),
  );
}

/** Every replica in the region answers and has applied at least what is expected of its shard. */
export async function untilCaughtUp(
  cluster: RegionCluster,
  region: Region,
  expected: ReadonlyMap<number, number>,
): Promise<void> {
  await until(
    `${region} has caught up`,
    async () => {
      const status = await readStatus(cluster);
      return status.shards.every(({ shard }) => {
        const here = answeringReplicas(status, shard).filter((replica) => replica.region === region);
        return here.length > 0 && here.every((replica) => replica.appliedIndex >= (expected.get(shard) ?? 0));
      });
    },
    { timeoutMs: STEP_TIMEOUT_MS, everyMs: STATUS_EVERY_MS },
  );
}
