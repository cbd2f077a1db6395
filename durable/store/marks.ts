// Pure. What a shard keeps in memory whole: purges by tag and by prefix, leases of fills, and the slots (slots.ts). Part of the replicated state;
// changed by mutations only, and small, because both kinds are bounded.
//
// A purge is a mark with the revision at which it was made: a row in its scope is gone if its version is lower. That makes a
// purge O(1) to write and effective for every read after it, whatever the number of rows. A slot that moves to another shard
// brings versions of another sequence: such rows say at which revision of this shard they came (`revisionOf`).

import type { PurgeScope } from "./command.ts";
import type { CheckpointDelta, Entry, Mark, PurgeKind } from "./entry.ts";
import { isSystemKey, namespaceOf, storedKey } from "./keyspace.ts";
import { softened } from "./lifetime.ts";
import { isOfSlots, revisionOf, SlotTable } from "./slots.ts";

/** Purges remembered at once, and the characters of their names: a few MB of memory. A sweep that has seen every row lets the older ones go. */
export const PURGE_MARKS_MAX = 16_384;
export const PURGE_NAMES_CHARS_MAX = 1_000_000;
/** Fills under way at once in one shard, and the characters of their keys and holders. */
export const FILL_LEASES_MAX = 8_192;
export const FILL_NAMES_CHARS_MAX = 1_000_000;

type PurgeMark = Extract<Mark, { hardRevision: number }>;
type FillMark = Extract<Mark, { kind: "fill" }>;
/** The others are the slot table's. */
type OwnMark = PurgeMark | FillMark;

/** Revisions of the purges that concern one row, 0 where there is none. */
interface Purges {
  hardRevision: number;
  softRevision: number;
  softMs: number;
}

export class Marks {
  readonly slots: SlotTable;
  readonly #purges: Readonly<Record<PurgeKind, Map<string, PurgeMark>>> = {
    tag: new Map(),
    prefix: new Map(),
    namespace: new Map(),
  };
  /** Lengths of the prefixes that are purged, each with their number: a key is looked up once for each length. */
  readonly #prefixLengths = new Map<number, number>();
  readonly #fills = new Map<string, FillMark>();
  #purgeChars = 0;
  #fillChars = 0;
  /** Changed since the last checkpoint, by kind and name; absent from the maps above: removed. */
  readonly #dirty = new Map<string, Pick<OwnMark, "kind" | "name">>();

  constructor(marks: readonly Mark[]) {
    this.slots = new SlotTable(marks);
    for (const mark of marks) if (!isOfSlots(mark)) this.#set(mark);
    this.#dirty.clear();
  }

  get purges(): number {
    const { tag, prefix, namespace } = this.#purges;
    return tag.size + prefix.size + namespace.size;
  }

  /** So many purges are remembered that rows which hold some of them back had better not. */
  get isHalfFullOfPurges(): boolean {
    return this.purges > PURGE_MARKS_MAX / 2 || this.#purgeChars > PURGE_NAMES_CHARS_MAX / 2;
  }

  get dirty(): number {
    return this.#dirty.size + this.slots.dirty;
  }

  // --- purges ---

  /** False: too many are remembered; nothing is changed. */
  purge(scope: PurgeScope, isSoft: boolean, revision: number, nowMs: number): boolean {
    const { kind, name } = purgeName(scope);
    const known = this.#purges[kind].get(name);
    const isFull = this.purges >= PURGE_MARKS_MAX || this.#purgeChars + name.length > PURGE_NAMES_CHARS_MAX;
    if (known === undefined && isFull) return false;
    const before = known ?? { kind, name, hardRevision: 0, softRevision: 0, softMs: 0 };
    this.#set(isSoft ? { ...before, softRevision: revision, softMs: nowMs } : { ...before, hardRevision: revision });
    return true;
  }

  /**
   * The row as the purges leave it: itself, softened, or undefined. Own rows are in no scope. A row that says itself that it
   * was purged softly needs no mark for it, and is as stale as it can be.
   */
  survivor<T extends Omit<Entry, "value">>(entry: T): T | undefined {
    if (!this.slots.isOfPresent(entry)) return undefined;
    if (this.purges === 0 || isSystemKey(entry.key)) return entry;
    const { hardRevision, softRevision, softMs } = this.#purgesOf(entry.key, entry.extras?.tags);
    const revision = revisionOf(entry);
    if (hardRevision > revision) return undefined;
    if (softRevision <= revision || entry.extras?.purgedMs !== undefined) return entry;
    return { ...entry, extras: softened(entry.extras, softMs) };
  }

  /** Whether something with this key and these tags was purged, softly or not, after `revision`. */
  isPurgedSince(key: string, tags: readonly string[] | undefined, revision: number): boolean {
    if (this.purges === 0) return false;
    const { hardRevision, softRevision } = this.#purgesOf(key, tags);
    return Math.max(hardRevision, softRevision) > revision;
  }

  /**
   * No row below `revision` is left that a purge concerns. Race: a value that was loaded before a purge may still be on its
   * way under a fill's lease, and only the mark refuses it, so marks newer than the oldest lease in force stay. So do marks that
   * are newer than a copy in the making: none of its rows is swept.
   */
  forgetPurges(revision: number, nowMs: number): void {
    let upTo = Math.min(revision, this.slots.importsSince);
    for (const { token, untilMs } of this.#fills.values()) if (untilMs > nowMs) upTo = Math.min(upTo, token);
    for (const marks of Object.values(this.#purges)) {
      for (const mark of marks.values()) {
        if (Math.max(mark.hardRevision, mark.softRevision) <= upTo) this.#delete(mark);
      }
    }
  }

  #purgesOf(key: string, tags: readonly string[] | undefined): Purges {
    const { tag, prefix, namespace } = this.#purges;
    const found: Purges = { hardRevision: 0, softRevision: 0, softMs: 0 };
    const home = namespaceOf(key);
    merge(found, namespace.get(home));
    for (const length of this.#prefixLengths.keys()) {
      if (length <= key.length) merge(found, prefix.get(key.slice(0, length)));
    }
    if (tags !== undefined && tag.size > 0) for (const name of tags) merge(found, tag.get(storedKey(home, name)));
    return found;
  }

  // --- fills ---

  fill(key: string): FillMark | undefined {
    return this.#fills.get(key);
  }

  /** False: too many are under way. Drops those that are over only where that makes the room. */
  hasRoomForFill(key: string, holder: string | undefined, nowMs: number): boolean {
    const chars = charsOf({ name: key, holder });
    if (this.#fills.has(key) || !this.#isFullOfFills(chars)) return true;
    for (const mark of this.#fills.values()) if (mark.untilMs <= nowMs) this.#delete(mark);
    return !this.#isFullOfFills(chars);
  }

  grantFill(fill: Omit<FillMark, "kind">): void {
    this.#set({ kind: "fill", ...fill });
  }

  /** Whoever loads for this key has come too late. */
  endFill(key: string): void {
    if (this.#fills.size === 0) return;
    const mark = this.#fills.get(key);
    if (mark !== undefined) this.#delete(mark);
  }

  /** The slot is another shard's from now on. */
  endFillsOf(slot: number): void {
    for (const mark of this.#fills.values()) if (mark.slot === slot) this.#delete(mark);
  }

  #isFullOfFills(chars: number): boolean {
    return this.#fills.size >= FILL_LEASES_MAX || this.#fillChars + chars > FILL_NAMES_CHARS_MAX;
  }

  // --- checkpoints ---

  all(): readonly Mark[] {
    const purges = Object.values(this.#purges).flatMap((marks) => [...marks.values()]);
    return [...purges, ...this.#fills.values(), ...this.slots.all()];
  }

  delta(): { readonly upserts: readonly Mark[]; readonly removals: readonly Pick<Mark, "kind" | "name">[] } {
    const upserts: Mark[] = [...this.slots.delta()];
    const removals: Pick<Mark, "kind" | "name">[] = [];
    for (const { kind, name } of this.#dirty.values()) {
      const mark = this.#find({ kind, name });
      if (mark === undefined) removals.push({ kind, name });
      else upserts.push(mark);
    }
    return { upserts, removals };
  }

  /** What `delta()` gave is in the table. Marks that have changed since are still to be written. */
  markClean({ markUpserts, markRemovals }: Pick<CheckpointDelta, "markUpserts" | "markRemovals">): void {
    const written = new Set(markUpserts);
    const removed = new Set(markRemovals.map(({ kind, name }) => `${kind} ${name}`));
    for (const [id, name] of this.#dirty) {
      const mark = this.#find(name);
      if (mark === undefined ? removed.has(id) : written.has(mark)) this.#dirty.delete(id);
    }
    this.slots.markClean(written);
  }

  #set(mark: OwnMark): void {
    const { kind, name } = mark;
    this.#dirty.set(`${kind} ${name}`, { kind, name });
    const before = this.#find(mark);
    if (before !== undefined) this.#count(kind, charsOf(before), -1);
    this.#count(kind, charsOf(mark), 1);
    if (kind === "fill") this.#fills.set(name, mark);
    else this.#purges[kind].set(name, mark);
  }

  /** `mark` is remembered. */
  #delete(mark: OwnMark): void {
    const { kind, name } = mark;
    this.#dirty.set(`${kind} ${name}`, { kind, name });
    this.#count(kind, charsOf(mark), -1);
    if (kind === "fill") this.#fills.delete(name);
    else this.#purges[kind].delete(name);
  }

  #count(kind: OwnMark["kind"], chars: number, sign: 1 | -1): void {
    if (kind === "fill") {
      this.#fillChars += sign * chars;
      return;
    }
    this.#purgeChars += sign * chars;
    if (kind !== "prefix") return;
    const prefixes = (this.#prefixLengths.get(chars) ?? 0) + sign;
    if (prefixes > 0) this.#prefixLengths.set(chars, prefixes);
    else this.#prefixLengths.delete(chars);
  }

  #find({ kind, name }: Pick<OwnMark, "kind" | "name">): OwnMark | undefined {
    return kind === "fill" ? this.#fills.get(name) : this.#purges[kind].get(name);
  }
}

function merge(into: Purges, mark: PurgeMark | undefined): void {
  if (mark === undefined) return;
  into.hardRevision = Math.max(into.hardRevision, mark.hardRevision);
  if (mark.softRevision <= into.softRevision) return;
  into.softRevision = mark.softRevision;
  into.softMs = mark.softMs;
}

/** Characters that count towards the limit of its kind. */
function charsOf(mark: Pick<Mark, "name"> & { readonly holder?: string | undefined }): number {
  return mark.name.length + (mark.holder?.length ?? 0);
}

function purgeName(scope: PurgeScope): { readonly kind: PurgeKind; readonly name: string } {
  if (scope.kind === "tag") return { kind: "tag", name: storedKey(scope.namespace, scope.tag) };
  if (scope.prefix === "") return { kind: "namespace", name: scope.namespace };
  return { kind: "prefix", name: storedKey(scope.namespace, scope.prefix) };
}
