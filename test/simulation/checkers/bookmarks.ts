// Bookmarks tell the truth: the index in a reply is applied, hence committed; a read's value is what the log says at that
// index; a write's index is not before the write itself.

import type { ReadOperation, WriteOperation } from "../history.ts";
import type { GroundTruth } from "./ground-truth.ts";
import type { Report } from "./report.ts";

export class BookmarkChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  read({ key, seen, from, clockMs }: ReadOperation, truth: GroundTruth): void {
    if (from === undefined) return;
    if (from.index > truth.lastIndex) {
      this.#report(`a read of ${key} says index ${from.index}, committed are ${truth.lastIndex}`);
      return;
    }
    const state = truth.stateAt(key, from.index);
    const isExpired = state?.expiresMs !== undefined && (clockMs ?? 0) >= state.expiresMs;
    const expected = isExpired ? undefined : state?.value;
    if (seen?.value === expected && (seen === undefined || seen.version === state?.version)) return;
    this.#report(
      `a read of ${key} at ${from.index} returned ${seen?.value ?? "nothing"}, the log says ${expected ?? "nothing"}`,
    );
  }

  written({ key, value, result, from }: WriteOperation, truth: GroundTruth): void {
    if (from === undefined) return;
    if (from.index > truth.lastIndex) {
      this.#report(`a write to ${key} says index ${from.index}, committed are ${truth.lastIndex}`);
    }
    if (result?.kind !== "stored" || value === undefined) return;
    const index = truth.indexOf(value);
    if (index === undefined || index > from.index) {
      this.#report(`the bookmark of ${value} says ${from.index}, it is at ${index ?? "no index"}`);
    }
  }
}
