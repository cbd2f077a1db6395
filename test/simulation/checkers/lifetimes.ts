// Lifetimes as clients are told of them: what is written without one gets that of its namespace, an access of a sliding entry gives
// it its whole lifetime again, and what anybody is shown of an entry is what was written beside the value. When entries are stale
// and gone by the log is log-model.ts's business.

import { textOf } from "../values.ts";
import type { CommandOperation } from "../workload/history.ts";
import type { Report } from "./report.ts";

export interface LifetimeHistory {
  readonly commands: readonly CommandOperation[];
  readonly defaultTtlMs: number;
  /** The shard's time once the entry at `index` is applied. */
  stampAt(shard: number, index: number): number;
}

export function checkLifetimes({ commands, defaultTtlMs, stampAt }: LifetimeHistory, report: Report): void {
  const metadataOf = new Map<string, string | undefined>();
  for (const { command } of commands) {
    if (command.kind === "put") metadataOf.set(textOf(command.value), command.metadata);
  }
  for (const { command, told, from, entry } of commands) {
    if (entry?.value !== undefined && metadataOf.get(textOf(entry.value)) !== entry.extras?.metadata) {
      report(`${textOf(entry.value)} was shown with the metadata "${entry.extras?.metadata}"`);
    }
    // A remembered outcome is of an earlier time.
    if (from === undefined || command.kind === "get" || command.idempotency !== undefined) continue;
    const stampMs = stampAt(from.shard, from.index);
    const hasOwn = (command.kind === "put" || command.kind === "touch") && lifetimeOf(command) !== undefined;
    if (command.kind === "put" && told?.kind === "stored" && !hasOwn && told.expiresMs !== stampMs + defaultTtlMs) {
      report(`${textOf(command.value)}, written at ${stampMs} without a lifetime, expires at ${told.expiresMs}`);
    }
    if (command.kind !== "put" || told?.kind !== "stored" || command.slidingMs === undefined) continue;
    if ((told.expiresMs ?? 0) - stampMs < command.slidingMs) {
      report(
        `${textOf(command.value)}, written at ${stampMs} for ${command.slidingMs} ms, expires at ${told.expiresMs}`,
      );
    }
  }
}

function lifetimeOf({
  ttlMs,
  slidingMs,
}: {
  readonly ttlMs?: number | undefined;
  readonly slidingMs?: number | undefined;
}) {
  return ttlMs ?? slidingMs;
}
