// The judgement of the data model's workload at the end of a run: each object by the checkers of its kind, and every read
// against the log.

import { checkLinearizability, type Model } from "../../../checkers/wing-gong-lowe.ts";
import { slotOf } from "../../../routing/slots.ts";
import {
  CELLS_MODEL,
  type CellCommand,
  type CellOperation,
  type Cells as CellsState,
  EVICTABLE_CELL_MODEL,
} from "../checkers/cells-model.ts";
import { checkFills } from "../checkers/fills.ts";
import { checkLargeValues } from "../checkers/large-values.ts";
import { checkLifetimes } from "../checkers/lifetimes.ts";
import { checkLock } from "../checkers/locks.ts";
import { checkRateLimit } from "../checkers/rate-limits.ts";
import type { Report } from "../checkers/report.ts";
import { checkScan } from "../checkers/scans.ts";
import type { World } from "../world.ts";
import type { WorkloadObject } from "./actor.ts";
import { Cache } from "./cache.ts";
import { Cells } from "./cells.ts";
import { Evictable } from "./evictable.ts";
import { type CommandOperation, describeCommand, type WorkloadHistory } from "./history.ts";
import { BRIEF_TTL_SECONDS, Lifetimes } from "./lifetimes.ts";
import { RateLimit } from "./limits.ts";
import { Lock } from "./locks.ts";
import { Scans } from "./scans.ts";
import { Tagged } from "./tagged.ts";
import { Uploads } from "./uploads.ts";

/** Steps of the search for an order; a history that takes more is a mistake of the workload, which is to draw shorter ones. */
const STEPS_MAX = 200_000;

interface Judged extends CellOperation {
  readonly operation: CommandOperation;
}

export function judge(
  history: WorkloadHistory,
  objects: readonly WorkloadObject[],
  world: World,
  reportOf: (checker: string) => Report,
): void {
  for (const object of objects) judgeObject(object, history, world, reportOf);
  if (world.config.reshards) return;
  for (const operation of history.commands)
    checkAgainstLog(operation, world, reportOf("answers are what the log says"));
}

function judgeObject(
  object: WorkloadObject,
  history: WorkloadHistory,
  world: World,
  reportOf: (checker: string) => Report,
): void {
  const { keys } = object;
  const shardOf = (key: string): number => world.view.ownerOf(slotOf(key)).shard;
  const linearizability = reportOf("linearizability of commands");
  if (object instanceof Cells) judgeCells(object.name, history.of(object.name), CELLS_MODEL, world, linearizability);
  else if (object instanceof Evictable) {
    const byKey = Map.groupBy(history.of(object.name), ({ command }) => command.key);
    for (const ofKey of byKey.values()) judgeCells(object.name, ofKey, EVICTABLE_CELL_MODEL, world, linearizability);
  } else if (object instanceof Tagged) object.judge(reportOf("purge never undone"));
  else if (object instanceof Lock) {
    checkLock(object.name, history.of(object.name), reportOf("fencing"), !world.config.reshards);
  } else if (object instanceof RateLimit) checkRateLimit(object.name, history.of(object.name), reportOf("rate limit"));
  else if (object instanceof Cache) {
    const stampAt = (shard: number, index: number): number => world.checks.truthOf(shard).stampAt(index);
    const { grants, purges } = history;
    const commands = history.of(object.name);
    checkFills({ commands, grants, purges, shardOf, stampAt }, reportOf("fills and purges"));
  } else if (object instanceof Lifetimes) {
    const stampAt = (shard: number, index: number): number => world.checks.truthOf(shard).stampAt(index);
    const lived = { commands: history.of(object.name), defaultTtlMs: BRIEF_TTL_SECONDS * 1_000, stampAt };
    checkLifetimes(lived, reportOf("lifetimes"));
  } else if (object instanceof Uploads) {
    const { uploads, largeReads } = history;
    checkLargeValues({ commands: history.of(object.name), uploads, largeReads }, reportOf("large values whole"));
  } else if (object instanceof Scans) {
    const versionAt = (key: string, index: number): number | undefined =>
      world.checks.truthOf(shardOf(key)).model.versionAt(key, index, 0);
    const scanned = { commands: history.of(object.name), keys, shardOf, versionAt };
    for (const scan of history.scans) checkScan(scan, scanned, reportOf("scans complete"));
  }
}

/** The commands are all about keys of one slot. */
function judgeCells(
  name: string,
  commands: readonly CommandOperation[],
  model: Model<CellsState, CellOperation>,
  world: World,
  report: Report,
): void {
  const [first] = commands;
  if (first === undefined) return;
  const { checks } = world;
  const timed = commands.flatMap((operation) => {
    const { command, told, outcome, met, invokedMs, returnedMs } = operation;
    const isRead = command.kind === "get";
    const isPart = outcome === "ok" ? !isRead || met === "strong" : outcome === "unknown" && !isRead;
    // What never got into the log need not be tried at every place. If it was seen all the same, nothing will explain it.
    if (!isPart || (outcome === "unknown" && !checks.mayBeLogged(command))) return [];
    return [{ op: { command: command as CellCommand, told, operation }, invokedMs, returnedMs }];
  });
  const result = checkLinearizability<CellsState, Judged>(timed, model, STEPS_MAX);
  if (result.kind === "undecided") report(`the history of ${name} is too long to be judged`);
  if (result.kind !== "violation") return;
  const next = result.blocked.map(({ operation }) => describeCommand(operation)).join("\n");
  report(`the history of ${name} is not linearizable; next must be one of\n${next}`);
}

/** Whatever the level: an answer shows what the log says at the position that it names. */
function checkAgainstLog(
  { command, told, from, clockMs = 0, met }: CommandOperation,
  world: World,
  report: Report,
): void {
  if (command.kind !== "get" || told?.kind !== "value" || from === undefined) return;
  const expected = world.checks.truthOf(from.shard).model.versionAt(command.key, from.index, clockMs);
  const version = told.found?.version;
  if (version === expected) return;
  report(
    `a ${met} read of ${command.key} at ${from.index} returned version ${version ?? "none"}, ` +
      `the log has ${expected ?? "none"}`,
  );
}
