// Pure. Preconditions of a mutation against the current entry, RFC 9110 section 13.1 in the order of section 13.2.2.

import type { Conditions, VersionMatch } from "./command.ts";

/** Whether a mutation may be applied to the entry with version `current`; undefined: there is no such entry. */
export function conditionsHold(conditions: Conditions, current: number | undefined): boolean {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined && !matches(ifMatch, current)) return false;
  return ifNoneMatch === undefined || !matches(ifNoneMatch, current);
}

function matches(match: VersionMatch, current: number | undefined): boolean {
  if (current === undefined) return false;
  return match === "any" || match.includes(current);
}
