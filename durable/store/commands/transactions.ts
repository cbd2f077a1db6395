// Pure. Compare, then do or else do: over keys of one slot, in one log entry, all of it or none.

import type { Outcome, TransactionMutation, TransactionOperation } from "../command.ts";
import { conditionsHold } from "../conditions.ts";
import { VALUE_BYTES_MAX } from "../limits.ts";
import { bytesReturned } from "../sizes.ts";
import { Draft, type Workspace } from "../workspace.ts";
import { increment } from "./numbers.ts";
import { append, put, remove, returnedValue, targetOf, touch } from "./values.ts";

/** Outcomes with which an operation has not done what it says; the transaction ends with none of it done. */
const FAILURES: ReadonlySet<Outcome["kind"]> = new Set([
  "precondition_failed",
  "not_found",
  "not_a_number",
  "out_of_range",
  "too_large",
  "fill_refused",
  "incomplete_upload",
  "table_full",
]);

export function transaction(work: Workspace, mutation: TransactionMutation): Outcome {
  const succeeded = mutation.compare.every((one) => conditionsHold(one, targetOf(work, one).current));
  const draft = new Draft(work);
  const results: Outcome[] = [];
  let returnedBytes = 0;
  for (const operation of succeeded ? mutation.onSuccess : mutation.onFailure) {
    const outcome = perform(draft, operation);
    if (FAILURES.has(outcome.kind)) return { kind: "transaction_failed", at: results.length, outcome };
    returnedBytes += bytesReturned(outcome);
    if (returnedBytes > VALUE_BYTES_MAX) {
      return { kind: "transaction_failed", at: results.length, outcome: { kind: "too_large", bytes: returnedBytes } };
    }
    results.push(outcome);
  }
  draft.commit();
  return { kind: "transaction", succeeded, results };
}

function perform(work: Workspace, operation: TransactionOperation): Outcome {
  switch (operation.kind) {
    case "get":
      return get(work, operation);
    case "put":
      return put(work, operation);
    case "delete":
      return remove(work, operation);
    case "touch":
      return touch(work, operation);
    case "increment":
      return increment(work, operation);
    case "append":
      return append(work, operation);
  }
}

function get(work: Workspace, target: { readonly slot: number; readonly key: string }): Outcome {
  const { current } = targetOf(work, target);
  if (current?.extras?.parts !== undefined) return { kind: "too_large", bytes: current.extras.parts.bytes };
  return { kind: "value", found: current === undefined ? undefined : returnedValue(current) };
}
