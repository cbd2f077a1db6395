// Pure. The replicated state machine of one shard: batches go in in log order, outcomes come out, the same on every
// replica. What changed since the last checkpoint lives in memory and shadows the table; the log is its backup.
//
//   read ──▶ unwritten changes ──▶ clean cache (LRU) ──▶ CheckpointReader (the table)
//
// Outcomes depend on the log alone. Where an entry happens to live, what the cache dropped and when a checkpoint was taken
// never shows in them; nor does whether an expired row is still in the table: expired is the same as absent.

import { LRUCache } from "lru-cache";
import { hash32, hashBytes } from "../../routing/hash.ts";
import type {
  Batch,
  Idempotency,
  ImportMutation,
  KeyMutation,
  Mutation,
  Outcome,
  ReclaimMutation,
  TransactionOperation,
} from "./command.ts";
import { beginFill, releaseFill } from "./commands/fills.ts";
import { limit } from "./commands/limits.ts";
import { importRows, type MoveWorkspace, move } from "./commands/moves.ts";
import { increment } from "./commands/numbers.ts";
import { transaction } from "./commands/transactions.ts";
import { aliveAt, append, put, remove, stage, touch } from "./commands/values.ts";
import type { CheckpointDelta, CheckpointReader, Entry, IdempotencyRecord, RowPosition, StoreState } from "./entry.ts";
import { encodeMark } from "./entry-codec.ts";
import { parsePartKey } from "./keyspace.ts";
import { IDEMPOTENCY_RECORDS_MAX, IDEMPOTENCY_RETENTION_MS, VALUE_BYTES_MAX } from "./limits.ts";
import { Marks } from "./marks.ts";
import { RangeHashes } from "./range-hashes.ts";
import { rowChecksum } from "./row-checksum.ts";
import { bytesReturned, entryBytes, idempotencyRecordBytes, removalBytes } from "./sizes.ts";
import { UsageCounter } from "./usage.ts";

/** The isolate's 128 MB are shared by all objects in it, so the clean cache takes a modest part: see memory-budget.ts. */
export const CACHE_BYTES_MAX_DEFAULT = 6 * 1024 * 1024;
/** A larger entry would push out many smaller ones that are asked for more often. */
const CACHED_ENTRY_BYTES_MAX = 256 * 1024;

export interface StoreOptions {
  /** Memory for entries that the table also has. Never affects an outcome. */
  readonly cacheBytesMax?: number | undefined;
}

/** State of a shard that has applied nothing yet. */
export const EMPTY_STORE_STATE: StoreState = {
  revision: 0,
  clockMs: 0,
  keys: 0,
  bytes: 0,
  expiring: 0,
  idempotencySequence: 0,
  usage: [],
};

export class Store implements MoveWorkspace {
  readonly marks: Marks;
  readonly usage: UsageCounter;
  readonly #ranges: RangeHashes;
  readonly #reader: CheckpointReader;
  readonly #cache: LRUCache<string, Entry>;
  // Maps by key alone: the slot is a function of the key, so a key never appears under two slots.
  /** Entries written since the last checkpoint. A key is in `#upserts` or in `#removals`, never in both. */
  readonly #upserts = new Map<string, Entry>();
  /** Slots of the keys removed since the last checkpoint, which hide the rows that the table still has. */
  readonly #removals = new Map<string, number>();
  /** Of the rows in `#upserts`, where the hashes of the state are known. */
  readonly #checksums = new Map<string, number>();
  readonly #idempotencyUpserts = new Map<string, IdempotencyRecord>();
  #dirtyBytes = 0;

  #revision: number;
  #clockMs: number;
  #idempotencySequence: number;

  /** `state` is the one that was persisted with the checkpoint that `reader` reads. */
  constructor(reader: CheckpointReader, state: StoreState, options: StoreOptions = {}) {
    this.#reader = reader;
    // lru-cache takes no 0: one byte is less than any entry weighs.
    const maxSize = Math.max(1, options.cacheBytesMax ?? CACHE_BYTES_MAX_DEFAULT);
    this.#cache = new LRUCache({ maxSize, maxEntrySize: CACHED_ENTRY_BYTES_MAX, sizeCalculation: entryBytes });
    this.marks = new Marks(reader.marks());
    this.usage = new UsageCounter(state);
    // Where nothing was ever changed there is no row.
    this.#ranges = state.revision === 0 ? RangeHashes.ofNothing() : new RangeHashes(state.ranges);
    this.#revision = state.revision;
    this.#clockMs = state.clockMs;
    this.#idempotencySequence = state.idempotencySequence;
  }

  get state(): StoreState {
    const { keys, bytes, expiring } = this.usage;
    return {
      revision: this.#revision,
      clockMs: this.#clockMs,
      keys,
      bytes,
      expiring,
      idempotencySequence: this.#idempotencySequence,
      usage: this.usage.all(),
      ranges: this.#ranges.all(),
    };
  }

  /**
   * The same on all replicas that have applied the same: of the rows, of the marks and of the counters. Undefined: of some rows it
   * is not known. Remembered outcomes count by their number only: which of them are still stored is each replica's own affair.
   */
  stateHash(): number | undefined {
    if (!this.#ranges.isKnown) return undefined;
    let marks = 0;
    for (const mark of this.marks.all()) marks = (marks + hashBytes(encodeMark(mark))) >>> 0;
    return hash32(JSON.stringify([this.state, marks]));
  }

  get revision(): number {
    return this.#revision;
  }

  /** Highest stamp applied so far, milliseconds since the Unix epoch. */
  get clockMs(): number {
    return this.#clockMs;
  }

  /** Entries written or removed, outcomes remembered and marks changed since the last checkpoint. */
  get dirtyKeys(): number {
    return this.#upserts.size + this.#removals.size + this.#idempotencyUpserts.size + this.marks.dirty;
  }

  /** Estimated memory of what the next checkpoint will write. */
  get dirtyBytes(): number {
    return this.#dirtyBytes;
  }

  /**
   * Applies the next committed batch; one outcome for each mutation, in order. Values are kept, not copied: the caller
   * hands them over. Never refuses: what must not be applied must not be proposed.
   */
  apply(batch: Batch): Outcome[] {
    // A new leader's clock may be behind the last one's; time must not run backwards, or the dead would rise.
    if (batch.stampMs > this.#clockMs) this.#clockMs = batch.stampMs;
    const outcomes: Outcome[] = [];
    for (const mutation of batch.mutations) outcomes.push(this.#applyMutation(mutation));
    return outcomes;
  }

  /** The entry that exists at `nowMs`, or at the stamped clock where that is later; with the soft purges in its `staleMs`. */
  read(slot: number, key: string, nowMs: number): Entry | undefined {
    if (!this.marks.slots.owns(slot)) return undefined;
    const entry = this.#find(slot, key, true);
    return entry === undefined ? undefined : aliveAt(this, entry, Math.max(nowMs, this.#clockMs));
  }

  // --- rows in order, for scans and sweeps ---

  /** Rows written since the last checkpoint; and for each key that was removed since, its position. */
  get unwritten(): { readonly upserts: Iterable<Entry>; readonly removals: Iterable<RowPosition> } {
    return { upserts: this.#upserts.values(), removals: this.#removalPositions() };
  }

  /** Outcomes remembered since the last checkpoint. */
  get unwrittenRecords(): Iterable<IdempotencyRecord> {
    return this.#idempotencyUpserts.values();
  }

  /** The outcome that a retry would get; undefined: it would be applied. */
  remembered(slot: number, key: string, id: string): IdempotencyRecord | undefined {
    const known = this.#recordOf({ slot, key }, id);
    return known !== undefined && this.#isRemembered(known) ? known : undefined;
  }

  isUnwritten(key: string): boolean {
    return this.#upserts.has(key) || this.#removals.has(key);
  }

  /**
   * Bytes of stored values that applying this now would return or copy. They count towards a batch like its own: a thousand
   * small mutations that each return a large value would fill the memory of every replica, again at each replay.
   */
  returnableBytes(mutation: Mutation): number {
    if (!("key" in mutation)) return 0;
    const { idempotency } = mutation;
    const bytes = Math.min(this.#bytesReturnedBy(mutation), VALUE_BYTES_MAX);
    if (bytes === 0 && !canReturn(mutation)) return 0;
    const known = idempotency === undefined ? undefined : this.#recordOf(mutation, idempotency.id);
    return known === undefined ? bytes : Math.max(bytes, bytesReturned(known.outcome));
  }

  // --- Workspace ---

  find(slot: number, key: string): Entry | undefined {
    // A value that is about to be replaced is not worth a place in the cache.
    return this.#find(slot, key, false);
  }

  sizeOf(slot: number, key: string): number | undefined {
    const { slots } = this.marks;
    const known = this.#upserts.get(key) ?? this.#cache.peek(key);
    if (this.#removals.has(key)) return undefined;
    if (known !== undefined) return slots.isOfPresent(known) ? known.value.byteLength : undefined;
    // NUL follows nothing: no other key is in this range.
    const head = this.#reader.heads(slot, { from: key, to: `${key}\u0000` }, 1)[0];
    return head !== undefined && slots.isOfPresent(head) ? head.size : undefined;
  }

  hasRoomFor(key: string): boolean {
    return this.usage.hasRoomFor(key);
  }

  nextVersion(): number {
    this.#revision += 1;
    return this.#revision;
  }

  put(entry: Entry, present: Entry | undefined): void {
    if (present !== undefined) this.#uncount(present);
    this.usage.added(entry);
    this.#forgetUnwritten(entry.key);
    this.#upserts.set(entry.key, entry);
    if (this.#ranges.isKnown) {
      const checksum = rowChecksum(entry);
      this.#ranges.added(entry, checksum);
      this.#checksums.set(entry.key, checksum);
    }
    this.#dirtyBytes += entryBytes(entry);
  }

  remove(present: Entry): void {
    const { slot, key } = present;
    this.#uncount(present);
    this.#forgetUnwritten(key);
    this.#removals.set(key, slot);
    this.#dirtyBytes += removalBytes(key);
  }

  endFill(key: string): void {
    this.marks.endFill(key);
  }

  raiseTo(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  // --- checkpoints ---

  /** Everything that changed since the last checkpoint. Changes nothing: it may be asked for again. */
  checkpointDelta(): CheckpointDelta {
    const marks = this.marks.delta();
    return {
      state: this.state,
      upserts: [...this.#upserts.values()],
      removals: [...this.#removalPositions()],
      idempotencyUpserts: [...this.#idempotencyUpserts.values()],
      idempotencyExpiredMs: this.#clockMs,
      idempotencyEvictedSequence: this.#idempotencySequence - IDEMPOTENCY_RECORDS_MAX,
      markUpserts: marks.upserts,
      markRemovals: marks.removals,
    };
  }

  /**
   * The delta is in the table now. Race: it may have taken several turns to get there, and batches were applied meanwhile. What
   * was changed again goes on shadowing the table; rows are never altered in place, so that the same object is the same row.
   */
  markCheckpointed(delta: CheckpointDelta): void {
    for (const entry of delta.upserts) {
      if (this.#upserts.get(entry.key) !== entry) continue;
      this.#forgetUnwritten(entry.key);
      this.#cache.set(entry.key, entry);
    }
    for (const { key } of delta.removals) {
      if (!this.#removals.has(key)) continue;
      this.#forgetUnwritten(key);
      this.#cache.delete(key);
    }
    for (const record of delta.idempotencyUpserts) {
      const recordKey = idempotencyRecordKey(record.key, record.id);
      if (this.#idempotencyUpserts.get(recordKey) !== record) continue;
      this.#dirtyBytes -= idempotencyRecordBytes(record);
      this.#idempotencyUpserts.delete(recordKey);
    }
    this.marks.markClean(delta);
  }

  // --- applying ---

  #applyMutation(mutation: Mutation): Outcome {
    switch (mutation.kind) {
      case "purge":
        return this.#purge(mutation);
      case "reclaim":
        return this.#reclaim(mutation);
      case "forget_purges":
        this.marks.forgetPurges(mutation.revision, this.#clockMs);
        return { kind: "purged", revision: mutation.revision };
      case "found_slots":
        this.marks.slots.found(mutation.slots);
        return { kind: "slots_founded" };
      case "move":
        return move(this, mutation);
      case "import":
        return this.#import(mutation);
      default:
        return this.#applyOnce(mutation);
    }
  }

  #applyOnce(mutation: KeyMutation): Outcome {
    // Before anything is looked up or remembered: the outcome will be the one that the slot's owner gives.
    const refusal = this.marks.slots.refusal(mutation.slot);
    if (refusal !== undefined) return { kind: refusal };
    const { idempotency } = mutation;
    if (idempotency === undefined) return this.#change(mutation);
    const known = this.remembered(mutation.slot, mutation.key, idempotency.id);
    if (known !== undefined) {
      return known.fingerprint === idempotency.fingerprint ? known.outcome : { kind: "idempotency_conflict" };
    }
    const outcome = this.#change(mutation);
    this.#remember(mutation, idempotency, outcome);
    return outcome;
  }

  #recordOf({ slot, key }: RowPosition, id: string): IdempotencyRecord | undefined {
    return this.#idempotencyUpserts.get(idempotencyRecordKey(key, id)) ?? this.#reader.idempotency(slot, key, id);
  }

  #change(mutation: KeyMutation): Outcome {
    switch (mutation.kind) {
      case "put":
        return put(this, mutation);
      case "delete":
        return remove(this, mutation);
      case "touch":
        return touch(this, mutation);
      case "increment":
        return increment(this, mutation);
      case "append":
        return append(this, mutation);
      case "stage":
        return stage(this, mutation);
      case "begin_fill":
        return beginFill(this, mutation);
      case "release_fill":
        return releaseFill(this, mutation);
      case "limit":
        return limit(this, mutation);
      case "transaction":
        return transaction(this, mutation);
    }
  }

  /**
   * Race: the copy of a frozen slot has been taken, and its decision is under way. A purge here and now would be undone by the
   * move. It comes again afterwards; should the slot be the target's by then, all its rows are there, and whoever purges asks
   * the target after the source (R4).
   */
  #purge({ scope, isSoft }: Extract<Mutation, { kind: "purge" }>): Outcome {
    if (this.marks.slots.hasFrozen) return { kind: "moving" };
    const revision = this.#revision + 1;
    if (!this.marks.purge(scope, isSoft, revision, this.#clockMs)) return { kind: "table_full" };
    this.#revision = revision;
    return { kind: "purged", revision };
  }

  #import(mutation: ImportMutation): Outcome {
    // Also what was remembered of a copy that is given up is true: the mutation was applied where the slot still is.
    return importRows(this, mutation, (record) => this.#keepRecord(record));
  }

  /** Takes no version: whether dead rows are still there must not show in the versions of others. */
  #reclaim({ rows, evicts, softens }: ReclaimMutation): Outcome {
    let changed = 0;
    for (const { slot, key, version } of rows) {
      const present = this.find(slot, key);
      if (present?.version !== version) continue;
      const survivor = softens === true ? aliveAt(this, present, this.#clockMs) : undefined;
      // A row on its way here is counted as it came.
      const maySoften = survivor !== undefined && survivor !== present && !this.marks.slots.isArriving(slot);
      if (softens === true ? !maySoften : !this.#mayReclaim(present, evicts === true)) continue;
      if (survivor === undefined) this.remove(present);
      else this.put(survivor, present);
      changed += 1;
    }
    return { kind: "reclaimed", rows: changed };
  }

  /** Race: a put that names the upload may have been on its way while the leader looked at its parts. */
  #mayReclaim(row: Entry, evicts: boolean): boolean {
    const { slots } = this.marks;
    if (!slots.isOfPresent(row)) return true;
    // The target counts the rows that it was sent; the source has shown its rows as the purges left them.
    if (slots.isArriving(row.slot)) return false;
    if (!slots.owns(row.slot)) return true;
    if (slots.stateOf(row.slot) === "frozen") return this.marks.survivor(row) === undefined;
    const part = parsePartKey(row.key);
    if (part === undefined) return evicts || aliveAt(this, row, this.#clockMs) === undefined;
    const owner = this.find(row.slot, part.key);
    const living = owner === undefined ? undefined : aliveAt(this, owner, this.#clockMs);
    return living?.extras?.parts?.upload !== part.upload;
  }

  /**
   * Two bounds, both read off the log. Time: the stamped clock. Number: records are numbered as they are written, and
   * only the newest IDEMPOTENCY_RECORDS_MAX numbers count. Counting the live ones instead would need every replica to
   * know when each one went, and evicting what a table holds would make outcomes depend on its checkpoints. Refusing new
   * records would turn a full table into an outage; forgetting the oldest only shortens the time in which a retry is safe.
   */
  #isRemembered(record: IdempotencyRecord): boolean {
    const isInWindow = record.sequence > this.#idempotencySequence - IDEMPOTENCY_RECORDS_MAX;
    return isInWindow && this.#clockMs < record.expiresMs;
  }

  #remember({ slot, key }: KeyMutation, { id, fingerprint }: Idempotency, outcome: Outcome): void {
    const expiresMs = this.#clockMs + IDEMPOTENCY_RETENTION_MS;
    this.#keepRecord({ slot, key, id, fingerprint, outcome, expiresMs });
  }

  #keepRecord(remembered: Omit<IdempotencyRecord, "sequence">): void {
    this.#idempotencySequence += 1;
    const record: IdempotencyRecord = { ...remembered, sequence: this.#idempotencySequence };
    const recordKey = idempotencyRecordKey(record.key, record.id);
    const forgotten = this.#idempotencyUpserts.get(recordKey);
    if (forgotten !== undefined) this.#dirtyBytes -= idempotencyRecordBytes(forgotten);
    this.#dirtyBytes += idempotencyRecordBytes(record);
    this.#idempotencyUpserts.set(recordKey, record);
  }

  #uncount(present: Entry): void {
    this.usage.removed(present);
    if (this.#ranges.isKnown) this.#ranges.removed(present, this.#checksums.get(present.key));
  }

  #forgetUnwritten(key: string): void {
    this.#checksums.delete(key);
    const replaced = this.#upserts.get(key);
    if (replaced !== undefined) {
      this.#dirtyBytes -= entryBytes(replaced);
      this.#upserts.delete(key);
    } else if (this.#removals.delete(key)) {
      this.#dirtyBytes -= removalBytes(key);
    }
  }

  /** The row as it is, dead or alive. Absence is never cached, so that asking for nothing fills no memory. */
  #find(slot: number, key: string, keepInCache: boolean): Entry | undefined {
    const unwritten = this.#upserts.get(key);
    if (unwritten !== undefined) return unwritten;
    if (this.#removals.has(key)) return undefined;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const stored = this.#reader.entry(slot, key);
    if (stored !== undefined && keepInCache) this.#cache.set(key, stored);
    return stored;
  }

  #bytesReturnedBy(mutation: KeyMutation | TransactionOperation): number {
    if (mutation.kind === "transaction") {
      const { onSuccess, onFailure } = mutation;
      return [...onSuccess, ...onFailure].reduce((sum, one) => sum + this.#bytesReturnedBy(one), 0);
    }
    return canReturn(mutation) || mutation.kind === "append" ? (this.sizeOf(mutation.slot, mutation.key) ?? 0) : 0;
  }

  *#removalPositions(): Iterable<RowPosition> {
    for (const [key, slot] of this.#removals) yield { slot, key };
  }
}

function canReturn(mutation: KeyMutation | TransactionOperation): boolean {
  switch (mutation.kind) {
    case "put":
    case "delete":
      return mutation.returnPrevious === true;
    case "get":
    case "transaction":
      return true;
    default:
      return false;
  }
}

/** The length in front keeps `a` + `bc` apart from `ab` + `c`. */
function idempotencyRecordKey(key: string, id: string): string {
  return `${id.length}:${id}${key}`;
}
