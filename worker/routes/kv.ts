// /v1/kv/{key} with the semantics of RFC 9110 and 9111: reads. Writes are in kv-write.ts, fills in
// kv-fill.ts, values in parts in large-value.ts; everything that can be decided without the request or the shard is decided
// in ../http/.
//
// Halo-Bookmark comes with every write, and with a read that asked for `session` or brought a bookmark: whoever wants
// session guarantees only has to send back the last one seen.

import { entityTag } from "../../durable/http/entity-tag.ts";
import { parseRemark, REMARK, STATUS_NO_ENTRY, STATUS_REMARKED } from "../../durable/http/read-wire.ts";
import type { Conditions, Parts } from "../../durable/store/command.ts";
import type { BalancePolicy } from "../../routing/balance-policy.ts";
import type { ReadResult } from "../clients/call-plan.ts";
import type { HttpAnswer } from "../clients/http-answer.ts";
import type { ClientRead } from "../clients/shard-client.ts";
import { parseBalance } from "../http/balance.ts";
import type { Bookmark } from "../http/bookmark.ts";
import { parseMaxStaleMs } from "../http/cache-control.ts";
import { evaluateRead } from "../http/conditional.ts";
import { type Consistency, parseConsistency } from "../http/consistency.ts";
import { parseUrgency } from "../http/priority.ts";
import { type Parsed, parsed, problem } from "../http/problem.ts";
import { type ByteRange, contentRange, isRangeWanted, parseRange } from "../http/range.ts";
import { type KeyTarget, readTarget, readVersionConditions, UNCONDITIONAL } from "./key-request.ts";
import { bookmarkAfter, type KeepAlive, type KvDeps, type RequestNote, readBookmark } from "./kv-context.ts";
import { handleFill } from "./kv-fill.ts";
import { streamParts } from "./large-value.ts";
import { preconditionFailed } from "./outcomes.ts";
import { problemReply, type ReplyHeaders, refusalReply } from "./replies.ts";

/** What a reply without the value must not repeat of it, as `Headers` spells names. */
const HEADERS_OF_THE_VALUE = ["content-type", "content-length", "x-content-type-options"];
const HEADERS_OF_ITS_AGE = ["age", "cache-control"];

/** What every read of a key says. */
interface KvRead extends KeyTarget {
  readonly consistency: Consistency;
  readonly conditions: Conditions;
  /** Undefined where the client sent none. */
  readonly bookmark: Bookmark | undefined;
  readonly maxStaleMs: number | undefined;
  readonly range: string | null;
  readonly ifRange: string | null;
  readonly balance: BalancePolicy | undefined;
  readonly urgency: number | undefined;
}

/** GET and HEAD. */
export function handleRead(
  deps: KvDeps,
  request: Request,
  keepAlive: KeepAlive,
  note: RequestNote,
): Response | Promise<Response> {
  const isHead = request.method === "HEAD";
  const fill = isHead ? null : request.headers.get("Halo-Fill");
  return fill === null
    ? handlePlainRead(deps, request, isHead, keepAlive, note)
    : handleFill(deps, request, fill, keepAlive);
}

/** Without a promise where the client has none: an L1 hit is answered in the turn in which it came. */
function handlePlainRead(
  deps: KvDeps,
  request: Request,
  isHead: boolean,
  keepAlive: KeepAlive,
  note: RequestNote,
): Response | Promise<Response> {
  const read = readRequest(deps, request);
  if (!read.ok) return problemReply(read.problem);
  note.level = read.value.consistency.level;
  const reply = (result: ReadResult<HttpAnswer>) => {
    if (result.status !== "ok") return refusalReply(result);
    note.role = result.from.role;
    const made = readReply(deps, read.value, result, isHead, keepAlive);
    note.isPassedOn = made === result.response;
    return made;
  };
  const result = deps.client.read(clientRead(read.value, isHead));
  return result instanceof Promise ? result.then(reply) : reply(result);
}

function readRequest(deps: KvDeps, request: Request): Parsed<KvRead> {
  const { headers } = request;
  const target = readTarget(request);
  if (!target.ok) return target;
  const level = headers.get("Halo-Consistency");
  const consistency = level === null ? parsed(deps.defaultConsistency) : parseConsistency(level);
  if (!consistency.ok) return consistency;
  const bookmark = readBookmark(deps, headers);
  if (!bookmark.ok) return bookmark;
  const conditions = readVersionConditions(headers);
  if (!conditions.ok) return conditions;
  const cacheControl = headers.get("Cache-Control");
  const maxStaleMs = cacheControl === null ? parsed(undefined) : parseMaxStaleMs(cacheControl);
  if (!maxStaleMs.ok) return maxStaleMs;
  const balance = parseBalance(headers.get("Halo-Balance"));
  if (!balance.ok) return balance;
  const range = headers.get("Range");
  return parsed({
    ...target.value,
    consistency: consistency.value,
    conditions: conditions.value,
    bookmark: bookmark.value,
    maxStaleMs: maxStaleMs.value,
    range,
    // Without a range it says nothing (RFC 9110, section 13.1.5).
    ifRange: range === null ? null : headers.get("If-Range"),
    balance: balance.value,
    urgency: deps.heedsPriority ? parseUrgency(headers.get("Priority")) : undefined,
  });
}

function clientRead(read: KvRead, isHead: boolean): ClientRead {
  const { key, slot, consistency, conditions, bookmark, maxStaleMs, balance, urgency } = read;
  const { level, boundMs } = consistency;
  const { ifNoneMatch } = conditions;
  return {
    key,
    slot,
    level,
    boundMs,
    maxStaleMs,
    balance,
    urgency,
    after: level === "session" ? bookmark : undefined,
    // `If-None-Match: *` is answered 304 by whatever exists, so its value is never needed either.
    omitValue: isHead || ifNoneMatch === "any" ? true : undefined,
    omitValueOfVersions: ifNoneMatch === "any" ? undefined : ifNoneMatch,
  };
}

/** What the replica made is the client's reply, unless the request asked for something that only the edge can add. */
function readReply(
  deps: KvDeps,
  read: KvRead,
  result: HttpAnswer,
  isHead: boolean,
  keepAlive: KeepAlive,
): Response | Promise<Response> {
  const { response } = result;
  const wantsBookmark = read.bookmark !== undefined || read.consistency.level === "session";
  const isPlain = read.conditions === UNCONDITIONAL && read.range === null && !wantsBookmark;
  if (isPlain && response.status !== STATUS_NO_ENTRY && response.status !== STATUS_REMARKED) return response;

  const headers: ReplyHeaders = Object.fromEntries(response.headers);
  if (wantsBookmark) headers["Halo-Bookmark"] = bookmarkAfter(deps, read.bookmark, result.from);
  if (response.status === STATUS_NO_ENTRY) {
    return problemReply(problem("not-found", "the key does not exist or has expired"), headers);
  }
  const parts = response.status === STATUS_REMARKED ? heedRemark(deps, read, headers, keepAlive) : undefined;
  const decision = evaluateRead(read.conditions, result.version);
  if (decision === "send") {
    const range = isRangeWanted(read.ifRange, entityTag(result.version)) ? read.range : null;
    return valueReply(deps, { ...read, range }, response, headers, parts, isHead);
  }
  // Nobody will read it: without this its producer would wait for a reader.
  void response.body?.cancel();
  for (const name of HEADERS_OF_THE_VALUE) delete headers[name];
  if (decision === "not_modified") return new Response(null, { status: 304, headers });
  for (const name of HEADERS_OF_ITS_AGE) delete headers[name];
  return problemReply(preconditionFailed(result.version).problem, headers);
}

/** Does what the replica left to the edge; returns where the value is if it is not in the reply. */
function heedRemark(
  deps: KvDeps,
  { slot, key }: KvRead,
  headers: ReplyHeaders,
  keepAlive: KeepAlive,
): Parts | undefined {
  const name = REMARK.toLowerCase();
  const { parts, isAccessDue } = parseRemark(headers[name] ?? "");
  delete headers[name];
  if (isAccessDue) keepAlive(deps.client.write({ kind: "touch", slot, key, isAccess: true }));
  return parts;
}

async function valueReply(
  deps: KvDeps,
  read: KvRead,
  response: Response,
  headers: ReplyHeaders,
  parts: Parts | undefined,
  isHead: boolean,
): Promise<Response> {
  headers["Accept-Ranges"] = "bytes";
  if (isHead) return new Response(null, { headers });
  if (parts === undefined && read.range === null) return new Response(response.body, { headers });
  const bytes = parts === undefined ? new Uint8Array(await response.arrayBuffer()) : undefined;
  const size = parts?.bytes ?? bytes?.byteLength ?? 0;
  const range = read.range === null ? undefined : parseRange(read.range, size);
  if (range === "unsatisfiable") {
    for (const name of [...HEADERS_OF_THE_VALUE, ...HEADERS_OF_ITS_AGE]) delete headers[name];
    headers["Content-Range"] = `bytes */${size}`;
    return problemReply(problem("range-not-satisfiable", `the value has ${size} bytes`), headers);
  }
  if (range !== undefined) headers["Content-Range"] = contentRange(range, size);
  const { first, last }: ByteRange = range ?? { first: 0, last: size - 1 };
  const status = range === undefined ? 200 : 206;
  headers["content-length"] = String(last - first + 1);
  if (bytes !== undefined) return new Response(bytes.subarray(first, last + 1), { status, headers });
  if (parts === undefined) throw new Error("halo: a value is in the reply or in parts");
  const body = await streamParts(deps.client, read, parts, { first, last });
  if (body instanceof ReadableStream) return new Response(body, { status, headers });
  return body === undefined
    ? problemReply(problem("unavailable", "the value was replaced while it was being read; read it again"))
    : refusalReply(body);
}
