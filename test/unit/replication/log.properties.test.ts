// The log against a naive one: an array in memory and an array on disk, with no window, no cache and no indexes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entryBytes, type LogEntry } from "../../../durable/replication/entry.ts";
import { ReplicatedLog } from "../../../durable/replication/log.ts";
import type { LogReader } from "../../../durable/replication/log-reader.ts";
import type { SnapshotMeta } from "../../../durable/replication/message.ts";

const MEMBERSHIP = { voters: ["a"], learners: [] };

/** What may happen to a log; numbers are taken modulo what makes sense at that moment. */
type Step =
  /** Appends `terms.length` entries at `back` before the end, each a term of `terms` above the one before it. */
  | { readonly kind: "append"; readonly back: number; readonly terms: readonly number[]; readonly bytes: number }
  | { readonly kind: "persist" }
  | { readonly kind: "compact"; readonly at: number }
  /** A snapshot from elsewhere replaces everything. */
  | { readonly kind: "reset"; readonly ahead: number; readonly term: number }
  /** Memory is lost: what was not persisted is gone. */
  | { readonly kind: "restart" };

const someSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("append" as const),
        back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 12 }) }),
        terms: fc.array(fc.constantFrom(0, 0, 0, 1, 2), { minLength: 1, maxLength: 4 }),
        bytes: fc.nat({ max: 60 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("persist" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact" as const), at: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("reset" as const),
        ahead: fc.integer({ min: 1, max: 5 }),
        term: fc.nat({ max: 3 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  ),
  { maxLength: 40 },
);

class NaiveLog implements LogReader {
  readonly hardState = { term: 0, quiesced: true };
  readonly commitIndex = 0;
  snapshot: SnapshotMeta = { index: 0, term: 0, membership: MEMBERSHIP };
  /** `entries[i]` is at `snapshot.index + 1 + i`. */
  memory: LogEntry[] = [];
  disk: LogEntry[] = [];
  stableIndex = 0;

  get lastIndexInMemory(): number {
    return this.snapshot.index + this.memory.length;
  }

  termInMemory(index: number): number | undefined {
    if (index === 0) return 0;
    return index === this.snapshot.index ? this.snapshot.term : this.memory[index - this.snapshot.index - 1]?.term;
  }

  // --- the disk, as the log under test reads it ---

  get lastIndex(): number {
    return this.snapshot.index + this.disk.length;
  }

  term(index: number): number | undefined {
    return this.disk[index - this.snapshot.index - 1]?.term;
  }

  entries(from: number, to: number, bytesMax: number): readonly LogEntry[] {
    const wanted = this.disk.slice(from - this.snapshot.index - 1, to - this.snapshot.index);
    let bytes = 0;
    return wanted.filter((entry, at) => {
      bytes += entryBytes(entry);
      return at === 0 || bytes <= bytesMax;
    });
  }

  configEntries(): readonly LogEntry[] {
    return [];
  }
}

class LogPair {
  readonly naive = new NaiveLog();
  readonly #cacheBytesMax: number;
  log: ReplicatedLog;

  constructor(cacheBytesMax: number) {
    this.#cacheBytesMax = cacheBytesMax;
    this.log = new ReplicatedLog(this.naive, cacheBytesMax);
  }

  take(step: Step): void {
    const { naive, log } = this;
    switch (step.kind) {
      case "append": {
        const first = naive.lastIndexInMemory + 1 - (step.back % (naive.memory.length + 1));
        let term = naive.termInMemory(first - 1) ?? 0;
        const entries = step.terms.map((rise, at): LogEntry => {
          term += rise;
          return { index: first + at, term, kind: "batch", data: new Uint8Array(step.bytes) };
        });
        log.append(entries);
        naive.memory = [...naive.memory.slice(0, first - naive.snapshot.index - 1), ...entries];
        naive.stableIndex = Math.min(naive.stableIndex, first - 1);
        break;
      }
      case "persist": {
        const unstable = log.unstable();
        expect(unstable).toEqual(naive.memory.slice(naive.stableIndex - naive.snapshot.index));
        const first = unstable[0];
        if (first !== undefined)
          naive.disk = [...naive.disk.slice(0, first.index - naive.snapshot.index - 1), ...unstable];
        log.markStable();
        naive.stableIndex = naive.lastIndexInMemory;
        break;
      }
      case "compact": {
        // Only what is persisted is compacted: it is applied and checkpointed.
        const index = naive.snapshot.index + (step.at % (naive.stableIndex - naive.snapshot.index + 1));
        const term = naive.termInMemory(index) ?? 0;
        const gone = index - naive.snapshot.index;
        naive.memory = naive.memory.slice(gone);
        naive.disk = naive.disk.slice(gone);
        naive.snapshot = { index, term, membership: MEMBERSHIP };
        log.compactTo(naive.snapshot);
        break;
      }
      case "reset": {
        const term = (naive.termInMemory(naive.lastIndexInMemory) ?? 0) + step.term;
        naive.snapshot = { index: naive.lastIndexInMemory + step.ahead, term, membership: MEMBERSHIP };
        naive.memory = [];
        naive.disk = [];
        naive.stableIndex = naive.snapshot.index;
        log.resetTo(naive.snapshot);
        break;
      }
      case "restart":
        this.log = new ReplicatedLog(naive, this.#cacheBytesMax);
        naive.memory = [...naive.disk];
        naive.stableIndex = naive.lastIndex;
    }
  }
}

const someCache = fc.constantFrom(0, 64, 200, 1_000_000);

describe("the log, whatever was appended, replaced, persisted, compacted or lost", () => {
  test("ends where a naive log ends, and knows the same terms", () => {
    fc.assert(
      fc.property(someSteps, someCache, (steps, cacheBytesMax) => {
        const pair = new LogPair(cacheBytesMax);
        for (const step of steps) {
          pair.take(step);
          const { log, naive } = pair;
          const last = naive.lastIndexInMemory;
          expect([log.firstIndex, log.lastIndex, log.stableIndex]).toEqual([
            naive.snapshot.index + 1,
            last,
            naive.stableIndex,
          ]);
          expect(log.lastTerm).toBe(naive.termInMemory(last));
          for (let index = 0; index <= last + 2; index++) {
            expect([index, log.term(index)]).toEqual([index, naive.termInMemory(index)]);
          }
        }
      }),
    );
  });

  test("slices to a beginning of what was asked for, one entry at least and no more bytes than asked for", () => {
    fc.assert(
      fc.property(
        someSteps,
        someCache,
        fc.nat(),
        fc.nat(),
        fc.nat({ max: 300 }),
        (steps, cache, at, count, bytesMax) => {
          const pair = new LogPair(cache);
          for (const step of steps) pair.take(step);
          const { log, naive } = pair;
          const from = 1 + (at % (naive.lastIndexInMemory + 1));
          const to = Math.min(naive.lastIndexInMemory, from + (count % 10));
          const slice = log.slice(from, to, bytesMax);
          if (from > to) expect(slice).toEqual([]);
          else if (from <= naive.snapshot.index) expect(slice).toBeUndefined();
          else {
            const wanted = naive.memory.slice(from - naive.snapshot.index - 1, to - naive.snapshot.index);
            expect(slice).toEqual(wanted.slice(0, slice?.length));
            expect(slice?.length).toBeGreaterThan(0);
            const bytes = (slice ?? []).reduce((sum, entry) => sum + entryBytes(entry), 0);
            expect(slice?.length === 1 || bytes <= bytesMax).toBe(true);
          }
        },
      ),
    );
  });

  test("looks for a conflict no further back than the last entry that is not of a later term", () => {
    fc.assert(
      fc.property(someSteps, someCache, fc.nat({ max: 60 }), fc.nat({ max: 8 }), (steps, cache, index, term) => {
        const pair = new LogPair(cache);
        for (const step of steps) pair.take(step);
        const { log, naive } = pair;
        let expected = Math.min(index, naive.lastIndexInMemory);
        // Below the snapshot nobody knows the terms any more: the search ends there.
        while ((naive.termInMemory(expected) ?? 0) > term) expected--;
        expect(log.findConflictByTerm(index, term)).toEqual({
          index: expected,
          term: naive.termInMemory(expected) ?? 0,
        });
      }),
    );
  });

  test("is as up to date as another by its last term first, then by its length", () => {
    fc.assert(
      fc.property(someSteps, fc.nat({ max: 60 }), fc.nat({ max: 12 }), (steps, lastIndex, lastTerm) => {
        const pair = new LogPair(1_000_000);
        for (const step of steps) pair.take(step);
        const own = pair.log.lastTerm * 1_000 + pair.log.lastIndex;
        expect(pair.log.isUpToDate(lastIndex, lastTerm)).toBe(lastTerm * 1_000 + lastIndex >= own);
      }),
    );
  });

  test("refuses a gap and a change of what is compacted, and is the same as before", () => {
    fc.assert(
      fc.property(someSteps, fc.nat({ max: 4 }), (steps, off) => {
        const pair = new LogPair(1_000_000);
        for (const step of steps) pair.take(step);
        const { log, naive } = pair;
        const entryAt = (index: number): LogEntry => ({ index, term: 99, kind: "noop", data: new Uint8Array(0) });
        for (const index of [log.lastIndex + 2 + off, log.firstIndex - 1 - off]) {
          expect(() => log.append([entryAt(index)])).toThrow("appended entries are contiguous");
        }
        expect(log.lastIndex).toBe(naive.lastIndexInMemory);
      }),
    );
  });
});
