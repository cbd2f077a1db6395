// The work of `halo export`: segment after segment into a file, each checked as it stands on the disk before the next is asked for.
// What was cut, by the network or by Ctrl-C, is cut off and asked for again.

import { createWriteStream, existsSync } from "node:fs";
import { open, truncate } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { HaloError, HaloInvalidRequestError, HaloUnauthorizedError } from "../../client/errors.ts";
import type { Admin } from "../admin.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Session } from "../session.ts";
import { printable } from "../terminal/escape.ts";
import { Progress } from "../terminal/progress.ts";
import { formatCount } from "../terminal/units.ts";
import { type Segment, type Survey, surveyFile } from "./segments.ts";

export interface ExportOptions {
  readonly resume?: boolean;
  readonly force?: boolean;
}

/** Attempts in a row that brought no segment. */
const ATTEMPTS_MAX = 5;
const PAUSE_MS = 500;

export async function exportTo(session: Session, file: string, options: ExportOptions): Promise<void> {
  const { out } = session;
  const segments = [...(await begun(file, options))];
  const { namespace } = await session.target();
  const admin = await session.admin();
  const progress = new Progress(out, "entries");
  try {
    for (let failures = 0; segments.at(-1)?.end.complete !== true; ) {
      const found = await nextSegment(session, admin, { file, namespace, after: segments.at(-1) });
      if (typeof found !== "string") {
        failures = 0;
        segments.push(found);
        progress.at(entriesOf(segments));
        continue;
      }
      failures += 1;
      progress.note(`again: ${printable(found)}`);
      if (failures === ATTEMPTS_MAX) throw new CliError(EXIT.unavailable, `${found}; ${goOn(file)}`);
      await pause(PAUSE_MS * 2 ** failures, undefined, { signal: session.signal });
    }
  } catch (error) {
    if (session.signal.aborted) throw new CliError(EXIT.interrupted, `not complete; ${goOn(file)}`);
    throw error;
  } finally {
    progress.end();
  }
  await synced(file);
  const entries = entriesOf(segments);
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  if (out.isJson) out.json({ file, entries, bytes, segments: segments.length });
  else out.line(`${formatCount(entries)} entries in ${printable(file)}, complete and checked`);
}

/** What of the file is good already. */
async function begun(file: string, { resume, force }: ExportOptions): Promise<readonly Segment[]> {
  if (resume === true && existsSync(file)) return (await surveyFile(file)).segments;
  if (existsSync(file) && force !== true) {
    throw new CliError(EXIT.conflict, `${file} is there already: --resume goes on with it, --force replaces it`);
  }
  // It holds what users have stored.
  const handle = await open(file, "w", 0o600);
  await handle.close();
  return [];
}

/** A backup that a power failure takes away is none. */
async function synced(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface Wanted {
  readonly file: string;
  readonly namespace: string | undefined;
  readonly after: Segment | undefined;
}

/** The segment, or why there is none this time. Throws what another attempt would not mend. */
async function nextSegment(
  session: Session,
  admin: Admin,
  { file, namespace, after }: Wanted,
): Promise<Segment | string> {
  const start = after === undefined ? 0 : after.start + after.bytes;
  await truncate(file, start);
  const query = new URLSearchParams();
  if (namespace !== undefined) query.set("namespace", namespace);
  const cursor = after?.end.cursor;
  if (cursor !== undefined && cursor !== null) query.set("cursor", cursor);
  try {
    const { signal } = session;
    const body = await admin.stream({ method: "GET", path: `/admin/v1/export?${query}` }, { signal });
    await pipeline(Readable.fromWeb(body as never), createWriteStream(file, { flags: "r+", start }), { signal });
  } catch (error) {
    session.signal.throwIfAborted();
    const isFinal = error instanceof HaloUnauthorizedError || error instanceof HaloInvalidRequestError;
    if (isFinal || isOfTheDisk(error)) throw error;
    return messageOf(error);
  }
  return appended(await surveyFile(file, start), cursor ?? null);
}

/** What came; if it does not end as it should, it was cut on its way. */
function appended({ segments, fault }: Survey, cursor: string | null): Segment | string {
  const [segment] = segments;
  if (fault !== undefined || segment === undefined) return fault ?? "nothing arrived";
  if (segment.cursor !== cursor) return "another part than was asked for arrived";
  // One that ends where it began would be asked for for ever.
  const hasMoved = segment.end.complete || segment.end.cursor !== cursor;
  return hasMoved ? segment : (segment.end.stopped ?? "the cluster cannot read on");
}

function isOfTheDisk(error: unknown): boolean {
  return (
    !(error instanceof HaloError) &&
    error instanceof Error &&
    ["ENOSPC", "EACCES", "EDQUOT", "EIO"].includes((error as NodeJS.ErrnoException).code ?? "")
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function entriesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { end }) => sum + end.entries, 0);
}

function goOn(file: string): string {
  return `go on with \`halo export ${file} --resume\``;
}
