// The reply to a read as HTTP (http/read-wire.ts): ready for the client, or with a remark or a refusal for the edge.

import { LRUCache } from "lru-cache";
import { replyCacheControl } from "./http/age.ts";
import {
  commonHeaders,
  ownHeaders,
  REMARK,
  readHeaders,
  remarkOf,
  STATUS_NO_ENTRY,
  STATUS_REFUSED,
  STATUS_REMARKED,
  STATUS_VALUE,
  VALUE_LENGTH,
} from "./http/read-wire.ts";
import type { ReadEntry, ReadOk, ReadReply } from "./protocol.ts";

const SERVER_TIMING = "Server-Timing";

/** `isHead`: the value was left out, and its length is told. `tookMs`: told too; absent: it is not. */
export function readResponse(reply: ReadReply, isHead: boolean, tookMs?: number): Response {
  if (reply.status !== "ok") return Response.json(reply, { status: STATUS_REFUSED });
  const { entry } = reply;
  const isPlain = entry?.extras === undefined && reply.hot === undefined;
  if (isPlain && entry !== undefined && !isHead) return plainResponse(reply, entry, tookMs);
  const headers = readHeaders(reply);
  if (tookMs !== undefined) headers[SERVER_TIMING] = replicaTiming(tookMs);
  const remark = isPlain ? undefined : remarkOf(reply);
  if (entry === undefined) {
    if (remark !== undefined) headers[REMARK] = remark;
    return new Response(null, { status: STATUS_NO_ENTRY, headers });
  }
  if (isHead) headers["Content-Length"] = String(entry.size);
  if (remark === undefined) return new Response(entry.value ?? null, { status: STATUS_VALUE, headers });
  headers[REMARK] = remark;
  return new Response(entry.value ?? null, { status: STATUS_REMARKED, headers });
}

/** The same for a value that is streamed: the edge must know where it ends. */
export function streamedResponse(reply: ReadReply, isHead: boolean, tookMs?: number): Response {
  const response = readResponse(reply, isHead, tookMs);
  const length = reply.status === "ok" ? (reply.entry?.value?.byteLength ?? 0) : 0;
  if (length > 0 && !isHead) response.headers.set(VALUE_LENGTH, String(length));
  return response;
}

/** There are few levels, types and lifetimes. */
const TEMPLATES_MAX = 256;
/** Replies with the headers that many have in common, by these headers; without bodies. */
const templates = new LRUCache<string, Response>({ max: TEMPLATES_MAX });

/** Nearly every reply. The runtime copies a reply's headers for half of what it takes to make them. */
function plainResponse(reply: ReadOk, entry: ReadEntry, tookMs: number | undefined): Response {
  const response = new Response(entry.value ?? null, templateOf(reply, entry, tookMs));
  const { headers } = response;
  const own = ownHeaders(reply);
  for (const name in own) headers.set(name, own[name] ?? "");
  return response;
}

function templateOf({ level }: ReadOk, entry: ReadEntry, tookMs: number | undefined): Response {
  // Most take no time that a clock would show.
  const name = `${level} ${tookMs ?? "-"} ${replyCacheControl(entry)}\n${entry.contentType}`;
  let template = templates.get(name);
  if (template === undefined) {
    const headers = commonHeaders(level, entry);
    if (tookMs !== undefined) headers[SERVER_TIMING] = replicaTiming(tookMs);
    template = new Response(null, { status: STATUS_VALUE, headers });
    templates.set(name, template);
  }
  return template;
}

/** Server-Timing of the W3C: how long the replica had the request, in milliseconds. */
function replicaTiming(tookMs: number): string {
  return `r;dur=${tookMs}`;
}
