// The file of an export in a browser (docs/export.md): where its segments are, each of which the cluster gives or takes by itself, and
// whether they are what a cluster wrote. It holds one block of lines. What the lines mean is for the cluster to judge.

import { linesOf } from "../../../worker/transfer/lines.ts";
import { FORMAT_VERSION, kindOfLine, LINE_BYTES_MAX, SegmentDigest } from "../../../worker/transfer/segment-lines.ts";

export interface Segment {
  readonly start: number;
  readonly bytes: number;
  readonly entries: number;
  /** That it was taken from. */
  readonly cluster: string;
  /** Where it begins in that cluster; null: at the start. */
  readonly begins: string | null;
  /** Where the next one begins; undefined: it is the last. */
  readonly next: string | null | undefined;
}

interface Fields {
  readonly version?: number;
  readonly cluster?: string;
  readonly cursor?: string | null;
  readonly entries?: number;
  readonly complete?: boolean;
  readonly sha256?: string;
}

/** Every segment. Throws a line for a person where the file is cut, altered, of a newer version or no export at all. */
export async function segmentsOf(file: Blob, onBytes: (bytes: number) => void = () => {}): Promise<readonly Segment[]> {
  const survey = new Survey();
  for await (const line of linesOf(file.stream(), LINE_BYTES_MAX)) {
    await survey.take(line);
    onBytes(survey.bytes);
  }
  return survey.end();
}

class Survey {
  bytes = 0;
  readonly #segments: Segment[] = [];
  readonly #decoder = new TextDecoder();
  #header: Fields | undefined;
  #digest = new SegmentDigest();
  #start = 0;
  #line = 0;

  async take(line: Uint8Array | "too_long" | "broken"): Promise<void> {
    this.#line += 1;
    if (typeof line === "string")
      throw this.#refusal(line === "broken" ? "cannot be read" : "is too long for an export");
    this.bytes += line.byteLength;
    const text = this.#decoder.decode(line);
    const kind = kindOfLine(text);
    if ((this.#header === undefined) !== (kind === "header")) {
      throw this.#refusal("is not what belongs there: the file is no export, or parts of it are missing");
    }
    if (!text.endsWith("\n")) throw this.#refusal("is cut: the file is not whole");
    if (kind === "header") this.#begin(text);
    if (kind === "header" || kind === "content") this.#digest.add(line);
    else await this.#confirm(text.slice(0, -1), kind);
  }

  end(): readonly Segment[] {
    if (this.#header === undefined && this.#segments.length > 0) return this.#segments;
    throw new Error("The file is cut, or it is no export.");
  }

  #begin(text: string): void {
    const { version = 0, cursor = null, ...header } = fieldsOf(text);
    if (version > FORMAT_VERSION) {
      throw this.#refusal(`is of version ${version}; this console reads up to ${FORMAT_VERSION}`);
    }
    const before = this.#segments.at(-1);
    if (before !== undefined && before.next !== cursor) {
      throw this.#refusal("begins elsewhere than where the part before it has ended");
    }
    this.#header = { ...header, cursor };
    this.#digest = new SegmentDigest();
  }

  async #confirm(text: string, kind: "check" | "end"): Promise<void> {
    const { sha256, entries = 0, complete, cursor = null } = fieldsOf(text);
    if ((await this.#digest.seal(text)) !== sha256) {
      throw this.#refusal("has another digest than the lines before it: they were altered, or some are missing");
    }
    if (kind === "check") return;
    const { cluster = "", cursor: begins = null } = this.#header ?? {};
    const next = complete === true ? undefined : cursor;
    this.#segments.push({ start: this.#start, bytes: this.bytes - this.#start, entries, cluster, begins, next });
    this.#start = this.bytes;
    this.#header = undefined;
  }

  #refusal(what: string): Error {
    return new Error(`Line ${this.#line} ${what}.`);
  }
}

/** Of a line that is no object: none. */
function fieldsOf(text: string): Fields {
  try {
    return { ...(JSON.parse(text) as object) };
  } catch {
    return {};
  }
}
