// What every write has in common: how it is sent so that nobody's hanging up cancels it, and what its reply says whatever it
// did. What it did is its route's to say.

import type { KeyMutation } from "../../durable/store/command.ts";
import type { WriteResult } from "../clients/call-plan.ts";
import type { Bookmark } from "../http/bookmark.ts";
import { problem } from "../http/problem.ts";
import { withIdempotency } from "./key-request.ts";
import { bookmarkAfter, type KeepAlive, type KvDeps, readBookmark } from "./kv-context.ts";
import { problemOfOutcome } from "./outcomes.ts";
import { problemReply, provenanceHeaders, type ReplyHeaders, refusalReply, unknownReply } from "./replies.ts";

export type WriteOk = Extract<WriteResult, { status: "ok" }>;
/** Undefined: the outcome is not one of those that the route knows, so it is a problem. */
export type WriteAnswer = (result: WriteOk, headers: ReplyHeaders) => Response | undefined;

/** The whole of a write that is one mutation of one key. */
export async function change(
  deps: KvDeps,
  request: Request,
  keepAlive: KeepAlive,
  mutation: KeyMutation,
  answer: WriteAnswer,
): Promise<Response> {
  const bookmark = readBookmark(deps, request.headers);
  if (!bookmark.ok) return problemReply(bookmark.problem);
  const recognisable = await withIdempotency(mutation, request.headers);
  if (!recognisable.ok) return problemReply(recognisable.problem);
  const write = deps.client.write(recognisable.value);
  // A client that hangs up must not cancel a write half way.
  keepAlive(write);
  return writeReply(deps, bookmark.value, await write, answer);
}

export function writeReply(
  deps: KvDeps,
  bookmark: Bookmark | undefined,
  result: WriteResult,
  answer: WriteAnswer,
): Response {
  if (result.status === "unknown") return unknownReply(result.reason);
  if (result.status !== "ok") return refusalReply(result);
  // A write is on a majority when it is acknowledged, whatever level the request's reads would have.
  const headers = provenanceHeaders(result.from, "strong");
  headers["Halo-Bookmark"] = bookmarkAfter(deps, bookmark, result.from);
  const done = answer(result, headers);
  if (done !== undefined) return done;
  const found = problemOfOutcome(result.outcome);
  if (found !== undefined) return problemReply(found.problem, { ...headers, ...found.headers });
  return problemReply(problem("internal", `the shard answered with ${result.outcome.kind}`));
}
