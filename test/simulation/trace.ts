// What happened, in order: always as a hash over every line's parts, so that two runs can be compared, and as text where
// somebody reads it. The last lines are kept for the report of a failure.

export type TracePart = string | number | boolean | undefined;

/** Lines kept for a failure's report. */
const LINES_KEPT = 400;

const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);

export class Trace {
  #high = 0x811c9dc5;
  #low = 0x9e3779b9;
  readonly #lines: string[] = [];
  readonly #keepsText: boolean;
  readonly #onLine: ((line: string) => void) | undefined;

  /** `keepsText` costs time: searches replay a failing seed with it instead. */
  constructor(options: { readonly keepsText: boolean; readonly onLine?: ((line: string) => void) | undefined }) {
    this.#keepsText = options.keepsText;
    this.#onLine = options.onLine;
  }

  note(nowMs: number, who: string, what: string, ...parts: readonly TracePart[]): void {
    this.#mixNumber(nowMs);
    this.#mixText(who);
    this.#mixText(what);
    for (const part of parts) {
      if (typeof part === "number") this.#mixNumber(part);
      else this.#mixText(part === undefined ? "-" : String(part));
    }
    if (!this.#keepsText) return;
    const line = `${nowMs.toFixed(3).padStart(11)} ${who.padEnd(9)} ${what} ${parts.map(show).join(" ")}`.trimEnd();
    this.#lines.push(line);
    if (this.#lines.length > 2 * LINES_KEPT) this.#lines.splice(0, LINES_KEPT);
    this.#onLine?.(line);
  }

  /** 16 hexadecimal digits over everything noted so far. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  lastLines(count: number): readonly string[] {
    return this.#lines.slice(-count);
  }

  #mixNumber(value: number): void {
    scratch[0] = value;
    this.#mix(scratchWords[0] ?? 0);
    this.#mix(scratchWords[1] ?? 0);
  }

  #mixText(text: string): void {
    for (let at = 0; at < text.length; at++) this.#high = Math.imul(this.#high ^ text.charCodeAt(at), 16_777_619);
    this.#mix(text.length);
  }

  #mix(word: number): void {
    this.#high = Math.imul(this.#high ^ word, 16_777_619);
    this.#low = Math.imul((this.#low ^ word ^ (this.#high >>> 13)) | 0, 0x85ebca6b);
    this.#low ^= this.#low >>> 15;
  }
}

/** One hash for the traces of several runs, in their order. */
export function combinedHash(hashes: readonly string[]): string {
  const trace = new Trace({ keepsText: false });
  for (const hash of hashes) trace.note(0, "", hash);
  return trace.hash;
}

function show(part: TracePart): string {
  if (part === undefined) return "-";
  return typeof part === "number" && !Number.isInteger(part) ? part.toFixed(3) : String(part);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
