// /v1/locks/{name}: a lock is an entry that is there for as long as it is held. Its version is the fencing token: versions
// of a shard only grow, so every holder has a higher one than all before, whatever the clocks say.

import type { Conditions } from "../../durable/store/command.ts";
import { readJson, SMALL_BODY_BYTES_MAX } from "../api/request-body.ts";
import { lockRenewalSchema, lockSchema } from "../api/schemas.ts";
import { type Parsed, parsed, problem, refused } from "../http/problem.ts";
import { type KeyTarget, readSystemTarget } from "./key-request.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { jsonReply, problemReply, refusalReply } from "./replies.ts";
import { change } from "./write-reply.ts";

export const LOCKS_PATH = "/v1/locks/";

/** A holder seldom uses up its time, so whoever wants the lock may ask again soon. */
const HELD_RETRY_AFTER_SECONDS = "1";
const TOKEN = /^[1-9][0-9]{0,15}$/;
const NOTHING = new Uint8Array(0);

export async function handleLockAcquire(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = lockTarget(request);
  if (!target.ok) return problemReply(target.problem);
  const body = await readJson(request, lockSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const mutation = {
    kind: "put",
    ...target.value,
    value: NOTHING,
    contentType: "",
    ttlMs: body.value.ttlMs,
    ifNoneMatch: "any",
  } as const;
  return change(deps, request, keepAlive, mutation, ({ outcome }, headers) => {
    if (outcome.kind === "stored") {
      return jsonReply({ token: outcome.version, expiresMs: outcome.expiresMs }, headers, 201);
    }
    if (outcome.kind !== "precondition_failed") return undefined;
    const held = problem("lock-held", "the lock has a holder whose time is not over");
    return problemReply(held, { ...headers, "Retry-After": HELD_RETRY_AFTER_SECONDS });
  });
}

export async function handleLockRenew(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = lockTarget(request);
  if (!target.ok) return problemReply(target.problem);
  const body = await readJson(request, lockRenewalSchema, SMALL_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { token, ttlMs } = body.value;
  const mutation = { kind: "touch", ...target.value, ...holding(token), ttlMs } as const;
  return change(deps, request, keepAlive, mutation, ({ outcome }, headers) => {
    if (outcome.kind === "touched") return jsonReply({ token, expiresMs: outcome.expiresMs }, headers);
    return outcome.kind === "precondition_failed" ? problemReply(LOST, headers) : undefined;
  });
}

export async function handleLockRelease(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = lockTarget(request);
  if (!target.ok) return problemReply(target.problem);
  const token = parseToken(request.headers.get("Halo-Lock-Token"));
  if (!token.ok) return problemReply(token.problem);
  const mutation = { kind: "delete", ...target.value, ...holding(token.value) } as const;
  return change(deps, request, keepAlive, mutation, ({ outcome }, headers) => {
    if (outcome.kind === "deleted") return new Response(null, { status: 204, headers });
    return outcome.kind === "precondition_failed" ? problemReply(LOST, headers) : undefined;
  });
}

export async function handleLockRead(deps: KvDeps, request: Request): Promise<Response> {
  const target = lockTarget(request);
  if (!target.ok) return problemReply(target.problem);
  const { items } = await deps.client.batch([{ kind: "get", ...target.value }], { level: "strong" });
  const [item] = items;
  if (item === undefined || ("kind" in item && item.kind !== "entry")) throw new Error("halo: a get has an entry");
  if ("status" in item) return refusalReply(item);
  if (item.entry === undefined) return problemReply(problem("not-found", "nobody holds the lock"));
  return jsonReply({ token: item.entry.version, expiresMs: item.entry.expiresMs }, {});
}

const LOST = problem("lock-lost", "the lock is not held under this token any more; nothing was changed");

function lockTarget(request: Request): Parsed<KeyTarget> {
  return readSystemTarget(request, LOCKS_PATH, "lock");
}

function holding(token: number): Conditions {
  return { ifMatch: [token] };
}

function parseToken(header: string | null): Parsed<number> {
  if (header !== null && TOKEN.test(header) && Number.isSafeInteger(Number(header))) return parsed(Number(header));
  return refused("malformed-condition", "Halo-Lock-Token: expected the token that came with the lock");
}
