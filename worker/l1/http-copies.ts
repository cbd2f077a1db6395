// How L1 keeps what replicas answer as HTTP: the headers as they are for the client, and the bytes of the value.

import { parseRemark, REMARK, STATUS_NO_ENTRY, STATUS_REMARKED, STATUS_VALUE } from "../../durable/http/read-wire.ts";
import { SERVED_BY } from "../../durable/http/served-by.ts";
import { HttpAnswer } from "../clients/http-answer.ts";
import type { AnswerCodec } from "./near-client.ts";

export interface HttpBody {
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: there is no such entry. */
  readonly value: Uint8Array | undefined;
}

const REMARK_NAME = REMARK.toLowerCase();
const SERVER_TIMING_NAME = "server-timing";
const SERVED_BY_NAME = SERVED_BY.toLowerCase();

export const httpCodec: AnswerCodec<HttpAnswer, HttpBody> = {
  hintOf({ response }) {
    if (response.status !== STATUS_REMARKED && response.status !== STATUS_NO_ENTRY) return undefined;
    const remark = response.headers.get(REMARK);
    return remark === null ? undefined : parseRemark(remark).hot;
  },

  /** A value in parts is not in the reply, an access is to be written down, and what is stale changes with time. */
  async bodyOf({ response }) {
    const { [REMARK_NAME]: remark = "", ...headers } = Object.fromEntries(response.headers);
    const { parts, isAccessDue } = parseRemark(remark);
    if (parts !== undefined || isAccessDue || response.headers.has("Halo-Stale")) return undefined;
    if (response.status === STATUS_NO_ENTRY) return { body: { headers, value: undefined }, bytes: bytesOf(headers) };
    const value = new Uint8Array(await response.arrayBuffer());
    return { body: { headers, value }, bytes: bytesOf(headers) + value.byteLength };
  },

  answerOf(body, level, ageMs) {
    const { headers, value } = body;
    if (level === undefined || ageMs === undefined)
      return new HttpAnswer(new Response(value ?? null, { status: statusOf(body), headers }));
    return new HttpAnswer(new Response(value ?? null, templateOf(body, level, ageMs)));
  },

  positionOf: ({ from: { shard, term, index } }) => ({ shard, term, index }),
};

function statusOf({ value }: HttpBody): number {
  return value === undefined ? STATUS_NO_ENTRY : STATUS_VALUE;
}

/** The last reply that was made of each copy, without its body: a key is hot when others ask in the same millisecond. */
const templates = new WeakMap<HttpBody, { readonly level: string; readonly ageMs: number; readonly reply: Response }>();

/** The runtime copies a reply's headers for half of what it takes to make them. */
function templateOf(body: HttpBody, level: string, ageMs: number): Response {
  const last = templates.get(body);
  if (last?.level === level && last.ageMs === ageMs) return last.reply;
  const reply = new Response(null, { status: statusOf(body), headers: headersAt(body, level, ageMs) });
  templates.set(body, { level, ageMs, reply });
  return reply;
}

function headersAt({ headers }: HttpBody, level: string, ageMs: number): Record<string, string> {
  const said: Record<string, string> = { ...headers, "halo-consistency": level };
  // No replica had a part in it.
  if (headers[SERVER_TIMING_NAME] !== undefined) said[SERVER_TIMING_NAME] = "l1;dur=0";
  said[SERVED_BY_NAME] = `${headers[SERVED_BY_NAME] ?? ""}, l1=${ageMs}`;
  // Rounded up: whoever computes what is left of its freshness must not get more than there is.
  if (headers.age !== undefined) said.age = String(Number(headers.age) + Math.ceil(ageMs / 1_000));
  return said;
}

function bytesOf(headers: Readonly<Record<string, string>>): number {
  return Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}
