import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBatch, encodeBatch } from "../../../durable/store/codec.ts";
import type { Batch, Mutation, Outcome } from "../../../durable/store/command.ts";
import type { Entry } from "../../../durable/store/entry.ts";
import { decodeSnapshotChunk, encodeSnapshotChunk } from "../../../durable/store/snapshot-codec.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { KEYS, logOf, mutations, slotOfTestKey } from "./arbitraries.ts";
import { CheckpointTable } from "./checkpoint-table.ts";
import { StoreModel } from "./model.ts";

const RUNS = 400;

/** What may happen to one replica between two batches. None of it may show. */
const HAPPENINGS = ["nothing", "checkpoint", "restart after checkpoint", "crash", "read"] as const;
type Happening = (typeof HAPPENINGS)[number] | "reclaim";

interface Life {
  /** Happening before the batch with the same index. */
  readonly happenings: readonly Happening[];
  readonly cacheBytesMax: number;
}

function livesOf(happenings: fc.Arbitrary<Happening>): fc.Arbitrary<Life> {
  return fc.record({
    happenings: fc.array(happenings, { minLength: 25, maxLength: 25 }),
    cacheBytesMax: fc.constantFrom(0, 700, 1024 * 1024),
  });
}

/** One replica that lives through the log; a crash loses its memory and replays the log from its last checkpoint. */
class Replica {
  readonly #table = new CheckpointTable();
  readonly #log: Uint8Array[] = [];
  #checkpointed = 0;
  readonly #cacheBytesMax: number;
  store: Store;

  constructor(cacheBytesMax: number) {
    this.#cacheBytesMax = cacheBytesMax;
    this.store = new Store(this.#table, EMPTY_STORE_STATE, { cacheBytesMax });
  }

  live(log: readonly Batch[], happenings: readonly Happening[]): Outcome[][] {
    return log.map((batch, index) => {
      this.#meet(happenings[index] ?? "nothing");
      const bytes = encodeBatch(batch);
      this.#log.push(bytes);
      return this.store.apply(decodeBatch(bytes));
    });
  }

  #meet(happening: Happening): void {
    if (happening === "read") {
      for (const key of KEYS) this.store.read(slotOfTestKey(key), key, 0);
    }
    if (happening === "checkpoint" || happening === "restart after checkpoint" || happening === "reclaim") {
      this.#checkpoint();
    }
    if (happening === "crash" || happening === "restart after checkpoint") this.#restart();
    if (happening === "reclaim") this.#table.reclaimExpired();
  }

  #checkpoint(): void {
    this.#table.write(this.store.checkpointDelta());
    this.store.markCheckpointed();
    this.#checkpointed = this.#log.length;
  }

  #restart(): void {
    this.store = new Store(this.#table, this.#table.state, { cacheBytesMax: this.#cacheBytesMax });
    for (const bytes of this.#log.slice(this.#checkpointed)) this.store.apply(decodeBatch(bytes));
  }
}

function visibleEntries(store: Store): (Entry | undefined)[] {
  return KEYS.map((key) => store.read(slotOfTestKey(key), key, 0));
}

describe("the store against a naive model", () => {
  it("gives the model's outcomes, entries and counters for any log", () => {
    fc.assert(
      fc.property(logOf(mutations), fc.nat({ max: 12 }), (log, laterMs) => {
        const store = new Store(new CheckpointTable(), EMPTY_STORE_STATE);
        const model = new StoreModel();
        for (const batch of log) {
          expect(store.apply(batch)).toEqual(model.apply(batch));
          for (const nowMs of [0, model.clockMs, model.clockMs + laterMs]) {
            const read = KEYS.map((key) => store.read(slotOfTestKey(key), key, nowMs));
            expect(read).toEqual(KEYS.map((key) => model.read(key, nowMs)));
          }
        }
        expect(store.state).toEqual({
          revision: model.revision,
          clockMs: model.clockMs,
          keys: model.entries.size,
          idempotencySequence: model.remembered.length,
        });
      }),
      { numRuns: RUNS },
    );
  });
});

describe("a replica against a naive model", () => {
  it("gives the model's outcomes and state through checkpoints, restarts and crashes at any point", () => {
    fc.assert(
      fc.property(logOf(mutations), livesOf(fc.constantFrom(...HAPPENINGS)), (log, life) => {
        const replica = new Replica(life.cacheBytesMax);
        const model = new StoreModel();
        expect(replica.live(log, life.happenings)).toEqual(log.map((batch) => model.apply(batch)));
        expect(visibleEntries(replica.store)).toEqual(KEYS.map((key) => model.read(key, 0)));
        expect(replica.store.state).toMatchObject({ revision: model.revision, keys: model.entries.size });
      }),
      { numRuns: 200 },
    );
  });

  it("shows nothing dead and hides nothing living, at any time that anybody may read at", () => {
    fc.assert(
      fc.property(
        logOf(mutations),
        livesOf(fc.constantFrom(...HAPPENINGS)),
        fc.nat({ max: 12 }),
        (log, life, laterMs) => {
          const replica = new Replica(life.cacheBytesMax);
          replica.live(log, life.happenings);
          const { store } = replica;
          for (const key of KEYS) {
            const [now, later] = [0, store.clockMs + laterMs].map((atMs) => store.read(slotOfTestKey(key), key, atMs));
            const { expiresMs } = now ?? {};
            expect(later).toEqual(expiresMs !== undefined && expiresMs <= store.clockMs + laterMs ? undefined : now);
            // Whoever reads at an earlier time sees what is there at the stamped one: a clock that is behind hides nothing.
            if (now !== undefined) expect(expiresMs === undefined || expiresMs > store.clockMs).toBe(true);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("determinism", () => {
  it("gives the same outcomes and state whenever checkpoints, restarts and cache evictions happen", () => {
    fc.assert(
      fc.property(logOf(mutations), livesOf(fc.constantFrom(...HAPPENINGS)), (log, life) => {
        const reference = new Replica(1024 * 1024);
        const replica = new Replica(life.cacheBytesMax);
        const expected = reference.live(log, []);
        expect(replica.live(log, life.happenings)).toEqual(expected);
        expect(visibleEntries(replica.store)).toEqual(visibleEntries(reference.store));
        expect(replica.store.state).toEqual(reference.store.state);
      }),
      { numRuns: RUNS },
    );
  });

  it("gives the same outcomes, entries and versions whether expired rows are still in the table or not", () => {
    fc.assert(
      fc.property(logOf(mutations), livesOf(fc.constantFrom("nothing", "crash", "reclaim")), (log, life) => {
        const reference = new Replica(1024 * 1024);
        const replica = new Replica(life.cacheBytesMax);
        const expected = reference.live(log, []);
        expect(replica.live(log, life.happenings)).toEqual(expected);
        expect(visibleEntries(replica.store)).toEqual(visibleEntries(reference.store));
        expect(replica.store.state.revision).toBe(reference.store.state.revision);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("a snapshot", () => {
  /** The table as chunks of some rows each, encoded and decoded, in a table of its own. */
  function copied(table: CheckpointTable, rowsPerChunk: number): CheckpointTable {
    const { entries, idempotency } = table.rows;
    const copy = new CheckpointTable();
    // A snapshot of nothing is one chunk too.
    for (let at = 0; at === 0 || at < Math.max(entries.length, idempotency.length); at += rowsPerChunk) {
      const chunk = {
        state: table.state,
        entries: entries.slice(at, at + rowsPerChunk),
        idempotency: idempotency.slice(at, at + rowsPerChunk),
      };
      copy.import(decodeSnapshotChunk(encodeSnapshotChunk(chunk)));
    }
    return copy;
  }

  it("taken at any point of the log, and in chunks of any size, makes a replica that goes on as its sender does", () => {
    fc.assert(
      fc.property(logOf(mutations), fc.nat(), fc.integer({ min: 1, max: 7 }), (log, pick, rowsPerChunk) => {
        const cut = pick % (log.length + 1);
        const table = new CheckpointTable();
        const sender = new Store(table, EMPTY_STORE_STATE);
        for (const batch of log.slice(0, cut)) sender.apply(batch);
        table.write(sender.checkpointDelta());
        sender.markCheckpointed();
        const received = copied(table, rowsPerChunk);
        expect(received.rows).toEqual(table.rows);
        const receiver = new Store(received, received.state);
        expect(receiver.state).toEqual(sender.state);
        for (const batch of log.slice(cut)) expect(receiver.apply(batch)).toEqual(sender.apply(batch));
        expect(receiver.state).toEqual(sender.state);
        expect(visibleEntries(receiver)).toEqual(visibleEntries(sender));
      }),
      { numRuns: 200 },
    );
  });
});

describe("expiry", () => {
  it("shows an entry at every millisecond before its expiry and at none from then on", () => {
    const instants = { stampMs: fc.nat({ max: 2 ** 41 }), ttlMs: fc.nat({ max: 2 ** 38 }), offsetMs: fc.nat() };
    fc.assert(
      fc.property(fc.record(instants), fc.boolean(), ({ stampMs, ttlMs, offsetMs }, isCheckpointed) => {
        const table = new CheckpointTable();
        const store = new Store(table, EMPTY_STORE_STATE);
        const value = new Uint8Array(1);
        store.apply({
          stampMs,
          mutations: [{ kind: "put", slot: 1, key: "a", value, contentType: "", ttlMs }],
        });
        if (isCheckpointed) {
          table.write(store.checkpointDelta());
          store.markCheckpointed();
        }
        const expiresMs = stampMs + ttlMs;
        expect(store.read(1, "a", expiresMs)).toBeUndefined();
        expect(store.read(1, "a", expiresMs + offsetMs)).toBeUndefined();
        // A ttl of 0 leaves no millisecond in which the entry exists.
        const isEverAlive = ttlMs > 0;
        expect(store.read(1, "a", expiresMs - 1) !== undefined).toBe(isEverAlive);
        expect(store.read(1, "a", Math.max(0, expiresMs - 1 - offsetMs)) !== undefined).toBe(isEverAlive);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("idempotent retries", () => {
  it("have the effect of one application, however often and however late they come", () => {
    // A retry comes at the end of a later batch; of the last batch's mutations, at the end of that batch.
    const retries = fc.array(fc.record({ of: fc.nat(), later: fc.nat({ max: 5 }) }), { maxLength: 40 });
    const logs = fc.array(fc.array(mutations, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(logs, retries, (plain, retried) => {
        const unique: Mutation[][] = plain.map((batch, index) =>
          batch.map((one, position) => ({ ...one, idempotency: { id: `${index}.${position}`, fingerprint: "x" } })),
        );
        const withRetries = unique.map((batch) => [...batch]);
        for (const { of, later } of retried) {
          const from = of % unique.length;
          const original = unique[from]?.[of % (unique[from]?.length ?? 1)];
          const target = withRetries[Math.min(from + later + 1, withRetries.length - 1)];
          if (original !== undefined) target?.push(original);
        }
        const once = applyAll(unique);
        const often = applyAll(withRetries);
        expect(often.outcomes).toEqual(once.outcomes);
        expect(visibleEntries(often.store)).toEqual(visibleEntries(once.store));
        expect(often.store.state).toEqual(once.store.state);
      }),
      { numRuns: RUNS },
    );
  });
});

/** Outcomes by idempotency id; an id that is answered twice must be answered alike. */
function applyAll(log: readonly Mutation[][]): { store: Store; outcomes: Map<string, Outcome> } {
  const store = new Store(new CheckpointTable(), EMPTY_STORE_STATE);
  const outcomes = new Map<string, Outcome>();
  for (const [index, batch] of log.entries()) {
    const applied = store.apply({ stampMs: 1_000 + index, mutations: batch });
    for (const [position, outcome] of applied.entries()) {
      const id = batch[position]?.idempotency?.id ?? "";
      expect(outcome).toEqual(outcomes.get(id) ?? outcome);
      outcomes.set(id, outcome);
    }
  }
  return { store, outcomes };
}
