// `npm run chaos`: clients at every consistency level on a cluster of region processes that are killed, frozen, cut off,
// slowed down and restarted, by a schedule that comes from the seed; then the verdict on everything the clients saw. Exit
// status 0 only if it is good. Options: --minutes M (of faults, may be a fraction), --seed S, --shards N, --clients N,
// --json FILE for the figures, --history FILE for every operation as a line of JSON.

import { randomInt } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { parseCount, runCommand, UsageError, untilAskedToEnd } from "../command.ts";
import { stateDir } from "../project.ts";
import { describeCluster } from "../status.ts";
import { startRegionCluster } from "../supervisor.ts";
import { newToken } from "../token.ts";
import { FaultNetwork } from "./fault-network.ts";
import { Recorder } from "./recorder.ts";
import { figuresOf, outcomeTable, tellViolations } from "./report.ts";
import { CLIENTS_DEFAULT, KEYS_DEFAULT, runChaos } from "./run.ts";
import { describeFault } from "./schedule.ts";

const MINUTES_DEFAULT = "1";
const MINUTES_MAX = 24 * 60;
const SEED_MAX = 999_999_999;
const SHARDS_DEFAULT = "3";
const SHARDS_MAX = 16;
const CLIENTS_MAX = 200;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: MINUTES_DEFAULT },
      seed: { type: "string", default: String(randomInt(SEED_MAX)) },
      shards: { type: "string", default: SHARDS_DEFAULT },
      clients: { type: "string", default: String(CLIENTS_DEFAULT) },
      json: { type: "string" },
      history: { type: "string" },
    },
  });
  const minutes = parseMinutes(values.minutes);
  const seed = parseCount("--seed", values.seed, { min: 0, max: SEED_MAX });
  const shards = parseCount("--shards", values.shards, { min: 1, max: SHARDS_MAX });
  const clients = parseCount("--clients", values.clients, { min: 1, max: CLIENTS_MAX });
  const historyFile = values.history ?? (await defaultHistoryFile());
  const asked = new AbortController();
  untilAskedToEnd().then((name) => asked.abort(new Error(`ended by ${name} before the verdict; seed ${seed}`)));

  console.log(`seed ${seed}; again with the same faults: npm run chaos -- --minutes ${minutes} --seed ${seed}`);
  let network: FaultNetwork | undefined;
  const recorder = await Recorder.open(historyFile);
  const cluster = await startRegionCluster({
    regions: ["weur", "enam", "apac"],
    shards,
    token: newToken(),
    openNetwork: FaultNetwork.opener((opened) => {
      network = opened;
    }),
  });
  try {
    if (network === undefined) throw new Error("the cluster has opened no network");
    console.log(
      `${cluster.regions.length} regions, ${shards} shards, ${clients} clients, edge at ${cluster.url}, logs in ${cluster.runDir}`,
    );
    const run = await runChaos(cluster, network, {
      seed,
      durationMs: minutes * 60_000,
      clients,
      keys: KEYS_DEFAULT,
      recorder,
      signal: asked.signal,
      onFault: (fault, what, atNs) => {
        const text = what === "begins" ? describeFault(fault) : `${fault.kind} ${fault.region} is over`;
        console.log(`${(atNs / 1e9).toFixed(2).padStart(8)} s  ${text}`);
      },
    });
    const figures = figuresOf(seed, run, recorder.operations);
    console.log(`\n${outcomeTable(figures.outcomes)}`);
    console.log(
      `${figures.operations} operations on ${figures.keys} keys, ${figures.faults} faults, ${figures.seconds} s, ` +
        `judged in ${figures.judge_seconds} s; writes resumed ${figures.resumed_ms ?? "too many"} ms after the last fault`,
    );
    if (figures.verdict === "bad") {
      console.log(tellViolations(run.judgement));
      console.log(`${await describeCluster(cluster)}\n${cluster.logTails()}`);
      console.log(`history: ${historyFile}`);
    }
    console.log(
      figures.verdict === "good"
        ? "GOOD: every operation is explained by the promises."
        : `BAD (seed ${seed}): ${figures.problems.join("; ")}`,
    );
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
    return figures.verdict === "good" ? 0 : 1;
  } catch (error) {
    if (asked.signal.aborted) throw new UsageError(String(asked.signal.reason.message));
    console.error(`seed ${seed}, history: ${historyFile}\n${await describeCluster(cluster)}\n${cluster.logTails()}`);
    throw error;
  } finally {
    await cluster.stop();
    await recorder.close();
  }
}

/** Overwritten by the next run: whoever wants to keep one says where. */
async function defaultHistoryFile(): Promise<string> {
  await mkdir(stateDir, { recursive: true });
  return path.join(stateDir, "chaos-history.jsonl");
}

function parseMinutes(text: string): number {
  const minutes = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(minutes > 0 && minutes <= MINUTES_MAX)) {
    throw new UsageError(`--minutes is "${text}": expected a number above 0, up to ${MINUTES_MAX}`);
  }
  return minutes;
}

await runCommand(main);
