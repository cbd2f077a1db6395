// Pure. How a read travels between the edge and a replica as HTTP, if its value is longer than a call carries (../reads-wire.ts,
// whose lines are the ends of these URLs): as an HTTP request that the edge makes and an HTTP reply that is already the
// client's, headers and all, which the edge passes on as it comes.
//
//   GET http://replica/1/halo:cluster:s0:r1:g0/<epoch>/<slot>/<level>/after=3-42/not=7,8/head?<key>
//       version, addressee, topology epoch, slot, level, options, and the key, percent-encoded
//
//   200 a value, 404 no such entry, both with Halo-Consistency and Halo-Served-By;
//   203 a value with something left to do for the edge, which Halo-Remark says, as it can beside a 404;
//   Halo-Value-Length beside a value: its bytes, for the edge alone;
//   421 a refusal: the value of that type as JSON
//
// Versioned and additive, as RPC is: an option that is not known is ignored, and so is anything in a refusal.

import type { ConsistencyLevel, HotHint, LogPosition, ReadEntry, ReadOk, ReadRequest } from "../protocol.ts";
import { PROTOCOL_VERSION } from "../protocol.ts";
import type { Parts } from "../store/command.ts";
import { ageSeconds, replyCacheControl } from "./age.ts";
import { entityTag } from "./entity-tag.ts";
import { SERVED_BY, servedBy } from "./served-by.ts";

export const STATUS_VALUE = 200;
/** No reply to a client ever has it. */
export const STATUS_REMARKED = 203;
export const STATUS_NO_ENTRY = 404;
/** "Misdirected Request" is what most refusals say; no reply to a client ever has it. */
export const STATUS_REFUSED = 421;

/** Beside a value that has bytes: how many. Not for the client; between processes the platform shows the edge no Content-Length. */
export const VALUE_LENGTH = "Halo-Value-Length";

/** The platform routes by the object's stub and never looks at the host. */
const ORIGIN = "http://replica/";
const ANY_STALENESS = "any";
const COUNT = /^[0-9]{1,6}$/;
const LEVELS: ReadonlySet<string> = new Set<ConsistencyLevel>(["strong", "session", "bounded", "eventual"]);
/** Characters that mean nothing in a query and that no URL parser changes: such a key is sent as it is. */
const PLAIN_KEY = /^[A-Za-z0-9_.~:@/-]*$/;

/** The part of the URL that is the same for every read of one replica; the names of replicas need no encoding. */
export function readUrlBase(to: string): string {
  return `${ORIGIN}${PROTOCOL_VERSION}/${to}/`;
}

/** `base` is `readUrlBase(request.to)`. */
export function readUrl(base: string, request: ReadRequest): string {
  return base + readLine(request);
}

/** The rest of the URL; no character in it ends a line. */
export function readLine(request: ReadRequest): string {
  const { epoch, slot, level, key, after, boundMs, maxStaleMs, omitValueOfVersions, urgency, alsoFor, trace } = request;
  let line = `${epoch}/${slot}/${level}`;
  if (after !== undefined) line += `/after=${after.term}-${after.index}`;
  if (request.isAcknowledged === true) line += "/acked";
  if (boundMs !== undefined) line += `/bound=${boundMs}`;
  if (maxStaleMs !== undefined) line += `/stale=${Number.isFinite(maxStaleMs) ? maxStaleMs : ANY_STALENESS}`;
  if (omitValueOfVersions !== undefined) line += `/not=${omitValueOfVersions.join(",")}`;
  if (urgency !== undefined) line += `/u=${urgency}`;
  if (alsoFor !== undefined) line += `/also=${alsoFor}`;
  if (trace !== undefined) line += `/trace=${trace}`;
  if (request.omitValue === true) line += "/head";
  return `${line}?${PLAIN_KEY.test(key) ? key : encodeURIComponent(key)}`;
}

/** Undefined for anything that no edge sends. */
export function parseReadUrl(url: string, omitValue: boolean): ReadRequest | undefined {
  const query = url.indexOf("?");
  if (query === -1 || !url.startsWith(ORIGIN)) return undefined;
  const [version, to, epoch, slot, level, ...options] = url.slice(ORIGIN.length, query).split("/");
  if (to === undefined || level === undefined || !LEVELS.has(level)) return undefined;
  const key = decoded(url.slice(query + 1));
  if (key === undefined) return undefined;
  const request = {
    v: Number(version),
    to,
    epoch: Number(epoch),
    slot: Number(slot),
    key,
    level: level as ConsistencyLevel,
  };
  if (!Number.isSafeInteger(request.v + request.epoch + request.slot)) return undefined;
  if (options.length === 0 && !omitValue) return request;
  const parsed = parseOptions(options);
  return { ...request, ...parsed, omitValue: omitValue || parsed.omitValue };
}

function decoded(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function parseOptions(
  options: readonly string[],
): Omit<ReadRequest, "v" | "to" | "epoch" | "slot" | "key" | "level" | "omitValue"> & { readonly omitValue: boolean } {
  let after: LogPosition | undefined;
  let isAcknowledged: boolean | undefined;
  let boundMs: number | undefined;
  let maxStaleMs: number | undefined;
  let omitValueOfVersions: readonly number[] | undefined;
  let urgency: number | undefined;
  let alsoFor: number | undefined;
  let trace: string | undefined;
  let omitValue = false;
  for (const option of options) {
    const [name, value = ""] = option.split("=");
    if (name === "after") {
      const [term, index] = value.split("-").map(Number);
      if (term !== undefined && index !== undefined) after = { term, index };
    } else if (name === "acked") isAcknowledged = true;
    else if (name === "bound") boundMs = Number(value);
    else if (name === "stale") maxStaleMs = value === ANY_STALENESS ? Number.POSITIVE_INFINITY : Number(value);
    else if (name === "not") omitValueOfVersions = value.split(",").map(Number);
    else if (name === "u") urgency = Number(value);
    else if (name === "also" && COUNT.test(value)) alsoFor = Number(value);
    else if (name === "trace") trace = value;
    else if (name === "head") omitValue = true;
  }
  return { after, isAcknowledged, boundMs, maxStaleMs, omitValue, omitValueOfVersions, urgency, alsoFor, trace };
}

/** Headers of the reply to a client that asked for exactly this: the edge adds what only it knows, if anything. */
export function readHeaders(reply: ReadOk): Record<string, string> {
  const { entry, level } = reply;
  const headers = { ...commonHeaders(level, entry), ...ownHeaders(reply) };
  return entry?.extras === undefined ? headers : withExtras(headers, entry);
}

/** Whoever keeps the reply, a browser for instance, must not show it to another token, nor as another namespace's (RFC 9110, 12.5.5). */
const REQUEST_HEADERS_OF_THE_VALUE = "Authorization, Halo-Namespace";

/** Those of them that many replies have in the same form. */
export function commonHeaders(level: ConsistencyLevel, entry: ReadEntry | undefined): Record<string, string> {
  if (entry === undefined) return { "Halo-Consistency": level };
  return {
    "Content-Type": entry.contentType,
    "Cache-Control": replyCacheControl(entry),
    // Values are anybody's bytes under anybody's type.
    "X-Content-Type-Options": "nosniff",
    Vary: REQUEST_HEADERS_OF_THE_VALUE,
    "Halo-Consistency": level,
  };
}

/** The others, of an entry without extras. */
export function ownHeaders({ entry, clockMs, from }: ReadOk): Record<string, string> {
  if (entry === undefined) return { [SERVED_BY]: servedBy(from) };
  return {
    ETag: entityTag(entry.version),
    Age: String(ageSeconds(entry, clockMs)),
    [SERVED_BY]: servedBy(from),
  };
}

function withExtras(headers: Record<string, string>, { extras, stale }: ReadEntry): Record<string, string> {
  const { tags, metadata, sourceVersion } = extras ?? {};
  if (tags !== undefined) headers["Cache-Tag"] = tags.join(", ");
  if (metadata !== undefined) headers["Halo-Metadata"] = metadata;
  if (sourceVersion !== undefined) headers["Halo-Source-Version"] = String(sourceVersion);
  if (stale !== undefined) headers["Halo-Stale"] = stale;
  return headers;
}

/** What is left to do for the edge; never sent to a client. */
export const REMARK = "Halo-Remark";

const UNKNOWN = "-";

export interface Remark {
  /** The value is not in the reply but in parts. */
  readonly parts?: Parts | undefined;
  /** The access is to be written down. */
  readonly isAccessDue: boolean;
  /** The key is hot. */
  readonly hot?: HotHint | undefined;
}

/** Undefined: nothing. */
export function remarkOf({ entry, hot }: ReadOk): string | undefined {
  const parts = entry?.extras?.parts;
  if (hot === undefined && parts === undefined && entry?.isAccessDue !== true) return undefined;
  const remarks: string[] = [];
  if (entry?.isAccessDue === true) remarks.push("access");
  if (parts !== undefined) remarks.push(`parts ${parts.upload} ${parts.count} ${parts.bytes}`);
  if (hot !== undefined) remarks.push(`hot ${hot.staleMs ?? UNKNOWN} ${hot.sameForMs ?? UNKNOWN}`);
  return remarks.join(", ");
}

export function parseRemark(text: string): Remark {
  let parts: Parts | undefined;
  let isAccessDue = false;
  let hot: HotHint | undefined;
  for (const remark of text.split(", ")) {
    const [name, first, second, third] = remark.split(" ");
    if (name === "access") isAccessDue = true;
    else if (name === "parts" && first !== undefined)
      parts = { upload: first, count: Number(second), bytes: Number(third) };
    else if (name === "hot") hot = { staleMs: knownNumber(first), sameForMs: knownNumber(second) };
  }
  return { parts, isAccessDue, hot };
}

function knownNumber(text: string | undefined): number | undefined {
  return text === undefined || text === UNKNOWN ? undefined : Number(text);
}
