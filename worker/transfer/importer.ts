// Puts the entries of an export into this cluster, whatever its shape: block by block, each through the shards' batches before the
// next is read. It holds one block and one part of a large value.
//
// Doing it again does no harm: what is there already is kept, or replaced by the same. So a file that was applied up to some
// block can be sent again from its start, or its blocks up to there passed over (`resume`).

import type { BatchItem, ReadEntry } from "../../durable/protocol.ts";
import type { Conditions, Lifetime, PutMutation } from "../../durable/store/command.ts";
import { NAMESPACE_PATTERN } from "../../durable/store/keyspace.ts";
import type { ImportMode, ImportReply } from "../api/admin-schemas.ts";
import { trimmed } from "../api/mutations.ts";
import { resultOfItem } from "../api/results.ts";
import { bytesOfValue } from "../api/values.ts";
import type { FinalRefusal } from "../clients/call-plan.ts";
import type { Operations } from "../clients/operations.ts";
import { type Parsed, type Problem, type ProblemSlug, parsed, problem, refused } from "../http/problem.ts";
import { type KeyTarget, targetIn } from "../routes/key-request.ts";
import { type ReceivedValue, Upload, type UploadDeps } from "../routes/large-value.ts";
import { type Block, type ContentLine, FileReader } from "./file-reader.ts";
import type { ExportEntry } from "./format.ts";

/** A write that its shard sheds, or has no leader for, is sent again so often: half a minute of pauses. */
export const WRITE_ATTEMPTS_MAX = 10;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;

/** Nothing was changed, or it does no harm to do it again. */
const PASSING: ReadonlySet<string> = new Set(["unavailable", "overloaded", "unknown-outcome"] satisfies ProblemSlug[]);

export interface ImporterDeps extends UploadDeps {
  readonly client: Pick<Operations, "batch"> & UploadDeps["client"];
  now(): number;
  /** Hears of every block that is done. */
  readonly onBlock?: (() => void) | undefined;
}

export interface ImportWish {
  readonly mode: ImportMode;
  /** The digest of the last block that was applied. */
  readonly resume: string | undefined;
}

/** What has been done so far, whether or not there is a problem. */
export interface ImportProgress extends ImportReply {
  /** Of the last block of which everything is done. */
  readonly confirmed: string | undefined;
}

export class Importer {
  readonly #deps: ImporterDeps;
  readonly #wish: ImportWish;
  #isApplying: boolean;
  #hasBegun = false;
  #upload: { readonly line: PartLine; readonly upload: Upload; next: number } | undefined;
  #progress: ImportProgress = {
    complete: false,
    start: null,
    entries: 0,
    stored: 0,
    skipped: 0,
    expired: 0,
    resumed: 0,
    confirmed: undefined,
  };

  constructor(deps: ImporterDeps, wish: ImportWish) {
    this.#deps = deps;
    this.#wish = wish;
    this.#isApplying = wish.resume === undefined;
  }

  get progress(): ImportProgress {
    return this.#progress;
  }

  /** The problem that has stopped it; undefined: all of the file is done. */
  async run(body: ReadableStream<Uint8Array>): Promise<Problem | undefined> {
    const reader = new FileReader();
    for await (const block of reader.blocks(body)) {
      const failure = await this.#take(block);
      if (failure !== undefined) return failure;
      this.#deps.onBlock?.();
    }
    if (reader.fault !== undefined) return problem(reader.fault.slug, reader.fault.detail);
    if (this.#isApplying) return undefined;
    return problem("malformed-import", "resume: there is no block of this digest in the file; nothing was done");
  }

  async #take({ lines, sha256, start, end }: Block): Promise<Problem | undefined> {
    const entries = lines.filter(({ type }) => type === "entry").length;
    if (!this.#hasBegun) this.#progress = { ...this.#progress, start };
    this.#hasBegun = true;
    if (this.#isApplying) {
      const failure = await this.#apply(lines);
      if (failure !== undefined) return failure;
      this.#count({ entries });
    } else {
      this.#count({ entries, resumed: entries });
      this.#isApplying = sha256 === this.#wish.resume;
      // A value whose parts were on their way when it stopped is begun anew: they are passed over, and its entry finds none.
      if (this.#isApplying && lines.at(-1)?.type === "part") {
        return problem("malformed-import", "resume: this block ends within a value; name an earlier one");
      }
    }
    this.#progress = { ...this.#progress, complete: end?.complete === true };
    // In the middle of a large value is no place to go on from.
    if (this.#isApplying && this.#upload === undefined) this.#progress = { ...this.#progress, confirmed: sha256 };
    return undefined;
  }

  async #apply(lines: readonly ContentLine[]): Promise<Problem | undefined> {
    const puts: Put[] = [];
    for (const line of lines) {
      const target = targetOf(line);
      if (!target.ok) return target.problem;
      if (line.type === "part") {
        const failure = await this.#addPart(line, target.value);
        if (failure !== undefined) return failure;
        continue;
      }
      const value = await this.#valueOf(line);
      if (!value.ok) return value.problem;
      if (isExpired(line, this.#deps.now())) this.#count({ expired: 1 });
      else puts.push({ line, mutation: mutationOf(line, target.value, value.value) });
    }
    return puts.length === 0 ? undefined : this.#write(puts);
  }

  async #addPart(line: PartLine, target: KeyTarget): Promise<Problem | undefined> {
    if (line.part === 0) this.#upload = { line, upload: new Upload(this.#deps, target, false), next: 0 };
    const current = this.#upload;
    if (current === undefined || !isSame(current.line, line) || current.next !== line.part) {
      return problem("malformed-import", "a part comes without those before it");
    }
    current.next += 1;
    return current.upload.add(bytesOfValue({ base64: line.value }));
  }

  /** What is in the line, or was in the parts before it. */
  async #valueOf(line: ExportEntry): Promise<Parsed<ReceivedValue>> {
    const current = this.#upload;
    this.#upload = undefined;
    const isInParts = line.parts !== undefined;
    if (isInParts === (line.value !== undefined)) {
      return refused("malformed-import", "an entry has a value or parts, and not both");
    }
    if (!isInParts) return this.#sized(line, parsed({ value: bytesOfValue({ base64: line.value }) }));
    if (current === undefined || !isSame(current.line, line) || current.next !== line.parts) {
      return refused("malformed-import", "an entry comes without the parts of its value");
    }
    return this.#sized(line, await current.upload.finish());
  }

  #sized({ size }: ExportEntry, received: Parsed<ReceivedValue>): Parsed<ReceivedValue> {
    if (!received.ok) return received;
    const { parts, value } = received.value;
    const bytes = parts?.bytes ?? value.byteLength;
    return bytes === size ? received : refused("malformed-import", `a value has ${bytes} bytes and says ${size}`);
  }

  async #write(puts: readonly Put[]): Promise<Problem | undefined> {
    let open = puts;
    let failure: Problem | undefined;
    for (let attempt = 0; attempt < WRITE_ATTEMPTS_MAX; attempt++) {
      if (attempt > 0) await this.#pause(attempt);
      const conditional =
        this.#wish.mode === "if-newer" ? await this.#newer(open) : open.map((put) => this.#onlyIf(put));
      if ("slug" in conditional) {
        failure = conditional;
        if (PASSING.has(failure.slug)) continue;
        return failure;
      }
      this.#count({ skipped: open.length - conditional.length });
      if (conditional.length === 0) return undefined;
      const operations = conditional.map(({ mutation }) => mutation);
      const { items } = await this.#deps.client.batch(operations, { level: "strong", isRepeatable: true });
      const failed: Put[] = [];
      for (const [at, put] of conditional.entries()) {
        const found = this.#outcome(items[at]);
        if (found === undefined) continue;
        failure = found;
        if (!PASSING.has(found.slug)) return found;
        failed.push(put);
      }
      if (failed.length === 0) return undefined;
      open = failed;
    }
    return failure;
  }

  /** Undefined: it is done, or what is there stays. */
  #outcome(item: BatchItem | FinalRefusal | undefined): Problem | undefined {
    if (item === undefined) throw new Error("halo: one item for each operation");
    const { problem: slug, detail = "" } = resultOfItem(item);
    if (slug === undefined) this.#count({ stored: 1 });
    else if (slug === "precondition-failed") this.#count({ skipped: 1 });
    else return problem(slug as ProblemSlug, detail);
    return undefined;
  }

  #onlyIf(put: Put): Put {
    return this.#wish.mode === "overwrite" ? put : withConditions(put, { ifNoneMatch: "any" });
  }

  /** Those that are newer than what is there, each to be written only if that is still so. */
  async #newer(puts: readonly Put[]): Promise<readonly Put[] | Problem> {
    const gets = puts.map(({ mutation: { slot, key } }) => ({ kind: "get" as const, slot, key }));
    const { items } = await this.#deps.client.batch(gets, { level: "strong", omitValues: true });
    const newer: Put[] = [];
    for (const [at, put] of puts.entries()) {
      const item = items[at];
      if (item === undefined || "status" in item || item.kind !== "entry") {
        const { problem: slug = "unavailable", detail = "no answer" } = item === undefined ? {} : resultOfItem(item);
        return problem(slug as ProblemSlug, detail);
      }
      const { entry } = item;
      if (entry === undefined) newer.push(withConditions(put, { ifNoneMatch: "any" }));
      else if (isNewer(put.line, entry)) newer.push(withConditions(put, { ifMatch: [entry.version] }));
    }
    return newer;
  }

  #pause(attempt: number): Promise<void> {
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** attempt) * (0.5 + this.#deps.random() / 2);
    return new Promise((resolve) => this.#deps.timers.after(pauseMs, resolve));
  }

  #count(more: Partial<Record<"entries" | "stored" | "skipped" | "expired" | "resumed", number>>): void {
    const { entries, stored, skipped, expired, resumed } = this.#progress;
    this.#progress = {
      ...this.#progress,
      entries: entries + (more.entries ?? 0),
      stored: stored + (more.stored ?? 0),
      skipped: skipped + (more.skipped ?? 0),
      expired: expired + (more.expired ?? 0),
      resumed: resumed + (more.resumed ?? 0),
    };
  }
}

type PartLine = Extract<ContentLine, { type: "part" }>;

interface Put {
  readonly line: ExportEntry;
  readonly mutation: PutMutation;
}

function withConditions({ line, mutation }: Put, conditions: Conditions): Put {
  return { line, mutation: { ...mutation, ...conditions } };
}

function targetOf({ namespace, key }: ContentLine): Parsed<KeyTarget> {
  if (namespace !== "" && !NAMESPACE_PATTERN.test(namespace)) {
    return refused("malformed-import", "an entry has a namespace that is not acceptable");
  }
  return parsed(targetIn(namespace, key));
}

function isSame(one: Pick<PartLine, "namespace" | "key">, other: Pick<PartLine, "namespace" | "key">): boolean {
  return one.namespace === other.namespace && one.key === other.key;
}

/** The writers' own versions decide where both have one; otherwise the time at which the value was written. */
function isNewer({ sourceVersion, modifiedMs }: ExportEntry, { extras, ...present }: ReadEntry): boolean {
  const there = extras?.sourceVersion;
  if (sourceVersion !== undefined && there !== undefined) return sourceVersion > there;
  return modifiedMs > present.modifiedMs;
}

function lifetimeOf(line: ExportEntry): Lifetime {
  const { expiresMs, staleMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs } = line;
  if (slidingMs !== undefined) return { slidingMs };
  const expiresAtMs = staleMs ?? expiresMs;
  return expiresAtMs === undefined ? {} : { expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs };
}

/** Of what was purged softly and has no windows, nothing is left that a read would show. */
function isExpired(line: ExportEntry, nowMs: number): boolean {
  const { expiresAtMs, staleWhileRevalidateMs = 0, staleIfErrorMs = 0 } = lifetimeOf(line);
  if (line.expiresMs !== undefined && line.expiresMs <= nowMs) return true;
  return expiresAtMs !== undefined && expiresAtMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs) <= nowMs;
}

function mutationOf(line: ExportEntry, target: KeyTarget, { value, parts }: ReceivedValue): PutMutation {
  const { contentType, tags, metadata, sourceVersion } = line;
  const mutation = { kind: "put" as const, ...target, value, contentType, parts, tags, metadata, sourceVersion };
  return trimmed({ ...mutation, ...lifetimeOf(line) });
}
