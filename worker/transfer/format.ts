// The file of an export: lines of JSON (NDJSON) in UTF-8. docs/export.md describes it for other programs.
//
//   {"halo":"export","version":1,…}        header: which cluster, when, from where on
//   {"type":"part",…}                      a piece of a value that is too large for one line; the entry follows
//   {"type":"entry",…}                     a key and all that belongs to it
//   {"type":"check",…,"sha256":"…"}        so far it is whole: nothing before this line is believed without it
//   {"type":"end",…,"sha256":"…"}          the last line; unless it is complete, its cursor says where the next segment begins
//
// A file is one segment like this, or several one after the other, each beginning where the one before has ended.
//
// A digest is of the digest before it (of nothing at the header), of everything since, and of its own line up to itself: lines can
// be neither changed, nor dropped, nor put elsewhere by accident. Whoever wants to forge a file can: it is no signature.

import * as z from "zod";
import { TAG_CHARS_MAX, TAGS_MAX, TIME_MS_MAX, TTL_MS_MAX } from "../../durable/store/limits.ts";
import { keySchema } from "../api/schemas.ts";

/** Of the lines of one block, after which a check comes. */
export const BLOCK_BYTES_MAX = 1024 * 1024;
/** Of the lines of one block as an importer takes them, which holds them until the check. */
export const IMPORT_BLOCK_BYTES_MAX = 4 * 1024 * 1024;
export const BLOCK_ENTRIES_MAX = 500;
const time = z.int().min(0).max(TIME_MS_MAX);
const duration = z.int().min(0).max(TTL_MS_MAX);
const bytes = z.base64();

/** More fields may come: what must not be ignored is another version. */
export const headerSchema = z.object({
  halo: z.literal("export"),
  version: z.int().min(1),
  cluster: z.string(),
  /** null: all of them. */
  namespace: z.string().nullable(),
  startedMs: time,
  /** Where the segment begins; null: at the start. */
  cursor: z.string().nullable(),
});
export type ExportHeader = z.infer<typeof headerSchema>;

const name = { key: keySchema, namespace: z.string() };

export const partSchema = z.strictObject({ type: z.literal("part"), ...name, part: z.int().min(0), value: bytes });

export const entrySchema = z.strictObject({
  type: z.literal("entry"),
  ...name,
  /** Absent: it was in the parts before this line. */
  value: bytes.optional(),
  parts: z.int().min(1).optional(),
  size: z.int().min(0),
  contentType: z.string(),
  /** In the cluster that it comes from: another one gives it a version of its own. */
  version: z.int().min(0),
  modifiedMs: time,
  expiresMs: time.optional(),
  staleMs: time.optional(),
  staleWhileRevalidateMs: duration.optional(),
  staleIfErrorMs: duration.optional(),
  slidingMs: duration.optional(),
  tags: z.array(z.string().max(TAG_CHARS_MAX)).max(TAGS_MAX).readonly().optional(),
  metadata: z.string().optional(),
  sourceVersion: z.int().min(0).optional(),
});
export type ExportEntry = z.infer<typeof entrySchema>;

const digest = z.string().regex(/^[0-9a-f]{64}$/);
export const checkSchema = z.strictObject({
  type: z.literal("check"),
  /** Of this segment, so far. */
  entries: z.int().min(0),
  sha256: digest,
});
export const endSchema = z.strictObject({
  type: z.literal("end"),
  entries: z.int().min(0),
  endedMs: time,
  /** false: there is more, in a segment that begins at `cursor`. */
  complete: z.boolean(),
  /** null: at the start, as nothing could be read. */
  cursor: z.string().nullable(),
  /** Why there is more, where it is not for the limits of a segment. */
  stopped: z.string().optional(),
  sha256: digest,
});
export type ExportEnd = z.infer<typeof endSchema>;

/** Why a file cannot be believed, or used. */
export interface FileFault {
  readonly slug: "malformed-import" | "unsupported-import";
  readonly detail: string;
}

export const lineSchema = z.discriminatedUnion("type", [partSchema, entrySchema]);
