// Pure. Preconditions of a mutation against the current entry: RFC 9110 section 13.1 in the order of section 13.2.2, then
// Halo's own.

import type { Conditions, VersionMatch } from "./command.ts";
import type { Entry } from "./entry.ts";

/** Whether a mutation may be applied to `current`; undefined: there is no such entry. */
export function conditionsHold(conditions: Conditions, current: Entry | undefined): boolean {
  const { ifMatch, ifNoneMatch, ifValue, sourceVersion } = conditions;
  if (ifMatch !== undefined && !matches(ifMatch, current?.version)) return false;
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, current?.version)) return false;
  if (ifValue !== undefined && !(current !== undefined && isSameValue(current, ifValue))) return false;
  const known = current?.extras?.sourceVersion;
  return sourceVersion === undefined || known === undefined || sourceVersion > known;
}

function matches(match: VersionMatch, current: number | undefined): boolean {
  if (current === undefined) return false;
  return match === "any" || match.includes(current);
}

/** A value in parts is larger than any that can be compared with. */
function isSameValue({ value, extras }: Entry, expected: Uint8Array): boolean {
  if (extras?.parts !== undefined || value.byteLength !== expected.byteLength) return false;
  return value.every((byte, at) => byte === expected[at]);
}
