// What an outcome of the store means over HTTP, in one table: the problem where nothing was done, for replies and for the
// items of a batch alike.

import { entityTag } from "../../durable/http/entity-tag.ts";
import type { Outcome } from "../../durable/store/command.ts";
import { VALUE_BYTES_MAX } from "../../durable/store/limits.ts";
import { type Problem, problem } from "../http/problem.ts";
import type { ReplyHeaders } from "./replies.ts";

export interface OutcomeProblem {
  readonly problem: Problem;
  /** What the client can go on with: the current version, when to come back. */
  readonly headers: ReplyHeaders;
}

const UNCHANGED = "; nothing was changed";

/** Undefined: it was done, and the outcome says what. */
export function problemOfOutcome(outcome: Outcome): OutcomeProblem | undefined {
  switch (outcome.kind) {
    case "precondition_failed":
      return preconditionFailed(outcome.version, outcome.sourceVersion);
    case "idempotency_conflict":
      return found(
        "idempotency-conflict",
        "this Idempotency-Key came with a different request before; expected a new one",
      );
    case "not_found":
      return found("not-found", "the key does not exist or has expired");
    case "not_a_number":
      return found(
        "not-a-number",
        "the value is not the decimal text of such a number; nothing was changed",
        versionHeaders(outcome.version),
      );
    case "out_of_range":
      return found("out-of-range", `the number stays ${outcome.value}; the result would pass a bound or 64 bits`);
    case "too_large":
      return found(
        "value-too-large",
        `the value has ${outcome.bytes} bytes; expected at most ${VALUE_BYTES_MAX} here; nothing was changed`,
      );
    case "fill_refused":
      return found(
        "fill-refused",
        "the right to fill this key is over, or the key was written or purged since; nothing was changed",
        versionHeaders(outcome.version),
      );
    case "table_full":
      return found("table-full", "the shard keeps as many of these as it can; nothing was changed");
    case "incomplete_upload":
      return found("unavailable", "parts of the value were lost on the way; nothing was changed, send it again");
    case "transaction_failed": {
      const inner = problemOfOutcome(outcome.outcome);
      const said = inner?.problem.detail ?? outcome.outcome.kind;
      const detail = `operation ${outcome.at}: ${said}`;
      return found("transaction-failed", said.endsWith(UNCHANGED) ? detail : detail + UNCHANGED);
    }
    default:
      return undefined;
  }
}

export function preconditionFailed(version: number | undefined, sourceVersion?: number | undefined): OutcomeProblem {
  const headers = versionHeaders(version);
  if (sourceVersion !== undefined) headers["Halo-Source-Version"] = String(sourceVersion);
  const detail =
    version === undefined
      ? "the key does not exist; nothing was changed"
      : `the current version is ${entityTag(version)}; nothing was changed`;
  return found("precondition-failed", detail, headers);
}

function found(slug: Problem["slug"], detail: string, headers: ReplyHeaders = {}): OutcomeProblem {
  return { problem: problem(slug, detail), headers };
}

function versionHeaders(version: number | undefined): ReplyHeaders {
  return version === undefined || version === 0 ? {} : { ETag: entityTag(version) };
}
