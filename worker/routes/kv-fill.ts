// GET with Halo-Fill: the value, or the right to load it, or a wait for whoever has that right. DELETE /v1/fills/{key} gives
// that right back.

import { readHeaders } from "../../durable/http/read-wire.ts";
import type { FillOk, FillState, ReadEntry } from "../../durable/protocol.ts";
import { FILL_LEASE_MS_MAX } from "../../durable/store/limits.ts";
import type { FinalRefusal } from "../clients/call-plan.ts";
import { evaluateRead } from "../http/conditional.ts";
import { type Parsed, parsed, problem, refused } from "../http/problem.ts";
import { parseIdempotencyKey } from "./idempotency.ts";
import { type KeyTarget, readTarget, readVersionConditions } from "./key-request.ts";
import { bookmarkAfter, type KeepAlive, type KvDeps, readBookmark } from "./kv-context.ts";
import { streamParts } from "./large-value.ts";
import { preconditionFailed } from "./outcomes.ts";
import { problemReply, type ReplyHeaders, refusalReply } from "./replies.ts";
import { change } from "./write-reply.ts";

const LEASE_MS_DEFAULT = 10_000;
const WAIT_MS_DEFAULT = 5_000;
/** The replica waits no longer either. */
const WAIT_MS_MAX = 30_000;
/** How long loading is taken to last where nobody has said: what beta is measured in. */
const LOAD_MS = 1_000;
const BETA_MAX = 100;

const LEASE = /^lease(?:=([1-9][0-9]{0,4}))?$/;
const WAIT = /^(?:0|[1-9][0-9]{0,4})$/;
const BETA = /^[0-9]{1,3}(?:\.[0-9]{1,3})?$/;

interface FillWishes {
  readonly holder: string;
  readonly leaseMs: number;
  readonly waitMs: number;
  /** Undefined: no early refresh. */
  readonly beta: number | undefined;
}

export async function handleFill(
  deps: KvDeps,
  request: Request,
  fill: string,
  keepAlive: KeepAlive,
): Promise<Response> {
  const target = readTarget(request);
  if (!target.ok) return problemReply(target.problem);
  const bookmark = readBookmark(deps, request.headers);
  if (!bookmark.ok) return problemReply(bookmark.problem);
  const conditions = readVersionConditions(request.headers);
  if (!conditions.ok) return problemReply(conditions.problem);
  const wishes = parseWishes(fill, request.headers);
  if (!wishes.ok) return problemReply(wishes.problem);
  const { beta, ...asked } = wishes.value;
  const wish = { ...target.value, ...asked, isEarly: false };
  let answer = await deps.client.fill(wish);
  if (answer.status === "ok" && beta !== undefined && isEarlyRefreshDue(answer, beta, deps.random())) {
    const early = await deps.client.fill({ ...wish, waitMs: 0, isEarly: true });
    // Whatever went wrong with the refresh, the fresh value is there.
    if (early.status === "ok") answer = early;
  }
  if (answer.status !== "ok") return refusalReply(answer);
  const headers: ReplyHeaders = { ...readHeaders(answer), ...fillHeaders(answer.fill) };
  headers["Halo-Bookmark"] = bookmarkAfter(deps, bookmark.value, answer.from);
  const { entry } = answer;
  if (entry === undefined) return problemReply(problem("not-found", missed(answer.fill)), headers);
  if (entry.isAccessDue === true) {
    keepAlive(deps.client.write({ kind: "touch", ...target.value, isAccess: true }));
  }
  const decision = evaluateRead(conditions.value, entry.version);
  if (decision === "precondition_failed") {
    delete headers.Age;
    return problemReply(preconditionFailed(entry.version).problem, headers);
  }
  if (decision === "not_modified") {
    delete headers["Content-Type"];
    return new Response(null, { status: 304, headers });
  }
  const body = await bodyOf(deps, target.value, entry);
  if (body instanceof ReadableStream || body instanceof Uint8Array) return new Response(body, { headers });
  return body === undefined
    ? problemReply(problem("unavailable", "the value was replaced while it was being read; read it again"))
    : refusalReply(body);
}

export const FILLS_PATH = "/v1/fills/";

export async function handleFillRelease(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = readTarget(request, FILLS_PATH);
  if (!target.ok) return problemReply(target.problem);
  const token = parseFillToken(request.headers.get("Halo-Fill-Token"));
  if (!token.ok) return problemReply(token.problem);
  if (token.value === undefined) return problemReply(problem("malformed-fill", "Halo-Fill-Token: expected the token"));
  const mutation = { kind: "release_fill", ...target.value, token: token.value } as const;
  return change(deps, request, keepAlive, mutation, ({ outcome }, headers) => {
    if (outcome.kind !== "fill_released") return undefined;
    return new Response(null, { status: 204, headers: { ...headers, "Halo-Existed": String(outcome.existed) } });
  });
}

const TOKEN = /^[1-9][0-9]{0,15}$/;

/** Undefined: there is none. */
export function parseFillToken(header: string | null): Parsed<number | undefined> {
  if (header === null) return parsed(undefined);
  if (TOKEN.test(header) && Number.isSafeInteger(Number(header))) return parsed(Number(header));
  return refused("malformed-fill", "Halo-Fill-Token: expected the token of an earlier reply");
}

function parseWishes(fill: string, headers: Headers): Parsed<FillWishes> {
  const lease = LEASE.exec(fill);
  const leaseMs = lease?.[1] === undefined ? LEASE_MS_DEFAULT : Number(lease[1]);
  if (lease === null || leaseMs > FILL_LEASE_MS_MAX) {
    return refused("malformed-fill", `Halo-Fill: expected lease, or lease=<ms> with 1 to ${FILL_LEASE_MS_MAX}`);
  }
  const wait = headers.get("Halo-Fill-Wait");
  if (wait !== null && (!WAIT.test(wait) || Number(wait) > WAIT_MS_MAX)) {
    return refused("malformed-fill", `Halo-Fill-Wait: expected milliseconds from 0 to ${WAIT_MS_MAX}`);
  }
  const beta = headers.get("Halo-Fill-Early");
  if (beta !== null && (!BETA.test(beta) || Number(beta) > BETA_MAX)) {
    return refused("malformed-fill", `Halo-Fill-Early: expected a number from 0 to ${BETA_MAX}`);
  }
  // The caller's own, so that its retry is known, or this request's, so that the edge's are.
  const header = headers.get("Idempotency-Key");
  const holder = header === null ? parsed(crypto.randomUUID()) : parseIdempotencyKey(header);
  if (!holder.ok) return holder;
  return parsed({
    holder: holder.value,
    leaseMs,
    waitMs: wait === null ? WAIT_MS_DEFAULT : Number(wait),
    beta: beta === null ? undefined : Number(beta),
  });
}

/**
 * Probabilistic early expiration: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (2015),
 * algorithm XFetch. The nearer the end of the freshness, the likelier one of many readers refreshes.
 */
function isEarlyRefreshDue({ entry, clockMs, fill }: FillOk, beta: number, random: number): boolean {
  const freshUntilMs = entry?.extras?.staleMs ?? entry?.expiresMs;
  if (fill !== undefined || freshUntilMs === undefined || clockMs >= freshUntilMs) return false;
  return clockMs - LOAD_MS * beta * Math.log(Math.max(random, Number.MIN_VALUE)) >= freshUntilMs;
}

function fillHeaders(fill: FillState | undefined): ReplyHeaders {
  if (fill === undefined) return {};
  const headers: ReplyHeaders = { "Halo-Fill": fill.state, "Halo-Fill-Until": String(fill.untilMs) };
  if (fill.state === "granted") headers["Halo-Fill-Token"] = String(fill.token);
  return headers;
}

function missed(fill: FillState | undefined): string {
  return fill?.state === "granted"
    ? "the key does not exist: load the value and PUT it with the Halo-Fill-Token"
    : "the key does not exist, and somebody else is loading it";
}

function bodyOf(
  { client }: KvDeps,
  target: KeyTarget,
  { value, extras, size }: ReadEntry,
): Promise<ReadableStream<Uint8Array> | Uint8Array | undefined | FinalRefusal> {
  if (extras?.parts === undefined) return Promise.resolve(value);
  return streamParts(client, target, extras.parts, { first: 0, last: size - 1 });
}
