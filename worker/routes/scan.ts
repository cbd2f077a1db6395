// GET /v1/scan and /v1/count: the keys of a namespace that start with a prefix, a page at a time, or how many there are.

import type { ScanItem } from "../../durable/protocol.ts";
import { userKey } from "../../durable/store/keyspace.ts";
import { type CursorScope, decodeCursor, encodeCursor } from "../api/cursor.ts";
import { readQuery } from "../api/request-body.ts";
import { type ApiScanItem, countQuerySchema, SCAN_LIMIT_DEFAULT, scanQuerySchema } from "../api/schemas.ts";
import { valueOfBytes } from "../api/values.ts";
import { parsed } from "../http/problem.ts";
import type { KvDeps } from "./kv-context.ts";
import { manyHeaders, readMany } from "./many.ts";
import { jsonReply, problemReply, refusalReply } from "./replies.ts";

export async function handleScan(deps: KvDeps, request: Request): Promise<Response> {
  const many = readMany(deps, request.headers);
  if (!many.ok) return problemReply(many.problem);
  const query = readQuery(request.url, scanQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { prefix = "", limit, cursor, values } = query.value;
  const { namespace, wanted } = many.value;
  const scope: CursorScope = { cluster: deps.bookmarkTag, namespace, prefix };
  const start = cursor === undefined ? parsed(undefined) : decodeCursor(scope, cursor);
  if (!start.ok) return problemReply(start.problem);
  const page = await deps.client.scan({
    ...wanted,
    namespace,
    prefix,
    start: start.value,
    limit: limit === undefined ? SCAN_LIMIT_DEFAULT : Number(limit),
    withValues: values === "true",
  });
  if (page.status !== "ok") return refusalReply(page);
  const { items, next, from, level } = page;
  return jsonReply(
    { items: items.map(itemOf), cursor: next === undefined ? undefined : encodeCursor(scope, next) },
    manyHeaders(deps, many.value, from, level),
  );
}

export async function handleCount(deps: KvDeps, request: Request): Promise<Response> {
  const many = readMany(deps, request.headers);
  if (!many.ok) return problemReply(many.problem);
  const query = readQuery(request.url, countQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { namespace, wanted } = many.value;
  const count = await deps.client.count({ ...wanted, namespace, prefix: query.value.prefix ?? "" });
  return typeof count === "number" ? jsonReply({ count }, {}) : refusalReply(count);
}

function itemOf({ key, version, size, contentType, modifiedMs, expiresMs, extras, value }: ScanItem): ApiScanItem {
  const { tags, metadata } = extras ?? {};
  return {
    key: userKey(key).key,
    version,
    size,
    contentType,
    modifiedMs,
    expiresMs,
    tags: tags === undefined ? undefined : [...tags],
    metadata,
    value: value === undefined ? undefined : valueOfBytes(value),
  };
}
