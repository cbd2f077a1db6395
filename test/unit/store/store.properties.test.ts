import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { decodeBatch, encodeBatch } from "../../../durable/store/codec.ts";
import type { Batch, KeyMutation, Mutation, Outcome, PurgeScope } from "../../../durable/store/command.ts";
import type { Entry } from "../../../durable/store/entry.ts";
import { isSystemKey, parsePartKey, userKey } from "../../../durable/store/keyspace.ts";
import { SLIDING_STEPS } from "../../../durable/store/lifetime.ts";
import { TTL_MS_MAX } from "../../../durable/store/limits.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { aimed, anyMutations, forgettings, KEYS, logOf, mutations, purges, slotOfTestKey } from "./arbitraries.ts";
import { CheckpointTable } from "./checkpoint-table.ts";
import { StoreModel } from "./model.ts";

// Seconds of work, beside whatever else the machine does.
vi.setConfig({ testTimeout: 60_000 });

/** Of logs of up to 25 batches with up to 6 mutations each. */
const RUNS = 100;

/** What may happen to one replica between two batches. None of it may show. */
const HAPPENINGS = ["nothing", "checkpoint", "restart after checkpoint", "crash", "read", "snapshot"] as const;
type Happening = (typeof HAPPENINGS)[number];

interface Life {
  /** Happening before the batch with the same index. */
  readonly happenings: readonly Happening[];
  readonly cacheBytesMax: number;
}

const lives: fc.Arbitrary<Life> = fc.record({
  happenings: fc.array(fc.constantFrom(...HAPPENINGS), { minLength: 25, maxLength: 25 }),
  cacheBytesMax: fc.constantFrom(0, 700, 1024 * 1024),
});

/**
 * One follower that lives through the log and applies what it decodes; a crash loses its memory and replays the log from its
 * last checkpoint, a snapshot puts another replica in its place.
 */
class Follower {
  #table = new CheckpointTable();
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
    if (happening === "read") visibleEntries(this.store);
    if (happening === "checkpoint" || happening === "restart after checkpoint") this.#checkpoint();
    if (happening === "snapshot") {
      this.#checkpoint();
      this.#table = this.#table.throughSnapshot(2);
    }
    if (happening === "crash" || happening === "restart after checkpoint" || happening === "snapshot") this.#restart();
  }

  #checkpoint(): void {
    const delta = this.store.checkpointDelta();
    this.#table.write(delta);
    this.store.markCheckpointed(delta);
    this.#checkpointed = this.#log.length;
  }

  #restart(): void {
    this.store = new Store(this.#table, this.#table.state, { cacheBytesMax: this.#cacheBytesMax });
    for (const bytes of this.#log.slice(this.#checkpointed)) this.store.apply(decodeBatch(bytes));
  }
}

function newStore(): Store {
  return new Store(new CheckpointTable(), EMPTY_STORE_STATE);
}

function visibleEntries(store: Store, nowMs = 0): (Entry | undefined)[] {
  return KEYS.map((key) => store.read(slotOfTestKey(key), key, nowMs));
}

const ALL_OUTCOMES: readonly Outcome["kind"][] = [
  "deleted",
  "fill_granted",
  "fill_held",
  "fill_refused",
  "fill_released",
  "fill_unneeded",
  "idempotency_conflict",
  "incomplete_upload",
  "limited",
  "not_a_number",
  "not_found",
  "number",
  "out_of_range",
  "precondition_failed",
  "purged",
  "reclaimed",
  "staged",
  "stored",
  "table_full",
  "too_large",
  "touched",
  "transaction",
  "transaction_failed",
  "value",
];

function noteKinds(outcome: Outcome, into: Set<Outcome["kind"]>): void {
  into.add(outcome.kind);
  if (outcome.kind === "transaction") for (const result of outcome.results) noteKinds(result, into);
  if (outcome.kind === "transaction_failed") noteKinds(outcome.outcome, into);
}

describe("the store against a naive model", () => {
  it("gives the model's outcomes, entries, counters and usage for any log", () => {
    const seen = new Set<Outcome["kind"]>();
    fc.assert(
      fc.property(logOf(anyMutations).map(aimed), fc.nat({ max: 12 }), (log, laterMs) => {
        const store = newStore();
        const model = new StoreModel();
        for (const batch of log) {
          const outcomes = store.apply(batch);
          expect(outcomes).toEqual(model.apply(batch));
          for (const outcome of outcomes) noteKinds(outcome, seen);
          for (const nowMs of [0, model.clockMs + laterMs]) {
            expect(visibleEntries(store, nowMs)).toEqual(KEYS.map((key) => model.read(key, nowMs)));
          }
          const { ranges: _, ...counters } = store.state;
          expect(counters).toEqual(model.state);
        }
      }),
      { numRuns: RUNS },
    );
    // A kind that no log reaches was compared with nothing. Full tables are too large for these logs.
    expect([...seen].sort()).toEqual(ALL_OUTCOMES.filter((kind) => kind !== "table_full"));
  });
});

describe("determinism", () => {
  it("gives a leader and a follower the same, whatever checkpoints, restarts, evictions and snapshots the follower meets", () => {
    fc.assert(
      fc.property(logOf(anyMutations).map(aimed), lives, (log, life) => {
        const leader = newStore();
        const follower = new Follower(life.cacheBytesMax);
        const expected = log.map((batch) => leader.apply(batch));
        expect(follower.live(log, life.happenings)).toEqual(expected);
        expect(visibleEntries(follower.store)).toEqual(visibleEntries(leader));
        expect(follower.store.state).toEqual(leader.state);
        expect(follower.store.stateHash()).toBe(leader.stateHash());
        const byName = (store: Store) =>
          [...store.marks.all()].sort((a, b) => (a.kind + a.name < b.kind + b.name ? -1 : 1));
        expect(byName(follower.store)).toEqual(byName(leader));
      }),
      { numRuns: RUNS },
    );
  });

  it("gives the same outcomes, entries and versions whether dead rows were reclaimed or not", () => {
    const reclaimed = fc.array(fc.boolean(), { minLength: 25, maxLength: 25 });
    fc.assert(
      fc.property(logOf(fc.oneof(mutations, purges)).map(aimed), reclaimed, (log, happens) => {
        const reference = newStore();
        const store = newStore();
        for (const [index, batch] of log.entries()) {
          if (happens[index] === true) reclaimTheDead(store);
          expect(store.apply(batch)).toEqual(reference.apply(batch));
          expect(visibleEntries(store)).toEqual(visibleEntries(reference));
          expect(store.revision).toBe(reference.revision);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

/** What a sweep does. Parts of uploads are left alone: whether nobody will ever name them is for the sweep to know. */
function reclaimTheDead(store: Store): void {
  const rows = KEYS.filter((key) => parsePartKey(key) === undefined).flatMap((key) => {
    const slot = slotOfTestKey(key);
    const row = store.find(slot, key);
    return row !== undefined && store.read(slot, key, 0) === undefined ? [{ slot, key, version: row.version }] : [];
  });
  const [outcome] = store.apply({ stampMs: 0, mutations: [{ kind: "reclaim", rows }] });
  expect(outcome).toEqual({ kind: "reclaimed", rows: rows.length });
}

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
          const delta = store.checkpointDelta();
          table.write(delta);
          store.markCheckpointed(delta);
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

  it("keeps a sliding entry its whole time after every access, at most a tenth longer, and writes few of the accesses", () => {
    const sliding = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: TTL_MS_MAX }));
    // Pauses in shares of the lifetime: an access after a whole one comes too late.
    const pauses = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 60 });
    fc.assert(
      fc.property(sliding, pauses, (slidingMs, shares) => {
        const store = newStore();
        const step = Math.ceil(slidingMs / SLIDING_STEPS);
        let nowMs = 1_000;
        const value = new Uint8Array(1);
        store.apply({
          stampMs: nowMs,
          mutations: [{ kind: "put", slot: 1, key: "a", value, contentType: "", slidingMs }],
        });
        const expiries = new Set([store.find(1, "a")?.expiresMs]);
        for (const share of shares) {
          nowMs += Math.floor(share * slidingMs);
          const mutation = { kind: "touch", slot: 1, key: "a", isAccess: true } as const;
          expect(store.apply({ stampMs: nowMs, mutations: [mutation] })).toMatchObject([
            { kind: "touched", version: 1 },
          ]);
          expect(store.read(1, "a", nowMs + slidingMs - 1)).toBeDefined();
          expect(store.read(1, "a", nowMs + slidingMs + step)).toBeUndefined();
          expiries.add(store.find(1, "a")?.expiresMs);
        }
        expect(expiries.size).toBeLessThanOrEqual(1 + (nowMs - 1_000) / step);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("idempotent retries", () => {
  it("of every kind have the effect of one application, however often and however late they come", () => {
    // A retry comes at the end of a later batch; of the last batch's mutations, at the end of that batch.
    const retries = fc.array(fc.record({ of: fc.nat(), later: fc.nat({ max: 5 }) }), { maxLength: 40 });
    const logs = fc.array(fc.array(mutations, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(logs, retries, (plain, retried) => {
        const unique: KeyMutation[][] = plain.map((batch, index) =>
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
function applyAll(log: readonly KeyMutation[][]): { store: Store; outcomes: Map<string, Outcome> } {
  const store = newStore();
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

describe("purges", () => {
  const FILLED = "a";
  const key = fc.constantFrom("a", "ab");
  const fills: fc.Arbitrary<Mutation> = fc.oneof(
    fc.record({
      kind: fc.constant("begin_fill" as const),
      slot: fc.constant(slotOfTestKey(FILLED)),
      key,
      leaseMs: fc.constantFrom(5, 30, 500),
      isEarly: fc.constant(true),
    }),
    fc.record({
      kind: fc.constant("put" as const),
      slot: fc.constant(slotOfTestKey(FILLED)),
      key,
      value: fc.constant(new Uint8Array(1)),
      contentType: fc.constant(""),
      tags: fc.constantFrom(undefined, ["red"]),
      fillToken: fc.integer({ min: 1, max: 12 }),
    }),
  );

  it("are never undone by a fill with an older token, whatever is forgotten and whatever the replica lives through", () => {
    let accepted = 0;
    let refusedForPurge = 0;
    const log = logOf(
      fc.oneof(
        { arbitrary: fills, weight: 6 },
        { arbitrary: purges, weight: 1 },
        { arbitrary: forgettings, weight: 1 },
      ),
    );
    fc.assert(
      fc.property(log.map(aimed), lives, (batches, life) => {
        const outcomes = new Follower(life.cacheBytesMax).live(batches, life.happenings);
        // Kept for ever, as no replica does.
        const made: { readonly scope: PurgeScope; readonly revision: number }[] = [];
        for (const [index, { mutations: batch }] of batches.entries()) {
          for (const [position, mutation] of batch.entries()) {
            const outcome = outcomes[index]?.[position];
            if (mutation.kind === "purge" && outcome?.kind === "purged") {
              made.push({ scope: mutation.scope, revision: outcome.revision });
            }
            if (mutation.kind !== "put") continue;
            const { fillToken = 0, tags, key: stored } = mutation;
            const isPurged = made.some(({ scope, revision }) => revision > fillToken && isInScope(scope, stored, tags));
            if (outcome?.kind === "stored") {
              accepted += 1;
              expect(isPurged).toBe(false);
            } else if (isPurged) refusedForPurge += 1;
          }
        }
      }),
      { numRuns: RUNS },
    );
    // Otherwise the logs would show nothing.
    expect(Math.min(accepted, refusedForPurge)).toBeGreaterThan(RUNS / 10);
  });

  it("may be forgotten up to the version of the oldest row that is left, and nobody sees a difference", () => {
    fc.assert(
      fc.property(
        logOf(fc.oneof(mutations, purges)).map(aimed),
        fc.nat(),
        fc.nat({ max: 40 }),
        (log, below, laterMs) => {
          const store = newStore();
          for (const batch of log) store.apply(batch);
          const rows = KEYS.filter((one) => !isSystemKey(one)).map(
            (one) => store.find(slotOfTestKey(one), one)?.version,
          );
          const oldest = Math.min(store.revision, ...rows.filter((version) => version !== undefined));
          const before = [0, store.clockMs + laterMs].map((nowMs) => visibleEntries(store, nowMs));
          store.apply({
            stampMs: 0,
            mutations: [{ kind: "forget_purges", revision: Math.max(0, oldest - (below % 3)) }],
          });
          expect([0, store.clockMs + laterMs].map((nowMs) => visibleEntries(store, nowMs))).toEqual(before);
        },
      ),
      { numRuns: RUNS },
    );
  });
});

function isInScope(scope: PurgeScope, stored: string, tags: readonly string[] | undefined): boolean {
  const { namespace, key } = userKey(stored);
  if (namespace !== scope.namespace) return false;
  return scope.kind === "tag" ? tags?.includes(scope.tag) === true : key.startsWith(scope.prefix);
}
