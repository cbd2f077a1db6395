// A rate limit never allows more than its limit in one window by the shard's clock. What a client is told of the moment at
// which the budget is whole again names the window.

import type { CommandOperation } from "../workload/history.ts";
import type { Report } from "./report.ts";

export function checkRateLimit(name: string, operations: readonly CommandOperation[], report: Report): void {
  const allowed = new Map<number, number>();
  for (const { command, told } of operations) {
    if (command.kind !== "limit" || told?.kind !== "limited" || !told.isAllowed) continue;
    const sum = (allowed.get(told.resetMs) ?? 0) + command.cost;
    allowed.set(told.resetMs, sum);
    if (sum > command.limit) {
      report(`${name}: ${sum} were allowed in the window that ends at ${told.resetMs}, the limit is ${command.limit}`);
    }
  }
}
