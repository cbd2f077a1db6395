// How values become bytes and back. Bring others (MessagePack, Protocol Buffers, compression) by writing the three members.

import { HaloDecodeError } from "./errors.ts";
import type { Bytes } from "./transport.ts";

export interface Codec<T> {
  /** Stored with the value. */
  readonly contentType: string;
  encode(value: T): Uint8Array;
  /** What it throws reaches the caller as the cause of a `HaloDecodeError`. */
  decode(bytes: Bytes, contentType: string): T;
}

const encoder = new TextEncoder();

export function utf8(value: string): Bytes {
  // Not every runtime's types say that the memory is the encoder's own.
  return encoder.encode(value) as Bytes;
}

/** Strict, and keeps a byte order mark, so that what was stored comes back unchanged. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const bytes: Codec<Uint8Array> = {
  contentType: "application/octet-stream",
  encode: (value) => value,
  decode: (found) => found,
};

export const text: Codec<string> = {
  contentType: "text/plain; charset=utf-8",
  encode: utf8,
  decode: (found) => decoder.decode(found),
};

/** JSON. `check` makes the type true at run time: it gets what was parsed and returns it, or throws. */
export function json<T>(check?: (parsed: unknown) => T): Codec<T> {
  return {
    contentType: "application/json",
    encode(value) {
      const written: string | undefined = JSON.stringify(value);
      if (written === undefined) throw new TypeError(`a ${typeof value} has no JSON form`);
      return utf8(written);
    },
    decode(found) {
      const parsed: unknown = JSON.parse(decoder.decode(found));
      return check === undefined ? (parsed as T) : check(parsed);
    },
  };
}

export function decodeWith<T>(codec: Codec<T>, found: Bytes, contentType: string, key: string): T {
  try {
    return codec.decode(found, contentType);
  } catch (cause) {
    const detail = `the value of "${key}", ${found.length} bytes of ${contentType}, is not ${codec.contentType}`;
    throw new HaloDecodeError({ slug: "undecodable", status: 0, detail, cause });
  }
}

/** What is sent must not change under a retry, nor lie in shared memory. */
export function encodeWith<T>(codec: Codec<T>, value: T): Bytes {
  return new Uint8Array(codec.encode(value));
}

/** A value inside JSON: text where it is UTF-8, base64 otherwise. */
export type WireValue = { readonly text: string } | { readonly base64: string } | { readonly json: unknown };

export function toWire(value: Bytes): WireValue {
  try {
    return { text: decoder.decode(value) };
  } catch {
    return { base64: toBase64(value) };
  }
}

export function fromWire(value: WireValue): Bytes {
  if ("text" in value) return utf8(value.text);
  if ("base64" in value) return Uint8Array.from(atob(value.base64), (char) => char.charCodeAt(0));
  return utf8(JSON.stringify(value.json));
}

export function toBase64(value: Uint8Array): string {
  let binary = "";
  for (const byte of value) binary += String.fromCharCode(byte);
  return btoa(binary);
}
