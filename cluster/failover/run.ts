// A whole failover run: data in, load on, failures one after the other, load off, every acknowledged write checked. The
// demo and the tests run the same, with different counts.

import { randomBytes } from "node:crypto";
import { HttpConnection } from "../../bench/load/http-connection.ts";
import { readStatus } from "../status.ts";
import type { RegionCluster } from "../supervisor.ts";
import { type DataRecord, findLostRecords, readStrongly, storeRecords } from "./data-set.ts";
import { History, type TrackedKey } from "./history.ts";
import { Load, target } from "./load.ts";
import { type MinorityResult, runMinority } from "./minority.ts";
import type { FailoverRun } from "./report.ts";
import { type Failure, type RoundResult, runRound } from "./rounds.ts";

const RUN_ID_BYTES = 4;
const VERIFY_TIMEOUT_MS = 10_000;

export interface FailoverOptions {
  readonly records: readonly DataRecord[];
  /** In order. */
  readonly failures: readonly Failure[];
  readonly onRound?: (number: number, round: RoundResult) => void;
  readonly onStep?: (step: string) => void;
}

export async function runFailover(cluster: RegionCluster, options: FailoverOptions): Promise<FailoverRun> {
  const { records, failures, onRound = () => undefined, onStep = () => undefined } = options;
  const startMs = performance.now();
  const secondsSince = (since: number) => ((performance.now() - since) / 1000).toFixed(1);

  onStep(`storing ${records.length} records`);
  await storeRecords(cluster, records);
  onStep(`stored in ${secondsSince(startMs)} s; starting the load`);

  const history = new History((await readStatus(cluster)).shards.length);
  const load = await Load.start(cluster, history, randomBytes(RUN_ID_BYTES).toString("hex"));
  const rounds: RoundResult[] = [];
  let minority: MinorityResult;
  try {
    for (const failure of failures) {
      const round = await runRound(cluster, history, failure);
      rounds.push(round);
      onRound(rounds.length, round);
    }
    onStep("killing two of three regions");
    minority = await runMinority(cluster, history, load);
  } finally {
    await load.stop();
  }

  onStep("reading back every acknowledged write");
  await checkKeys(cluster, history, load.keys);
  for (const key of await findLostRecords(cluster, records)) history.report("acknowledgedLost", key);
  return {
    history,
    rounds,
    minority,
    records: records.length,
    writes: load.keys.reduce((sum, key) => sum + key.acked, 0),
    seconds: (performance.now() - startMs) / 1000,
  };
}

export async function checkKeys(cluster: RegionCluster, history: History, keys: readonly TrackedKey[]): Promise<void> {
  const connection = new HttpConnection(target(cluster), { timeoutMs: VERIFY_TIMEOUT_MS });
  for (const key of keys) {
    const value = Number((await readStrongly(connection, key.name)) ?? 0);
    if (!(value >= key.acked && value <= key.sent)) {
      history.report("acknowledgedLost", `${key.name} is ${value}, acknowledged ${key.acked}, sent ${key.sent}`);
    }
  }
  connection.close();
}
