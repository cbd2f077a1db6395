// POST /v1/purge: takes away what is in some scopes, at once and everywhere. The reply is only 200 if every shard has done
// it; otherwise it says which have, and doing it again does no harm.

import type { BatchMutation, Provenance } from "../../durable/protocol.ts";
import type { PurgeScope } from "../../durable/store/command.ts";
import type { AccessDeps } from "../access/audit.ts";
import { keyRefusal, purgeRefusal } from "../access/guarded-client.ts";
import { JSON_BODY_BYTES_MAX, readJson, readQuery } from "../api/request-body.ts";
import { resultOfItem } from "../api/results.ts";
import { noQuerySchema, purgeSchema } from "../api/schemas.ts";
import type { Forbidden } from "../clients/call-plan.ts";
import type { ShardPurge } from "../clients/operations.ts";
import { byteLength, KEY_BYTES_MAX } from "../http/key.ts";
import { parseNamespace } from "../http/namespace.ts";
import { problem } from "../http/problem.ts";
import { targetIn } from "./key-request.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { problemOfOutcome } from "./outcomes.ts";
import { jsonReply, problemOfRefusal, problemReply, refusalReply } from "./replies.ts";

interface ShardReport {
  readonly shard: number;
  /** `done`, or the slug of what went wrong. */
  readonly status: string;
  readonly detail?: string | undefined;
}

interface Purged {
  readonly shards: readonly ShardReport[];
  readonly failedKeys: readonly string[];
}

function isWhole({ shards, failedKeys }: Purged): boolean {
  return failedKeys.length === 0 && shards.every(({ status }) => status === "done");
}

/** Of one purge in the audit log. */
const AUDITED_SCOPES_MAX = 10;

export async function handlePurge(
  deps: KvDeps & AccessDeps,
  request: Request,
  keepAlive: KeepAlive,
): Promise<Response> {
  const namespace = parseNamespace(request.headers.get("Halo-Namespace"));
  if (!namespace.ok) return problemReply(namespace.problem);
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const body = await readJson(request, purgeSchema, JSON_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { keys = [], tags = [], prefixes = [], all, soft } = body.value;
  const long = prefixes.find((prefix) => byteLength(prefix) > KEY_BYTES_MAX);
  if (long !== undefined) {
    return problemReply(problem("malformed-body", `prefixes: expected at most ${KEY_BYTES_MAX} bytes in each`));
  }
  const of = { namespace: namespace.value };
  const scopes: PurgeScope[] = [
    ...tags.map((tag) => ({ kind: "tag" as const, ...of, tag })),
    ...prefixes.map((prefix) => ({ kind: "prefix" as const, ...of, prefix })),
    ...(all === true ? [{ kind: "prefix" as const, ...of, prefix: "" }] : []),
  ];
  const refused = refusalOf(deps, namespace.value, keys, scopes);
  if (refused !== undefined) return refusalReply(refused);
  const purge = purgeAll(deps, namespace.value, keys, scopes, soft === true);
  // Nobody waits for the record: purges are part of serving data.
  const record = (purged: Purged) => audited(deps, namespace.value, keys.length, scopes, soft === true, purged);
  keepAlive(purge.then(record, () => undefined));
  const purged = await purge;
  const { shards, failedKeys } = purged;
  if (isWhole(purged)) return jsonReply({ shards }, {});
  const detail = "not every shard has confirmed; what is marked as done is done. Send the purge again";
  const members = failedKeys.length === 0 ? { shards } : { shards, keys: failedKeys };
  return problemReply(problem("purge-incomplete", detail), { "Retry-After": "1" }, members);
}

/** Judged before any of it is done: half a purge is not what was asked for. */
function refusalOf(
  { principal }: AccessDeps,
  namespace: string,
  keys: readonly string[],
  scopes: readonly PurgeScope[],
): Forbidden | undefined {
  for (const key of keys) {
    const refusal = keyRefusal(principal, "purge", targetIn(namespace, key).key);
    if (refusal !== undefined) return refusal;
  }
  return purgeRefusal(principal, scopes);
}

/** Counts and not the keys: those are data, and there may be a thousand. */
function audited(
  { audit, principal }: AccessDeps,
  namespace: string,
  keys: number,
  scopes: readonly PurgeScope[],
  soft: boolean,
  purged: Purged,
): Promise<void> {
  const detail = { keys, scopes: scopes.slice(0, AUDITED_SCOPES_MAX), soft };
  return audit(principal, "purge", namespace, detail, isWhole(purged) ? "ok" : "purge-incomplete");
}

async function purgeAll(
  { client }: KvDeps,
  namespace: string,
  keys: readonly string[],
  scopes: readonly PurgeScope[],
  isSoft: boolean,
): Promise<Purged> {
  const operations = keys.map((key): BatchMutation => {
    const target = targetIn(namespace, key);
    return isSoft ? { kind: "touch", ...target, softens: true } : { kind: "delete", ...target };
  });
  const [byKey, purged] = await Promise.all([
    // Twice has the effect of once, as with scopes.
    operations.length === 0 ? undefined : client.batch(operations, { level: "strong", isRepeatable: true }),
    scopes.length === 0 ? [] : client.purge(scopes, isSoft),
  ]);
  const failedKeys = keys.filter((_, at) => {
    const item = byKey?.items[at];
    const problem = item === undefined ? undefined : resultOfItem(item).problem;
    // There is nothing to make stale, and whoever loads it is refused.
    return problem !== undefined && problem !== "not-found";
  });
  const reports = purged.map(reportOf);
  const known = new Set(reports.map(({ shard }) => shard));
  const onlyKeys = (byKey?.from ?? []).filter(({ shard }) => !known.has(shard)).map(doneBy);
  return { shards: [...reports, ...onlyKeys].sort((left, right) => left.shard - right.shard), failedKeys };
}

function doneBy({ shard }: Provenance): ShardReport {
  return { shard, status: "done" };
}

function reportOf({ shard, result }: ShardPurge): ShardReport {
  if (result.status === "unknown") return { shard, status: "unknown-outcome", detail: result.reason };
  if (result.status !== "ok") {
    const { slug, detail } = problemOfRefusal(result);
    return { shard, status: slug, detail };
  }
  for (const outcome of result.outcomes) {
    const found = problemOfOutcome(outcome);
    if (found !== undefined) return { shard, status: found.problem.slug, detail: found.problem.detail };
  }
  return { shard, status: "done" };
}
