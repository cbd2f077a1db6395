// Pure. Rows in the order of slots and keys, the table's and the unwritten ones together, without their values.

import type { CheckpointReader, Entry, EntryHead, RowPosition } from "./entry.ts";
import { compareKeys, type KeyRange, rangesOf } from "./keyspace.ts";
import type { Store } from "./store.ts";

/** Rows fetched at once; more than a page needs are wasted, fewer cost statements. */
const FETCH_ROWS = 256;

export interface RowScan {
  readonly store: Store;
  readonly reader: CheckpointReader;
  /** Ascending. */
  readonly slots: readonly number[];
  readonly namespace: string;
  readonly prefix: string;
  /** Rows after this one. */
  readonly start: RowPosition;
}

/** Dead rows too. The store must not change while this is being read. */
export function* scanRows(scan: RowScan): Generator<EntryHead> {
  const unwritten = unwrittenRows(scan);
  let at = 0;
  for (const head of scan.prefix === "" ? wholeTable(scan) : prefixOfTable(scan)) {
    for (let next = unwritten[at]; next !== undefined && compareRows(next, head) < 0; next = unwritten[at]) {
      yield next;
      at++;
    }
    if (!scan.store.isUnwritten(head.key)) yield head;
  }
  yield* unwritten.slice(at);
}

export function compareRows(left: RowPosition, right: RowPosition): number {
  return left.slot - right.slot || compareKeys(left.key, right.key);
}

function unwrittenRows({ store, slots, namespace, prefix, start }: RowScan): EntryHead[] {
  const owned = new Set(slots);
  const ranges = rangesOf(namespace, prefix);
  const rows: EntryHead[] = [];
  for (const entry of store.unwritten.upserts) {
    if (!owned.has(entry.slot) || !isInRanges(entry.key, ranges) || compareRows(entry, start) <= 0) continue;
    rows.push(headOf(entry));
  }
  return rows.sort(compareRows);
}

/** Every row of the table, those of other namespaces left out: one statement for many slots. */
function* wholeTable({ reader, slots, namespace, start }: RowScan): Generator<EntryHead> {
  const owned = new Set(slots);
  const ranges = rangesOf(namespace, "");
  let after: RowPosition | undefined = start;
  while (after !== undefined) {
    const heads: readonly EntryHead[] = reader.headsAfter(after, FETCH_ROWS);
    for (const head of heads) if (owned.has(head.slot) && isInRanges(head.key, ranges)) yield head;
    after = heads.length < FETCH_ROWS ? undefined : heads.at(-1);
  }
}

/** The table has its rows by slot: a prefix is a range in each. */
function* prefixOfTable({ reader, slots, namespace, prefix, start }: RowScan): Generator<EntryHead> {
  for (const slot of slots) {
    if (slot < start.slot) continue;
    for (const range of rangesOf(namespace, prefix)) {
      let from: string | undefined = slot === start.slot ? later(range.from, after(start.key)) : range.from;
      while (from !== undefined) {
        const heads: readonly EntryHead[] = reader.heads(slot, { from, to: range.to }, FETCH_ROWS);
        yield* heads;
        const last: EntryHead | undefined = heads.length < FETCH_ROWS ? undefined : heads.at(-1);
        from = last === undefined ? undefined : after(last.key);
      }
    }
  }
}

/** The least key above `key`. */
function after(key: string): string {
  return `${key}\u0000`;
}

function later(left: string, right: string): string {
  return compareKeys(left, right) >= 0 ? left : right;
}

function isInRanges(key: string, ranges: readonly KeyRange[]): boolean {
  return ranges.some(({ from, to }) => compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0));
}

function headOf({ value, ...rest }: Entry): EntryHead {
  return { ...rest, size: value.byteLength };
}
