// Two of three regions killed: what is left must refuse writes clearly, go on answering `eventual` reads, and lose
// nothing that was acknowledged before. Then one comes back, writes resume, and then the other.

import { HttpConnection } from "../../bench/load/http-connection.ts";
import { readStatus } from "../status.ts";
import type { RegionCluster } from "../supervisor.ts";
import { until } from "../until.ts";
import type { History } from "./history.ts";
import { type Load, pathOf, refusalOf, target } from "./load.ts";
import { allShards, commitIndexes, leadingRegion, untilCaughtUp, untilNextSuccess, untilSteady } from "./rounds.ts";

/** A refusal has to come by itself; a client's patience is not part of the answer. */
const REFUSAL_TIMEOUT_MS = 10_000;
const EVENTUAL_READS = 10;
const STEP_TIMEOUT_MS = 30_000;

export interface MinorityResult {
  /** By shard: what a write was answered, as status and problem type. */
  readonly refusals: readonly string[];
  readonly refusedAfterMs: number;
  /** From the order to bring back one region until every shard accepted writes. */
  readonly resumedMs: number;
}

export async function runMinority(cluster: RegionCluster, history: History, load: Load): Promise<MinorityResult> {
  await untilSteady(history);
  const status = await readStatus(cluster);
  const { region: first } = leadingRegion(status, cluster.regions);
  const second = cluster.regions.find((region) => region !== first);
  if (second === undefined) throw new Error("a minority needs at least three regions");
  const expected = commitIndexes(status);
  load.majority = "returning";
  await Promise.all([cluster.kill(first), cluster.kill(second)]);
  load.majority = "absent";

  const askedMs = performance.now();
  const refusals = await Promise.all(load.spareKeys.map((key) => refusalOfWrite(cluster, key)));
  const refusedAfterMs = performance.now() - askedMs;
  await untilEventualReads(history);

  const returnMs = performance.now();
  load.majority = "returning";
  await cluster.restart(first);
  await untilNextSuccess(history, allShards(history));
  const resumedMs = performance.now() - returnMs;
  await untilCaughtUp(cluster, first, expected);
  await cluster.restart(second);
  await untilCaughtUp(cluster, second, expected);
  load.majority = "present";
  await untilSteady(history);
  return { refusals, refusedAfterMs, resumedMs };
}

/** Whether an answer says, by status and problem type, that there is no quorum or that the write's fate is open. */
export function isClearRefusal(refusal: string): boolean {
  return refusal === "503 /problems/unavailable" || refusal === "503 /problems/unknown-outcome";
}

async function refusalOfWrite(cluster: RegionCluster, key: string): Promise<string> {
  const connection = new HttpConnection(target(cluster), { timeoutMs: REFUSAL_TIMEOUT_MS });
  const outcome = await connection.request({ method: "PUT", path: pathOf(key), body: "written without a majority" });
  connection.close();
  return refusalOf(outcome);
}

async function untilEventualReads(history: History): Promise<void> {
  const before = allShards(history).map((shard) => history.count(shard, "eventual"));
  await until(
    "eventual reads go on in every shard",
    () => before.every((count, shard) => history.count(shard, "eventual") >= count + EVENTUAL_READS),
    { timeoutMs: STEP_TIMEOUT_MS },
  );
}
