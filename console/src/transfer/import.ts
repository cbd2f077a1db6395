// An import from the browser: the file is checked as a whole before anything is sent, so that one which is cut or altered changes
// nothing, and goes a segment at a time. In every mode doing it again does no harm.

import type { ImportMode, ImportReply } from "../../../worker/api/admin-schemas.ts";
import { ApiError, callJson, wordsOf } from "../api.ts";
import { plural } from "../format.ts";
import { type Segment, segmentsOf } from "./segments.ts";

/** In a row, of one segment. */
const ATTEMPTS_MAX = 4;
const PAUSE_MS = 1_000;

export interface ImportFile {
  readonly file: File;
  readonly segments: readonly Segment[];
  readonly entries: number;
  readonly cluster: string;
}

export type Imported = Pick<ImportReply, "stored" | "skipped" | "expired">;

/** `onShare`: of the file that was looked at, from 0 to 1. */
export async function checkedFile(file: File, onShare: (share: number) => void): Promise<ImportFile> {
  const segments = await segmentsOf(file, (bytes) => onShare(bytes / file.size));
  const last = segments.at(-1);
  if (last === undefined || last.next !== undefined) throw new Error("The export that wrote this file had not ended.");
  if (segments[0]?.begins !== null) throw new Error("The file has no beginning: its first part is missing.");
  return { file, segments, entries: segments.reduce((sum, { entries }) => sum + entries, 0), cluster: last.cluster };
}

/** `onEntries`: how many of the file are done. Throws a line for a person, which says what was done. */
export async function importAll(
  { file, segments }: ImportFile,
  mode: ImportMode,
  signal: AbortSignal,
  onEntries: (done: number) => void,
): Promise<Imported> {
  const sum = { stored: 0, skipped: 0, expired: 0 };
  let done = 0;
  for (const { start, bytes, entries } of segments) {
    const reply = await sent(file.slice(start, start + bytes), mode, signal).catch((error: unknown) => {
      const before = `${plural(sum.stored, "entry", "entries")} of the parts before it were stored`;
      throw new Error(`${wordsOf(error)} ${before}. Doing it again does no harm.`);
    });
    sum.stored += reply.stored;
    sum.skipped += reply.skipped;
    sum.expired += reply.expired;
    done += entries;
    onEntries(done);
  }
  return sum;
}

async function sent(body: Blob, mode: ImportMode, signal: AbortSignal): Promise<ImportReply> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await callJson<ImportReply>(`/admin/v1/import?mode=${mode}`, { method: "POST", body, signal });
    } catch (error) {
      signal.throwIfAborted();
      const mayPass = error instanceof ApiError && (error.status === 0 || error.status === 503);
      if (!mayPass || attempt === ATTEMPTS_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
    }
  }
}
