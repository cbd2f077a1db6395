// Writes one segment of an export, a piece at a time as it is read: pages in the order of slots and keys, values in parts one part
// after the other. It holds one page and one part, whatever it exports.
//
// What it promises: each page is read as `strong` reads are, at a moment of its own. So every entry that is there, unchanged, from
// the first line to the last is in it exactly once; one that is written meanwhile is in it as it was before or after; of one that
// comes or goes meanwhile it may say either. No key is in it twice, also while slots move.

import type { ReadEntry, ScanItem } from "../../durable/protocol.ts";
import type { RowPosition } from "../../durable/store/entry.ts";
import { ALL_NAMESPACES, userKey } from "../../durable/store/keyspace.ts";
import { toBase64 } from "../api/values.ts";
import type { FinalRefusal } from "../clients/call-plan.ts";
import type { Operations, ScanPage } from "../clients/operations.ts";
import { problemOfRefusal } from "../routes/replies.ts";
import { type ExportScope, encodeExportCursor } from "./export-cursor.ts";
import { BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, type ExportEntry, type ExportHeader } from "./format.ts";
import { FORMAT_VERSION, SegmentDigest, sealed } from "./segment-lines.ts";

/** Of one segment: what comes in one reply, and can be sent in one request, of at most 100 MB where the plan is a small one. */
export const SEGMENT_BYTES_MAX = 48 * 1024 * 1024;
export const SEGMENT_ENTRIES_MAX = 50_000;
/** Calls to objects of one request: the platform stops it at 1,000 of them where the plan is the free one. */
export const SEGMENT_CALLS_MAX = 900;
export const PAGE_ENTRIES_MAX = 1_000;
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
/** A large value that is replaced while it is read is begun anew. */
const VALUE_ATTEMPTS_MAX = 5;

export interface ExporterDeps {
  readonly client: Pick<Operations, "batch" | "scan" | "part">;
  now(): number;
}

export interface ExportWish {
  readonly scope: ExportScope;
  readonly cluster: string;
  readonly start: RowPosition | undefined;
  readonly cursor: string | null;
}

export function readExportPage(
  client: Pick<Operations, "scan">,
  { namespace }: ExportScope,
  start: RowPosition | undefined,
): Promise<ScanPage | FinalRefusal> {
  return client.scan({
    level: "strong",
    namespace,
    prefix: "",
    start,
    limit: PAGE_ENTRIES_MAX,
    withValues: true,
    sharedBytesMax: PAGE_BYTES_MAX,
  });
}

/** `first`: the first page, which was read before the reply began, so that a refusal could still be told as one. */
export async function* exportSegment(
  deps: ExporterDeps,
  wish: ExportWish,
  first: ScanPage,
): AsyncGenerator<Uint8Array, void> {
  const writer = new SegmentWriter(deps, wish);
  yield writer.header();
  let page: ScanPage | FinalRefusal = first;
  for (;;) {
    const ended = page.status === "ok" ? yield* writePage(writer, page) : reasonOf(page);
    if (ended !== undefined) {
      yield await writer.end(ended);
      return;
    }
    page = await readExportPage(deps.client, wish.scope, writer.passed);
  }
}

/** Why the segment ends with it; undefined: it goes on. */
async function* writePage(writer: SegmentWriter, { items, next, from }: ScanPage): AsyncGenerator<Uint8Array, Ending> {
  for (const item of items) {
    if (writer.isFull) return "full";
    const failure = yield* writer.entry(item);
    if (failure !== undefined) return failure;
  }
  // After its items: what was read is written, although the calls that it took were the last.
  writer.calls += from.length;
  if (next === undefined) return "complete";
  writer.passed = next;
  return writer.isFull ? "full" : undefined;
}

/** `full`, `complete`, or what has gone wrong. */
type Ending = string | undefined;

const encoder = new TextEncoder();

class SegmentWriter {
  calls = 0;
  /** Everything up to here is in the segment. */
  passed: RowPosition | undefined;
  readonly #deps: ExporterDeps;
  readonly #wish: ExportWish;
  readonly #digest = new SegmentDigest();
  #bytes = 0;
  #entries = 0;
  #blockEntries = 0;

  constructor(deps: ExporterDeps, wish: ExportWish) {
    this.#deps = deps;
    this.#wish = wish;
    this.passed = wish.start;
  }

  /** The next page, of as many calls as there are shards, might still be made: the limit is far enough from the platform's. */
  get isFull(): boolean {
    return this.#bytes >= SEGMENT_BYTES_MAX || this.#entries >= SEGMENT_ENTRIES_MAX || this.calls >= SEGMENT_CALLS_MAX;
  }

  header(): Uint8Array {
    const { cluster, scope, cursor } = this.#wish;
    const header: ExportHeader = {
      halo: "export",
      version: FORMAT_VERSION,
      cluster,
      namespace: scope.namespace === ALL_NAMESPACES ? null : scope.namespace,
      startedMs: this.#deps.now(),
      cursor,
    };
    return this.#line(header);
  }

  /** The lines of an entry; returns why it cannot be read. */
  async *entry(item: ScanItem): AsyncGenerator<Uint8Array, string | undefined> {
    const { slot, key } = item;
    let found: ReadEntry | undefined = item;
    for (let attempt = 0; found !== undefined; attempt++) {
      const outcome: PartsOutcome = found.extras?.parts === undefined ? "whole" : yield* this.#parts(item, found);
      if (outcome === "whole" && (found.value !== undefined || found.extras?.parts !== undefined)) {
        yield this.#line(entryLine(key, found));
        this.#entries += 1;
        this.#blockEntries += 1;
        break;
      }
      if (typeof outcome === "object") return reasonOf(outcome);
      if (attempt === VALUE_ATTEMPTS_MAX) return "a large value changes faster than it can be read";
      // Race: it was replaced, or has gone, after the page was read.
      this.calls += 1;
      const answer = await this.#deps.client.batch([{ kind: "get", slot, key }], { level: "strong" });
      const [again] = answer.items;
      if (again === undefined || "status" in again) return reasonOf(again);
      found = again.kind === "entry" ? again.entry : undefined;
    }
    this.passed = { slot, key };
    if (this.#blockEntries >= BLOCK_ENTRIES_MAX || this.#digest.bytes >= BLOCK_BYTES_MAX) yield await this.#check();
    return undefined;
  }

  async end(ending: string): Promise<Uint8Array> {
    const { scope, cursor } = this.#wish;
    const next = this.passed === undefined ? cursor : encodeExportCursor(scope, this.passed);
    const end = {
      type: "end",
      entries: this.#entries,
      endedMs: this.#deps.now(),
      complete: ending === "complete",
      cursor: ending === "complete" ? null : next,
      ...(ending === "complete" || ending === "full" ? {} : { stopped: ending }),
    };
    return encoder.encode(`${await sealed(this.#digest, end)}\n`);
  }

  async *#parts({ slot, key }: ScanItem, { extras }: ReadEntry): AsyncGenerator<Uint8Array, PartsOutcome> {
    const { upload = "", count = 0 } = extras?.parts ?? {};
    const name = userKey(key);
    for (let part = 0; part < count; part++) {
      this.calls += 1;
      const bytes = await this.#deps.client.part(slot, key, upload, part);
      if (bytes === undefined) return "gone";
      if (!(bytes instanceof Uint8Array)) return bytes;
      yield this.#line({ type: "part", ...name, part, value: toBase64(bytes) });
      if (this.#digest.bytes >= BLOCK_BYTES_MAX) yield await this.#check();
    }
    return "whole";
  }

  async #check(): Promise<Uint8Array> {
    this.#blockEntries = 0;
    const text = await sealed(this.#digest, { type: "check", entries: this.#entries });
    return encoder.encode(`${text}\n`);
  }

  #line(fields: object): Uint8Array {
    const line = encoder.encode(`${JSON.stringify(fields)}\n`);
    this.#digest.add(line);
    this.#bytes += line.byteLength;
    return line;
  }
}

function reasonOf(refusal: FinalRefusal | undefined): string {
  return refusal === undefined ? "no answer" : problemOfRefusal(refusal).detail;
}

type PartsOutcome = "whole" | "gone" | FinalRefusal;

function entryLine(stored: string, { version, size, contentType, modifiedMs, expiresMs, extras, value }: ReadEntry) {
  const { staleMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs, tags, metadata, sourceVersion, parts } =
    extras ?? {};
  const line: ExportEntry = {
    type: "entry",
    ...userKey(stored),
    ...(parts === undefined ? { value: toBase64(value ?? new Uint8Array(0)) } : { parts: parts.count }),
    size,
    contentType,
    version,
    modifiedMs,
    expiresMs,
    staleMs,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    slidingMs,
    tags,
    metadata,
    sourceVersion,
  };
  return line;
}
