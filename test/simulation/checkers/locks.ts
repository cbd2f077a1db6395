// A lock's fencing tokens strictly rise, and no two holders overlap in the leaders' time. A client is told when its time is
// over by the shard's clock, so it knows as well when it began: that much before. Only the first one who was not told
// everything about its own lock is believed to have ended early.

import type { CommandOperation } from "../workload/history.ts";
import type { Report } from "./report.ts";

/** From `sinceMs` on a holder has the lock until `untilMs`. */
interface Grip {
  readonly sinceMs: number;
  readonly untilMs: number;
}

interface Holder extends Grip {
  readonly token: number;
  readonly operation: CommandOperation;
  readonly renewals: readonly Grip[];
  /** It may have let go, or may have been given another time, by something whose outcome nobody knows. */
  readonly mayHaveLetGo: boolean;
}

/** `isOneClock`: false where the lock's slot moves. Its shards' clocks differ, so only tokens and their order can be compared. */
export function checkLock(
  name: string,
  operations: readonly CommandOperation[],
  report: Report,
  isOneClock = true,
): void {
  const holders = operations
    .flatMap((operation) => holderOf(operation, operations) ?? [])
    .sort((left, right) => left.token - right.token);
  if (isOneClock) for (const holder of holders) checkRenewals(name, holder, report);
  for (const [at, next] of holders.entries()) {
    const before = holders[at - 1];
    if (before !== undefined) checkTokens(name, before, next, report);
    if (before !== undefined && isOneClock) checkTimes(name, before, next, report);
  }
}

function holderOf(operation: CommandOperation, all: readonly CommandOperation[]): Holder | undefined {
  const { command, told } = operation;
  const grip = gripOf(operation);
  if (command.kind !== "put" || told?.kind !== "stored" || grip === undefined) return undefined;
  const token = told.version;
  const ofHolder = all.filter(({ command: own }) => {
    if (own.kind !== "touch" && own.kind !== "delete") return false;
    return Array.isArray(own.ifMatch) && own.ifMatch.includes(token);
  });
  const renewals = ofHolder.flatMap((one) => (one.told?.kind === "touched" ? (gripOf(one) ?? []) : []));
  const mayHaveLetGo = ofHolder.some(({ outcome, told: own }) => outcome === "unknown" || own?.kind === "deleted");
  return { ...grip, token, operation, renewals, mayHaveLetGo };
}

function gripOf({ command, told }: CommandOperation): Grip | undefined {
  const untilMs = told?.kind === "stored" || told?.kind === "touched" ? told.expiresMs : undefined;
  const ttlMs = command.kind === "put" || command.kind === "touch" ? command.ttlMs : undefined;
  return untilMs === undefined || ttlMs === undefined ? undefined : { sinceMs: untilMs - ttlMs, untilMs };
}

/** Nobody renews what is over. */
function checkRenewals(name: string, holder: Holder, report: Report): void {
  if (holder.mayHaveLetGo) return;
  for (const renewal of holder.renewals) {
    const untilMs = endOf(holder, renewal.sinceMs, renewal);
    if (renewal.sinceMs >= untilMs) {
      report(`${name}: token ${holder.token} ended at ${untilMs} and was renewed at ${renewal.sinceMs}`);
    }
  }
}

function checkTokens(name: string, before: Holder, next: Holder, report: Report): void {
  if (before.token === next.token) report(`${name}: token ${next.token} was given twice`);
  if (next.operation.returnedMs < before.operation.invokedMs) {
    report(`${name}: token ${before.token} was given after token ${next.token}`);
  }
}

function checkTimes(name: string, before: Holder, next: Holder, report: Report): void {
  if (next.sinceMs < before.sinceMs) {
    report(`${name}: token ${next.token} holds from ${next.sinceMs}, before token ${before.token}`);
  }
  const late = before.renewals.find(({ sinceMs }) => sinceMs > next.sinceMs);
  if (late !== undefined) report(`${name}: token ${before.token} was renewed under its successor ${next.token}`);
  const untilMs = endOf(before, next.sinceMs);
  if (!before.mayHaveLetGo && next.sinceMs < untilMs) {
    report(`${name}: token ${next.token} holds from ${next.sinceMs}, token ${before.token} until ${untilMs}`);
  }
}

/** When the holder's time is over, as it stood at `atMs`. Of two at one moment the order is not known: the later end counts. */
function endOf(holder: Holder, atMs: number, except?: Grip): number {
  const grips = [holder, ...holder.renewals].filter((grip) => grip !== except && grip.sinceMs <= atMs);
  const lastMs = Math.max(...grips.map(({ sinceMs }) => sinceMs));
  // For an overlap the earlier end is the safe one, for a renewal the later one.
  const ends = grips.filter(({ sinceMs }) => sinceMs === lastMs).map(({ untilMs }) => untilMs);
  return except === undefined ? Math.min(...ends) : Math.max(...ends);
}
