// Pure. The outer form of everything the state machine writes down: one version byte, then one MessagePack value.
//
//   ┌─────────┬───────────────────────────────────────────────┐
//   │ version │ MessagePack array, fields by position         │
//   └─────────┴───────────────────────────────────────────────┘
//
// The two errors here are thrown, not returned: a replica that cannot read its log must stop, never guess.

import { Decoder, Encoder } from "@msgpack/msgpack";

/** Longest array on the wire: far above any real batch, and low enough that garbage cannot ask for gigabytes. */
export const WIRE_ARRAY_LENGTH_MAX = 65_536;

/**
 * The encoder's buffer never shrinks and the decoder holds on to its last input. After a message larger than this both
 * are dropped, so that one big batch does not pin memory that all objects of the isolate share.
 */
const CODEC_RETAINED_BYTES_MAX = 256 * 1024;

/** The bytes were written by newer code: a version, a mutation kind or a field that this code does not know. */
export class UnknownCodecVersionError extends Error {
  override readonly name = "UnknownCodecVersionError";
}

/** The bytes are truncated, damaged or not of this form at all. */
export class MalformedBytesError extends Error {
  override readonly name = "MalformedBytesError";
}

/** Fields by position. */
export type Wire = readonly unknown[];

let encoder = new Encoder();
let decoder = new Decoder({ maxArrayLength: WIRE_ARRAY_LENGTH_MAX });

/** Bytes of `version` and `wire`, in a buffer of their own. */
export function encodeFrame(version: number, wire: unknown): Uint8Array {
  // `encodeSharedRef` lends its buffer, so that putting the version in front costs no second copy.
  const body = encoder.encodeSharedRef(wire);
  const frame = new Uint8Array(1 + body.byteLength);
  frame[0] = version;
  frame.set(body, 1);
  if (frame.byteLength > CODEC_RETAINED_BYTES_MAX) encoder = new Encoder();
  return frame;
}

/** The array behind the version byte. Binary fields are views into `frame`: copy what is kept. */
export function decodeFrame(what: string, version: number, frame: Uint8Array): readonly unknown[] {
  const found = frame[0];
  if (found === undefined) throw new MalformedBytesError(`${what}: expected a version byte, got no bytes`);
  if (found !== version) throw new UnknownCodecVersionError(`${what}: expected codec version ${version}, got ${found}`);
  let wire: unknown;
  try {
    wire = decoder.decode(frame.subarray(1));
  } catch (cause) {
    throw new MalformedBytesError(`${what}: expected one whole MessagePack value`, { cause });
  } finally {
    if (frame.byteLength > CODEC_RETAINED_BYTES_MAX) decoder = new Decoder({ maxArrayLength: WIRE_ARRAY_LENGTH_MAX });
  }
  return asArray(what, wire);
}

/**
 * Refuses a field that newer code appended. Writers drop trailing absent fields, so a longer row does carry one, and a
 * replica that skipped it would drift away from the replicas that apply it.
 */
export function refuseNewerFields(what: string, row: readonly unknown[], known: number): void {
  if (row.length > known) {
    throw new UnknownCodecVersionError(`${what}: expected at most ${known} fields, got ${row.length}`);
  }
}

/** Without the absent fields at the end, so that a row is never longer than what it says. */
export function trimmed(fields: Wire): Wire {
  let length = fields.length;
  while (length > 0 && fields[length - 1] === undefined) length--;
  return length === fields.length ? fields : fields.slice(0, length);
}

export function asArray(what: string, wire: unknown): readonly unknown[] {
  if (Array.isArray(wire)) return wire;
  throw new MalformedBytesError(`${what}: expected an array`);
}

/** A whole number from 0 that is exact; not -0, which would come back as another number than went in. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}

/** Counters, times and versions: none of them is ever negative or fractional. */
export function asCount(what: string, wire: unknown): number {
  if (isCount(wire)) return wire;
  throw new MalformedBytesError(`${what}: expected a whole number from 0`);
}

export function asOptionalCount(what: string, wire: unknown): number | undefined {
  return wire === undefined || wire === null ? undefined : asCount(what, wire);
}

export function asOptionalString(what: string, wire: unknown): string | undefined {
  return wire === undefined || wire === null ? undefined : asString(what, wire);
}

export function asString(what: string, wire: unknown): string {
  if (typeof wire === "string") return wire;
  throw new MalformedBytesError(`${what}: expected a string`);
}

export function asBoolean(what: string, wire: unknown): boolean {
  if (typeof wire === "boolean") return wire;
  throw new MalformedBytesError(`${what}: expected a boolean`);
}

/** A copy in a buffer of its own: a view would keep the whole frame alive for as long as the value is cached. */
export function asBytesCopy(what: string, wire: unknown): Uint8Array {
  // Not `slice()`: on a Node Buffer that is a view.
  if (wire instanceof Uint8Array) return new Uint8Array(wire);
  throw new MalformedBytesError(`${what}: expected bytes`);
}

const NUL = 0x00;
const BYTE_ORDER_MARK = 0xfeff;

/**
 * The MessagePack decoder reads long strings with a TextDecoder, which swallows a leading byte order mark: another key
 * would come out than went in. So a key that starts with one, or with NUL itself, travels behind an extra NUL.
 */
export function keyToWire(key: string): string {
  const first = key.charCodeAt(0);
  return first === BYTE_ORDER_MARK || first === NUL ? `\u0000${key}` : key;
}

export function asKey(what: string, wire: unknown): string {
  const key = asString(what, wire);
  return key.charCodeAt(0) === NUL ? key.slice(1) : key;
}
