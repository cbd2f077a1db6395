// Pure. The steps of a move of a slot, in the log of its source and in that of its target. Every step may come late, twice or
// from a leader that is none any more: what does not fit the slot's record changes nothing, and the outcome says so.

import { hash32 } from "../../../routing/hash.ts";
import type { ImportMutation, MoveId, MoveMutation, MoveStep, Outcome } from "../command.ts";
import type { Entry, EntryExtras, IdempotencyRecord } from "../entry.ts";
import { extrasOf } from "../lifetime.ts";
import type { SlotMark } from "../slots.ts";
import type { Workspace } from "../workspace.ts";

/** What moves can do beyond other commands. */
export interface MoveWorkspace extends Workspace {
  readonly revision: number;
  /** Versions go on from here at the least. */
  raiseTo(revision: number): void;
}

type OwnStep = Extract<MoveStep, { step: "own" }>;

export function move(work: MoveWorkspace, mutation: MoveMutation): Outcome {
  const next = stepFrom(work, mutation);
  if (next === "refused" || next === "done") return outcomeOf(work, mutation.slot, next === "done");
  work.marks.slots.set(next);
  return outcomeOf(work, mutation.slot, true);
}

/** The slot's record after the step; `done`: the step was taken before. */
function stepFrom(work: MoveWorkspace, mutation: MoveMutation): SlotMark | "refused" | "done" {
  switch (mutation.step) {
    case "begin":
      return begin(work, mutation.slot, mutation.move, mutation.to);
    case "freeze":
      return advance(work, mutation, ["copying"], "frozen");
    case "thaw":
      return thaw(work, mutation);
    case "out":
      return out(work, mutation);
    case "call_off":
      return callOff(work, mutation.slot, mutation.move);
    case "import":
      return importBegin(work, mutation, mutation.from);
    case "seal": {
      const known = work.marks.slots.record(mutation.slot);
      const { chunks, rows, digest } = mutation;
      const isWhole = known?.chunks === chunks && known.rows === rows && known.digest === digest;
      return isWhole ? advance(work, mutation, ["importing"], "sealed") : "refused";
    }
    case "own":
      return own(work, mutation, mutation);
    case "drop":
      return drop(work, mutation.slot, mutation.move);
  }
}

function outcomeOf({ marks }: Workspace, slot: number, isDone: boolean): Outcome {
  const { move = 0, attempt = 0 } = marks.slots.record(slot) ?? {};
  return { kind: "move", isDone, state: marks.slots.stateOf(slot), move, attempt };
}

/** From one of `from` to `to`, of the attempt that is meant. */
function advance(
  { marks }: Workspace,
  id: MoveId,
  from: readonly SlotMark["state"][],
  to: SlotMark["state"],
): SlotMark | "refused" | "done" {
  const known = marks.slots.record(id.slot);
  if (known === undefined || !isOf(known, id)) return "refused";
  if (known.state === to) return "done";
  return from.includes(known.state) ? { ...known, state: to } : "refused";
}

// --- source ---

function begin(work: MoveWorkspace, slot: number, move: number, to: number): SlotMark | "refused" {
  const { slots } = work.marks;
  const state = slots.stateOf(slot);
  const known = slots.record(slot);
  const mayBegin = state === "owned" ? move > (known?.move ?? 0) : state === "copying" && move >= (known?.move ?? 0);
  if (!mayBegin) return "refused";
  const { since = 0, base = 0 } = known ?? {};
  return { ...blank(slot), state: "copying", since, base, move, attempt: work.nextVersion(), peer: to };
}

function thaw({ marks }: Workspace, id: MoveId): SlotMark | "refused" {
  const known = marks.slots.record(id.slot);
  if (known === undefined || !isOf(known, id)) return "refused";
  const mayThaw = known.state === "copying" || known.state === "frozen";
  // As if the move had not been heard of: it may begin again.
  return mayThaw ? { ...known, state: "owned", move: known.since } : "refused";
}

function out(work: MoveWorkspace, id: MoveId): SlotMark | "refused" | "done" {
  const moved = advance(work, id, ["frozen"], "moved");
  if (typeof moved === "string") return moved;
  // What is being loaded for a key of the slot is refused wherever it comes to: the leases stay behind, and end here.
  work.marks.endFillsOf(id.slot);
  return { ...moved, revision: work.revision };
}

function callOff({ marks }: Workspace, slot: number, move: number): SlotMark | "refused" | "done" {
  const { slots } = marks;
  const known = slots.record(slot);
  if (known?.state === "moved" && known.move === move) return "refused";
  const isOurs = slots.isFounded && slots.owns(slot);
  if (!isOurs || (known !== undefined && known.state === "owned" && known.move >= move)) return "done";
  if (known !== undefined && known.move > move) return "done";
  const { since = 0, base = 0 } = known ?? {};
  return { ...blank(slot), state: "owned", since, base, move };
}

// --- target ---

function importBegin(
  work: MoveWorkspace,
  { slot, move, attempt }: MoveId,
  from: number,
): SlotMark | "refused" | "done" {
  const { slots } = work.marks;
  if (slots.owns(slot)) return "refused";
  const known = slots.record(slot);
  const isSame = known?.move === move && slots.isArriving(slot);
  if (isSame && known.attempt === attempt) return "done";
  const isNewer = known === undefined || move > known.move || (isSame && attempt > known.attempt);
  if (!isNewer) return "refused";
  return { ...blank(slot), state: "importing", move, attempt, peer: from, base: work.nextVersion() };
}

export function importRows(
  work: MoveWorkspace,
  mutation: ImportMutation,
  remember: (record: IdempotencyRecord) => void,
): Outcome {
  const { marks, revision } = work;
  const { slot, chunk, rows, removals } = mutation;
  const known = marks.slots.record(slot);
  if (known?.state !== "importing" || !isOf(known, mutation)) return outcomeOf(work, slot, false);
  // Race: one that was given up for lost and sent again comes late. It has been applied, and newer ones perhaps since.
  if (chunk <= known.chunks) return outcomeOf(work, slot, true);
  if (chunk > known.chunks + 1) return outcomeOf(work, slot, false);
  let count = known.rows;
  let digest = known.digest;
  const take = (key: string): Entry | undefined => {
    const present = work.find(slot, key);
    if (present === undefined || !marks.slots.isOfPresent(present)) return present;
    count -= 1;
    digest = (digest - rowDigest(present)) >>> 0;
    return present;
  };
  for (const row of rows) {
    const present = take(row.key);
    // This shard's purges from now on concern it, those before do not: the source had none of them, or has heeded its own.
    work.put({ ...row, slot, extras: { ...row.extras, purgeRevision: revision } }, present);
    count += 1;
    digest = (digest + rowDigest(row)) >>> 0;
  }
  for (const key of removals) {
    const present = take(key);
    if (present !== undefined) work.remove(present);
  }
  for (const record of mutation.records) remember(record);
  marks.slots.set({ ...known, chunks: chunk, rows: count, digest });
  return outcomeOf(work, slot, true);
}

function own(
  work: MoveWorkspace,
  id: MoveId,
  { revision, past = [] }: Pick<OwnStep, "revision" | "past">,
): SlotMark | "refused" | "done" {
  const known = work.marks.slots.record(id.slot);
  // It has been this shard's since, be it that it was passed on meanwhile.
  if (known !== undefined && (known.since >= id.move || known.move > id.move)) return "done";
  const owned = advance(work, id, ["sealed"], "owned");
  if (typeof owned === "string") return owned;
  work.raiseTo(revision);
  work.marks.slots.see(past, id.move);
  return { ...owned, since: id.move };
}

function drop({ marks }: Workspace, slot: number, move: number): SlotMark | "refused" | "done" {
  const { slots } = marks;
  if (!slots.isFounded || slots.owns(slot)) return "refused";
  const known = slots.record(slot);
  if (
    known !== undefined &&
    (known.move > move || (known.move === move && known.state !== "importing" && known.state !== "sealed"))
  ) {
    return known.state === "dropped" || known.move > move ? "done" : "refused";
  }
  const { base = 0, peer = 0 } = known ?? {};
  return { ...blank(slot), state: "dropped", move, base, peer };
}

/** What tells one row from another that has its key. Values do not count: the version stands for them. */
export function rowDigest({ key, version, expiresMs, extras }: Omit<Entry, "value">): number {
  return hash32(`${version} ${expiresMs ?? ""} ${extras?.staleMs ?? ""} ${extras?.purgedMs ?? ""} ${key}`);
}

/** For a row whose next version is this shard's own. */
export function withoutPurgeRevision(extras: EntryExtras | undefined): EntryExtras | undefined {
  if (extras?.purgeRevision === undefined) return extras;
  const { purgeRevision: _, ...rest } = extras;
  return extrasOf(rest);
}

function isOf(known: SlotMark, { move, attempt }: MoveId): boolean {
  return known.move === move && known.attempt === attempt;
}

function blank(slot: number): Omit<SlotMark, "state" | "move"> {
  const nothing = { since: 0, attempt: 0, peer: 0, base: 0, chunks: 0, rows: 0, digest: 0, revision: 0 };
  return { kind: "slot", name: String(slot), slot, ...nothing };
}
