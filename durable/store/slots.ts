// Pure. Which slots this shard owns, by its own log, and how far a move of a slot has come. The logs are the authority: the
// topology only wishes for a move and records it. A move's decision is one entry in the source's log (`out`), as in two-phase
// commit; what an entry may do to a slot is decided here, when it is applied, so that late and repeated ones change nothing.
//
//   source   owned ──begin──▶ copying ──freeze──▶ frozen ──out──▶ moved          begin again: another attempt
//              ▲                 │                  │
//              └──── thaw, call_off ───────────────┘
//
//   target   (anything not owned) ──import──▶ importing ──seal──▶ sealed ──own──▶ owned
//                     ▲                          │                  │
//                  dropped ◀──────── drop ───────┴──────────────────┘
//
// Attempts are numbered by the source's log, and rise: one that the target sees for the first time is younger than all that it
// has seen, and the source's log cannot decide on an older one any more. That makes it safe for the target to throw away even a
// sealed copy for it, and to refuse what is still on its way from an earlier leader.

import { SLOT_COUNT } from "../../routing/slots.ts";
import type { LogPlace } from "./command.ts";
import type { Entry, Mark } from "./entry.ts";

export type SlotState = "owned" | "copying" | "frozen" | "moved" | "importing" | "sealed" | "dropped";

/** Only for slots that are not as they were founded. */
export type SlotMark = Extract<Mark, { kind: "slot" }>;
export type FoundingMark = Extract<Mark, { kind: "founding" }>;
export type PastMark = Extract<Mark, { kind: "past" }>;

/** Shards of whose logs a place is remembered; of more than so many that gave slots to this one, those whose moves are the oldest go. */
export const PAST_SHARDS_MAX = 64;
const NO_PAST: readonly LogPlace[] = [];

const BITMAP_BYTES = SLOT_COUNT / 8;

/** States in which the slot is this shard's, and what it says of the slot counts. */
const OWNED: ReadonlySet<SlotState | undefined> = new Set<SlotState>(["owned", "copying", "frozen"]);

export class SlotTable {
  /** By slot, as a bitmap: what was this shard's before any slot moved. Undefined: none ever has, and nothing is checked. */
  #founding: Uint8Array | undefined;
  readonly #records = new Map<number, SlotMark>();
  /** By name. */
  readonly #past = new Map<string, PastMark>();
  #pastPlaces = NO_PAST;
  readonly #dirty = new Map<string, FoundingMark | SlotMark | PastMark>();
  #frozen = 0;
  /** How often a record has been changed in this table's life. */
  changes = 0;

  constructor(marks: readonly Mark[]) {
    for (const mark of marks) {
      if (mark.kind === "founding") this.#founding = mark.slots;
      if (mark.kind === "slot") this.#keep(mark);
      if (mark.kind === "past") this.#past.set(mark.name, mark);
    }
    this.#pastPlaces = [...this.#past.values()];
  }

  /** Whether this log speaks of slots at all. */
  get isFounded(): boolean {
    return this.#founding !== undefined;
  }

  get dirty(): number {
    return this.#dirty.size;
  }

  /** A slot is between the last write here and the decision: purges wait, or the copy would not know of them. */
  get hasFrozen(): boolean {
    return this.#frozen > 0;
  }

  /** Idempotent: what was said first counts. */
  found(slots: Uint8Array): void {
    if (this.#founding !== undefined) return;
    this.#founding = slots;
    this.#dirty.set("founding", { kind: "founding", name: "", slots });
  }

  record(slot: number): SlotMark | undefined {
    return this.#records.get(slot);
  }

  records(): Iterable<SlotMark> {
    return this.#records.values();
  }

  /** Undefined where the slot is not this shard's, or nothing is known. */
  stateOf(slot: number): SlotState | undefined {
    return this.#records.get(slot)?.state ?? (this.#isFounding(slot) ? "owned" : undefined);
  }

  /** Whether this shard answers for the slot. True for all while nothing is known: the topology alone decides then. */
  owns(slot: number): boolean {
    return this.#founding === undefined || OWNED.has(this.stateOf(slot));
  }

  /** Why a mutation of the slot changes nothing; undefined: it may. */
  refusal(slot: number): "moving" | "moved" | undefined {
    if (this.#founding === undefined) return undefined;
    const state = this.stateOf(slot);
    if (state === "frozen") return "moving";
    return OWNED.has(state) ? undefined : "moved";
  }

  /** Rows of the slot are a copy in the making, or waiting for its decision. */
  isArriving(slot: number): boolean {
    const state = this.#records.get(slot)?.state;
    return state === "importing" || state === "sealed";
  }

  /** The copy is whole: should the source give the slot away, it comes here. */
  isSealed(slot: number): boolean {
    return this.#records.get(slot)?.state === "sealed";
  }

  /** Epoch of the move that made this shard the owner; 0: it has been from the start. */
  ownedSince(slot: number): number {
    return this.#records.get(slot)?.since ?? 0;
  }

  /** False: the row is left over from an earlier time in which the slot was here, or from a copy that was given up. */
  isOfPresent(row: Pick<Entry, "slot" | "version" | "extras">): boolean {
    if (this.#records.size === 0) return true;
    const base = this.#records.get(row.slot)?.base;
    return base === undefined || revisionOf(row) >= base;
  }

  /** The oldest copy in the making began at this revision: its rows cannot be swept yet, so later purges must be remembered. */
  get importsSince(): number {
    let since = Number.POSITIVE_INFINITY;
    for (const { slot, base } of this.#records.values()) if (this.isArriving(slot)) since = Math.min(since, base);
    return since;
  }

  /**
   * How far the logs of other shards had come where slots came from there to here: whoever has seen this log has seen them so far.
   * One place for each shard that had any of these slots before, the latest. The same array until another slot comes.
   */
  get past(): readonly LogPlace[] {
    return this.#pastPlaces;
  }

  /** A slot has come by `move`, with the past of those who had it before. */
  see(past: readonly LogPlace[], move: number): void {
    for (const { shard, index } of past) {
      const marks = [...this.#past.values()];
      const known = marks.find((mark) => mark.shard === shard);
      if (known !== undefined && known.index >= index) continue;
      const name = known?.name ?? this.#pastName(marks);
      const mark: PastMark = { kind: "past", name, shard, index, move };
      this.#past.set(name, mark);
      this.#dirty.set(`past ${name}`, mark);
    }
    this.#pastPlaces = [...this.#past.values()];
  }

  #pastName(marks: readonly PastMark[]): string {
    if (marks.length < PAST_SHARDS_MAX) return String(marks.length);
    // By what all replicas have, and not by an order of theirs: all let the same one go.
    return marks.reduce((oldest, mark) =>
      mark.move < oldest.move || (mark.move === oldest.move && mark.shard < oldest.shard) ? mark : oldest,
    ).name;
  }

  set(mark: SlotMark): void {
    this.changes += 1;
    this.#keep(mark);
    this.#dirty.set(mark.name, mark);
  }

  /** Epoch of the latest move in which this shard has had a part: who knows of none so late does not know all that he should. */
  get newestMove(): number {
    let newest = 0;
    for (const { move } of this.#records.values()) newest = Math.max(newest, move);
    return newest;
  }

  all(): readonly Mark[] {
    const founding: readonly Mark[] =
      this.#founding === undefined ? [] : [{ kind: "founding", name: "", slots: this.#founding }];
    return [...founding, ...this.#records.values(), ...this.#past.values()];
  }

  delta(): readonly Mark[] {
    return [...this.#dirty.values()];
  }

  markClean(written: ReadonlySet<Mark>): void {
    for (const [id, mark] of this.#dirty) if (written.has(mark)) this.#dirty.delete(id);
  }

  #keep(mark: SlotMark): void {
    if (this.#records.get(mark.slot)?.state === "frozen") this.#frozen -= 1;
    if (mark.state === "frozen") this.#frozen += 1;
    this.#records.set(mark.slot, mark);
  }

  #isFounding(slot: number): boolean {
    return this.#founding !== undefined && hasSlot(this.#founding, slot);
  }
}

/** Whether the mark is the table's. */
export function isOfSlots(mark: Mark): mark is FoundingMark | SlotMark | PastMark {
  return mark.kind === "founding" || mark.kind === "slot" || mark.kind === "past";
}

/** Where the row stands in the order of this shard's purges. A version from another shard's sequence says nothing of it. */
export function revisionOf({ version, extras }: Pick<Entry, "version" | "extras">): number {
  return extras?.purgeRevision ?? version;
}

export function slotBitmap(slots: Iterable<number>): Uint8Array {
  const bitmap = new Uint8Array(BITMAP_BYTES);
  for (const slot of slots) setBit(bitmap, slot, true);
  return bitmap;
}

export function isSlotBitmap(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.byteLength === BITMAP_BYTES;
}

export function hasSlot(bitmap: Uint8Array, slot: number): boolean {
  return ((bitmap[slot >> 3] ?? 0) & (1 << (slot & 7))) !== 0;
}

function setBit(bitmap: Uint8Array, slot: number, isSet: boolean): void {
  const bits = bitmap[slot >> 3] ?? 0;
  bitmap[slot >> 3] = isSet ? bits | (1 << (slot & 7)) : bits & ~(1 << (slot & 7));
}
