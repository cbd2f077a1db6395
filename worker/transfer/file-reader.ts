// Reads a file of an export block by block, and lets nothing out that its check has not confirmed. It holds one block.
//
// What it finds of segments: each begins with a header and ends with an `end`; one that comes after another begins where that
// has ended. A file that stops before its last `end`, be it between two lines, is cut.

import type { z } from "zod";
import {
  BLOCK_ENTRIES_MAX,
  checkSchema,
  type ExportEnd,
  type ExportEntry,
  type ExportHeader,
  endSchema,
  type FileFault,
  headerSchema,
  IMPORT_BLOCK_BYTES_MAX,
  lineSchema,
  type partSchema,
} from "./format.ts";
import { linesOf } from "./lines.ts";
import { FORMAT_VERSION, kindOfLine, LINE_BYTES_MAX, SegmentDigest } from "./segment-lines.ts";

export type ContentLine = ExportEntry | z.infer<typeof partSchema>;

/** Lines that belong to the file, in order, with the digest that says so. */
export interface Block {
  readonly lines: readonly ContentLine[];
  readonly sha256: string;
  /** Where its segment begins; null: at the start. */
  readonly start: string | null;
  /** The last of its segment. */
  readonly end: ExportEnd | undefined;
}

const UNREADABLE = {
  too_long: `is longer than ${LINE_BYTES_MAX} bytes`,
  broken: "did not arrive: the body broke off",
} as const;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class FileReader {
  /** Set once the generator has ended early: why. */
  fault: FileFault | undefined;
  #header: ExportHeader | undefined;
  #digest = new SegmentDigest();
  #texts: string[] = [];
  #entries = 0;
  #line = 0;
  #lastEnd: ExportEnd | undefined;

  /** Ends at the end of the file, or with a fault. */
  async *blocks(body: ReadableStream<Uint8Array>): AsyncGenerator<Block, void> {
    for await (const line of linesOf(body, LINE_BYTES_MAX)) {
      this.#line += 1;
      const block = typeof line === "string" ? this.#refuse(UNREADABLE[line]) : await this.#take(line);
      if (this.fault !== undefined) return;
      if (block !== undefined) yield block;
    }
    if (this.#header !== undefined) this.#refuse("is missing: the file is cut");
    else if (this.#lastEnd === undefined) this.#refuse("is missing: the file is empty");
  }

  async #take(bytes: Uint8Array): Promise<Block | undefined> {
    const text = textOf(bytes);
    if (text === undefined) return this.#refuse("is cut, or is not UTF-8");
    const kind = kindOfLine(text);
    if (this.#header === undefined) {
      if (kind !== "header") return this.#refuse("is not the header of an export");
      return this.#begin(bytes, text);
    }
    switch (kind) {
      case "header":
        return this.#refuse("is a header before the segment's end");
      case "content":
        return this.#keep(bytes, text);
      default:
        return this.#confirm(text, kind);
    }
  }

  #begin(bytes: Uint8Array, text: string): undefined {
    const header = headerSchema.safeParse(jsonOf(text));
    if (!header.success) return this.#refuse("is not the header of an export");
    const { version, cursor } = header.data;
    if (version > FORMAT_VERSION) {
      const detail = `line ${this.#line}: the file is of version ${version}; expected at most ${FORMAT_VERSION}`;
      this.fault = { slug: "unsupported-import", detail };
      return undefined;
    }
    if (this.#lastEnd !== undefined && (this.#lastEnd.complete || this.#lastEnd.cursor !== cursor)) {
      return this.#refuse("begins a segment elsewhere than where the one before has ended");
    }
    this.#header = header.data;
    this.#digest = new SegmentDigest();
    this.#digest.add(bytes);
    this.#entries = 0;
    return undefined;
  }

  #keep(bytes: Uint8Array, text: string): undefined {
    this.#digest.add(bytes);
    this.#texts.push(text);
    const isLong = this.#digest.bytes > IMPORT_BLOCK_BYTES_MAX || this.#texts.length > 2 * BLOCK_ENTRIES_MAX;
    return isLong ? this.#refuse("comes without a check for too long") : undefined;
  }

  async #confirm(text: string, kind: "check" | "end"): Promise<Block | undefined> {
    const found = (kind === "check" ? checkSchema : endSchema).safeParse(jsonOf(text));
    if (!found.success) return this.#refuse(`is no ${kind}`);
    const { sha256, entries } = found.data;
    if ((await this.#digest.seal(text)) !== sha256) {
      return this.#refuse("has another digest than the lines before it: they were altered, or some are missing");
    }
    const lines: ContentLine[] = [];
    for (const content of this.#texts) {
      const line = lineSchema.safeParse(jsonOf(content));
      if (!line.success)
        return this.#refuse(`confirms a line that is neither an entry nor a part: ${issueOf(line.error)}`);
      lines.push(line.data);
    }
    this.#texts = [];
    this.#entries += lines.filter(({ type }) => type === "entry").length;
    if (this.#entries !== entries) return this.#refuse(`counts ${entries} entries; there were ${this.#entries}`);
    const start = this.#header?.cursor ?? null;
    const end = found.data.type === "end" ? found.data : undefined;
    if (end !== undefined) {
      this.#header = undefined;
      this.#lastEnd = end;
    }
    return { lines, sha256, start, end };
  }

  #refuse(what: string): undefined {
    this.fault = { slug: "malformed-import", detail: `line ${Math.max(1, this.#line)} ${what}` };
    return undefined;
  }
}

function issueOf(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not acceptable"}`.slice(0, 200).toWellFormed();
}

/** Without its newline; undefined: it has none, or is not UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(bytes);
    return text.endsWith("\n") ? text.slice(0, -1) : undefined;
  } catch {
    return undefined;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
