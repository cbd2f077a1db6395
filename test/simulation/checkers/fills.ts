// Fills: one right to load a key at a time, and what began to be loaded before a purge, a deletion or another write was
// acknowledged never shows after it. Judged by what clients were told and when; a value that was loaded counts as old as the
// moment at which its loader was told to begin.

import type { PurgeScope, PutMutation } from "../../../durable/store/command.ts";
import { userKey } from "../../../durable/store/keyspace.ts";
import { textOf } from "../values.ts";
import type { CommandOperation, FillGrant, PurgeOperation } from "../workload/history.ts";
import type { Report } from "./report.ts";

export interface FillHistory {
  readonly commands: readonly CommandOperation[];
  readonly grants: readonly FillGrant[];
  readonly purges: readonly PurgeOperation[];
  shardOf(key: string): number;
  /** The shard's time once the entry at `index` is applied. */
  stampAt(shard: number, index: number): number;
}

/** Something that ends whatever was there before it. */
interface Ender {
  /** Absent: a purge. */
  readonly by?: CommandOperation;
  readonly what: string;
  readonly invokedMs: number;
  readonly returnedMs: number;
  readonly isSoft: boolean;
  /** Every answer from there on knows of it. */
  readonly index: number;
}

export function checkFills(history: FillHistory, report: Report): void {
  const puts = history.commands.filter(({ command, outcome }) => command.kind === "put" && outcome !== "fail");
  const byValue = new Map(puts.map((put) => [textOf((put.command as PutMutation).value), put]));
  const byKey = Map.groupBy(history.grants, ({ key }) => key);
  for (const [key, grants] of byKey) checkGrants(key, grants, history, report);
  for (const put of puts) checkStored(put, history, report);
  for (const read of history.commands) {
    if (read.command.kind !== "get" || read.told?.kind !== "value" || read.told.found === undefined) continue;
    const put = byValue.get(textOf(read.told.found.value));
    if (put === undefined) report(`a read of ${read.command.key} returned what nobody wrote`);
    else checkShown(read, put, history, report);
  }
}

function checkGrants(key: string, grants: readonly FillGrant[], history: FillHistory, report: Report): void {
  const inOrder = [...grants].sort((left, right) => left.token - right.token);
  for (const [at, next] of inOrder.entries()) {
    const before = inOrder[at - 1];
    if (before === undefined) continue;
    if (before.token === next.token) report(`token ${next.token} for ${key} was granted twice`);
    const sinceMs = next.untilMs - next.leaseMs;
    const mayHaveEnded = endersOf(key, undefined, history, true).some(
      ({ invokedMs, returnedMs }) => invokedMs <= next.returnedMs && returnedMs >= before.invokedMs,
    );
    if (sinceMs < before.untilMs && !mayHaveEnded) {
      report(
        `fill ${next.token} of ${key} began at ${sinceMs}, fill ${before.token} was in force until ${before.untilMs}`,
      );
    }
  }
}

/** A value that was loaded went in only under its lease, and only if nothing had ended it. */
function checkStored(put: CommandOperation, history: FillHistory, report: Report): void {
  const { fillToken, key, tags, idempotency } = put.command as PutMutation;
  const grant = grantOf(put, history);
  if (grant === undefined || put.told?.kind !== "stored") return;
  const ender = endersOf(key, tags, history, false).find(
    ({ invokedMs, returnedMs }) => invokedMs > grant.returnedMs && returnedMs < put.invokedMs,
  );
  if (ender !== undefined) report(`fill ${fillToken} of ${key} was stored after ${ender.what}`);
  if (idempotency !== undefined || put.from === undefined) return;
  const stampMs = history.stampAt(put.from.shard, put.from.index);
  if (stampMs >= grant.untilMs) report(`fill ${fillToken} of ${key} was stored at ${stampMs}, after its lease`);
}

function checkShown(read: CommandOperation, put: CommandOperation, history: FillHistory, report: Report): void {
  const { key, tags } = put.command as PutMutation;
  const bornMs = grantOf(put, history)?.returnedMs ?? put.returnedMs;
  const ender = endersOf(key, tags, history, false).find(({ by, invokedMs, returnedMs, isSoft, index }) => {
    if (by === put || invokedMs <= bornMs || (isSoft && read.entry?.stale !== undefined)) return false;
    return (read.met === "strong" && returnedMs < read.invokedMs) || (read.from?.index ?? 0) >= index;
  });
  if (ender === undefined) return;
  report(`a ${read.met} read of ${key} returned ${textOf((put.command as PutMutation).value)} after ${ender.what}`);
}

function grantOf({ command }: CommandOperation, { grants }: FillHistory): FillGrant | undefined {
  const { fillToken, key } = command as PutMutation;
  return fillToken === undefined ? undefined : grants.find((grant) => grant.token === fillToken && grant.key === key);
}

/** What has ended something of this key and these tags for certain; `perhaps`: also what may have. */
function endersOf(
  key: string,
  tags: readonly string[] | undefined,
  { commands, purges, shardOf }: FillHistory,
  perhaps: boolean,
): readonly Ender[] {
  const shard = shardOf(key);
  const enders: Ender[] = [];
  for (const by of commands) {
    const { command, told, outcome, invokedMs, returnedMs, from } = by;
    const isRelease = command.kind === "release_fill" && perhaps;
    if ((command.kind !== "put" && command.kind !== "delete" && !isRelease) || command.key !== key) continue;
    const isDone = told?.kind === "stored" || told?.kind === "deleted" || told?.kind === "fill_released";
    if (!isDone && !(perhaps && outcome === "unknown")) continue;
    const index = from?.index ?? Number.POSITIVE_INFINITY;
    enders.push({ by, what: `${command.kind} of ${key}`, invokedMs, returnedMs, isSoft: false, index });
  }
  for (const { scope, isSoft, outcome, invokedMs, returnedMs, index, shard: at } of purges) {
    const isDone = outcome === "ok" && covers(scope, key, tags);
    if (at !== shard || (!isDone && !perhaps)) continue;
    enders.push({ what: `purge of ${JSON.stringify(scope)}`, invokedMs, returnedMs, isSoft, index });
  }
  return enders;
}

function covers(scope: PurgeScope, stored: string, tags: readonly string[] | undefined): boolean {
  const { namespace, key } = userKey(stored);
  if (scope.namespace !== namespace) return false;
  return scope.kind === "tag" ? tags?.includes(scope.tag) === true : key.startsWith(scope.prefix);
}
