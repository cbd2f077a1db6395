// Writes and strong reads of one key are linearizable: as if one register had executed them one by one, each between its
// call and its return. A write whose fate was told as open may have taken effect at any later time, or never; one that was
// refused must never take effect.

import { registerModel } from "../../../checkers/register-model.ts";
import { checkLinearizability, type TimedOperation } from "../../../checkers/wing-gong-lowe.ts";
import { describe, isExpiringKey, type Operation } from "../history.ts";
import type { Report } from "./report.ts";

/** Where a value got into a log. */
interface LoggedValues {
  indexOf(value: string): number | undefined;
}

export class LinearizabilityChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  finished(operations: readonly Operation[], truth: LoggedValues): void {
    const byKey = Map.groupBy(
      operations.filter(({ key }) => !isExpiringKey(key)),
      ({ key }) => key,
    );
    for (const [key, ofKey] of byKey) this.#checkKey(key, ofKey, truth);
  }

  #checkKey(key: string, operations: readonly Operation[], truth: LoggedValues): void {
    const history = operations.filter((operation) => isPartOfHistory(operation, truth)).map(timed);
    const result = checkLinearizability(history, registerModel(versionsOf(operations)));
    if (result.kind === "undecided") this.#report(`the history of ${key} is too long to be judged`);
    if (result.kind === "violation") {
      this.#report(
        `the history of ${key} is not linearizable; next must be one of\n${result.blocked.map(describe).join("\n")}`,
      );
    }
  }
}

/**
 * Refused writes never happened. Of those whose fate is open, the ones that never got into the log need not be tried at
 * every place: it spares the search a factor of two for each. If one was seen all the same, nothing will explain it.
 */
function isPartOfHistory(operation: Operation, truth: LoggedValues): boolean {
  if (operation.outcome === "fail") return false;
  if (operation.kind === "read") return operation.met === "strong";
  if (operation.outcome === "ok" || operation.value === undefined) return true;
  return truth.indexOf(operation.value) !== undefined;
}

function timed(operation: Operation): TimedOperation<Operation> {
  return { op: operation, invokedMs: operation.invokedMs, returnedMs: operation.returnedMs };
}

function versionsOf(operations: readonly Operation[]): ReadonlyMap<number, string> {
  const resultOf = new Map<number, string>();
  for (const operation of operations) {
    if (operation.kind === "read") {
      if (operation.seen !== undefined) resultOf.set(operation.seen.version, operation.seen.value);
    } else if (operation.result?.kind === "stored" && operation.value !== undefined) {
      resultOf.set(operation.result.version, operation.value);
    }
  }
  return resultOf;
}
