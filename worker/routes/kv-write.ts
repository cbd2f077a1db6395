// PUT and DELETE on /v1/kv/{key}. PUT answers 201 (created) or 204 (replaced), DELETE 204, so that it can be repeated, and
// says in Halo-Existed whether there was anything; either answers 200 with the old value where `Halo-Return: previous` asks
// for it and there was one.

import { entityTag } from "../../durable/http/entity-tag.ts";
import type { KeyMutation, PutMutation, ReturnedValue } from "../../durable/store/command.ts";
import { METADATA_BYTES_MAX, TAG_CHARS_MAX, TAGS_MAX } from "../../durable/store/limits.ts";
import { TAG } from "../../durable/store/validate.ts";
import { parseBalance } from "../http/balance.ts";
import { parseConsistency } from "../http/consistency.ts";
import { parseUrgency } from "../http/priority.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";
import { type KeyTarget, readConditions, readLifetime, readTarget, withIdempotency } from "./key-request.ts";
import { type KeepAlive, type KvDeps, readBookmark } from "./kv-context.ts";
import { parseFillToken } from "./kv-fill.ts";
import { receiveValue } from "./large-value.ts";
import { problemReply, type ReplyHeaders } from "./replies.ts";
import { type WriteOk, writeReply } from "./write-reply.ts";

export const DEFAULT_CONTENT_TYPE = "application/octet-stream";
/** Stored with every entry; real ones are under a hundred. */
export const CONTENT_TYPE_CHARS_MAX = 255;
const CONTENT_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*(?:;.*)?$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export async function handleWrite(deps: KvDeps, request: Request, keepAlive: KeepAlive): Promise<Response> {
  const target = readTarget(request);
  if (!target.ok) return problemReply(target.problem);
  // It changes nothing for a write, which is on a majority in any case, but a garbled one is not what its sender meant.
  const level = request.headers.get("Halo-Consistency");
  const consistency = level === null ? undefined : parseConsistency(level);
  if (consistency?.ok === false) return problemReply(consistency.problem);
  const balance = parseBalance(request.headers.get("Halo-Balance"));
  if (!balance.ok) return problemReply(balance.problem);
  const bookmark = readBookmark(deps, request.headers);
  if (!bookmark.ok) return problemReply(bookmark.problem);
  const mutation = await mutationOf(deps, target.value, request);
  if (!mutation.ok) return problemReply(mutation.problem);
  const write = deps.client.write(mutation.value, {
    balance: balance.value,
    urgency: parseUrgency(request.headers.get("Priority")),
  });
  // A client that hangs up must not cancel a write half way.
  keepAlive(write);
  return writeReply(deps, bookmark.value, await write, outcomeReply);
}

async function mutationOf(deps: KvDeps, target: KeyTarget, request: Request): Promise<Parsed<KeyMutation>> {
  const { headers, method } = request;
  const conditions = readConditions(headers);
  if (!conditions.ok) return conditions;
  const returns = parseReturn(headers.get("Halo-Return"));
  if (!returns.ok) return returns;
  const shared = { ...target, ...conditions.value, ...(returns.value ? { returnPrevious: true } : {}) };
  if (method === "DELETE") return withIdempotency({ kind: "delete", ...shared }, headers);
  const options = putOptions(headers);
  if (!options.ok) return options;
  // Last, since a large value is on its way into the shard as it is received.
  const received = await receiveValue(deps, target, request);
  if (!received.ok) return received;
  const { digest, ...value } = received.value;
  return withIdempotency({ kind: "put", ...shared, ...options.value, ...value }, headers, digest);
}

/** What a PUT says of its value beside the value. */
function putOptions(headers: Headers): Parsed<Omit<PutMutation, "kind" | "slot" | "key" | "value" | "parts">> {
  const contentType = parseContentType(headers);
  if (!contentType.ok) return contentType;
  const lifetime = readLifetime(headers);
  if (!lifetime.ok) return lifetime;
  const tags = parseTags(headers.get("Cache-Tag"));
  if (!tags.ok) return tags;
  const metadata = parseMetadata(headers.get("Halo-Metadata"));
  if (!metadata.ok) return metadata;
  const fillToken = parseFillToken(headers.get("Halo-Fill-Token"));
  if (!fillToken.ok) return fillToken;
  return parsed({
    contentType: contentType.value,
    ...lifetime.value,
    ...(tags.value === undefined ? {} : { tags: tags.value }),
    ...(metadata.value === undefined ? {} : { metadata: metadata.value }),
    ...(fillToken.value === undefined ? {} : { fillToken: fillToken.value }),
  });
}

export function parseContentType(headers: Headers): Parsed<string> {
  if (headers.get("Content-Range") !== null) {
    // RFC 9110 section 14.5: a server that knows no partial PUT must not take the part for the whole.
    return refused("partial-put", "Content-Range is not supported on PUT; expected the whole value");
  }
  const encoding = headers.get("Content-Encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    return refused(
      "unsupported-encoding",
      "Content-Encoding would be lost; expected the value without a content coding",
    );
  }
  const contentType = headers.get("Content-Type") ?? DEFAULT_CONTENT_TYPE;
  if (contentType.length <= CONTENT_TYPE_CHARS_MAX && CONTENT_TYPE.test(contentType)) return parsed(contentType);
  return refused(
    "malformed-content-type",
    `Content-Type: expected type/subtype with at most ${CONTENT_TYPE_CHARS_MAX} characters`,
  );
}

/** Each tag once, in the order given. */
function parseTags(header: string | null): Parsed<readonly string[] | undefined> {
  if (header === null) return parsed(undefined);
  const tags = [...new Set(header.split(",").map((tag) => tag.trim()))];
  if (tags.length <= TAGS_MAX && tags.every((tag) => tag.length <= TAG_CHARS_MAX && TAG.test(tag))) return parsed(tags);
  return refused(
    "malformed-tags",
    `Cache-Tag: expected at most ${TAGS_MAX} tags between commas, each of 1 to ${TAG_CHARS_MAX} visible ASCII characters`,
  );
}

function parseMetadata(header: string | null): Parsed<string | undefined> {
  if (header === null) return parsed(undefined);
  if (header.length <= METADATA_BYTES_MAX && FIELD_VALUE.test(header)) return parsed(header);
  return refused("malformed-metadata", `Halo-Metadata: expected at most ${METADATA_BYTES_MAX} bytes of a header value`);
}

function parseReturn(header: string | null): Parsed<boolean> {
  if (header === null || header === "previous") return parsed(header !== null);
  return refused("malformed-condition", 'Halo-Return: expected "previous"');
}

function outcomeReply({ outcome }: WriteOk, headers: ReplyHeaders): Response | undefined {
  switch (outcome.kind) {
    case "stored":
      headers.ETag = entityTag(outcome.version);
      if (outcome.previous !== undefined) return previousReply(outcome.previous, headers);
      return new Response(null, { status: outcome.created ? 201 : 204, headers });
    case "deleted":
      headers["Halo-Existed"] = String(outcome.existed);
      if (outcome.previous !== undefined) return previousReply(outcome.previous, headers);
      return new Response(null, { status: 204, headers });
    default:
      return undefined;
  }
}

/** ETag is the new version's; the old one has a header of its own. */
function previousReply({ value, contentType, version }: ReturnedValue, headers: ReplyHeaders): Response {
  headers["Content-Type"] = contentType;
  headers["Cache-Control"] = "no-store";
  headers["X-Content-Type-Options"] = "nosniff";
  headers["Halo-Previous-Version"] = entityTag(version);
  return new Response(value, { headers });
}
