// Pure. The check that a mutation is well formed and keeps the limits. It belongs before the proposal: once a mutation is in
// the log, every replica applies it, whatever it says. The edge has checked most of it with better words; a replica trusts
// nobody.

import type {
  Conditions,
  KeyMutation,
  Lifetime,
  Parts,
  PurgeScope,
  TransactionMutation,
  VersionMatch,
} from "./command.ts";
import { isNumberText } from "./commands/numbers.ts";
import { DEFAULT_NAMESPACE, isSystemKey, NAMESPACE_PATTERN } from "./keyspace.ts";
import {
  CONDITION_VERSIONS_MAX,
  CONTENT_TYPE_BYTES_MAX,
  EXPECTED_VALUE_BYTES_MAX,
  FILL_LEASE_MS_MAX,
  FINGERPRINT_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  LARGE_VALUE_BYTES_MAX,
  LIMIT_MAX,
  LIMIT_WINDOW_MS_MAX,
  METADATA_BYTES_MAX,
  PART_BYTES_MAX,
  PARTS_MAX,
  PURGE_SCOPES_MAX,
  STORED_KEY_BYTES_MAX,
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

/** What was expected where the mutation breaks a limit or is not well formed; undefined: it can be proposed. */
export function validateMutation(mutation: KeyMutation): string | undefined {
  return validateTarget(mutation) ?? validateIdempotency(mutation.idempotency) ?? validateByKind(mutation);
}

/** The same for the scopes of one purge. */
export function validatePurge(scopes: readonly PurgeScope[]): string | undefined {
  if (!Array.isArray(scopes) || scopes.length === 0 || scopes.length > PURGE_SCOPES_MAX) {
    return `scopes: expected a list of 1 to ${PURGE_SCOPES_MAX}`;
  }
  for (const scope of scopes) {
    const problem = validateScope(scope);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

export function validateScope(scope: PurgeScope): string | undefined {
  const { namespace } = scope;
  if (namespace !== DEFAULT_NAMESPACE && !NAMESPACE_PATTERN.test(namespace)) return "namespace: expected a name of one";
  if (scope.kind === "tag") return validateTags([scope.tag]);
  if (scope.kind !== "prefix") return 'scope: expected one of kind "tag" or "prefix"';
  // The empty prefix is the namespace.
  return scope.prefix === "" ? undefined : validateKey(scope.prefix);
}

function validateByKind(mutation: KeyMutation): string | undefined {
  switch (mutation.kind) {
    case "put":
      return validatePut(mutation);
    case "delete":
      return undefined;
    case "touch":
      return validateLifetime(mutation);
    case "increment":
      return validateIncrement(mutation);
    case "append":
      return validateLifetime(mutation) ?? validateValue(mutation.value) ?? validateContentType(mutation.contentType);
    case "stage":
      return validateStage(mutation);
    case "begin_fill":
      return validateCount("leaseMs", mutation.leaseMs, 1, FILL_LEASE_MS_MAX);
    case "limit":
      return validateLimit(mutation);
    case "transaction":
      return validateTransaction(mutation);
    default:
      // A newer edge may send a kind that this code does not know yet.
      return `kind: expected one that this replica knows, got ${JSON.stringify((mutation as { kind: unknown }).kind)}`;
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

function validateKey(key: string): string | undefined {
  // UTF-8 has no lone surrogates: such a key would come out of the log as another key.
  if (typeof key !== "string" || !key.isWellFormed()) return "key: expected well-formed Unicode text";
  const bytes = utf8Length(key);
  if (bytes >= 1 && bytes <= STORED_KEY_BYTES_MAX) return undefined;
  return `key: expected 1 to ${STORED_KEY_BYTES_MAX} bytes of UTF-8, got ${bytes}`;
}

function validatePut(mutation: Extract<KeyMutation, { kind: "put" }>): string | undefined {
  const { value, contentType, parts, metadata, tags, fillToken } = mutation;
  return (
    validateLifetime(mutation) ??
    validateValue(value) ??
    validateContentType(contentType) ??
    validateParts(parts, value) ??
    validateMetadata(metadata) ??
    validateTags(tags) ??
    optionalCount("fillToken", fillToken, 1, Number.MAX_SAFE_INTEGER)
  );
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

function validateStage({ key, upload, part, value }: Extract<KeyMutation, { kind: "stage" }>): string | undefined {
  if (isSystemKey(key)) return "key: expected one of a value";
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
  const isTag = (tag: unknown) => typeof tag === "string" && tag.length <= TAG_CHARS_MAX && TAG.test(tag);
  return tags.every(isTag)
    ? undefined
    : `tags: expected 1 to ${TAG_CHARS_MAX} visible ASCII characters without commas in each`;
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
  const { by, initial, min, max, isFloat } = mutation;
  for (const [name, text] of Object.entries({ by, initial, min, max })) {
    if (text === undefined) continue;
    if (typeof text !== "string" || !isNumberText(text, isFloat === true)) {
      return `${name}: expected the decimal text of ${isFloat === true ? "a finite number" : "a 64-bit integer"}`;
    }
  }
  if (min !== undefined && max !== undefined && isAbove(min, max, isFloat === true))
    return "min: expected no more than max";
  return validateLifetime(mutation);
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
    if (one.slot !== slot) return "transaction: expected all keys in one slot";
    const problem = validateTarget(one);
    if (problem !== undefined) return problem;
  }
  for (const one of [...onSuccess, ...onFailure]) {
    if (one.kind === "get") continue;
    if (!["put", "delete", "touch", "increment", "append"].includes(one.kind)) {
      return `transaction: expected no ${JSON.stringify(one.kind)} in it`;
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
  if (!Array.isArray(match) || !match.every(isCount)) return `${name}: expected "any" or a list of versions`;
  if (match.length <= CONDITION_VERSIONS_MAX) return undefined;
  return `${name}: expected at most ${CONDITION_VERSIONS_MAX} versions, got ${match.length}`;
}

function validateIdempotency(idempotency: KeyMutation["idempotency"]): string | undefined {
  if (idempotency === undefined) return undefined;
  const { id, fingerprint } = idempotency;
  if (!isFieldValue(id, IDEMPOTENCY_KEY_BYTES_MAX) || id.length === 0) {
    return `idempotency id: expected 1 to ${IDEMPOTENCY_KEY_BYTES_MAX} characters of an HTTP field value`;
  }
  if (!isFieldValue(fingerprint, FINGERPRINT_BYTES_MAX) || fingerprint.length === 0) {
    return `fingerprint: expected 1 to ${FINGERPRINT_BYTES_MAX} characters of an HTTP field value`;
  }
  return undefined;
}

function validateCount(name: string, value: unknown, least: number, most: number): string | undefined {
  if (isCount(value) && value >= least && value <= most) return undefined;
  return `${name}: expected a whole number from ${least} to ${most}, got ${JSON.stringify(value)}`;
}

function optionalCount(name: string, value: unknown, least: number, most: number): string | undefined {
  return value === undefined ? undefined : validateCount(name, value, least, most);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
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
