// Pure. Halo's own conditions: the value itself, and the writer's version of it.

import { EXPECTED_VALUE_BYTES_MAX } from "../../durable/store/limits.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const COUNT = /^(?:0|[1-9][0-9]{0,15})$/;

/** A byte sequence of RFC 9651 section 3.3.5: base64 between colons. */
export function parseExpectedValue(header: string): Parsed<Uint8Array> {
  const expected = `Halo-If-Value: expected :<base64>:, at most ${EXPECTED_VALUE_BYTES_MAX} bytes`;
  const text = header.trim();
  if (!(text.length >= 2 && text.startsWith(":") && text.endsWith(":")))
    return refused("malformed-condition", expected);
  const bytes = decodeBase64(text.slice(1, -1));
  if (bytes === undefined || bytes.byteLength > EXPECTED_VALUE_BYTES_MAX)
    return refused("malformed-condition", expected);
  return parsed(bytes);
}

/** Undefined: not base64 (RFC 4648 section 4, with its padding). */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (!BASE64.test(text)) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let at = 0;
  for (let start = 0; start < text.length; start += 4) {
    let group = 0;
    for (let offset = 0; offset < 4; offset++) {
      const value = ALPHABET.indexOf(text[start + offset] ?? "");
      group = (group << 6) | Math.max(0, value);
    }
    for (let shift = 16; shift >= 0 && at < bytes.byteLength; shift -= 8) bytes[at++] = (group >> shift) & 0xff;
  }
  return bytes;
}

export function parseSourceVersion(header: string): Parsed<number> {
  if (COUNT.test(header) && Number.isSafeInteger(Number(header))) return parsed(Number(header));
  return refused("malformed-condition", "Halo-Source-Version: expected a whole number from 0 to 2^53 - 1");
}
