// `npm run bench -- rows`: what each command of the API writes and how often replicas call each other for it, on one shard of
// three replicas in a local workerd. Counts, not times, from the replicas' own counters; what a command owes to a later
// checkpoint and to the log's deletion counts with what it has written. Exit status 0: every reply was right.

import { writeFileSync } from "node:fs";
import { answeringReplicas, readStatus } from "../../cluster/status.ts";
import { until } from "../../cluster/until.ts";
import { CHECKPOINT_STAGGER, DEFAULT_CHECKPOINT_LIMITS } from "../../durable/checkpoint-limits.ts";
import type { ReplicaStatus } from "../../durable/protocol.ts";
import { commit, versions } from "../harness/environment.ts";
import { commandOptions, positive } from "../harness/options.ts";
import { rowsOf, type System, startHalo, sumCounters } from "../harness/system.ts";
import { inWorkplace } from "../harness/workplace.ts";
import { COMMANDS, type Command, type Send, type Sent } from "./commands.ts";

/** All commands together leave fewer rows than make a checkpoint. */
const OPERATIONS_DEFAULT = 50;
/** Operations under way at once in the second run of each command. */
const TOGETHER = 16;
const REPLICAS = 3;
/** Operations of one batch that only fills the table. */
const FILLER_BATCH = 1_000;
/** Far above what makes the last replica take a checkpoint. */
const FILLER_BATCHES_MAX = 50;
const SETTLED_TIMEOUT_MS = 30_000;

const USAGE = `npm run bench -- rows [options]
  --operations N   of each command, one at a time and ${TOGETHER} at once (default ${OPERATIONS_DEFAULT})
  --dir DIR        where the replicas store their data (default: .halo/ in the project)
  --json FILE      write the figures there (keys: docs/benchmarks.md)
  --help`;

/** Per operation, all replicas together. */
export interface Cost {
  readonly rows: number;
  readonly calls: number;
}

export interface Figures {
  readonly title: string;
  readonly alone: Cost;
  readonly together: Cost;
}

type Manner = "alone" | "together";

export async function rows(argv: readonly string[]): Promise<number> {
  const values = commandOptions(argv, USAGE, ["operations", "dir", "json"]);
  if (values === undefined) return 0;
  const operations = positive("operations", values.operations, OPERATIONS_DEFAULT, true);
  return await inWorkplace<System>(values.dir, async (workplace) => {
    const system = await startHalo(1, workplace.directory);
    workplace.systems.push(system);
    const figures = await measureAll(system, operations);
    console.log(tableOf(figures));
    const facts = { operations, together: TOGETHER, versions: versions(), commit: commit() };
    if (values.json !== undefined)
      writeFileSync(values.json, `${JSON.stringify({ commands: jsonOf(figures), ...facts }, null, 2)}\n`);
    return 0;
  });
}

async function measureAll(system: System, operations: number): Promise<Figures[]> {
  const { headers = {} } = system.target;
  const send = sender(system.url, headers);
  const replicas = () => replicasOf(system, headers.Authorization ?? "");
  for (const command of COMMANDS) {
    for (const manner of ["alone", "together"] as const) await prepare(command, manner, send, operations);
  }
  await writeDown(send, replicas);
  const figures: Figures[] = [];
  for (const command of COMMANDS) {
    if (command.makesCheckpoints === true) await writeDown(send, replicas);
    const before = await checkpointsOf(replicas);
    const alone = await measure(command, "alone", send, replicas, operations);
    const together = await measure(command, "together", send, replicas, operations);
    // What is owed is at most what will be written: a mark that came and went is not. A checkpoint settles that for everything
    // before it, and would do so at the cost of this command.
    if (command.makesCheckpoints !== true && (await checkpointsOf(replicas)) !== before)
      throw new Error("a checkpoint fell into the run; choose fewer --operations");
    figures.push({ title: command.title, alone, together });
    console.error(`measured ${command.title}`);
  }
  return figures;
}

async function checkpointsOf(replicas: () => Promise<readonly ReplicaStatus[]>): Promise<number> {
  return sumCounters((await replicas()).map(({ counters }) => counters)).checkpoints ?? Number.NaN;
}

function sender(url: string, fixed: Readonly<Record<string, string>>): Send {
  return async (method, path, expected, { headers, body, json }: Sent = {}) => {
    const sent = json === undefined ? body : JSON.stringify(json);
    const response = await fetch(`${url}${path}`, { method, headers: { ...fixed, ...headers }, body: sent ?? null });
    // Read to the end: a body that nobody takes holds its connection up.
    const bytes = await response.arrayBuffer();
    const isRight = expected === "any" ? response.ok : response.status === expected;
    if (!isRight) {
      throw new Error(
        `${method} ${path}: ${response.status}, expected ${expected}: ${new TextDecoder().decode(bytes)}`,
      );
    }
    return new Response(bytes.byteLength === 0 ? null : bytes, { status: response.status, headers: response.headers });
  };
}

function keysOf(command: Command, manner: Manner, operations: number): string[] {
  const count = Math.min(operations, command.operationsMax ?? operations);
  const place = COMMANDS.indexOf(command);
  return Array.from({ length: count }, (_, at) => `${manner}-${place}-${at}`);
}

async function prepare(command: Command, manner: Manner, send: Send, operations: number): Promise<void> {
  const { prepare } = command;
  if (prepare !== undefined) await inLanes(keysOf(command, manner, operations), TOGETHER, (key) => prepare(send, key));
}

/**
 * Until every replica has taken a checkpoint: a row that the preparations left dirty would be written once for both, and the
 * command would look as if it owed nothing.
 */
async function writeDown(send: Send, replicas: () => Promise<readonly ReplicaStatus[]>): Promise<void> {
  const checkpoints = async () => (await replicas()).map(({ counters }) => counters.checkpoints ?? 0);
  const before = await checkpoints();
  for (let batch = 0; batch < FILLER_BATCHES_MAX; batch++) {
    const now = await checkpoints();
    if (now.every((count, at) => count > (before[at] ?? 0))) return;
    const operations = Array.from({ length: FILLER_BATCH }, (_, at) => {
      return { op: "set", key: `filler-${batch}-${at}`, value: { text: "" } };
    });
    await send("POST", "/v1/batch", 200, { json: { operations } });
    await settled(replicas);
  }
  throw new Error(`no checkpoint of every replica after ${FILLER_BATCHES_MAX * FILLER_BATCH} keys`);
}

async function measure(
  command: Command,
  manner: Manner,
  send: Send,
  replicas: () => Promise<readonly ReplicaStatus[]>,
  operations: number,
): Promise<Cost> {
  const keys = keysOf(command, manner, operations);
  const before = sumsOf(await settled(replicas));
  const lanes = manner === "alone" ? 1 : Math.min(TOGETHER, command.lanesMax ?? TOGETHER);
  await inLanes(keys, lanes, (key, at) => command.run(send, key, at));
  const after = sumsOf(await settled(replicas));
  return { rows: (after.rows - before.rows) / keys.length, calls: (after.calls - before.calls) / keys.length };
}

async function inLanes(
  keys: readonly string[],
  lanes: number,
  work: (key: string, at: number) => Promise<unknown>,
): Promise<void> {
  const rest = keys.entries();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const [at, key] of rest) await work(key, at);
    }),
  );
}

async function replicasOf({ url, name }: System, authorization: string): Promise<readonly ReplicaStatus[]> {
  const replicas = answeringReplicas(await readStatus({ url, token: authorization.replace("Bearer ", "") }));
  // A sum over fewer replicas would look like less work.
  if (replicas.length !== REPLICAS) throw new Error(`${name}: only ${replicas.length} replicas answer`);
  return replicas;
}

/** When all of them have applied the same log: what a follower has not applied yet it does not owe yet. */
function settled(replicas: () => Promise<readonly ReplicaStatus[]>): Promise<readonly ReplicaStatus[]> {
  return until(
    "every replica has applied the whole log, and has no checkpoint to take",
    async () => {
      const all = await replicas();
      const last = Math.max(...all.map(({ lastIndex }) => lastIndex));
      const isSettled = (one: ReplicaStatus) =>
        one.appliedIndex === last && one.lastIndex === last && !isCheckpointDue(one);
      return all.every(isSettled) ? all : undefined;
    },
    { timeoutMs: SETTLED_TIMEOUT_MS },
  );
}

/** It is written in many turns, and counts when the first half of them is over. */
function isCheckpointDue({ replica, dirtyKeys = 0 }: ReplicaStatus): boolean {
  return dirtyKeys >= DEFAULT_CHECKPOINT_LIMITS.dirtyKeys * (1 + CHECKPOINT_STAGGER * replica);
}

function sumsOf(replicas: readonly ReplicaStatus[]): Cost {
  const { rpcs_sent } = sumCounters(replicas.map(({ counters }) => counters));
  return { rows: replicas.reduce((sum, replica) => sum + rowsOf(replica), 0), calls: rpcs_sent ?? Number.NaN };
}

export function tableOf(figures: readonly Figures[]): string {
  const widest = Math.max(...figures.map(({ title }) => title.length));
  const line = (title: string, cells: readonly string[]) =>
    [title.padEnd(widest), ...cells.map((cell) => cell.padStart(12))].join("");
  const head = line("per operation", ["rows", "calls", `rows, ${TOGETHER}`, `calls, ${TOGETHER}`]);
  const lines = figures.map(({ title, alone, together }) =>
    line(
      title,
      [alone.rows, alone.calls, together.rows, together.calls].map((figure) => figure.toFixed(2)),
    ),
  );
  return [head, ...lines].join("\n");
}

function jsonOf(figures: readonly Figures[]): object[] {
  return figures.map(({ title, alone, together }) => ({
    command: title,
    rows_per_op: alone.rows,
    calls_per_op: alone.calls,
    rows_per_op_together: together.rows,
    calls_per_op_together: together.calls,
  }));
}
