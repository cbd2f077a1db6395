// The reply to a read as HTTP (http/read-wire.ts): ready for the client, or with a remark or a refusal for the edge.

import {
  REMARK,
  readHeaders,
  remarkOf,
  STATUS_NO_ENTRY,
  STATUS_REFUSED,
  STATUS_REMARKED,
  STATUS_VALUE,
} from "./http/read-wire.ts";
import type { ReadReply } from "./protocol.ts";

/** `isHead`: the value was left out, and its length is told. */
export function readResponse(reply: ReadReply, isHead: boolean): Response {
  if (reply.status !== "ok") return Response.json(reply, { status: STATUS_REFUSED });
  const { entry } = reply;
  const headers = readHeaders(reply);
  const remark = entry?.extras === undefined && reply.hot === undefined ? undefined : remarkOf(reply);
  if (entry === undefined) {
    if (remark !== undefined) headers[REMARK] = remark;
    return new Response(null, { status: STATUS_NO_ENTRY, headers });
  }
  if (isHead) headers["Content-Length"] = String(entry.size);
  if (remark === undefined) return new Response(entry.value ?? null, { status: STATUS_VALUE, headers });
  headers[REMARK] = remark;
  return new Response(entry.value ?? null, { status: STATUS_REMARKED, headers });
}
