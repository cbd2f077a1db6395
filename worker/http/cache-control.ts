// Pure. Cache-Control, as a writer uses it to say how long a value lives (RFC 9111 section 5.2, RFC 5861) and as a reader
// uses it to say that a stale one will do. Stricter than a cache has to be, because a writer who is misread loses data:
// negative, fractional, overflowing, repeated or garbled values are refused. Other directives say nothing about storing
// here and are ignored, as RFC 9111 section 5.2.3 asks.

import { type Parsed, parsed, refused } from "./problem.ts";

/** Ten years, in seconds: longer means "never". */
export const TTL_SECONDS_MAX = 10 * 365 * 24 * 60 * 60;

/** One directive: a token, optionally `=` with a token or a quoted string. Whitespace around `=` is not allowed. */
const DIRECTIVE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"((?:[^"\\]|\\.)*)"))?$/;
const DELTA_SECONDS = /^[0-9]{1,10}$/;

/** Milliseconds each; undefined where it is not given. */
export interface StorageDirectives {
  readonly ttlMs?: number | undefined;
  readonly staleWhileRevalidateMs?: number | undefined;
  readonly staleIfErrorMs?: number | undefined;
}

const STORAGE = ["max-age", "stale-while-revalidate", "stale-if-error"] as const;

export function parseStorageDirectives(header: string): Parsed<StorageDirectives> {
  const seconds = parseDirectives(header, STORAGE);
  if (!seconds.ok) return seconds;
  const ms = (name: (typeof STORAGE)[number]) => {
    const found = seconds.value.get(name);
    return found === undefined || found === "" ? undefined : Number(found) * 1_000;
  };
  for (const [name, value] of seconds.value) {
    const least = name === "max-age" ? 1 : 0;
    if (!DELTA_SECONDS.test(value) || Number(value) < least || Number(value) > TTL_SECONDS_MAX)
      return malformed(
        `${name} is "${value.slice(0, 40)}"; expected ${name}=<seconds>, a whole number from ${least} to ${TTL_SECONDS_MAX}`,
      );
  }
  return parsed({
    ttlMs: ms("max-age"),
    staleWhileRevalidateMs: ms("stale-while-revalidate"),
    staleIfErrorMs: ms("stale-if-error"),
  });
}

/** How stale a value a reader takes, in milliseconds: infinite without a number, undefined where it takes none. */
export function parseMaxStaleMs(header: string): Parsed<number | undefined> {
  const found = parseDirectives(header, ["max-stale"]);
  if (!found.ok) return found;
  const value = found.value.get("max-stale");
  if (value === undefined) return parsed(undefined);
  if (value === "") return parsed(Number.POSITIVE_INFINITY);
  if (DELTA_SECONDS.test(value)) return parsed(Number(value) * 1_000);
  return malformed(`max-stale is "${value.slice(0, 40)}"; expected max-stale or max-stale=<seconds>`);
}

/** The values of the directives asked for, "" where one has none; each may be there once. */
function parseDirectives(header: string, names: readonly string[]): Parsed<ReadonlyMap<string, string>> {
  const values = new Map<string, string>();
  for (const element of splitList(header)) {
    const directive = DIRECTIVE.exec(element);
    if (directive === null) return malformed(`"${element.slice(0, 40)}" is not a directive`);
    const name = directive[1]?.toLowerCase() ?? "";
    if (!names.includes(name)) continue;
    if (values.has(name)) return malformed(`${name} is given twice`);
    values.set(name, directive[2] ?? directive[3] ?? "");
  }
  return parsed(values);
}

/** Elements between commas outside quoted strings, trimmed; empty ones dropped (RFC 9110 section 5.6.1.2). */
export function splitList(header: string): string[] {
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

function malformed(found: string): Parsed<never> {
  return refused("malformed-ttl", `Cache-Control: ${found}`);
}
