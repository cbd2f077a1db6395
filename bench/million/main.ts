// `npm run bench -- million`: a million keys of 100 bytes over the default cluster: loaded by batches, read back, and read back
// again after kill -9 of every process; how long it takes until the replicas of each shard, who hold a quarter of them each,
// answer the first read from cold, and the memory that their process takes. Exit status 0: every value was there, before and
// after, and every first read came in time.

import { writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { clusterConfig } from "../../cluster/cluster-options.ts";
import { type LocalCluster, startLocal } from "../../cluster/local.ts";
import { newToken } from "../../cluster/token.ts";
import { slotOf } from "../../routing/slots.ts";
import { buildTopology } from "../../routing/topology.ts";
import { keyName, VALUE_BYTES, valueText } from "../data-set.ts";
import { commit, type Machine, machineOf, versions } from "../harness/environment.ts";
import { commandOptions, positive } from "../harness/options.ts";
import { cpuSecondsOf } from "../harness/process-cpu.ts";
import { peakMemoryMiB, residentMemoryMiB } from "../harness/process-memory.ts";
import { type Inmate, inWorkplace } from "../harness/workplace.ts";

const KEYS_DEFAULT = 1_000_000;
const LANES_DEFAULT = 4;
/** Operations of one request, which is as many as it may have. */
const BATCH = 1_000;
/** Of one batch: what is shed comes again a little later. */
const ATTEMPTS_MAX = 50;
const RETRY_PAUSE_MS = 100;
/** The first read of a cold replica, with its share of a million keys, takes less. */
const FIRST_READ_MS_MAX = 1_000;
/** A value that was written in the first round, and stays. */
const SEQUENCE = 1;
const PROGRESS_KEYS = 100_000;

const USAGE = `npm run bench -- million [options]
  --keys N            keys of ${VALUE_BYTES} bytes (default ${KEYS_DEFAULT.toLocaleString("en")})
  --shards N          shards (default: the default cluster's 4), each with 3 replicas
  --lanes N           batches under way at once (default ${LANES_DEFAULT})
  --first-read-ms N   what the first read from cold may take (default ${FIRST_READ_MS_MAX})
  --dir DIR           where the replicas store their data (default: .halo/ in the project)
  --json FILE         write the figures there (keys: docs/benchmarks.md)
  --help`;

interface Figures {
  readonly keys: number;
  readonly load_keys_per_s: number;
  /** Of the process with all replicas and the edge: what is left of the machine's other work. */
  readonly load_cpu_us_per_key: number;
  readonly read_back_keys_per_s: number;
  /** Of all replicas and the edge together: they share a process. */
  readonly memory_after_load_mib: number;
  readonly memory_peak_mib: number;
  /** From nothing to a Worker that answers, the slowest of some; no object has been woken yet. */
  readonly restart_ms: number;
  /** By shard, from cold: any replica's own copy, then the leader's word, election included. */
  readonly first_eventual_read_ms: readonly number[];
  readonly first_strong_read_ms: readonly number[];
  readonly read_back_after_restart_keys_per_s: number;
  readonly memory_after_restart_mib: number;
}

export async function million(argv: readonly string[]): Promise<number> {
  const values = commandOptions(argv, USAGE, ["keys", "shards", "lanes", "first-read-ms", "dir", "json"]);
  if (values === undefined) return 0;
  const keys = positive("keys", values.keys, KEYS_DEFAULT, true);
  const firstReadMsMax = positive("first-read-ms", values["first-read-ms"], FIRST_READ_MS_MAX);
  const lanes = positive("lanes", values.lanes, LANES_DEFAULT, true);
  return await inWorkplace<Inmate>(values.dir, async (workplace) => {
    const machine = machineOf(workplace.directory);
    const data = path.join(workplace.directory, "data");
    await mkdir(data, { recursive: true });
    const run = new Run(data, path.join(workplace.directory, "cluster.log"), lanes, values.shards);
    workplace.systems.push(run);
    const figures = await run.measure(keys);
    const facts = { machine, versions: versions(), commit: commit() };
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ ...figures, ...facts }, null, 2)}\n`);
    console.log(report(figures, machine));
    return figures.first_eventual_read_ms.every((ms) => ms < firstReadMsMax) ? 0 : 1;
  });
}

class Run implements Inmate {
  readonly name = "million";
  readonly logFile: string;
  readonly #data: string;
  readonly #lanes: number;
  readonly #shards: string | undefined;
  readonly #token = newToken();
  #cluster: LocalCluster | undefined;

  constructor(data: string, logFile: string, lanes: number, shards: string | undefined) {
    this.#data = data;
    this.logFile = logFile;
    this.#lanes = lanes;
    this.#shards = shards;
  }

  get url(): string {
    return this.#running.url;
  }

  get workerdPids(): readonly number[] {
    return this.#cluster?.workerdPids ?? [];
  }

  async stop(): Promise<void> {
    await this.#cluster?.stop();
  }

  async measure(keys: number): Promise<Figures> {
    await this.#start();
    const cpuBefore = cpuSecondsOf(this.workerdPids);
    const loaded = await this.#inBatches(keys, "loaded", (numbers) => this.#write(numbers));
    const loadCpuSeconds = cpuSecondsOf(this.workerdPids) - cpuBefore;
    const memoryAfterLoad = residentMemoryMiB(this.workerdPids);
    const readBack = await this.#inBatches(keys, "read back", (numbers) => this.#read(numbers));
    const memoryPeak = peakMemoryMiB(this.workerdPids);
    const restarts: number[] = [];
    const firstEventual: number[] = [];
    const firstStrong: number[] = [];
    // One restart for each shard: all replicas share a thread here, and would wait for each other's wake.
    for (const number of firstKeyOfEachShard(keys, this.#shards)) {
      await this.#running.kill();
      restarts.push(await timed(() => this.#start()));
      firstEventual.push(await timed(() => this.#readOne(number, "eventual")));
      firstStrong.push(await timed(() => this.#readOne(number, "strong")));
    }
    const readAgain = await this.#inBatches(keys, "read back after the restart", (numbers) => this.#read(numbers));
    return {
      keys,
      load_keys_per_s: loaded,
      load_cpu_us_per_key: Math.round((loadCpuSeconds / keys) * 1e6),
      read_back_keys_per_s: readBack,
      memory_after_load_mib: memoryAfterLoad,
      memory_peak_mib: memoryPeak,
      restart_ms: Math.max(...restarts),
      first_eventual_read_ms: firstEventual,
      first_strong_read_ms: firstStrong,
      read_back_after_restart_keys_per_s: readAgain,
      memory_after_restart_mib: residentMemoryMiB(this.workerdPids),
    };
  }

  get #running(): LocalCluster {
    if (this.#cluster === undefined) throw new Error("the cluster is not running");
    return this.#cluster;
  }

  async #start(): Promise<void> {
    this.#cluster = await startLocal({
      persistTo: this.#data,
      token: this.#token,
      logFile: this.logFile,
      shards: this.#shards,
    });
  }

  /** Keys per second. */
  async #inBatches(keys: number, what: string, work: (numbers: readonly number[]) => Promise<void>): Promise<number> {
    let next = 0;
    let done = 0;
    const ms = await timed(async () => {
      await Promise.all(
        Array.from({ length: this.#lanes }, async () => {
          while (next < keys) {
            const first = next;
            const count = Math.min(BATCH, keys - first);
            next += count;
            await work(Array.from({ length: count }, (_, at) => first + at));
            const before = done;
            done += count;
            if (Math.floor(before / PROGRESS_KEYS) < Math.floor(done / PROGRESS_KEYS))
              console.error(`${done} keys ${what}`);
          }
        }),
      );
    });
    return Math.round((keys / ms) * 1_000);
  }

  /** Each set does the same again, so whatever was shed or left open is simply sent again. */
  async #write(numbers: readonly number[]): Promise<void> {
    let open = numbers;
    let last: unknown;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const operations = open.map((number) => {
        return { op: "set", key: keyName(number), value: { text: valueText(number, SEQUENCE) } };
      });
      const results = await this.#batch(operations);
      last = results.find(({ problem }) => problem !== undefined);
      open = open.filter((_, at) => results[at]?.problem !== undefined);
      if (open.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS * attempt));
    }
    throw new Error(`${open.length} keys of a batch could not be set: ${JSON.stringify(last)}`);
  }

  async #read(numbers: readonly number[]): Promise<void> {
    const results = await this.#batch(numbers.map((number) => ({ op: "get", key: keyName(number) })));
    for (const [at, number] of numbers.entries()) {
      const { value, ...rest } = results[at] ?? {};
      if (value?.text === valueText(number, SEQUENCE)) continue;
      throw new Error(`${keyName(number)} is not what was stored: ${JSON.stringify(rest)} "${value?.text ?? ""}"`);
    }
  }

  async #batch(operations: readonly object[]): Promise<readonly Result[]> {
    const body = JSON.stringify({ operations });
    const response = await this.#fetch("/v1/batch", { method: "POST", body });
    if (!response.ok) throw new Error(`POST /v1/batch: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { results: readonly Result[] }).results;
  }

  async #readOne(number: number, level: string): Promise<void> {
    const response = await this.#fetch(`/v1/kv/${keyName(number)}`, { headers: { "Halo-Consistency": level } });
    const text = await response.text();
    if (text !== valueText(number, SEQUENCE))
      throw new Error(`${keyName(number)}, ${level}: ${response.status} ${text}`);
  }

  #fetch(place: string, { headers, ...init }: RequestInit): Promise<Response> {
    return fetch(`${this.url}${place}`, { ...init, headers: { Authorization: `Bearer ${this.#token}`, ...headers } });
  }
}

interface Result {
  readonly status?: number;
  readonly problem?: string;
  readonly value?: { readonly text?: string };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return Math.round(performance.now() - startMs);
}

/** By the topology that a fresh deployment computes for itself. */
function firstKeyOfEachShard(keys: number, ofShards: string | undefined): readonly number[] {
  const { slots } = buildTopology(clusterConfig({ shards: ofShards }).cluster);
  const found = new Map<number, number>();
  const shards = new Set(slots).size;
  for (let number = 0; number < keys && found.size < shards; number++) {
    const shard = slots[slotOf(keyName(number))] ?? 0;
    if (!found.has(shard)) found.set(shard, number);
  }
  return [...found].sort(([one], [other]) => one - other).map(([, number]) => number);
}

function report(figures: Figures, machine: Machine): string {
  return [
    `${machine.cpu}, ${machine.cores} cores, load average ${machine.load_average} before the run, fsync ${machine.fsync_ms} ms`,
    `${figures.keys} keys of ${VALUE_BYTES} bytes on 3 replicas: all there, before and after kill -9 of every process`,
    `loaded    ${figures.load_keys_per_s} keys/s, ${figures.load_cpu_us_per_key} µs of CPU a key, replicas and edge together`,
    `read back ${figures.read_back_keys_per_s} keys/s, after the restart ${figures.read_back_after_restart_keys_per_s}`,
    `restart   ${figures.restart_ms} ms`,
    `first read of each shard from cold: eventual ${figures.first_eventual_read_ms.join(", ")} ms, then strong ${figures.first_strong_read_ms.join(", ")} ms`,
    `memory of the process with all replicas: ${figures.memory_after_load_mib} MiB after loading, ${figures.memory_peak_mib} at most, ${figures.memory_after_restart_mib} after the restart and reading all`,
  ].join("\n");
}
