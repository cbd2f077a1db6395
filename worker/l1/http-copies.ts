// How L1 keeps what replicas answer as HTTP: the headers as they are for the client, and the bytes of the value.

import { parseRemark, REMARK, STATUS_NO_ENTRY, STATUS_REMARKED, STATUS_VALUE } from "../../durable/http/read-wire.ts";
import { parseServedBy, SERVED_BY } from "../../durable/http/served-by.ts";
import type { Provenance } from "../../durable/protocol.ts";
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
    const { reply, from } = templateOf(body, level, ageMs);
    return new HttpAnswer(new Response(value ?? null, reply), from);
  },

  positionOf: ({ from: { shard, term, index } }) => ({ shard, term, index }),
};

function statusOf({ value }: HttpBody): number {
  return value === undefined ? STATUS_NO_ENTRY : STATUS_VALUE;
}

/** A reply of a copy without its body, and who it says has answered. */
interface Template {
  readonly level: string;
  readonly ageMs: number;
  readonly reply: Response;
  readonly from: Provenance | undefined;
}

/** The last one of each copy: a key is hot when others ask in the same millisecond. */
const templates = new WeakMap<HttpBody, Template>();

/** The runtime copies a reply's headers for half of what it takes to make them. */
function templateOf(body: HttpBody, level: string, ageMs: number): Template {
  const last = templates.get(body);
  if (last?.level === level && last.ageMs === ageMs) return last;
  const { headers } = body;
  const reply = new Response(null, last?.reply ?? { status: statusOf(body), headers });
  const changed = headersAt(body, level, ageMs);
  for (const name in changed) reply.headers.set(name, changed[name] ?? "");
  const template = { level, ageMs, reply, from: last?.from ?? parseServedBy(headers[SERVED_BY_NAME] ?? "") };
  templates.set(body, template);
  return template;
}

/** What is not as it was when the copy was made. */
function headersAt({ headers }: HttpBody, level: string, ageMs: number): Record<string, string> {
  const said: Record<string, string> = { "halo-consistency": level };
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
