// Keeps the shard's rows to those that are worth their room: at the leader, in bounded slices, it walks over them, finds what
// is dead (expired, purged, parts that belong to no value) and, above the budget, what is least worth keeping, and proposes their
// removal in the log. Platform-free.
//
// It has no timer and keeps nobody awake: slices run at the end of turns that others cause. An idle group falls asleep in the
// middle of a pass, and a pass is not begun where it could find nothing. The clock of the platform stands still within a turn,
// so a slice is bounded by its rows, and the time that it may take of a second by SLICE_INTERVAL_MS.

import type { ReplicaContext } from "./replica-context.ts";
import { encodeBatch } from "./store/codec.ts";
import type { Batch, Mutation } from "./store/command.ts";
import type { EntryHead } from "./store/entry.ts";
import { Sweep } from "./store/eviction/sweep.ts";
import { namespaceOf, parsePartKey, partKey } from "./store/keyspace.ts";
import { exists } from "./store/lifetime.ts";
import { accountedHeadBytes } from "./store/sizes.ts";
import { revisionOf } from "./store/slots.ts";

/** Rows of one slice: at 10 µs a row, what a read from the table costs a few times over. */
export const SLICE_ROWS = 64;
/** Where room has to be made: of so many rows 32 go, in one log entry, of 850 kB with the longest keys. */
export const EVICTION_SLICE_ROWS = 256;
/** Values read and written again in one slice, to take purges off their rows: a checkpoint has to write them. */
export const SOFTEN_BYTES_MAX = 1024 * 1024;
/** Between two slices, unless there is something to evict: 3 % of the time, and 250,000 rows of a busy shard in 80 s. */
export const SLICE_INTERVAL_MS = 20;
/** Between two passes: how long dead rows may stay where the group is awake, beside the time of a pass. */
export const PASS_PAUSE_MS = 60_000;
/** A part that no value names is garbage after this long: an upload may still be under way, a reader in the middle of it. */
export const ORPHAN_GRACE_MS = 10 * 60_000;
/**
 * The same where writes find no room: large values that are replaced all the time would fill it with what is left
 * of them, and every write would be refused for as long as the grace. Whoever is still at it is told, and begins anew.
 */
export const ORPHAN_GRACE_FULL_MS = 30_000;
/** Parts under observation at once, about 1 GB of them; others wait until these are gone. */
export const ORPHANS_MAX = 1_024;

interface Pass {
  readonly sweep: Sweep;
  readonly startRevision: number;
  /** Purges up to here concern no row that was seen. */
  forgetUpTo: number;
  /** The first expiry among the rows that stay. */
  nextExpiryMs: number;
  victims: number;
  readonly slotChanges: number;
}

interface Orphan {
  readonly sinceMs: number;
  readonly bytes: number;
  /** The pass that has seen it last. */
  readonly pass: number;
}

/** What the last whole pass left behind, whoever led since: it speaks of replicated state. */
interface Rest {
  readonly endedMs: number;
  readonly revision: number;
  readonly nextExpiryMs: number;
  readonly keptSoftPurged: boolean;
  readonly isFruitless: boolean;
  readonly hasOrphans: boolean;
}

export class Housekeeper {
  readonly #context: ReplicaContext;
  #pass: Pass | undefined;
  #rest: Rest | undefined;
  readonly #orphans = new Map<string, Orphan>();
  #orphanBytes = 0;
  #passes = 0;
  /** Every row was seen in this leadership: a part that is not known as an orphan has become one since. */
  #hasSeenAll = false;
  #isEvicting = false;
  #lastSliceMs = Number.NEGATIVE_INFINITY;
  /** What slots have left behind was swept as of so many changes of the slot table. */
  #sweptChanges = 0;
  /** Where in the log the last chunk is: the next slice waits until it is applied, and so never finds the same rows again. */
  #proposedIndex = 0;
  /** Told of every batch of its own. */
  onProposed: (index: number, term: number, batch: Batch) => void = () => undefined;

  constructor(context: ReplicaContext) {
    this.#context = context;
  }

  /** A new leadership begins its pass anew: what was proposed in the last one may never be applied. */
  leadershipChanged(): void {
    this.#pass = undefined;
    this.#proposedIndex = 0;
    this.#isEvicting = false;
    this.#orphans.clear();
    this.#orphanBytes = 0;
    this.#hasSeenAll = false;
    this.#sweptChanges = this.#context.store.marks.slots.isFounded ? -1 : 0;
    this.#context.admission.mayHaveParts = true;
  }

  /** At the end of a turn. */
  turnEnded(nowMs: number): void {
    const { core } = this.#context;
    if (core.role !== "leader" || core.asleep || core.appliedIndex < this.#proposedIndex || !core.canPropose) return;
    const isPressed = this.#isPressed(nowMs);
    const wantsRoom = isPressed || this.#isRoomInOrphans(nowMs);
    if (!wantsRoom && this.#context.background.isPaused(nowMs)) return;
    if (!isPressed && nowMs - this.#lastSliceMs < SLICE_INTERVAL_MS) return;
    if (this.#pass === undefined && !wantsRoom && !this.#isPassDue(nowMs)) return;
    this.#lastSliceMs = nowMs;
    this.#slice(nowMs);
  }

  /** There is something to evict, and the last pass did not show that nothing can be. */
  #isPressed(nowMs: number): boolean {
    const { admission } = this.#context;
    const isOver = this.#excessBytes() > 0 || admission.excesses(this.#isEvicting).length > 0;
    this.#isEvicting = isOver;
    const rest = this.#rest;
    const isHopeless = this.#pass === undefined && rest?.isFruitless === true && nowMs < rest.endedMs + PASS_PAUSE_MS;
    // As long as no pass may begin nobody makes room, whatever went by itself meanwhile: to come again soon would be in vain.
    if (!isOver && !isHopeless) admission.isExhausted = false;
    return isOver && !isHopeless;
  }

  /** Writes find no room, perhaps for parts that are given no more time: worth a pass, though nothing can be evicted. */
  #isRoomInOrphans(nowMs: number): boolean {
    const { admission } = this.#context;
    if (!admission.mayHaveParts || !admission.isShort) return false;
    return this.#rest === undefined || nowMs >= this.#rest.endedMs + ORPHAN_GRACE_FULL_MS;
  }

  /** Parts of evicted values are as good as gone, although their readers may finish: evicting more for them would be too much. */
  #excessBytes(): number {
    return Math.max(0, this.#context.admission.excessBytes(this.#isEvicting) - this.#orphanBytes);
  }

  /** Whether a pass could find anything dead. */
  #isPassDue(nowMs: number): boolean {
    const { admission, store } = this.#context;
    const { usage, marks, revision } = store;
    const hasMoved = marks.slots.changes !== this.#sweptChanges;
    if (usage.expiring === 0 && marks.purges === 0 && !admission.mayHaveParts && !hasMoved) return false;
    const rest = this.#rest;
    if (rest === undefined) return true;
    if (nowMs < rest.endedMs + PASS_PAUSE_MS) return false;
    if (hasMoved || revision !== rest.revision) return true;
    if (this.#clockMs(nowMs) >= rest.nextExpiryMs) return true;
    if (this.#orphans.size > 0 || (rest.hasOrphans && !this.#hasSeenAll)) return true;
    // A lease of a fill has kept purges that no row needs; or there were more rows to soften than a pass may.
    return marks.purges > 0 && (!rest.keptSoftPurged || marks.isHalfFullOfPurges);
  }

  #slice(nowMs: number): void {
    const { counters, ports, store } = this.#context;
    const { revision } = store;
    if (this.#pass === undefined) {
      this.#context.admission.mayHaveParts = false;
      this.#passes += 1;
    }
    this.#pass ??= {
      sweep: new Sweep(store, ports.storage),
      startRevision: revision,
      forgetUpTo: revision,
      nextExpiryMs: Number.POSITIVE_INFINITY,
      victims: 0,
      slotChanges: store.marks.slots.changes,
    };
    const pass = this.#pass;
    const rows = pass.sweep.next(this.#isEvicting ? EVICTION_SLICE_ROWS : SLICE_ROWS);
    if (rows === undefined) {
      this.#endPass(pass, nowMs);
      return;
    }
    const clockMs = this.#clockMs(nowMs);
    const dead: EntryHead[] = [];
    const alive: EntryHead[] = [];
    for (const row of rows) {
      if (this.#isDead(row, clockMs, pass)) dead.push(row);
      else if (store.marks.slots.refusal(row.slot) === undefined) alive.push(row);
    }
    const softened = this.#softened(alive, pass);
    const victims = this.#victims(alive);
    pass.victims += victims.length;
    counters.rows_reclaimed += dead.length;
    counters.rows_evicted += victims.length;
    const mutations: Mutation[] = [];
    if (dead.length > 0) mutations.push({ kind: "reclaim", rows: dead.map(nameOf) });
    if (victims.length > 0) mutations.push({ kind: "reclaim", rows: victims.map(nameOf), evicts: true });
    if (softened.length > 0) mutations.push({ kind: "reclaim", rows: softened.map(nameOf), softens: true });
    if (mutations.length > 0) this.#propose(mutations, nowMs);
  }

  /**
   * The clock to judge by. Race: an access that a batch in flight holds may prolong a row that has expired by the leader's own
   * clock but not at that batch's stamp, and its version stays. So the own clock counts only where nothing is in flight; what is
   * proposed now then carries its time as its stamp, and comes next in the log.
   */
  #clockMs(nowMs: number): number {
    const { core, store } = this.#context;
    return core.appliedIndex === core.log.lastIndex ? Math.max(nowMs, store.clockMs) : store.clockMs;
  }

  #isDead(row: EntryHead, clockMs: number, pass: Pass): boolean {
    const { marks } = this.#context.store;
    if (marks.slots.isOfPresent(row)) {
      // What is on its way here is counted, what is about to leave was; what has left is nobody's any more.
      const stays = marks.slots.isArriving(row.slot) || marks.slots.stateOf(row.slot) === "frozen";
      if (stays && marks.survivor(row) !== row) pass.forgetUpTo = Math.min(pass.forgetUpTo, revisionOf(row));
      if (stays) return false;
      if (!marks.slots.owns(row.slot)) return true;
    }
    if (!exists(row, clockMs)) return true;
    if (this.#isOrphan(row, clockMs)) return true;
    if (marks.survivor(row) === undefined) return true;
    if (row.expiresMs !== undefined) pass.nextExpiryMs = Math.min(pass.nextExpiryMs, row.expiresMs);
    return false;
  }

  /**
   * Stale values that nobody loads anew hold their purges in memory: one of them, every purge since it was written. Where
   * memory for purges gets short, the rows themselves are made to say that they were purged; until then that would write a
   * row for each value in the scope of a purge, most of which are loaded anew soon. The others keep their purges.
   */
  #softened(alive: readonly EntryHead[], pass: Pass): readonly EntryHead[] {
    const { marks } = this.#context.store;
    const softened: EntryHead[] = [];
    let bytes = 0;
    for (const row of alive) {
      if (marks.survivor(row) === row) continue;
      bytes += row.size;
      if (marks.isHalfFullOfPurges && (bytes <= SOFTEN_BYTES_MAX || softened.length === 0)) softened.push(row);
      else pass.forgetUpTo = Math.min(pass.forgetUpTo, revisionOf(row));
    }
    return softened;
  }

  /** A part that no value has named for long enough. */
  #isOrphan(row: EntryHead, clockMs: number): boolean {
    const part = parsePartKey(row.key);
    if (part === undefined) return false;
    this.#context.admission.mayHaveParts = true;
    const owner = this.#context.store.find(row.slot, part.key);
    if (owner?.extras?.parts?.upload === part.upload) {
      this.#forgetOrphan(row.key);
      return false;
    }
    // By the log's times, so that a group that sleeps after every few requests comes to the end of a grace too. When a value
    // that is gone went, no row says: of one that went in this leadership it was after the last pass.
    const isSinceLately = owner === undefined && this.#hasSeenAll;
    const loggedMs = isSinceLately ? clockMs : Math.max(row.modifiedMs, owner?.modifiedMs ?? 0);
    const sinceMs = this.#orphans.get(row.key)?.sinceMs ?? loggedMs;
    this.#forgetOrphan(row.key);
    if (clockMs - sinceMs >= (this.#context.admission.isShort ? ORPHAN_GRACE_FULL_MS : ORPHAN_GRACE_MS)) return true;
    this.#noteOrphan(row.key, sinceMs, accountedHeadBytes(row));
    return false;
  }

  #noteOrphan(key: string, sinceMs: number, bytes: number): void {
    if (this.#orphans.size >= ORPHANS_MAX) return;
    this.#orphans.set(key, { sinceMs, bytes, pass: this.#passes });
    this.#orphanBytes += bytes;
  }

  #forgetOrphan(key: string): void {
    const known = this.#orphans.get(key);
    if (known === undefined) return;
    this.#orphans.delete(key);
    this.#orphanBytes -= known.bytes;
  }

  #victims(alive: readonly EntryHead[]): readonly EntryHead[] {
    const { admission, eviction, store } = this.#context;
    // Before all rows were seen, nobody knows how much room orphans are about to give: what lives would go for it.
    if (!this.#isEvicting || !this.#hasSeenAll) return [];
    const { revision, usage } = store;
    eviction.fit(usage.keys);
    const state = { revision, keys: usage.keys };
    const excess = this.#excessBytes();
    const chosen = new Set(
      excess === 0
        ? []
        : eviction.victims(
            alive.filter(({ key }) => admission.isEvictable(key)),
            state,
            excess,
          ),
    );
    for (const { namespace, bytes } of admission.excesses(true)) {
      const rows = alive.filter(({ key }) => admission.isEvictable(key) && namespaceOf(key) === namespace);
      const { keys } = usage.of(namespace);
      for (const row of eviction.victims(rows, { revision, keys }, bytes)) chosen.add(row);
    }
    for (const row of chosen) this.#orphanParts(row);
    return [...chosen];
  }

  /** The parts of a value that goes are under observation from now on. */
  #orphanParts({ key, extras }: EntryHead): void {
    const { parts } = extras ?? {};
    if (parts === undefined) return;
    const { clockMs } = this.#context.store;
    for (let part = 0; part < parts.count; part++) {
      const name = partKey(key, parts.upload, part);
      this.#forgetOrphan(name);
      this.#noteOrphan(name, clockMs, parts.bytes / parts.count);
    }
  }

  #endPass(pass: Pass, nowMs: number): void {
    const { admission, store } = this.#context;
    const { marks, revision } = store;
    this.#pass = undefined;
    const isFruitless = this.#isEvicting && this.#hasSeenAll && pass.victims === 0;
    this.#hasSeenAll = true;
    // What this pass has not seen is not there any more, or is under way to another shard.
    for (const [key, orphan] of this.#orphans) if (orphan.pass < this.#passes) this.#forgetOrphan(key);
    this.#sweptChanges = pass.slotChanges;
    admission.isExhausted = isFruitless;
    admission.isShort = false;
    this.#rest = {
      endedMs: nowMs,
      revision: pass.startRevision,
      nextExpiryMs: pass.nextExpiryMs,
      keptSoftPurged: pass.forgetUpTo < pass.startRevision,
      isFruitless,
      hasOrphans: this.#orphans.size > 0,
    };
    // Everything that was dead is proposed before this in the same log: where this is applied, that was.
    if (marks.purges > 0 && revision > 0) this.#propose([{ kind: "forget_purges", revision: pass.forgetUpTo }], nowMs);
  }

  #propose(mutations: readonly Mutation[], nowMs: number): void {
    const { core, store } = this.#context;
    const batch: Batch = { stampMs: Math.max(nowMs, store.clockMs), mutations };
    const proposal = core.propose("batch", encodeBatch(batch), nowMs, { isClients: false });
    if (proposal === undefined) throw new Error("halo: the core refused a proposal that it had room for");
    this.#proposedIndex = proposal.index;
    this.onProposed(proposal.index, proposal.term, batch);
  }
}

function nameOf({ slot, key, version }: EntryHead): Pick<EntryHead, "slot" | "key" | "version"> {
  return { slot, key, version };
}
