// Pure. How names of users become keys of the store. One ordered key space holds everything:
//
//   greeting                       a key of the default namespace, as it is
//   \u0001 sessions \u0001 4711    a key of the namespace `sessions`: a namespace is a prefix, so that purging and scanning
//                                  one is purging and scanning a prefix
//   \u0001 \u0001 \u0002…          a key of the default namespace that starts with one of the two marks itself
//   \u0002 lock \u0001 …           Halo's own: locks, rate limits, parts of large values; the audit log and the quotas of
//                                  tokens, which no request for data can name
//
// Own keys are entries like others, so that checkpoints, snapshots and moves of slots need to know nothing of them.

const NAMESPACE_MARK = "\u0001";
const SYSTEM_MARK = "\u0002";

export const DEFAULT_NAMESPACE = "";

/** Names of namespaces: short, and safe in headers, paths and metrics. */
export const NAMESPACE_PATTERN = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
export const NAMESPACE_CHARS_MAX = 64;

export type SystemKind = "lock" | "limit" | "part" | "audit" | "quota";

/** What a stored key may be longer than the user's: three marks, the longest kind of an own key, and the namespace. */
export const KEY_OVERHEAD_BYTES_MAX = 3 + "limit".length + NAMESPACE_CHARS_MAX;

export function storedKey(namespace: string, key: string): string {
  if (namespace === DEFAULT_NAMESPACE && !startsWithMark(key)) return key;
  return `${NAMESPACE_MARK}${namespace}${NAMESPACE_MARK}${key}`;
}

/** The user's side of a stored key that is not an own one. */
export function userKey(stored: string): { readonly namespace: string; readonly key: string } {
  if (stored.charCodeAt(0) !== 1) return { namespace: DEFAULT_NAMESPACE, key: stored };
  const end = stored.indexOf(NAMESPACE_MARK, 1);
  return { namespace: stored.slice(1, end), key: stored.slice(end + 1) };
}

const NAMED_KINDS: ReadonlySet<string> = new Set<KeyName["kind"]>(["lock", "limit", "audit", "quota"]);

export interface KeyName {
  readonly kind: "value" | Exclude<SystemKind, "part">;
  readonly namespace: string;
  readonly key: string;
}

/** What `storedKey` or `systemKey` made this of; undefined: neither of them makes such a key. */
export function parseKey(stored: string): KeyName | undefined {
  const first = stored.charAt(0);
  if (first !== NAMESPACE_MARK && first !== SYSTEM_MARK)
    return { kind: "value", namespace: DEFAULT_NAMESPACE, key: stored };
  const kindEnd = first === SYSTEM_MARK ? stored.indexOf(NAMESPACE_MARK, 1) : 0;
  const kind = first === SYSTEM_MARK ? stored.slice(1, kindEnd) : "value";
  if (kindEnd < 0 || (first === SYSTEM_MARK && !NAMED_KINDS.has(kind))) return undefined;
  const end = stored.indexOf(NAMESPACE_MARK, kindEnd + 1);
  if (end < 0) return undefined;
  const namespace = stored.slice(kindEnd + 1, end);
  const key = stored.slice(end + 1);
  return parseNamed(kind as KeyName["kind"], namespace, key);
}

function parseNamed(kind: KeyName["kind"], namespace: string, key: string): KeyName | undefined {
  if (namespace !== DEFAULT_NAMESPACE) return NAMESPACE_PATTERN.test(namespace) ? { kind, namespace, key } : undefined;
  // A value of the default namespace is escaped only where it has to be: one key has one form.
  return kind === "value" && !startsWithMark(key) ? undefined : { kind, namespace, key };
}

/** The namespace of a stored key that is not an own one. */
export function namespaceOf(stored: string): string {
  if (stored.charCodeAt(0) !== 1) return DEFAULT_NAMESPACE;
  return stored.slice(1, stored.indexOf(NAMESPACE_MARK, 1));
}

export function isSystemKey(stored: string): boolean {
  return stored.charCodeAt(0) === 2;
}

/** Locks and rate limits, and what Halo itself keeps, have names of their own, apart from the keys. */
export function systemKey(kind: Exclude<SystemKind, "part">, namespace: string, name: string): string {
  return `${SYSTEM_MARK}${kind}${NAMESPACE_MARK}${namespace}${NAMESPACE_MARK}${name}`;
}

/** Key of one part of a large value; `upload` tells the uploads of one key apart. In the slot of the key that it belongs to. */
export function partKey(key: string, upload: string, part: number): string {
  return `${SYSTEM_MARK}part${NAMESPACE_MARK}${upload}${NAMESPACE_MARK}${part}${NAMESPACE_MARK}${key}`;
}

export interface PartName {
  readonly key: string;
  readonly upload: string;
  readonly part: number;
}

/** Undefined: not the key of a part. */
export function parsePartKey(stored: string): PartName | undefined {
  const start = `${SYSTEM_MARK}part${NAMESPACE_MARK}`;
  if (!stored.startsWith(start)) return undefined;
  const uploadEnd = stored.indexOf(NAMESPACE_MARK, start.length);
  const partEnd = stored.indexOf(NAMESPACE_MARK, uploadEnd + 1);
  return {
    upload: stored.slice(start.length, uploadEnd),
    part: Number(stored.slice(uploadEnd + 1, partEnd)),
    key: stored.slice(partEnd + 1),
  };
}

/** A range of stored keys: from `from` inclusive to `to` exclusive; no `to`: to the end. */
export interface KeyRange {
  readonly from: string;
  readonly to?: string | undefined;
}

/** In place of a namespace's name, which it can never be: those of all of them. */
export const ALL_NAMESPACES = "*";

/** Where the keys of a namespace that start with `prefix` are, in order; own keys are in none of the ranges. */
export function rangesOf(namespace: string, prefix: string): readonly KeyRange[] {
  if (namespace === ALL_NAMESPACES) return [{ from: "", to: SYSTEM_MARK }, { from: "\u0003" }];
  if (namespace !== DEFAULT_NAMESPACE || startsWithMark(prefix)) return [prefixRange(storedKey(namespace, prefix))];
  if (prefix !== "") return [prefixRange(prefix)];
  // Everything but the marks, and what is escaped behind them.
  const escaped = `${NAMESPACE_MARK}${NAMESPACE_MARK}`;
  return [{ from: "", to: NAMESPACE_MARK }, prefixRange(escaped), { from: "\u0003" }];
}

/** Every key that starts with `prefix`, which is not empty. */
function prefixRange(prefix: string): KeyRange {
  return { from: prefix, to: successorOfPrefix(prefix) };
}

const LAST_CODE_POINT = 0x10ffff;
const SURROGATES_FIRST = 0xd800;
const SURROGATES_LAST = 0xdfff;

/** The least text above everything that starts with `prefix`, in the order of code points; undefined: there is none. */
function successorOfPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (char) => char.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === LAST_CODE_POINT) continue;
    const next = last + 1 === SURROGATES_FIRST ? SURROGATES_LAST + 1 : last + 1;
    return String.fromCodePoint(...points, next);
  }
  return undefined;
}

function startsWithMark(key: string): boolean {
  const first = key.charCodeAt(0);
  return first === 1 || first === 2;
}

/**
 * The order of UTF-8 bytes, which is the order of code points and the one in which SQLite keeps the keys. JavaScript's own
 * `<` compares UTF-16 units and puts U+FFFF after U+10000.
 */
export function compareKeys(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a === b) continue;
    const isSurrogate = (unit: number) => unit >= SURROGATES_FIRST && unit <= SURROGATES_LAST;
    // Units differ: a surrogate stands for a code point above all that are not written with surrogates.
    if (isSurrogate(a) !== isSurrogate(b)) return isSurrogate(a) ? 1 : -1;
    return a - b;
  }
  return left.length - right.length;
}
