// Pure. The lines of an export's file (format.ts) as bytes: which kind a line is, and the digest over them. Apart from the schemas,
// so that the console can check a file without a library for schemas in the page.

export const FORMAT_VERSION = 1;

/** A value of a mebibyte in base64, the longest key and metadata with every character escaped. */
export const LINE_BYTES_MAX = 1_500_000;

const HEADER_START = '{"halo":"export"';
const CHECK_START = '{"type":"check"';
const END_START = '{"type":"end"';
const DIGEST_MARK = ',"sha256":"';

export type LineKind = "header" | "check" | "end" | "content";

/** By how it starts: the rest is not looked at before its digest was. */
export function kindOfLine(text: string): LineKind {
  if (text.startsWith(HEADER_START)) return "header";
  if (text.startsWith(CHECK_START)) return "check";
  return text.startsWith(END_START) ? "end" : "content";
}

const encoder = new TextEncoder();

/** The running digest of a segment. */
export class SegmentDigest {
  #before = "";
  #pending: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  /** Of the lines since the last seal. */
  get bytes(): number {
    return this.#bytes;
  }

  add(line: Uint8Array): void {
    this.#pending.push(new Uint8Array(line));
    this.#bytes += line.byteLength;
  }

  /** Of everything so far and of `line` up to its own digest. */
  async seal(line: string): Promise<string> {
    const end = line.lastIndexOf(DIGEST_MARK);
    const own = encoder.encode(end === -1 ? line : line.slice(0, end));
    const all = new Blob([encoder.encode(this.#before), ...this.#pending, own]);
    this.#pending = [];
    this.#bytes = 0;
    const hash = await crypto.subtle.digest("SHA-256", await all.arrayBuffer());
    this.#before = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return this.#before;
  }
}

/** A line that ends in its digest. */
export async function sealed(segment: SegmentDigest, fields: object): Promise<string> {
  const text = JSON.stringify(fields).slice(0, -1);
  return `${text}${DIGEST_MARK}${await segment.seal(text)}"}`;
}
