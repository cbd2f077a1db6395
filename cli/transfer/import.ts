// The work of `halo import`: checks the whole file first, so that one which is cut, altered or from a newer version changes
// nothing, and sends it a segment at a time. Doing it again does no harm, so whatever stops it: once more.

import { openAsBlob } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { errorOfReply, type HaloError, HaloNetworkError, type Problem } from "../../client/errors.ts";
import { parseBody } from "../../client/json.ts";
import { type HaloResponse, readBytes } from "../../client/transport.ts";
import { type ImportMode, type ImportReply, importReplySchema } from "../../worker/api/admin-schemas.ts";
import { checked } from "../admin.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Session } from "../session.ts";
import { printable } from "../terminal/escape.ts";
import { Progress } from "../terminal/progress.ts";
import { formatCount } from "../terminal/units.ts";
import { type Segment, surveyFile } from "./segments.ts";

export interface ImportOptions {
  readonly mode: ImportMode;
  /** Segments that an earlier run has done. */
  readonly skip?: number;
}

type Counts = Pick<ImportReply, "entries" | "stored" | "skipped" | "expired">;

const ATTEMPTS_MAX = 5;
const PAUSE_MS = 1_000;

export async function importFrom(session: Session, file: string, { mode, skip = 0 }: ImportOptions): Promise<void> {
  const { out } = session;
  const segments = await wholeFile(file);
  const blob = await openAsBlob(file);
  const progress = new Progress(out, "entries");
  const total = segments.reduce((sum, { end }) => sum + end.entries, 0);
  const sum = { entries: 0, stored: 0, skipped: 0, expired: 0 };
  let passed = segments.slice(0, skip).reduce((before, { end }) => before + end.entries, 0);
  try {
    for (const [at, segment] of segments.entries()) {
      if (at < skip) continue;
      progress.at(passed, total);
      const counts = await oneSegment(session, { blob, segment, mode, at, progress });
      for (const name of ["entries", "stored", "skipped", "expired"] as const) sum[name] += counts[name];
      passed += segment.end.entries;
    }
    progress.at(passed, total);
  } finally {
    progress.end();
  }
  if (out.isJson) return out.json({ file, segments: segments.length, ...sum });
  const { stored, skipped, expired } = sum;
  out.line(
    `${formatCount(stored)} stored, ${formatCount(skipped)} kept as they were, ${formatCount(expired)} had expired`,
  );
}

async function wholeFile(file: string): Promise<readonly Segment[]> {
  const { segments, fault } = await surveyFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(EXIT.failed, `${file} cannot be read: ${error.code ?? error.message}`);
  });
  if (fault !== undefined) throw new CliError(EXIT.failed, `malformed-import: ${file}: ${fault}; nothing was sent`);
  if (segments.at(-1)?.end.complete === true) return segments;
  throw new CliError(
    EXIT.failed,
    `malformed-import: ${file} is not complete: \`halo export\` has not ended; nothing was sent`,
  );
}

interface Sending {
  readonly blob: Blob;
  readonly segment: Segment;
  readonly mode: ImportMode;
  readonly at: number;
  readonly progress: Progress;
}

async function oneSegment(session: Session, sending: Sending): Promise<Counts> {
  const { blob, segment, at } = sending;
  const body = blob.slice(segment.start, segment.start + segment.bytes);
  for (let attempt = 1; ; attempt++) {
    const found = await sendSegment(session, body, sending.mode);
    if (!(found instanceof Error)) return found;
    const mayPass = found.status === 503 || found instanceof HaloNetworkError;
    if (!mayPass) throw found;
    if (attempt === ATTEMPTS_MAX) {
      throw new CliError(EXIT.unavailable, `${found.message}; \`--skip ${at}\` goes on from here`);
    }
    sending.progress.note(`again: ${printable(found.message)}`);
    await pause(PAUSE_MS * 2 ** attempt, undefined, { signal: session.signal });
  }
}

/** Its counts, or why it stopped. In every mode it may be sent again as a whole. */
async function sendSegment(session: Session, body: Blob, mode: ImportMode): Promise<Counts | HaloError> {
  let response: HaloResponse;
  try {
    response = await session.request("POST", `/admin/v1/import?mode=${mode}`, body);
  } catch (error) {
    if (error instanceof HaloNetworkError) return error;
    throw error;
  }
  const bytes = await readBytes(response.body);
  if (response.status === 200) return checked(importReplySchema, "/admin/v1/import", parseBody<unknown>(bytes));
  return errorOfReply(response, problemIn(response, bytes));
}

function problemIn({ headers }: HaloResponse, bytes: Uint8Array): Problem {
  return /json/.test(headers["content-type"] ?? "") ? parseBody<Problem>(bytes) : {};
}
