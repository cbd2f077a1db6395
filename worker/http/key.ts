// Pure. The key of a request: the rest of the raw path after /v1/kv/ and the like, slashes included, percent-decoded.
// Read from the raw URL text, since a URL parser would forgive what must be refused here (a stray "%", bytes that are not
// UTF-8). Dot segments ("/../") are resolved by most clients' URL parsers before anyone here sees them, so a key that has one would
// be out of reach for these, or worse, lead them to another key: it is refused wherever it comes from.

import { hashTagProblem } from "../../routing/slots.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

export const KEY_PATH = "/v1/kv/";
/** Keys are stored with every version and in every log record: enough for a URL, too little for a value. */
export const KEY_BYTES_MAX = 1_024;

/** Visible ASCII, which is all that a URL may hold (RFC 3986 section 2); the rest has to be percent-encoded. */
const URL_TEXT = /^[\x21-\x7e]*$/;

/** `url` as the request gives it, absolute, with `path` in front of the key; `?` or `#` in it has to be percent-encoded. */
export function keyOf(url: string, path: string = KEY_PATH): Parsed<string> {
  const start = url.indexOf(path, url.indexOf("://") + 3);
  const raw = start === -1 ? "" : url.slice(start + path.length);
  if (raw === "") return refused("malformed-key", `the key is empty; expected ${path}<key>`);
  const query = raw.indexOf("?");
  if (query !== -1) {
    return refused("unexpected-query", `a query means nothing here; write "?" in a key as %3F`);
  }
  if (!URL_TEXT.test(raw))
    return refused("malformed-key", "the path has characters that must be percent-encoded as UTF-8");
  const key = raw.includes("%") ? decode(raw) : raw;
  if (key === undefined)
    return refused("malformed-key", "the percent-encoding is not valid UTF-8; expected %XX of UTF-8 bytes");
  return checkKey(key);
}

const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/;

/** The rules for a key that a request names, wherever it names it. */
export function checkKey(key: string): Parsed<string> {
  if (key.includes(".") && DOT_SEGMENT.test(key)) {
    return refused("malformed-key", 'the key has a segment "." or "..", which URL parsers resolve');
  }
  return checkKeyText(key);
}

/** Those for a key that is stored: one may have come before the other rules. */
export function checkKeyText(key: string): Parsed<string> {
  if (key === "") return refused("malformed-key", "the key is empty");
  if (!key.isWellFormed()) return refused("malformed-key", "the key is not well-formed Unicode text");
  const bytes = byteLength(key);
  if (bytes > KEY_BYTES_MAX) {
    return refused("key-too-long", `the key has ${bytes} bytes; expected at most ${KEY_BYTES_MAX} bytes of UTF-8`);
  }
  const tagProblem = hashTagProblem(key);
  return tagProblem === undefined ? parsed(key) : refused("malformed-key", tagProblem);
}

/** Strict: an incomplete escape, an overlong form and a surrogate half are all refused by the language itself. */
function decode(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

/** Bytes of the text as UTF-8; decoded keys hold no unpaired surrogates, so a pair is always four bytes. */
export function byteLength(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
