// One checkpoint on its way from memory to the tables, in turns short enough that reads, writes and heartbeats come between
// them. Platform-free.
//
//   rows ──▶ journal, a few slices a turn ──▶ saveCheckpoint: tables and journal together count ──▶ tables, a slice a turn
//
// Why not into the tables at once, slice by slice: a replica that ends between two slices would have rows from after its
// checkpoint, and replaying the log on them would count an increment twice. The journal makes each step safe to end after: before
// `saveCheckpoint` it is thrown away, and after it whoever opens the storage carries over the rest. It costs two rows a slice. A
// checkpoint of one slice needs no journal.

import type { CheckpointLimits } from "./checkpoint-limits.ts";
import type { ReplicaStorage } from "./ports.ts";
import type { CheckpointDelta, CheckpointRows } from "./store/entry.ts";
import { compareRows } from "./store/rows.ts";
import { entryBytes, idempotencyRecordBytes, removalBytes } from "./store/sizes.ts";

/** A part of the journal costs a tenth of what its rows cost in the tables. */
const SLICES_JOURNALED_A_TURN = 4;

type SliceLimits = Pick<CheckpointLimits, "sliceRows" | "sliceBytes">;

export type CheckpointProgress = "journaling" | "saved" | "carrying_over" | "done";

export class CheckpointWriter {
  readonly delta: CheckpointDelta;
  readonly #index: number;
  readonly #storage: ReplicaStorage;
  readonly #slices: readonly CheckpointRows[];
  #journaled = 0;
  #carriedOver = 0;
  #isSaved = false;
  /** Keys of the delta, and outcomes, that are in the tables. */
  rowsCarriedOver = 0;

  /** `delta`: all that is to be written as the state after `index`. */
  constructor(storage: ReplicaStorage, delta: CheckpointDelta, index: number, limits: SliceLimits) {
    this.#storage = storage;
    this.delta = delta;
    this.#index = index;
    this.#slices = slicesOf(delta, limits);
  }

  /** One turn's work. `saved` is said once: the state after the index is stored. Not called again after `done`. */
  step(): CheckpointProgress {
    if (this.#isSaved) return this.#carryOver();
    const isSmall = this.#slices.length <= 1;
    if (!isSmall && this.#journaled < this.#slices.length) {
      const upTo = this.#journaled + SLICES_JOURNALED_A_TURN;
      for (const slice of this.#slices.slice(this.#journaled, upTo)) this.#storage.journal(slice);
      this.#journaled = upTo;
      return "journaling";
    }
    const rows = isSmall ? this.#slices[0] : undefined;
    this.#storage.saveCheckpoint({ ...this.delta, ...(rows ?? NO_ROWS) }, this.#index);
    this.#isSaved = true;
    if (isSmall) this.#carriedOver = this.#slices.length;
    return "saved";
  }

  #carryOver(): CheckpointProgress {
    const slice = this.#slices[this.#carriedOver];
    if (slice === undefined) return "done";
    this.#carriedOver += 1;
    const isLast = this.#carriedOver === this.#slices.length;
    this.#storage.carryOver(slice, isLast);
    this.rowsCarriedOver += slice.upserts.length + slice.removals.length + slice.idempotencyUpserts.length;
    return isLast ? "done" : "carrying_over";
  }
}

const NO_ROWS: CheckpointRows = { upserts: [], removals: [], idempotencyUpserts: [] };

/** In the table's order, each page is changed once. In that of their writing, a page is written out to make room and fetched again. */
export function slicesOf(
  { upserts, removals, idempotencyUpserts }: CheckpointRows,
  { sliceRows, sliceBytes }: SliceLimits,
): readonly CheckpointRows[] {
  const slices: { [Kind in keyof CheckpointRows]: CheckpointRows[Kind][number][] }[] = [];
  let [rows, bytes] = [0, 0];
  const next = (weight: number) => {
    if (slices.length === 0 || rows >= sliceRows || bytes >= sliceBytes) {
      slices.push({ upserts: [], removals: [], idempotencyUpserts: [] });
      [rows, bytes] = [0, 0];
    }
    rows += 1;
    bytes += weight;
    return slices.at(-1);
  };
  for (const entry of upserts.toSorted(compareRows)) next(entryBytes(entry))?.upserts.push(entry);
  for (const position of removals.toSorted(compareRows)) next(removalBytes(position.key))?.removals.push(position);
  for (const record of idempotencyUpserts.toSorted(compareRows)) {
    next(idempotencyRecordBytes(record))?.idempotencyUpserts.push(record);
  }
  return slices;
}
