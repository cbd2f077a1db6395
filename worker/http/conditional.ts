// Pure. Preconditions of RFC 9110 section 13: reads If-Match and If-None-Match and evaluates them for reads.
// An entity tag of Halo is strong and is the version in quotes: "42". For writes the store evaluates the same conditions,
// atomically with the write; here they are only read.

import type { VersionMatch } from "../../durable/store/command.ts";
import { type Parsed, parsed, refused } from "./problem.ts";

/** More tags than any client holds of one key; bounds what a replica compares. */
export const CONDITION_TAGS_MAX = 100;

/** Section 8.8.3: optional `W/`, then etagc (%x21 / %x23-7E / obs-text) in quotes. */
const ENTITY_TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/y;
/** What surrounds list elements: optional whitespace and, as section 5.6.1.2 asks of recipients, empty elements. */
const LIST_GAP = /[ \t,]*/y;
/** A version as `entityTag` writes it; any other opaque tag is well-formed but matches nothing here. */
const VERSION = /^(?:0|[1-9][0-9]{0,15})$/;

/** Strong comparison (section 8.8.3.2): a weak tag never matches, so it is left out. */
export function parseIfMatch(header: string): Parsed<VersionMatch> {
  return parseTags("If-Match", header, false);
}

/** Weak comparison (section 8.8.3.2): `W/"7"` matches version 7. */
export function parseIfNoneMatch(header: string): Parsed<VersionMatch> {
  return parseTags("If-None-Match", header, true);
}

/** `version` is the current one; undefined: there is no such entry. */
export function isMatch(match: VersionMatch, version: number | undefined): boolean {
  if (version === undefined) return false;
  return match === "any" || match.includes(version);
}

export interface ReadConditions {
  readonly ifMatch?: VersionMatch | undefined;
  readonly ifNoneMatch?: VersionMatch | undefined;
}

/** For an entry that exists, in the order of section 13.2.2: If-Match decides before If-None-Match is looked at. */
export function evaluateRead(
  conditions: ReadConditions,
  version: number,
): "send" | "not_modified" | "precondition_failed" {
  if (conditions.ifMatch !== undefined && !isMatch(conditions.ifMatch, version)) return "precondition_failed";
  if (conditions.ifNoneMatch !== undefined && isMatch(conditions.ifNoneMatch, version)) return "not_modified";
  return "send";
}

function parseTags(name: string, header: string, weakMatches: boolean): Parsed<VersionMatch> {
  if (header.trim() === "*") return parsed("any");
  const versions: number[] = [];
  let tags = 0;
  let at = gapEnd(header, 0);
  while (at < header.length) {
    ENTITY_TAG.lastIndex = at;
    const tag = ENTITY_TAG.exec(header);
    if (tag === null) return malformed(name, `"${header.slice(at, at + 20)}" is not an entity tag`);
    tags += 1;
    if (tags > CONDITION_TAGS_MAX) return malformed(name, `more than ${CONDITION_TAGS_MAX} entity tags`);
    const version = versionOf(tag[2] ?? "");
    if (version !== undefined && (weakMatches || tag[1] === undefined)) versions.push(version);
    const end = ENTITY_TAG.lastIndex;
    at = gapEnd(header, end);
    if (at < header.length && !header.slice(end, at).includes(","))
      return malformed(name, "entity tags need commas between");
  }
  if (tags === 0) return malformed(name, "it is empty");
  return parsed(versions);
}

function gapEnd(header: string, from: number): number {
  LIST_GAP.lastIndex = from;
  LIST_GAP.exec(header);
  return LIST_GAP.lastIndex;
}

function versionOf(opaque: string): number | undefined {
  if (!VERSION.test(opaque)) return undefined;
  const version = Number(opaque);
  return Number.isSafeInteger(version) ? version : undefined;
}

function malformed(name: string, found: string): Parsed<VersionMatch> {
  return refused("malformed-condition", `${name}: ${found}; expected * or a list of entity tags like "42", "43"`);
}
