// An export into the browser: segment after segment, each checked before the next is asked for. One that was cut on its way is
// asked for again.

import { ApiError, call, wordsOf } from "../api.ts";
import { bytes as sizeOf } from "../format.ts";
import { type Segment, segmentsOf } from "./segments.ts";

/** What a browser can be expected to hold, partly on its disk. */
const EXPORT_BYTES_MAX = 1024 ** 3;
/** In a row, without a segment that is whole. */
const ATTEMPTS_MAX = 4;
const PAUSE_MS = 1_000;

export interface Exported {
  readonly entries: number;
  readonly bytes: number;
}

/** `namespace`: undefined for all. Throws a line for a person, or whatever `signal` was aborted with. */
export async function exportAll(
  namespace: string | undefined,
  signal: AbortSignal,
  onProgress: (soFar: Exported) => void,
): Promise<Exported & { readonly file: Blob }> {
  const parts: Blob[] = [];
  let entries = 0;
  let bytes = 0;
  let cursor: string | null | undefined = null;
  for (let failures = 0; cursor !== undefined; ) {
    try {
      const before = bytes;
      const { file, segment } = await oneSegment(namespace, cursor, signal, (more) =>
        onProgress({ entries, bytes: before + more }),
      );
      parts.push(file);
      entries += segment.entries;
      bytes += file.size;
      // One that ends where it began would be asked for for ever.
      if (segment.next === cursor) throw new Error("The cluster cannot read on at present.");
      cursor = segment.next;
      failures = 0;
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      const isFinal = error instanceof ApiError && error.status !== 0 && error.status < 500;
      if (isFinal || failures === ATTEMPTS_MAX) throw new Error(`The export was given up: ${wordsOf(error)}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * failures));
    }
    if (bytes > EXPORT_BYTES_MAX) {
      throw new Error(
        `More than ${sizeOf(EXPORT_BYTES_MAX)} is too much for a browser: npx halo export writes it to a disk.`,
      );
    }
    onProgress({ entries, bytes });
  }
  return { file: new Blob(parts, { type: "application/x-ndjson" }), entries, bytes };
}

async function oneSegment(
  namespace: string | undefined,
  cursor: string | null,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<{ readonly file: Blob; readonly segment: Segment }> {
  const query = new URLSearchParams();
  if (namespace !== undefined) query.set("namespace", namespace);
  if (cursor !== null) query.set("cursor", cursor);
  const { body } = await call(`/admin/v1/export?${query}`, { signal });
  if (body === null) throw new Error("The reply has no body.");
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    chunks.push(read.value);
    bytes += read.value.byteLength;
    onBytes(bytes);
  }
  const file = new Blob(chunks);
  const [segment] = await segmentsOf(file);
  if (segment === undefined || segment.begins !== cursor)
    throw new Error("Another part than was asked for has arrived.");
  return { file, segment };
}
