// A whole chaos run: clients on, faults one episode after the other, everything healed, writes resumed within a stated
// time, every key read strongly once more, and the history judged. The command and the test run the same.

import { setTimeout as pauseUnless } from "node:timers/promises";
import { type Judgement, judge } from "../../checkers/judge.ts";
import { commitIndexes, untilCaughtUp } from "../failover/rounds.ts";
import { readStatus, untilAllAnswer } from "../status.ts";
import type { RegionCluster } from "../supervisor.ts";
import { until } from "../until.ts";
import { ChaosClient } from "./client.ts";
import { Dice } from "./dice.ts";
import type { FaultNetwork } from "./fault-network.ts";
import type { Recorder } from "./recorder.ts";
import { RESUME_LIMIT_MS } from "./report.ts";
import { type Episode, type Fault, planEpisodes } from "./schedule.ts";
import { Striker } from "./strike.ts";

export const CLIENTS_DEFAULT = 12;
export const KEYS_DEFAULT = 60;
/** For all replicas to have what was committed; generous, because a snapshot may be on its way. */
const CAUGHT_UP_TIMEOUT_MS = 30_000;
/** Operations of all clients together that show a steady state before the first fault and after the last. */
const STEADY_OPERATIONS = 500;
const STEADY_TIMEOUT_MS = 30_000;
/** A final read is tried this often. */
const FINAL_TRIES_MAX = 20;

export interface ChaosOptions {
  readonly seed: number;
  /** Of the faults: start, heal and final reads come on top. */
  readonly durationMs: number;
  readonly clients: number;
  readonly keys: number;
  readonly recorder: Recorder;
  /** Ends the run early; it rejects then, with the signal's reason. */
  readonly signal: AbortSignal;
  /** `atNs`: of the recorder's clock, like all times in the history. */
  readonly onFault: (fault: Fault, what: "begins" | "is over", atNs: number) => void;
}

export interface ChaosRun {
  readonly episodes: readonly Episode[];
  readonly judgement: Judgement;
  /** From the end of the last fault until every shard had acknowledged a write; undefined: not within the limit. */
  readonly resumedMs: number | undefined;
  /** Keys whose final read got no answer. */
  readonly unreadKeys: readonly string[];
  readonly unexpected: ReadonlyMap<string, number>;
  readonly seconds: number;
  readonly judgeSeconds: number;
}

export async function runChaos(
  cluster: RegionCluster,
  network: FaultNetwork,
  options: ChaosOptions,
): Promise<ChaosRun> {
  const { seed, recorder, signal } = options;
  const startMs = performance.now();
  const keys = Array.from({ length: options.keys }, (_, number) => `chaos/${number}`);
  const episodes = planEpisodes(seed, options.durationMs, cluster.regions);
  const clients = Array.from(
    { length: options.clients },
    // Streams of their own: what one client draws does not depend on how fast another is.
    (_, number) => new ChaosClient(number, cluster, keys, recorder, new Dice(seed * 1_000 + number)),
  );
  const shards = (await readStatus(cluster)).shards.length;
  const running = clients.map((client) => client.run());
  let resumedMs: number | undefined;
  try {
    await untilSteady(recorder, signal);
    await carryOut(episodes, new Striker(cluster, network), options);
    resumedMs = await untilWritesResume(recorder, shards);
    await untilAllCaughtUp(cluster);
    await untilSteady(recorder, signal);
  } finally {
    for (const client of clients) client.stop();
    await Promise.all(running);
    for (const client of clients) client.close();
  }
  const unreadKeys = await readBack(cluster, keys, recorder, clients.length);
  const judgeStartMs = performance.now();
  const judgement = judge(recorder.operations);
  return {
    episodes,
    judgement,
    resumedMs,
    unreadKeys,
    unexpected: recorder.unexpected,
    seconds: (judgeStartMs - startMs) / 1000,
    judgeSeconds: (performance.now() - judgeStartMs) / 1000,
  };
}

async function carryOut(
  episodes: readonly Episode[],
  striker: Striker,
  { signal, recorder, onFault }: ChaosOptions,
): Promise<void> {
  for (const { quietMs, faults } of episodes) {
    await pauseUnless(quietMs, undefined, { signal });
    const endings = faults.map(async (fault) => {
      await pauseUnless(fault.afterMs, undefined, { signal });
      onFault(fault, "begins", recorder.nowNs());
      await striker.begin(fault);
      await pauseUnless(fault.forMs, undefined, { signal });
      await striker.end(fault);
      onFault(fault, "is over", recorder.nowNs());
    });
    // All of them settle before a failure is reported: nothing may be started while the cluster is being stopped.
    const failed = (await Promise.allSettled(endings)).find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

async function untilSteady(recorder: Recorder, signal: AbortSignal): Promise<void> {
  const before = recorder.operations.length;
  await until("clients get through", () => signal.aborted || recorder.operations.length >= before + STEADY_OPERATIONS, {
    timeoutMs: STEADY_TIMEOUT_MS,
  });
  signal.throwIfAborted();
}

async function untilWritesResume(recorder: Recorder, shards: number): Promise<number | undefined> {
  const healedMs = performance.now();
  const healedNs = recorder.nowNs();
  try {
    await until("writes resume in every shard", () => recorder.hasWrittenSince(healedNs, shards), {
      timeoutMs: RESUME_LIMIT_MS,
      everyMs: 5,
    });
    return performance.now() - healedMs;
  } catch {
    return undefined;
  }
}

async function untilAllCaughtUp(cluster: RegionCluster): Promise<void> {
  const expected = commitIndexes(await untilAllAnswer(cluster, CAUGHT_UP_TIMEOUT_MS));
  for (const region of cluster.regions) await untilCaughtUp(cluster, region, expected);
}

/** One strong read of every key, in the history like all others. Returns the keys that could not be read. */
async function readBack(
  cluster: RegionCluster,
  keys: readonly string[],
  recorder: Recorder,
  clientNumber: number,
): Promise<readonly string[]> {
  const client = new ChaosClient(clientNumber, cluster, keys, recorder, new Dice(0));
  const unread: string[] = [];
  for (const key of keys) {
    let isRead = false;
    for (let tries = 0; !isRead && tries < FINAL_TRIES_MAX; tries++) {
      isRead = (await client.perform({ op: "read", key, level: "strong" })).outcome === "ok";
    }
    if (!isRead) unread.push(key);
  }
  client.close();
  return unread;
}
