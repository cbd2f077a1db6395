// Pure. The entity tag of a value (RFC 9110 section 8.8.3): strong, the version in quotes.

const TAG = /^"(0|[1-9][0-9]{0,15})"$/;

export function entityTag(version: number): string {
  return `"${version}"`;
}

/** Undefined for anything that `entityTag` could not have made. */
export function taggedVersion(tag: string): number | undefined {
  const digits = TAG.exec(tag)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
