// Pure. The replicated state machine of one shard: batches go in in log order, outcomes come out, the same on every
// replica. What changed since the last checkpoint lives in memory and shadows the table; the log is its backup.
//
//   read ──▶ unwritten changes ──▶ clean cache (LRU) ──▶ CheckpointReader (the table)
//
// Outcomes depend on the log alone. Where an entry happens to live, what the cache dropped and when a checkpoint was taken
// never shows in them; nor does whether an expired row is still in the table: expired is the same as absent.

import { LRUCache } from "lru-cache";
import type { Batch, DeleteMutation, Mutation, Outcome, PutMutation } from "./command.ts";
import { conditionsHold } from "./conditions.ts";
import type { CheckpointDelta, CheckpointReader, Entry, IdempotencyRecord, StoreState } from "./entry.ts";
import { IDEMPOTENCY_RECORDS_MAX, IDEMPOTENCY_RETENTION_MS } from "./limits.ts";
import { entryBytes, idempotencyRecordBytes, removalBytes } from "./sizes.ts";

/** The isolate's 128 MB are shared by all objects in it, so the clean cache takes a modest part. */
export const CACHE_BYTES_MAX_DEFAULT = 16 * 1024 * 1024;

export interface StoreOptions {
  /** Memory for entries that the table also has. Never affects an outcome. */
  readonly cacheBytesMax?: number | undefined;
}

/** State of a shard that has applied nothing yet. */
export const EMPTY_STORE_STATE: StoreState = { revision: 0, clockMs: 0, keys: 0, idempotencySequence: 0 };

export class Store {
  readonly #reader: CheckpointReader;
  readonly #cache: LRUCache<string, Entry>;
  // Maps by key alone: the slot is a function of the key, so a key never appears under two slots.
  /** Entries written since the last checkpoint. A key is in `#upserts` or in `#removals`, never in both. */
  readonly #upserts = new Map<string, Entry>();
  /** Slots of the keys removed since the last checkpoint, which hide the rows that the table still has. */
  readonly #removals = new Map<string, number>();
  readonly #idempotencyUpserts = new Map<string, IdempotencyRecord>();
  #dirtyBytes = 0;
  /** Whether anything was applied since `checkpointDelta()`; such changes must not be marked as written. */
  #appliedSinceDelta = true;

  #revision: number;
  #clockMs: number;
  #keys: number;
  #idempotencySequence: number;

  /** `state` is the one that was persisted with the checkpoint that `reader` reads. */
  constructor(reader: CheckpointReader, state: StoreState, options: StoreOptions = {}) {
    this.#reader = reader;
    // lru-cache takes no 0: one byte is less than any entry weighs.
    const maxSize = Math.max(1, options.cacheBytesMax ?? CACHE_BYTES_MAX_DEFAULT);
    this.#cache = new LRUCache({ maxSize, sizeCalculation: entryBytes });
    this.#revision = state.revision;
    this.#clockMs = state.clockMs;
    this.#keys = state.keys;
    this.#idempotencySequence = state.idempotencySequence;
  }

  get state(): StoreState {
    return {
      revision: this.#revision,
      clockMs: this.#clockMs,
      keys: this.#keys,
      idempotencySequence: this.#idempotencySequence,
    };
  }

  /** Highest stamp applied so far, milliseconds since the Unix epoch. */
  get clockMs(): number {
    return this.#clockMs;
  }

  /** Entries written or removed, and outcomes remembered, since the last checkpoint. */
  get dirtyKeys(): number {
    return this.#upserts.size + this.#removals.size + this.#idempotencyUpserts.size;
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
    this.#appliedSinceDelta = true;
    // A new leader's clock may be behind the last one's; time must not run backwards, or the dead would rise.
    if (batch.stampMs > this.#clockMs) this.#clockMs = batch.stampMs;
    const outcomes: Outcome[] = [];
    for (const mutation of batch.mutations) outcomes.push(this.#applyMutation(mutation));
    return outcomes;
  }

  /** The entry that exists at `nowMs`, or at the stamped clock where that is later. */
  read(slot: number, key: string, nowMs: number): Entry | undefined {
    const entry = this.#find(slot, key, true);
    return entry !== undefined && isAlive(entry, Math.max(nowMs, this.#clockMs)) ? entry : undefined;
  }

  /** Everything that changed since the last checkpoint. Changes nothing: it may be asked for again. */
  checkpointDelta(): CheckpointDelta {
    this.#appliedSinceDelta = false;
    return {
      state: this.state,
      upserts: [...this.#upserts.values()],
      removals: Array.from(this.#removals, ([key, slot]) => ({ slot, key })),
      idempotencyUpserts: [...this.#idempotencyUpserts.values()],
      idempotencyExpiredMs: this.#clockMs,
      idempotencyEvictedSequence: this.#idempotencySequence - IDEMPOTENCY_RECORDS_MAX,
    };
  }

  /** The last delta is in the table now. Called in the turn in which it was taken: what came later would be lost. */
  markCheckpointed(): void {
    if (this.#appliedSinceDelta) throw new Error("store: batches were applied after the checkpoint's delta was taken");
    for (const [key, entry] of this.#upserts) this.#cache.set(key, entry);
    for (const key of this.#removals.keys()) this.#cache.delete(key);
    this.#upserts.clear();
    this.#removals.clear();
    this.#idempotencyUpserts.clear();
    this.#dirtyBytes = 0;
  }

  #applyMutation(mutation: Mutation): Outcome {
    const { idempotency } = mutation;
    if (idempotency === undefined) return this.#change(mutation);
    const recordKey = idempotencyRecordKey(mutation.key, idempotency.id);
    const known =
      this.#idempotencyUpserts.get(recordKey) ?? this.#reader.idempotency(mutation.slot, mutation.key, idempotency.id);
    if (known !== undefined && this.#isRemembered(known)) {
      return known.fingerprint === idempotency.fingerprint ? known.outcome : { kind: "idempotency_conflict" };
    }
    const outcome = this.#change(mutation);
    this.#remember(recordKey, mutation, idempotency, outcome);
    return outcome;
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

  #remember(
    recordKey: string,
    mutation: Mutation,
    idempotency: { readonly id: string; readonly fingerprint: string },
    outcome: Outcome,
  ): void {
    this.#idempotencySequence += 1;
    const record: IdempotencyRecord = {
      slot: mutation.slot,
      key: mutation.key,
      id: idempotency.id,
      fingerprint: idempotency.fingerprint,
      outcome,
      expiresMs: this.#clockMs + IDEMPOTENCY_RETENTION_MS,
      sequence: this.#idempotencySequence,
    };
    const forgotten = this.#idempotencyUpserts.get(recordKey);
    if (forgotten !== undefined) this.#dirtyBytes -= idempotencyRecordBytes(forgotten);
    this.#dirtyBytes += idempotencyRecordBytes(record);
    this.#idempotencyUpserts.set(recordKey, record);
  }

  #change(mutation: Mutation): Outcome {
    // A value that is about to be replaced is not worth a place in the cache.
    const present = this.#find(mutation.slot, mutation.key, false);
    const current = present !== undefined && isAlive(present, this.#clockMs) ? present : undefined;
    if (!conditionsHold(mutation, current?.version)) return { kind: "precondition_failed", version: current?.version };
    return mutation.kind === "put" ? this.#put(mutation, present, current) : this.#delete(mutation, present, current);
  }

  #put(mutation: PutMutation, present: Entry | undefined, current: Entry | undefined): Outcome {
    const { slot, key, value, contentType, ttlMs } = mutation;
    const nowMs = this.#clockMs;
    this.#revision += 1;
    if (present === undefined) this.#keys += 1;
    const entry: Entry = {
      slot,
      key,
      version: this.#revision,
      value,
      contentType,
      createdMs: current === undefined ? nowMs : current.createdMs,
      modifiedMs: nowMs,
      expiresMs: ttlMs === undefined ? undefined : nowMs + ttlMs,
    };
    this.#forgetUnwritten(key);
    this.#upserts.set(key, entry);
    this.#dirtyBytes += entryBytes(entry);
    return { kind: "stored", version: entry.version, created: current === undefined, expiresMs: entry.expiresMs };
  }

  #delete(mutation: DeleteMutation, present: Entry | undefined, current: Entry | undefined): Outcome {
    const { slot, key } = mutation;
    if (present === undefined) return { kind: "deleted", existed: false };
    // An expired row goes too, but takes no revision: versions must not depend on whether it was still there.
    if (current !== undefined) this.#revision += 1;
    this.#keys -= 1;
    this.#forgetUnwritten(key);
    this.#removals.set(key, slot);
    this.#dirtyBytes += removalBytes(key);
    return { kind: "deleted", existed: current !== undefined };
  }

  #forgetUnwritten(key: string): void {
    const replaced = this.#upserts.get(key);
    if (replaced !== undefined) {
      this.#dirtyBytes -= entryBytes(replaced);
      this.#upserts.delete(key);
    } else if (this.#removals.delete(key)) {
      this.#dirtyBytes -= removalBytes(key);
    }
  }

  /** The row as it is, expired or not. Absence is never cached, so that asking for nothing fills no memory. */
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
}

/** Nothing expires early: the entry exists until the last millisecond before `expiresMs`. */
function isAlive(entry: Entry, nowMs: number): boolean {
  return entry.expiresMs === undefined || nowMs < entry.expiresMs;
}

/** The length in front keeps `a` + `bc` apart from `ab` + `c`. */
function idempotencyRecordKey(key: string, id: string): string {
  return `${id.length}:${id}${key}`;
}
