// The reply to a read as HTTP (http/read-wire.ts): ready for the client, or a refusal that the edge understands.

import { readHeaders, STATUS_NO_ENTRY, STATUS_REFUSED, STATUS_VALUE } from "./http/read-wire.ts";
import type { ReadReply } from "./protocol.ts";

/** `isHead`: the value was left out, and its length is told. */
export function readResponse(reply: ReadReply, isHead: boolean): Response {
  if (reply.status !== "ok") return Response.json(reply, { status: STATUS_REFUSED });
  const { entry } = reply;
  const headers = readHeaders(reply);
  if (entry === undefined) return new Response(null, { status: STATUS_NO_ENTRY, headers });
  if (isHead) headers["Content-Length"] = String(entry.size);
  return new Response(entry.value ?? null, { status: STATUS_VALUE, headers });
}
