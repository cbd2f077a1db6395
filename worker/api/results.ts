// What became of an operation of a batch or a transaction, as JSON: the status that it would have had alone, and what its
// reply would have said in headers and body.

import type { BatchItem, ReadEntry } from "../../durable/protocol.ts";
import type { Outcome, ReturnedValue } from "../../durable/store/command.ts";
import type { FinalRefusal } from "../clients/call-plan.ts";
import { PROBLEMS, type Problem, problem } from "../http/problem.ts";
import { problemOfOutcome } from "../routes/outcomes.ts";
import { problemOfInvalid, problemOfRefusal, UNKNOWN_DETAIL } from "../routes/replies.ts";
import type { ApiResult } from "./schemas.ts";
import { valueOfBytes } from "./values.ts";

export function resultOfItem(item: BatchItem | FinalRefusal): ApiResult {
  if ("status" in item) return resultOfProblem(problemOfRefusal(item));
  switch (item.kind) {
    case "entry":
      return item.entry === undefined ? NOT_FOUND : resultOfEntry(item.entry);
    case "outcome":
      return resultOfOutcome(item.outcome);
    case "left_out":
      return tooLarge(item.size);
    case "unknown":
      return resultOfProblem(problem("unknown-outcome", `${item.reason}; ${UNKNOWN_DETAIL}`));
    case "full":
      return resultOfProblem(problem("storage-full", `${item.reason}; nothing was changed`));
    case "not_done":
      return resultOfProblem(problem("unavailable", `${item.reason}; nothing was changed`));
    case "invalid":
      return resultOfProblem(problemOfInvalid(item));
  }
}

export function resultOfProblem({ slug, detail }: Problem, current: Partial<ApiResult> = {}): ApiResult {
  return { status: PROBLEMS[slug].status, problem: slug, detail, ...current };
}

const NOT_FOUND = resultOfProblem(problem("not-found", "the key does not exist or has expired"));

function tooLarge(size: number): ApiResult {
  const detail = `the value has ${size} bytes, too much for this reply; read it with GET /v1/kv/{key}`;
  return resultOfProblem(problem("value-too-large", detail));
}

function resultOfEntry({
  version,
  contentType,
  value,
  size,
  modifiedMs,
  expiresMs,
  extras,
  stale,
}: ReadEntry): ApiResult {
  if (value === undefined || extras?.parts !== undefined) return tooLarge(size);
  const { tags, metadata, sourceVersion } = extras ?? {};
  return {
    status: 200,
    version,
    value: valueOfBytes(value),
    size,
    contentType,
    modifiedMs,
    expiresMs,
    tags: tags === undefined ? undefined : [...tags],
    metadata,
    sourceVersion,
    stale,
  };
}

export function resultOfOutcome(outcome: Outcome): ApiResult {
  switch (outcome.kind) {
    case "stored": {
      const { version, created, expiresMs, previous } = outcome;
      const status = previous !== undefined ? 200 : created ? 201 : 204;
      return { status, version, created, expiresMs, ...previousOf(previous) };
    }
    case "deleted": {
      const { existed, previous } = outcome;
      return { status: previous === undefined ? 204 : 200, existed, ...previousOf(previous) };
    }
    case "touched":
      return { status: 204, version: outcome.version, expiresMs: outcome.expiresMs };
    case "number": {
      const { value, version, created, expiresMs } = outcome;
      return { status: 200, value, version, created, expiresMs };
    }
    case "value": {
      if (outcome.found === undefined) return NOT_FOUND;
      const { version, value, contentType } = outcome.found;
      return { status: 200, version, value: valueOfBytes(value), size: value.byteLength, contentType };
    }
    default:
      return resultOfFailure(outcome);
  }
}

function resultOfFailure(outcome: Outcome): ApiResult {
  const found = problemOfOutcome(outcome);
  if (found === undefined) return resultOfProblem(problem("internal", `the shard answered with ${outcome.kind}`));
  const version = "version" in outcome && outcome.version !== 0 ? outcome.version : undefined;
  const sourceVersion = "sourceVersion" in outcome ? outcome.sourceVersion : undefined;
  return resultOfProblem(found.problem, { version, sourceVersion });
}

function previousOf(previous: ReturnedValue | undefined): Pick<ApiResult, "previous"> {
  if (previous === undefined) return {};
  const { version, value, contentType } = previous;
  return { previous: { version, value: valueOfBytes(value), contentType } };
}
