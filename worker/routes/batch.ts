// POST /v1/batch: many operations, one call for each shard that owns some of their keys, a result for each.

import type { BatchItem } from "../../durable/protocol.ts";
import { batchOperationOf } from "../api/mutations.ts";
import { JSON_BODY_BYTES_MAX, readJson, readQuery } from "../api/request-body.ts";
import { resultOfItem, resultOfProblem } from "../api/results.ts";
import { type ApiResult, batchSchema, noQuerySchema } from "../api/schemas.ts";
import type { FinalRefusal } from "../clients/call-plan.ts";
import type { BatchOperation } from "../clients/operations.ts";
import type { KeepAlive, KvDeps } from "./kv-context.ts";
import { manyHeaders, readMany } from "./many.ts";
import { jsonReply, problemReply } from "./replies.ts";

export async function handleBatch(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const many = readMany(deps, request.headers);
  if (!many.ok) return problemReply(many.problem);
  const query = readQuery(request.url, noQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const body = await readJson(request, batchSchema, JSON_BODY_BYTES_MAX);
  if (!body.ok) return problemReply(body.problem);
  const { namespace, wanted } = many.value;
  const read = await Promise.all(body.value.operations.map((operation) => batchOperationOf(namespace, operation)));
  const operations = read.flatMap((one) => (one.ok ? [one.value] : []));
  const batch = deps.client.batch(operations, wanted);
  keepAlive(batch);
  const { items, from, level } = await batch;
  extendAccessed(deps, operations, items, keepAlive);
  let at = 0;
  const results = read.map((one): ApiResult => {
    const item = one.ok ? items[at++] : undefined;
    if (!one.ok) return resultOfProblem(one.problem);
    if (item === undefined) throw new Error("halo: one item for each operation");
    return resultOfItem(item);
  });
  const hasWritten = operations.some(({ kind }) => kind !== "get");
  return jsonReply({ results }, manyHeaders(deps, many.value, from, level, hasWritten));
}

/** Values with a sliding lifetime that were read get it again; nobody waits for that. */
function extendAccessed(
  { client }: KvDeps,
  operations: readonly BatchOperation[],
  items: readonly (BatchItem | FinalRefusal)[],
  keepAlive: KeepAlive,
): void {
  const accesses = operations.flatMap(({ slot, key }, at): BatchOperation[] => {
    const item = items[at];
    const isDue = item !== undefined && "kind" in item && item.kind === "entry" && item.entry?.isAccessDue === true;
    return isDue ? [{ kind: "touch", slot, key, isAccess: true }] : [];
  });
  if (accesses.length > 0) keepAlive(client.batch(accesses, { level: "strong" }));
}
