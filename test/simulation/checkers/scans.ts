// A scan never misses a key that was there throughout and never shows one twice: page by page against the log, and as a whole
// against what clients were told.

import { compareRows } from "../../../durable/store/rows.ts";
import { slotOf } from "../../../routing/slots.ts";
import type { CommandOperation, ScanOfAll, ScanPart } from "../workload/history.ts";
import type { Report } from "./report.ts";

export interface ScanHistory {
  readonly commands: readonly CommandOperation[];
  readonly keys: readonly string[];
  shardOf(key: string): number;
  /** Of the key at this position of its shard's log; undefined: there is nothing. */
  versionAt(key: string, index: number): number | undefined;
}

export function checkScan(scan: ScanOfAll, history: ScanHistory, report: Report): void {
  const rows = scan.pages.flatMap(({ items }) => items);
  for (const [at, row] of rows.entries()) {
    const before = rows[at - 1];
    if (before !== undefined && compareRows(before, row) >= 0) report(`a scan shows ${row.key} twice, or out of order`);
  }
  for (const page of scan.pages) checkPage(page, history, report);
  if (scan.level !== "strong") return;
  const shown = new Set(rows.map(({ key }) => key));
  for (const key of history.keys) {
    if (!shown.has(key) && wasThere(key, scan, history))
      report(`a strong scan missed ${key}, which was there throughout`);
  }
}

/** Written before the scan began, and nobody has asked to take it away since the run began. */
function wasThere(key: string, { invokedMs }: ScanOfAll, { commands }: ScanHistory): boolean {
  const ofKey = commands.filter(({ command }) => command.key === key);
  if (ofKey.some(({ command }) => command.kind === "delete")) return false;
  return ofKey.some(({ told, returnedMs }) => told?.kind === "stored" && returnedMs < invokedMs);
}

function checkPage({ start, next, items, from }: ScanPart, history: ScanHistory, report: Report): void {
  const shown = new Map(items.map(({ key, version }) => [key, version]));
  for (const key of history.keys) {
    const row = { slot: slotOf(key), key };
    if (start !== undefined && compareRows(row, start) <= 0) continue;
    if (next !== undefined && compareRows(row, next) > 0) continue;
    const index = from.find(({ shard }) => shard === history.shardOf(key))?.index;
    const expected = index === undefined ? undefined : history.versionAt(key, index);
    if (shown.get(key) === expected) continue;
    report(`a page shows ${key} as ${shown.get(key) ?? "missing"}, at ${index} the log has ${expected ?? "nothing"}`);
  }
}
