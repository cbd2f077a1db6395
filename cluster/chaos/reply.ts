// Pure. What an answer of the HTTP API, or its absence, means for the operation that asked: it succeeded, it certainly
// changed nothing, or nobody knows. docs/api.md is the contract.

import type { HttpFailure } from "../../bench/load/http-connection.ts";
import type { HttpReply } from "../../bench/load/http-reply.ts";
import type { ClientOperation } from "../../checkers/client-operation.ts";
import { parseServedBy } from "../../durable/http/served-by.ts";
import { decodeBookmark } from "../../worker/http/bookmark.ts";

export type Answer = Pick<
  ClientOperation,
  "outcome" | "result" | "met" | "shard" | "term" | "index" | "version" | "after_index" | "bookmark_index"
>;

export interface ReadAnswer {
  readonly answer: Answer;
  /** The answer is one that no fault explains. */
  readonly isUnexpected: boolean;
}

const NOT_FOUND = "/problems/not-found";
const PRECONDITION_FAILED = "/problems/precondition-failed";
const UNKNOWN_OUTCOME = "/problems/unknown-outcome";
/** Problems that say that nothing was done, and that may come at any time while regions fail. */
const REFUSALS = new Map([
  ["/problems/unavailable", "unavailable"],
  ["/problems/overloaded", "overloaded"],
]);

/** `bookmark`: the one that was sent, if any. */
export function readAnswer(
  op: ClientOperation["op"],
  outcome: HttpReply | HttpFailure,
  bookmark: string | undefined,
): ReadAnswer {
  if (outcome.kind === "failure") {
    // Nothing was sent if there was no connection; after anything else the edge may have done what it was asked.
    const isRefused = outcome.reason === "refused";
    return expected({ outcome: isRefused ? "fail" : "unknown", result: outcome.reason });
  }
  const type = outcome.status >= 400 ? problemType(outcome) : "";
  const from = provenanceOf(outcome, bookmark);
  if (outcome.status === 200 && op === "read") return expected({ outcome: "ok", result: outcome.text(), ...from });
  if (type === NOT_FOUND && op === "read") return expected({ outcome: "ok", result: null, ...from });
  if ((outcome.status === 201 || outcome.status === 204) && op !== "read") {
    return expected({ outcome: "ok", result: resultOf(op, outcome), ...from });
  }
  if (type === PRECONDITION_FAILED && op === "cas") {
    return expected({ outcome: "fail", result: from.version === undefined ? "absent" : "mismatch", ...from });
  }
  if (type === UNKNOWN_OUTCOME && op !== "read") return expected({ outcome: "unknown", result: "unknown-outcome" });
  const refusal = REFUSALS.get(type);
  if (refusal !== undefined) return expected({ outcome: "fail", result: refusal });
  return {
    answer: { outcome: op === "read" ? "fail" : "unknown", result: `${outcome.status} ${type}`.trim() },
    isUnexpected: true,
  };
}

function expected(answer: Answer): ReadAnswer {
  return { answer, isUnexpected: false };
}

function resultOf(op: ClientOperation["op"], reply: HttpReply): string {
  if (op === "delete") return reply.header("halo-existed") === "true" ? "deleted" : "absent";
  if (op === "cas") return "swapped";
  return reply.status === 201 ? "created" : "replaced";
}

function provenanceOf(reply: HttpReply, bookmark: string | undefined): Partial<Answer> {
  const from = parseServedBy(reply.header("halo-served-by") ?? "");
  const met = reply.header("halo-consistency");
  const returned = reply.header("halo-bookmark");
  return {
    ...(isLevel(met) ? { met } : {}),
    ...withNumber("shard", from?.shard),
    ...withNumber("term", from?.term),
    ...withNumber("index", from?.index),
    ...withNumber("version", numberOf(reply.header("etag")?.replaceAll('"', ""))),
    ...withNumber("after_index", indexIn(bookmark, from?.shard)),
    ...withNumber("bookmark_index", indexIn(returned, from?.shard)),
  };
}

/** How far a bookmark has seen the shard; undefined where it says nothing of it. Throws if it cannot be read. */
function indexIn(bookmark: string | undefined, shard: number | undefined): number | undefined {
  if (bookmark === undefined || shard === undefined) return undefined;
  const decoded = decodeBookmark(bookmark.split(".")[1] ?? "", bookmark);
  if (!decoded.ok) throw new Error(`${decoded.problem.detail}: ${bookmark}`);
  return decoded.value.get(shard)?.index;
}

function isLevel(text: string | undefined): text is NonNullable<Answer["met"]> {
  return text === "strong" || text === "session" || text === "bounded" || text === "eventual";
}

function withNumber<Name extends string>(name: Name, value: number | undefined): Partial<Record<Name, number>> {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, number>);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function problemType(reply: HttpReply): string {
  try {
    const { type } = JSON.parse(reply.text()) as { type?: unknown };
    return typeof type === "string" ? type : "";
  } catch {
    return "";
  }
}
