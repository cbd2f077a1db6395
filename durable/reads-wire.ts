// Pure. How several reads of one replica travel in one call (worker/clients/gatherer.ts): a call between objects costs several
// times what a read in it does.
//
//   reads("http://replica/1/halo:cluster:s0:r1:g0/", lines)
//       each line as a single read's URL goes on (http/read-wire.ts)
//     → { values, replies, tookMs }
//       one reply for each line: in one line of text if it is a value and nothing else, which takes the next bytes of
//       `values`; the object of protocol.ts for all else; null for what is to be asked for by itself: a value that finds no
//       room here, a read that would keep the others waiting
//
//   "<version> <bytes> <modifiedMs> <expiresMs or -> <clockMs> <level> <shard> <replica> <role> <term> <index> <content type>"
//
// Versioned and additive as the single read is: the version stands in the first argument.

import { joined } from "./gets-wire.ts";
import { parseReadUrl, readLine } from "./http/read-wire.ts";
import type { ConsistencyLevel, ReadOk, ReadReply, ReadRequest } from "./protocol.ts";
import { parseProvenance, provenanceWords } from "./provenance-words.ts";

/** More would make the first of them wait for the last. */
export const READS_MAX = 64;
/** Of the values in one reply. Whatever is larger is streamed, by itself. */
export const READS_BYTES_MAX = 128 * 1024;

export interface ReadsReply {
  readonly replies: readonly (string | ReadReply | null)[];
  readonly values: Uint8Array;
  /** How long the replica had the call; absent: it is not told. */
  readonly tookMs?: number | undefined;
}

const FIELDS = 11;

export function readLines(requests: readonly ReadRequest[]): string {
  return requests.map(readLine).join("\n");
}

/** Undefined for anything that no edge sends. */
export function parseReads(base: string, lines: string): readonly ReadRequest[] | undefined {
  const requests: ReadRequest[] = [];
  for (const line of lines.split("\n")) {
    const request = parseReadUrl(base + line, false);
    if (request === undefined || requests.length === READS_MAX) return undefined;
    requests.push(request);
  }
  return requests;
}

export function readsReply(replies: readonly (ReadReply | undefined)[], tookMs: number | undefined): ReadsReply {
  const fitting: Uint8Array[] = [];
  let bytes = 0;
  const lines = replies.map((reply) => {
    if (reply === undefined) return null;
    if (reply.status !== "ok") return reply;
    const size = reply.entry?.value?.byteLength ?? 0;
    if (bytes + size > READS_BYTES_MAX) return null;
    const line = lineOf(reply);
    if (line === undefined) {
      bytes += size;
      return reply;
    }
    if (reply.entry?.value !== undefined) fitting.push(reply.entry.value);
    bytes += size;
    return line;
  });
  return { replies: lines, values: joined(fitting), tookMs };
}

/** Undefined: the reply is more than a value. */
function lineOf({ entry, level, clockMs, from, hot }: ReadOk): string | undefined {
  if (entry?.value === undefined || entry.extras !== undefined || hot !== undefined) return undefined;
  if (from.past !== undefined) return undefined;
  const { version, value, modifiedMs, expiresMs = "-", contentType } = entry;
  const own = `${version} ${value.byteLength} ${modifiedMs} ${expiresMs} ${clockMs} ${level}`;
  return `${own} ${provenanceWords(from)} ${contentType}`;
}

/** One for each read, in their order; null: ask for it by itself. */
export function parseReplies({ replies, values }: ReadsReply): readonly (ReadReply | null)[] {
  let at = 0;
  return replies.map((reply) => {
    if (typeof reply !== "string") return reply;
    const parsed = parseLine(reply, values, at);
    at += parsed.entry?.size ?? 0;
    return parsed;
  });
}

function parseLine(line: string, values: Uint8Array, at: number): ReadOk {
  const fields = line.split(" ", FIELDS);
  const [version, bytes, modified, expires, clock, level] = fields;
  const contentType = line.slice(fields.reduce((sum, field) => sum + field.length + 1, 0));
  const size = Number(bytes);
  return {
    status: "ok",
    entry: {
      version: Number(version),
      contentType,
      value: values.subarray(at, at + size),
      size,
      modifiedMs: Number(modified),
      expiresMs: expires === "-" ? undefined : Number(expires),
    },
    level: level as ConsistencyLevel,
    clockMs: Number(clock),
    from: parseProvenance(fields.slice(6)),
  };
}
