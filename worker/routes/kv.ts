// /v1/kv/{key}: PUT, GET, HEAD and DELETE with the semantics of RFC 9110 and 9111. Reads headers, asks the shard client,
// writes a reply; everything that can be decided without the request or the shard is decided in ../http/.
//
// PUT answers 201 (created) or 204 (replaced). DELETE always answers 204, so that it can be repeated, and says in
// Halo-Existed whether there was anything. Halo-Bookmark comes with every write, and with a read that asked for `session`
// or brought a bookmark: whoever wants session guarantees only has to send back the last one seen.

import { entityTag } from "../../durable/http/entity-tag.ts";
import { STATUS_NO_ENTRY } from "../../durable/http/read-wire.ts";
import type { LogPosition, Provenance } from "../../durable/protocol.ts";
import type { Conditions, Mutation, Outcome } from "../../durable/store/command.ts";
import { slotOf } from "../../routing/slots.ts";
import type { HttpAnswer } from "../clients/http-answer.ts";
import type { ReadResult, WriteResult } from "../clients/shard-call.ts";
import type { ClientRead, ShardClient } from "../clients/shard-client.ts";
import { advance, type Bookmark, decodeBookmark, encodeBookmark, encodeSingle } from "../http/bookmark.ts";
import { parseTtlMs } from "../http/cache-control.ts";
import { evaluateRead, parseIfMatch, parseIfNoneMatch } from "../http/conditional.ts";
import { type Consistency, parseConsistency } from "../http/consistency.ts";
import { keyOf } from "../http/key.ts";
import { type Parsed, parsed, problem, refused } from "../http/problem.ts";
import { readValue } from "./body.ts";
import { fingerprintOf, parseIdempotencyKey } from "./idempotency.ts";
import {
  methodNotAllowed,
  problemReply,
  provenanceHeaders,
  type ReplyHeaders,
  refusalReply,
  unknownReply,
} from "./replies.ts";

export interface KvDeps {
  readonly client: ShardClient<HttpAnswer>;
  readonly defaultConsistency: Consistency;
  /** `clusterTag()` of this cluster. */
  readonly bookmarkTag: string;
}

/** Keeps the isolate working on a promise after the client has gone. */
export type KeepAlive = (promise: Promise<unknown>) => void;

export const DEFAULT_CONTENT_TYPE = "application/octet-stream";
/** Stored with every entry; real ones are under a hundred. */
export const CONTENT_TYPE_CHARS_MAX = 255;
const CONTENT_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*(?:;.*)?$/;

/** What a reply without the value must not repeat of it, as `Headers` spells names. */
const HEADERS_OF_THE_VALUE = ["content-type", "content-length"];
const HEADERS_OF_ITS_AGE = ["age", "cache-control"];

const ALLOWED_METHODS = "GET, HEAD, PUT, DELETE";

/** What every request on a key says. */
interface KvRequest {
  readonly key: string;
  readonly slot: number;
  readonly consistency: Consistency;
  readonly conditions: Conditions;
  /** Undefined where the client sent none. */
  readonly bookmark: Bookmark | undefined;
}

export async function handleKv(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const { method } = request;
  if (method !== "GET" && method !== "HEAD" && method !== "PUT" && method !== "DELETE") {
    return methodNotAllowed(method, ALLOWED_METHODS);
  }
  const read = readRequest(deps, request);
  if (!read.ok) return problemReply(read.problem);
  const kv = read.value;
  if (method === "GET" || method === "HEAD") {
    const result = await deps.client.read(clientRead(kv, method === "HEAD"));
    return readReply(deps, kv, result);
  }
  const mutation = await mutationOf(kv, request);
  if (!mutation.ok) return problemReply(mutation.problem);
  const write = deps.client.write(mutation.value);
  // A client that hangs up must not cancel a write half way.
  keepAlive(write);
  return writeReply(deps, kv, await write);
}

function readRequest(deps: KvDeps, request: Request): Parsed<KvRequest> {
  const { headers } = request;
  const key = keyOf(request.url);
  if (!key.ok) return key;
  const level = headers.get("Halo-Consistency");
  const consistency = level === null ? parsed(deps.defaultConsistency) : parseConsistency(level);
  if (!consistency.ok) return consistency;
  const text = headers.get("Halo-Bookmark");
  const bookmark = text === null ? parsed(undefined) : decodeBookmark(deps.bookmarkTag, text);
  if (!bookmark.ok) return bookmark;
  const conditions = readConditions(headers.get("If-Match"), headers.get("If-None-Match"));
  if (!conditions.ok) return conditions;
  return parsed({
    key: key.value,
    slot: slotOf(key.value),
    consistency: consistency.value,
    conditions: conditions.value,
    bookmark: bookmark.value,
  });
}

const UNCONDITIONAL: Conditions = {};

function readConditions(ifMatch: string | null, ifNoneMatch: string | null): Parsed<Conditions> {
  if (ifMatch === null && ifNoneMatch === null) return parsed(UNCONDITIONAL);
  const match = ifMatch === null ? parsed(undefined) : parseIfMatch(ifMatch);
  if (!match.ok) return match;
  const noneMatch = ifNoneMatch === null ? parsed(undefined) : parseIfNoneMatch(ifNoneMatch);
  if (!noneMatch.ok) return noneMatch;
  return parsed({
    ...(match.value === undefined ? {} : { ifMatch: match.value }),
    ...(noneMatch.value === undefined ? {} : { ifNoneMatch: noneMatch.value }),
  });
}

function clientRead({ key, slot, consistency, conditions, bookmark }: KvRequest, isHead: boolean): ClientRead {
  const { level, boundMs } = consistency;
  const { ifNoneMatch } = conditions;
  return {
    key,
    slot,
    level,
    boundMs,
    after: level === "session" ? bookmark : undefined,
    // `If-None-Match: *` is answered 304 by whatever exists, so its value is never needed either.
    omitValue: isHead || ifNoneMatch === "any" ? true : undefined,
    omitValueOfVersions: ifNoneMatch === "any" ? undefined : ifNoneMatch,
  };
}

/** What the replica made is the client's reply, unless the request asked for something that only the edge can add. */
function readReply(deps: KvDeps, kv: KvRequest, result: ReadResult<HttpAnswer>): Response {
  if (result.status !== "ok") return refusalReply(result);
  const { response } = result;
  const isFound = response.status !== STATUS_NO_ENTRY;
  const wantsBookmark = kv.bookmark !== undefined || kv.consistency.level === "session";
  if (isFound && !wantsBookmark && kv.conditions === UNCONDITIONAL) return response;

  const headers: ReplyHeaders = Object.fromEntries(response.headers);
  if (wantsBookmark) headers["Halo-Bookmark"] = bookmarkAfter(deps, kv.bookmark, result.from);
  if (!isFound) return problemReply(problem("not-found", "the key does not exist or has expired"), headers);
  const decision = evaluateRead(kv.conditions, result.version);
  if (decision === "send") return new Response(response.body, { headers });
  // Nobody will read it: without this its producer would wait for a reader.
  void response.body?.cancel();
  for (const name of HEADERS_OF_THE_VALUE) delete headers[name];
  if (decision === "not_modified") return new Response(null, { status: 304, headers });
  for (const name of HEADERS_OF_ITS_AGE) delete headers[name];
  return preconditionFailed(result.version, headers);
}

async function mutationOf(kv: KvRequest, request: Request): Promise<Parsed<Mutation>> {
  const { headers } = request;
  const idempotencyKey = headers.get("Idempotency-Key");
  const id = idempotencyKey === null ? parsed(undefined) : parseIdempotencyKey(idempotencyKey);
  if (!id.ok) return id;
  const mutation =
    request.method === "PUT" ? await putOf(kv, request) : parsed<Mutation>({ kind: "delete", ...targetOf(kv) });
  if (!mutation.ok || id.value === undefined) return mutation;
  const idempotency = { id: id.value, fingerprint: await fingerprintOf(mutation.value) };
  return parsed({ ...mutation.value, idempotency });
}

async function putOf(kv: KvRequest, request: Request): Promise<Parsed<Mutation>> {
  const { headers } = request;
  if (headers.get("Content-Range") !== null) {
    // RFC 9110 section 14.5: a server that knows no partial PUT must not take the part for the whole.
    return refused("partial-put", "Content-Range is not supported on PUT; expected the whole value");
  }
  const encoding = headers.get("Content-Encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    return refused(
      "unsupported-encoding",
      "Content-Encoding would be lost; expected the value without a content coding",
    );
  }
  const contentType = headers.get("Content-Type") ?? DEFAULT_CONTENT_TYPE;
  if (contentType.length > CONTENT_TYPE_CHARS_MAX || !CONTENT_TYPE.test(contentType)) {
    return refused(
      "malformed-content-type",
      `Content-Type: expected type/subtype with at most ${CONTENT_TYPE_CHARS_MAX} characters`,
    );
  }
  const cacheControl = headers.get("Cache-Control");
  const ttlMs = cacheControl === null ? parsed(undefined) : parseTtlMs(cacheControl);
  if (!ttlMs.ok) return ttlMs;
  const value = await readValue(request);
  if (!value.ok) return value;
  const lifetime = ttlMs.value === undefined ? {} : { ttlMs: ttlMs.value };
  return parsed({ kind: "put", ...targetOf(kv), value: value.value, contentType, ...lifetime });
}

function targetOf({ slot, key, conditions }: KvRequest): Conditions & { readonly slot: number; readonly key: string } {
  return { slot, key, ...conditions };
}

function writeReply(deps: KvDeps, kv: KvRequest, result: WriteResult): Response {
  if (result.status === "unknown") return unknownReply(result.reason);
  if (result.status !== "ok") return refusalReply(result);
  // A write is on a majority when it is acknowledged, whatever level the request's reads would have.
  const headers = provenanceHeaders(result.from, "strong");
  headers["Halo-Bookmark"] = bookmarkAfter(deps, kv.bookmark, result.from);
  return outcomeReply(result.outcome, headers);
}

function outcomeReply(outcome: Outcome, headers: ReplyHeaders): Response {
  switch (outcome.kind) {
    case "stored":
      headers.ETag = entityTag(outcome.version);
      return new Response(null, { status: outcome.created ? 201 : 204, headers });
    case "deleted":
      headers["Halo-Existed"] = String(outcome.existed);
      return new Response(null, { status: 204, headers });
    case "precondition_failed":
      if (outcome.version !== undefined) headers.ETag = entityTag(outcome.version);
      return preconditionFailed(outcome.version, headers);
    case "idempotency_conflict":
      return problemReply(
        problem(
          "idempotency-conflict",
          "this Idempotency-Key came with a different request before; expected a new one",
        ),
        headers,
      );
  }
}

function preconditionFailed(version: number | undefined, headers: ReplyHeaders): Response {
  const detail =
    version === undefined
      ? "the key does not exist; nothing was changed"
      : `the current version is ${entityTag(version)}; nothing was changed`;
  return problemReply(problem("precondition-failed", detail), headers);
}

function bookmarkAfter(deps: KvDeps, bookmark: Bookmark | undefined, from: Provenance): string {
  const position: LogPosition = { term: from.term, index: from.index };
  if (bookmark === undefined) return encodeSingle(deps.bookmarkTag, from.shard, position);
  return encodeBookmark(deps.bookmarkTag, advance(bookmark, from.shard, position));
}
