// Pure. The limits of one mutation and of what a shard remembers, and the check that a mutation keeps them.
// The check belongs before the proposal: once a mutation is in the log, every replica applies it, whatever it says.

import type { Mutation, VersionMatch } from "./command.ts";

/** UTF-8 bytes. Fits any URL path and leaves a table's index narrow. */
export const KEY_BYTES_MAX = 1024;

/** With key and log framing well under the platform's 2 MB a row, so that a value needs no chunks. */
export const VALUE_BYTES_MAX = 1024 * 1024;

/** Far above any registered media type with its parameters. */
export const CONTENT_TYPE_BYTES_MAX = 255;

/** Ten years: longer means "never", and sums with the clock stay exact integers. */
export const TTL_MS_MAX = 10 * 365 * 24 * 60 * 60 * 1000;

/** What payment APIs accept as an Idempotency-Key. */
export const IDEMPOTENCY_KEY_BYTES_MAX = 255;

/** A SHA-512 in hexadecimal; any shorter hash fits. */
export const FINGERPRINT_BYTES_MAX = 128;

/** Versions in one If-Match or If-None-Match: clients send one or two; the header itself allows any number. */
export const CONDITION_VERSIONS_MAX = 64;

// The next two decide outcomes, so they are part of the state machine like its code: replicas that ran different numbers
// would disagree. Changing one needs a mutation in the log that says from where on the new number holds.

/** How long an outcome is remembered: a day, as is usual for idempotency keys. */
export const IDEMPOTENCY_RETENTION_MS = 24 * 60 * 60 * 1000;

/**
 * Outcomes remembered by a shard, newest first: about 50 MB of table, and at a shard's ceiling of about 1,000 writes
 * a second still four minutes of retries.
 */
export const IDEMPOTENCY_RECORDS_MAX = 250_000;

/** What was expected where the mutation breaks a limit or is not well formed; undefined: it can be proposed. */
export function validateMutation(mutation: Mutation): string | undefined {
  const { kind } = mutation;
  // A newer edge may send a kind that this code does not know yet.
  if (kind !== "put" && kind !== "delete") return `kind: expected "put" or "delete", got ${JSON.stringify(kind)}`;
  return (
    validateSlot(mutation.slot) ??
    validateKey(mutation.key) ??
    validateVersions("ifMatch", mutation.ifMatch) ??
    validateVersions("ifNoneMatch", mutation.ifNoneMatch) ??
    validateIdempotency(mutation.idempotency) ??
    (kind === "put" ? validatePut(mutation) : undefined)
  );
}

function validateSlot(slot: number): string | undefined {
  return isCount(slot) ? undefined : "slot: expected a whole number from 0";
}

function validateKey(key: string): string | undefined {
  // UTF-8 has no lone surrogates: such a key would come out of the log as another key.
  if (typeof key !== "string" || !key.isWellFormed()) return "key: expected well-formed Unicode text";
  const bytes = utf8Length(key);
  if (bytes >= 1 && bytes <= KEY_BYTES_MAX) return undefined;
  return `key: expected 1 to ${KEY_BYTES_MAX} bytes of UTF-8, got ${bytes}`;
}

function validatePut(mutation: Extract<Mutation, { kind: "put" }>): string | undefined {
  const { value, contentType, ttlMs } = mutation;
  if (!(value instanceof Uint8Array)) return "value: expected bytes";
  if (value.byteLength > VALUE_BYTES_MAX) {
    return `value: expected at most ${VALUE_BYTES_MAX} bytes, got ${value.byteLength}`;
  }
  if (!isFieldValue(contentType, CONTENT_TYPE_BYTES_MAX)) {
    return `contentType: expected at most ${CONTENT_TYPE_BYTES_MAX} characters of an HTTP field value`;
  }
  if (ttlMs !== undefined && !(isCount(ttlMs) && ttlMs <= TTL_MS_MAX)) {
    return `ttlMs: expected a whole number from 0 to ${TTL_MS_MAX}, got ${ttlMs}`;
  }
  return undefined;
}

function validateVersions(name: string, match: VersionMatch | undefined): string | undefined {
  if (match === undefined || match === "any") return undefined;
  if (!Array.isArray(match) || !match.every(isCount)) return `${name}: expected "any" or a list of versions`;
  if (match.length <= CONDITION_VERSIONS_MAX) return undefined;
  return `${name}: expected at most ${CONDITION_VERSIONS_MAX} versions, got ${match.length}`;
}

function validateIdempotency(idempotency: Mutation["idempotency"]): string | undefined {
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
