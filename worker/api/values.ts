// Values inside JSON: `{"text": …}`, `{"base64": …}` or `{"json": …}`. The last one is for writing only: what is stored are
// bytes, and nobody knows any more what they were made of.

import { z } from "zod";

export const valueSchema = z
  .strictObject({
    text: z.string().optional(),
    base64: z.base64().optional(),
    json: z.unknown().optional(),
  })
  .refine((value) => Object.keys(value).length === 1, "expected one of text, base64 and json")
  .meta({ description: "Bytes: UTF-8 text, base64 with padding, or any JSON, stored as its text", minProperties: 1 });

export const readValueSchema = z
  .strictObject({ text: z.string().optional(), base64: z.base64().optional() })
  .meta({ description: "`text` where the bytes are UTF-8, otherwise `base64`" });

export type WireValue = z.infer<typeof valueSchema>;
export type ReadValue = z.infer<typeof readValueSchema>;

const encoder = new TextEncoder();
/** Keeps a byte order mark: it is part of the value. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function bytesOfValue({ text, base64, json }: WireValue): Uint8Array {
  if (text !== undefined) return encoder.encode(text);
  if (base64 !== undefined) return fromBase64(base64);
  return encoder.encode(JSON.stringify(json));
}

/** Where the writer names none. */
export function contentTypeOf({ text, base64 }: WireValue): string {
  if (text !== undefined) return "text/plain;charset=utf-8";
  return base64 === undefined ? "application/json" : "application/octet-stream";
}

export function valueOfBytes(bytes: Uint8Array): ReadValue {
  try {
    return { text: decoder.decode(bytes) };
  } catch {
    return { base64: toBase64(bytes) };
  }
}

/** By index: `Uint8Array.from` makes a text of each character first, which a large value feels. */
function fromBase64(base64: string): Uint8Array {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** Arguments of one call; more would overflow the stack. */
const CHARS_AT_ONCE = 8_192;

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.byteLength; at += CHARS_AT_ONCE) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHARS_AT_ONCE));
  }
  return btoa(binary);
}
