// Pure. Range requests, RFC 9110 section 14: one range of bytes. Several ranges, other units and anything malformed are
// ignored, as section 14.2 allows, and the whole value is sent.

export interface ByteRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

/** The unit's case means nothing (section 14.1). More digits than any value has bytes are as good as these. */
const BYTES = /^bytes=(?:([0-9]+)-([0-9]+)?|-([0-9]+))$/i;

/**
 * Section 13.1.5: whether the range is wanted at all, or, since the value is another than the client has part of, all of it.
 * `entityTag` is compared strongly: a weak tag never matches, nor does a date, because values have no Last-Modified.
 */
export function isRangeWanted(ifRange: string | null, entityTag: string): boolean {
  return ifRange === null || ifRange.trim() === entityTag;
}

/** Undefined: send everything. `unsatisfiable`: 416. */
export function parseRange(header: string, size: number): ByteRange | "unsatisfiable" | undefined {
  const found = BYTES.exec(header.trim());
  if (found === null) return undefined;
  const [, from, to, suffix] = found;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? "unsatisfiable" : { first: size - length, last: size - 1 };
  }
  const first = Number(from);
  const last = to === undefined ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== undefined && Number(to) < first) return undefined;
  return first >= size ? "unsatisfiable" : { first, last };
}

export function contentRange({ first, last }: ByteRange, size: number): string {
  return `bytes ${first}-${last}/${size}`;
}
