// Pure. The check that a mutation is well formed and keeps the limits. It belongs before the proposal: once a mutation is in
// the log, every replica applies it, whatever it says. The edge has checked most of it with better words; a replica trusts
// nobody.

import type {
  Conditions,
  KeyMutation,
  Lifetime,
  Mutation,
  Parts,
  PurgeMutation,
  PurgeScope,
  ReclaimMutation,
  TransactionMutation,
  VersionMatch,
} from "./command.ts";
import { isNumberText } from "./commands/numbers.ts";
import { isCount } from "./framing.ts";
import { DEFAULT_NAMESPACE, type KeyName, NAMESPACE_PATTERN, parseKey } from "./keyspace.ts";
import {
  CONDITION_VERSIONS_MAX,
  CONTENT_TYPE_BYTES_MAX,
  EXPECTED_VALUE_BYTES_MAX,
  FILL_LEASE_MS_MAX,
  FINGERPRINT_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  KEY_BYTES_MAX,
  LARGE_VALUE_BYTES_MAX,
  LIMIT_MAX,
  LIMIT_WINDOW_MS_MAX,
  METADATA_BYTES_MAX,
  PART_BYTES_MAX,
  PARTS_MAX,
  RECLAIM_ROWS_MAX,
  TAG_CHARS_MAX,
  TAGS_MAX,
  TIME_MS_MAX,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  TTL_MS_MAX,
  UPLOAD_CHARS_MAX,
  VALUE_BYTES_MAX,
} from "./limits.ts";
import { mutationBytes } from "./sizes.ts";

/** What was expected where the mutation breaks a limit or is not well formed; undefined: it can be proposed. Never throws. */
export function validateMutation(mutation: Mutation): string | undefined {
  const given: unknown = mutation;
  if (!isObject(given)) return "mutation: expected an object";
  switch (mutation.kind) {
    case "purge":
      return validatePurge(mutation);
    case "reclaim":
      return validateReclaim(mutation);
    case "forget_purges":
      return validateCount("revision", mutation.revision, 0, Number.MAX_SAFE_INTEGER);
    case "found_slots":
    case "move":
    case "import":
      return "kind: expected one that is not the shards' own";
    default:
      return validateTarget(mutation) ?? validateIdempotency(mutation.idempotency) ?? validateByKind(mutation);
  }
}

function validateByKind(mutation: KeyMutation): string | undefined {
  switch (mutation.kind) {
    case "put":
      return validateKeyKind(mutation, "value", "lock", "audit") ?? validatePut(mutation);
    case "delete":
      return optionalFlag("returnPrevious", mutation.returnPrevious);
    case "touch":
      return validateKeyKind(mutation, "value", "lock") ?? validateTouch(mutation);
    case "increment":
      return validateKeyKind(mutation, "value", "audit") ?? validateIncrement(mutation);
    case "append":
      return (
        validateKeyKind(mutation, "value") ??
        validateLifetime(mutation) ??
        validateValue(mutation.value) ??
        validateContentType(mutation.contentType)
      );
    case "stage":
      return validateKeyKind(mutation, "value") ?? validateUnconditional(mutation) ?? validateStage(mutation);
    case "begin_fill":
      return (
        validateKeyKind(mutation, "value") ??
        validateUnconditional(mutation) ??
        validateCount("leaseMs", mutation.leaseMs, 1, FILL_LEASE_MS_MAX) ??
        optionalFlag("isEarly", mutation.isEarly) ??
        (mutation.holder === undefined ? undefined : validateId("holder", mutation.holder))
      );
    case "release_fill":
      return (
        validateKeyKind(mutation, "value") ??
        validateUnconditional(mutation) ??
        validateCount("token", mutation.token, 1, Number.MAX_SAFE_INTEGER)
      );
    case "limit":
      return validateKeyKind(mutation, "limit", "quota") ?? validateUnconditional(mutation) ?? validateLimit(mutation);
    case "transaction":
      return validateUnconditional(mutation) ?? validateTransaction(mutation);
    default:
      // A newer edge may send a kind that this code does not know yet.
      return `kind: expected one that this replica knows, got ${textOf((mutation as { kind: unknown }).kind)}`;
  }
}

function validateTarget(target: Conditions & { readonly slot: number; readonly key: string }): string | undefined {
  const { slot, key, ifMatch, ifNoneMatch, ifValue, sourceVersion } = target;
  return (
    (isCount(slot) ? undefined : "slot: expected a whole number from 0") ??
    validateKey(key) ??
    validateVersions("ifMatch", ifMatch) ??
    validateVersions("ifNoneMatch", ifNoneMatch) ??
    (ifValue === undefined ? undefined : validateBytes("ifValue", ifValue, EXPECTED_VALUE_BYTES_MAX)) ??
    optionalCount("sourceVersion", sourceVersion, 0, Number.MAX_SAFE_INTEGER)
  );
}

/** Says what users may send: the namespace and the marks are not theirs. */
function validateKey(stored: string): string | undefined {
  // UTF-8 has no lone surrogates: such a key would come out of the log as another key.
  if (!isText(stored)) return "key: expected well-formed Unicode text";
  const name = parseKey(stored);
  return name === undefined ? "key: expected a namespace between its marks" : validateLength("key", name.key, 1);
}

function validateLength(name: string, text: string, least: number): string | undefined {
  const bytes = utf8Length(text);
  if (bytes >= least && bytes <= KEY_BYTES_MAX) return undefined;
  return `${name}: expected ${least} to ${KEY_BYTES_MAX} bytes of UTF-8, got ${bytes}`;
}

/** A limit's counts are read as such: nothing else may write them. */
function validateKeyKind({ kind, key }: KeyMutation, ...kinds: readonly KeyName["kind"][]): string | undefined {
  const name = parseKey(key);
  if (name !== undefined && kinds.includes(name.kind)) return undefined;
  return `key: expected one of kind ${kinds.join(", ")} for ${kind}`;
}

/** These kinds heed no conditions, so whoever sends some expects something else. */
function validateUnconditional(mutation: KeyMutation): string | undefined {
  const { kind, ifMatch, ifNoneMatch, ifValue, sourceVersion } = mutation;
  const isConditional = [ifMatch, ifNoneMatch, ifValue, sourceVersion].some((one) => one !== undefined);
  return isConditional ? `${kind}: expected no conditions` : undefined;
}

function validatePurge({ scope, isSoft }: PurgeMutation): string | undefined {
  return typeof isSoft === "boolean" ? validateScope(scope) : "isSoft: expected a boolean";
}

/** What is purged, or scanned: a scope of kind prefix is a range of keys. */
export function validateScope(scope: PurgeScope): string | undefined {
  const kind = isObject(scope) ? scope.kind : undefined;
  if (!isObject(scope) || (kind !== "tag" && kind !== "prefix")) return 'scope: expected one of kind "tag" or "prefix"';
  const problem = validateNamespace(scope.namespace);
  if (problem !== undefined) return problem;
  if (scope.kind === "tag") return isTag(scope.tag) ? undefined : `tag: expected ${TAG_EXPECTED}`;
  return isText(scope.prefix) ? validateLength("prefix", scope.prefix, 0) : "prefix: expected well-formed Unicode text";
}

function validateNamespace(namespace: unknown): string | undefined {
  const isName =
    typeof namespace === "string" && (namespace === DEFAULT_NAMESPACE || NAMESPACE_PATTERN.test(namespace));
  return isName ? undefined : "namespace: expected lower-case letters, digits, dots, underscores and hyphens, up to 64";
}

function isReclaimRow(row: unknown): boolean {
  const { slot, key, version } = isObject(row) ? (row as Partial<ReclaimMutation["rows"][number]>) : {};
  return isCount(slot) && isText(key) && isCount(version);
}

function validateReclaim({ rows, evicts, softens }: ReclaimMutation): string | undefined {
  if (!Array.isArray(rows) || rows.length > RECLAIM_ROWS_MAX)
    return `rows: expected a list of at most ${RECLAIM_ROWS_MAX}`;
  if (![...rows].every(isReclaimRow)) return "rows: expected a slot, a key and a version in each";
  return optionalFlag("evicts", evicts) ?? optionalFlag("softens", softens);
}

function validatePut(mutation: Extract<KeyMutation, { kind: "put" }>): string | undefined {
  const { value, contentType, parts, metadata, tags, fillToken, returnPrevious } = mutation;
  return (
    validateLifetime(mutation) ??
    validateValue(value) ??
    validateContentType(contentType) ??
    validateParts(parts, value) ??
    validateMetadata(metadata) ??
    validateTags(tags) ??
    optionalCount("fillToken", fillToken, 1, Number.MAX_SAFE_INTEGER) ??
    optionalFlag("returnPrevious", returnPrevious)
  );
}

function validateTouch(mutation: Extract<KeyMutation, { kind: "touch" }>): string | undefined {
  const { isAccess, softens, ttlMs, expiresAtMs, slidingMs } = mutation;
  const isTimed = [ttlMs, expiresAtMs, slidingMs].some((one) => one !== undefined);
  if (isAccess === true && (isTimed || softens === true)) return "isAccess: expected no time beside it";
  if (softens === true && isTimed) return "softens: expected no time beside it";
  return validateLifetime(mutation) ?? optionalFlag("isAccess", isAccess) ?? optionalFlag("softens", softens);
}

function validateValue(value: Uint8Array): string | undefined {
  return validateBytes("value", value, VALUE_BYTES_MAX);
}

function validateBytes(name: string, bytes: Uint8Array, bytesMax: number): string | undefined {
  if (!(bytes instanceof Uint8Array)) return `${name}: expected bytes`;
  if (bytes.byteLength <= bytesMax) return undefined;
  return `${name}: expected at most ${bytesMax} bytes, got ${bytes.byteLength}`;
}

function validateContentType(contentType: string): string | undefined {
  if (isFieldValue(contentType, CONTENT_TYPE_BYTES_MAX)) return undefined;
  return `contentType: expected at most ${CONTENT_TYPE_BYTES_MAX} characters of an HTTP field value`;
}

function validateParts(parts: Parts | undefined, value: Uint8Array): string | undefined {
  if (parts === undefined) return undefined;
  if (!isObject(parts)) return "parts: expected an upload";
  if (value.byteLength > 0) return "value: expected none beside parts";
  return (
    validateUpload(parts.upload) ??
    validateCount("parts.count", parts.count, 1, PARTS_MAX) ??
    validateCount("parts.bytes", parts.bytes, 1, LARGE_VALUE_BYTES_MAX)
  );
}

function validateUpload(upload: string): string | undefined {
  const isId = typeof upload === "string" && upload.length <= UPLOAD_CHARS_MAX && /^[0-9a-zA-Z-]+$/.test(upload);
  return isId ? undefined : `upload: expected 1 to ${UPLOAD_CHARS_MAX} letters, digits and hyphens`;
}

function validateStage({ upload, part, value }: Extract<KeyMutation, { kind: "stage" }>): string | undefined {
  return (
    validateUpload(upload) ??
    validateCount("part", part, 0, PARTS_MAX - 1) ??
    validateBytes("value", value, PART_BYTES_MAX)
  );
}

function validateMetadata(metadata: string | undefined): string | undefined {
  if (metadata === undefined || isFieldValue(metadata, METADATA_BYTES_MAX)) return undefined;
  return `metadata: expected at most ${METADATA_BYTES_MAX} characters of an HTTP field value`;
}

export const TAG = /^[\x21-\x2b\x2d-\x7e]+$/;

function validateTags(tags: readonly string[] | undefined): string | undefined {
  if (tags === undefined) return undefined;
  if (!Array.isArray(tags) || tags.length > TAGS_MAX) return `tags: expected a list of at most ${TAGS_MAX}`;
  return [...tags].every(isTag) ? undefined : `tags: expected ${TAG_EXPECTED} in each`;
}

const TAG_EXPECTED = `1 to ${TAG_CHARS_MAX} visible ASCII characters without commas`;

function isTag(tag: unknown): boolean {
  return typeof tag === "string" && tag.length <= TAG_CHARS_MAX && TAG.test(tag);
}

function validateLifetime(lifetime: Lifetime): string | undefined {
  const { ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs } = lifetime;
  const windows = staleWhileRevalidateMs !== undefined || staleIfErrorMs !== undefined;
  const isTimed = ttlMs !== undefined || expiresAtMs !== undefined;
  if (windows && !isTimed) return "staleWhileRevalidateMs, staleIfErrorMs: expected a time after which it is stale";
  if (slidingMs !== undefined && (windows || isTimed)) return "slidingMs: expected no other time beside it";
  return (
    optionalCount("ttlMs", ttlMs, 0, TTL_MS_MAX) ??
    optionalCount("expiresAtMs", expiresAtMs, 0, TIME_MS_MAX) ??
    optionalCount("staleWhileRevalidateMs", staleWhileRevalidateMs, 0, TTL_MS_MAX) ??
    optionalCount("staleIfErrorMs", staleIfErrorMs, 0, TTL_MS_MAX) ??
    optionalCount("slidingMs", slidingMs, 1, TTL_MS_MAX)
  );
}

function validateIncrement(mutation: Extract<KeyMutation, { kind: "increment" }>): string | undefined {
  const { by, initial, min, max, isFloat, clamps } = mutation;
  if (by === undefined) return "by: expected decimal text";
  for (const [name, text] of Object.entries({ by, initial, min, max })) {
    if (text === undefined) continue;
    if (typeof text !== "string" || !isNumberText(text, isFloat === true)) {
      return `${name}: expected the decimal text of ${isFloat === true ? "a finite number" : "a 64-bit integer"}`;
    }
  }
  if (min !== undefined && max !== undefined && isAbove(min, max, isFloat === true))
    return "min: expected no more than max";
  return validateLifetime(mutation) ?? optionalFlag("isFloat", isFloat) ?? optionalFlag("clamps", clamps);
}

function isAbove(left: string, right: string, isFloat: boolean): boolean {
  return isFloat ? Number(left) > Number(right) : BigInt(left) > BigInt(right);
}

function validateLimit(mutation: Extract<KeyMutation, { kind: "limit" }>): string | undefined {
  const { limit, windowMs, cost, algorithm } = mutation;
  if (algorithm !== "fixed_window" && algorithm !== "sliding_window") {
    return 'algorithm: expected "fixed_window" or "sliding_window"';
  }
  return (
    validateCount("limit", limit, 1, LIMIT_MAX) ??
    validateCount("windowMs", windowMs, 1, LIMIT_WINDOW_MS_MAX) ??
    validateCount("cost", cost, 0, LIMIT_MAX)
  );
}

function validateTransaction(mutation: TransactionMutation): string | undefined {
  const { slot, compare, onSuccess, onFailure } = mutation;
  for (const [name, list] of Object.entries({ compare, onSuccess, onFailure })) {
    if (!Array.isArray(list) || list.length > TRANSACTION_OPERATIONS_MAX) {
      return `${name}: expected a list of at most ${TRANSACTION_OPERATIONS_MAX}`;
    }
  }
  for (const one of [...compare, ...onSuccess, ...onFailure]) {
    if (!isObject(one)) return "transaction: expected objects in its lists";
    if (one.slot !== slot) return "transaction: expected all keys in one slot";
    const problem = validateTarget(one);
    if (problem !== undefined) return problem;
  }
  for (const one of [...onSuccess, ...onFailure]) {
    if (one.kind === "get") continue;
    if (!["put", "delete", "touch", "increment", "append"].includes(one.kind)) {
      return `transaction: expected no ${textOf((one as { kind: unknown }).kind)} in it`;
    }
    if (one.idempotency !== undefined) return "transaction: expected an idempotency key for the whole only";
    if (one.kind === "put" && one.fillToken !== undefined) return "transaction: expected no fill in it";
    const problem = validateByKind(one);
    if (problem !== undefined) return problem;
  }
  const bytes = mutationBytes(mutation);
  return bytes <= TRANSACTION_BYTES_MAX
    ? undefined
    : `transaction: expected at most ${TRANSACTION_BYTES_MAX} bytes, got about ${bytes}`;
}

function validateVersions(name: string, match: VersionMatch | undefined): string | undefined {
  if (match === undefined || match === "any") return undefined;
  if (!Array.isArray(match) || ![...match].every(isCount)) return `${name}: expected "any" or a list of versions`;
  if (match.length <= CONDITION_VERSIONS_MAX) return undefined;
  return `${name}: expected at most ${CONDITION_VERSIONS_MAX} versions, got ${match.length}`;
}

function validateIdempotency(idempotency: KeyMutation["idempotency"]): string | undefined {
  if (idempotency === undefined) return undefined;
  if (!isObject(idempotency)) return "idempotency: expected an id and a fingerprint";
  const { id, fingerprint } = idempotency;
  const problem = validateId("idempotency id", id);
  if (problem !== undefined) return problem;
  if (!isFieldValue(fingerprint, FINGERPRINT_BYTES_MAX) || fingerprint.length === 0) {
    return `fingerprint: expected 1 to ${FINGERPRINT_BYTES_MAX} characters of an HTTP field value`;
  }
  return undefined;
}

function validateId(name: string, id: unknown): string | undefined {
  if (isFieldValue(id, IDEMPOTENCY_KEY_BYTES_MAX) && id.length > 0) return undefined;
  return `${name}: expected 1 to ${IDEMPOTENCY_KEY_BYTES_MAX} characters of an HTTP field value`;
}

function validateCount(name: string, value: unknown, least: number, most: number): string | undefined {
  if (isCount(value) && value >= least && value <= most) return undefined;
  return `${name}: expected a whole number from ${least} to ${most}, got ${textOf(value)}`;
}

function optionalCount(name: string, value: unknown, least: number, most: number): string | undefined {
  return value === undefined ? undefined : validateCount(name, value, least, most);
}

function optionalFlag(name: string, value: unknown): string | undefined {
  return value === undefined || typeof value === "boolean" ? undefined : `${name}: expected a boolean`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.isWellFormed();
}

/** What arrived, as a message can say it; a bigint or an object may have no JSON. */
function textOf(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value.slice(0, 64).toWellFormed())
    : String(isObject(value) ? typeof value : value);
}

/** RFC 9110 section 5.5: tab, space, visible ASCII and obs-text. One byte a character, as header values arrive. */
function isFieldValue(text: unknown, bytesMax: number): text is string {
  return typeof text === "string" && text.length <= bytesMax && /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

/** Bytes of well-formed `text` in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair counts 2, so that the pair makes the 4 bytes of its code point.
    const isTwoBytes = unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff);
    bytes += isTwoBytes ? 1 : 2;
  }
  return bytes;
}
