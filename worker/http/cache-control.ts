// Pure. The time to live that a PUT asks for: `max-age` of its Cache-Control (RFC 9111 section 5.2).
// Stricter than a cache has to be, because a writer who is misread loses data: negative, fractional, overflowing, repeated
// or garbled values are refused. Directives other than max-age say nothing about storing here and are ignored, as
// section 5.2.3 asks.

import { type Parsed, parsed, refused } from "./problem.ts";

/** The greatest delta-seconds that every cache must understand (RFC 9111 section 1.2.2): about 68 years. */
export const TTL_SECONDS_MAX = 2_147_483_648;

/** One directive: a token, optionally `=` with a token or a quoted string. Whitespace around `=` is not allowed. */
const DIRECTIVE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"((?:[^"\\]|\\.)*)"))?$/;
const DELTA_SECONDS = /^[0-9]{1,10}$/;

/** Milliseconds to live; undefined where no max-age is given: the entry never expires. */
export function parseTtlMs(header: string): Parsed<number | undefined> {
  let seconds: number | undefined;
  for (const element of splitList(header)) {
    const directive = DIRECTIVE.exec(element);
    if (directive === null) return malformed(`"${element.slice(0, 40)}" is not a directive`);
    if (directive[1]?.toLowerCase() !== "max-age") continue;
    if (seconds !== undefined) return malformed("max-age is given twice");
    const value = directive[2] ?? directive[3] ?? "";
    seconds = DELTA_SECONDS.test(value) ? Number(value) : 0;
    if (seconds < 1 || seconds > TTL_SECONDS_MAX) return malformed(`max-age is "${value.slice(0, 40)}"`);
  }
  return parsed(seconds === undefined ? undefined : seconds * 1_000);
}

/** Elements between commas outside quoted strings, trimmed; empty ones dropped (RFC 9110 section 5.6.1.2). */
function splitList(header: string): string[] {
  const elements: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at <= header.length; at++) {
    const char = header[at];
    if (quoted && char === "\\") at += 1;
    else if (char === '"') quoted = !quoted;
    else if (char === undefined || (char === "," && !quoted)) {
      const element = header.slice(start, at).trim();
      if (element !== "") elements.push(element);
      start = at + 1;
    }
  }
  return elements;
}

function malformed(found: string): Parsed<number | undefined> {
  return refused(
    "malformed-ttl",
    `Cache-Control: ${found}; expected max-age=<seconds>, once, a whole number from 1 to ${TTL_SECONDS_MAX}; leave it out for an entry that never expires`,
  );
}
