// The file of an export as the CLI handles it: whole segments, each of which a cluster can be asked for, or be sent, by itself.

import { openAsBlob } from "node:fs";
import { FileReader } from "../../worker/transfer/file-reader.ts";
import type { ExportEnd } from "../../worker/transfer/format.ts";
import { linesOf } from "../../worker/transfer/lines.ts";
import { kindOfLine, LINE_BYTES_MAX } from "../../worker/transfer/segment-lines.ts";

/** Where a segment is in its file, and what it holds. */
export interface Segment {
  readonly start: number;
  readonly bytes: number;
  /** Where it begins in the cluster; null: at the start. */
  readonly cursor: string | null;
  readonly end: ExportEnd;
}

export interface Survey {
  /** From the first byte on, none missing between them. */
  readonly segments: readonly Segment[];
  /** Why there is no more, where the file does not end with a segment. */
  readonly fault: string | undefined;
}

/** Reads a file, `from` that byte on, and checks its digests. It holds one block of it. */
export async function surveyFile(file: string, from = 0): Promise<Survey> {
  const blob = (await openAsBlob(file)).slice(from);
  const reader = new FileReader();
  const found: Pick<Segment, "cursor" | "end">[] = [];
  for await (const { start, end } of reader.blocks(blob.stream())) {
    if (end !== undefined) found.push({ cursor: start, end });
  }
  const lengths = await segmentLengths(blob);
  const segments: Segment[] = [];
  let start = from;
  // Behind a fault there may be more that looks like a segment, and cannot be believed.
  for (const [at, segment] of found.entries()) {
    const bytes = lengths[at] ?? 0;
    segments.push({ ...segment, start, bytes });
    start += bytes;
  }
  return { segments, fault: reader.fault?.detail };
}

/** Bytes from each header to the end of its segment. */
async function segmentLengths(blob: Blob): Promise<number[]> {
  const lengths: number[] = [];
  const decoder = new TextDecoder();
  let bytes = 0;
  for await (const line of linesOf(blob.stream(), LINE_BYTES_MAX)) {
    if (typeof line === "string") break;
    bytes += line.byteLength;
    if (kindOfLine(decoder.decode(line.subarray(0, KIND_BYTES))) !== "end") continue;
    lengths.push(bytes);
    bytes = 0;
  }
  return lengths;
}

/** Enough of a line to tell what it is. */
const KIND_BYTES = 32;
