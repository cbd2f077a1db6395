// Pure. Range requests, RFC 9110 section 14: one range of bytes. Several ranges, other units and anything malformed are
// ignored, as section 14.2 allows, and the whole value is sent.

export interface ByteRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

const BYTES = /^bytes=(?:([0-9]{1,15})-([0-9]{1,15})?|-([0-9]{1,15}))$/;

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
