// Two shards between which one slot moves to and fro, against one store that never moves anything: whatever is written, purged,
// retried, copied, lost on the way, delivered twice or late, decided and called off in between, the owner answers as the one
// store does.

import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { type Chunk, SlotCopy, type Total } from "../../../durable/slot-copy.ts";
import { decodeBatch, encodeBatch } from "../../../durable/store/codec.ts";
import type { KeyMutation, MoveStep, Mutation, Outcome } from "../../../durable/store/command.ts";
import { isStale } from "../../../durable/store/lifetime.ts";
import { slotBitmap } from "../../../durable/store/slots.ts";
import { EMPTY_STORE_STATE, Store } from "../../../durable/store/store.ts";
import { CheckpointTable } from "./checkpoint-table.ts";
import { append, increment, limit, prefix, purge, put, remove, SLOT, START_MS, tag, touch } from "./one-shard.ts";

vi.setConfig({ testTimeout: 60_000 });

const RUNS = 500;
const KEYS = ["a", "b", "c", "d"] as const;
/** Numbers have names of their own. */
const NAMES: readonly string[] = [...KEYS, ...KEYS.map((key) => `n${key}`)];

type Action =
  | { readonly do: "write"; readonly mutation: KeyMutation }
  /** Of both shards, in this order, with whatever comes in between. */
  | { readonly do: "purge"; readonly mutation: Mutation }
  | { readonly do: "purge one"; readonly at: 0 | 1; readonly mutation: Mutation }
  | { readonly do: "reclaim"; readonly at: 0 | 1 }
  | { readonly do: "checkpoint" | "restart"; readonly at: 0 | 1 }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: Step | "next move" | "replay" };

const STEPS = ["begin", "import", "copy", "lose", "freeze", "total", "seal", "out", "own", "thaw", "call off"] as const;
type Step = (typeof STEPS)[number];

const keys = fc.constantFrom(...KEYS);
const ids = fc.constantFrom("1", "2", "3");
const options = fc.record(
  {
    tags: fc.constantFrom(["t"], ["u"], ["t", "u"]),
    ttlMs: fc.constantFrom(3, 40, 1_000),
    idempotency: ids.map((id) => ({ id, fingerprint: "f" })),
    ifNoneMatch: fc.constant("any" as const),
  },
  { requiredKeys: [] },
);
const texts = fc.constantFrom("x", "yy", "zzz");

const writes: fc.Arbitrary<KeyMutation> = fc.oneof(
  fc.tuple(keys, texts, options).map(([key, text, some]) => put(key, text, some)),
  fc.tuple(keys, ids).map(([key, id]) => increment(`n${key}`, "1", { idempotency: { id, fingerprint: "f" } })),
  keys.map((key) => increment(`n${key}`, "1")),
  keys.map((key) => remove(key)),
  keys.map((key) => touch(key, { ttlMs: 50 })),
  fc.tuple(keys, texts).map(([key, text]) => append(key, text)),
  keys.map((key) => limit(key, { limit: 3, windowMs: 100 })),
);

const purging = fc
  .tuple(fc.constantFrom(tag("t"), tag("u"), prefix("b"), prefix("")), fc.boolean())
  .map(([scope, isSoft]) => purge(scope, isSoft));
const shards = fc.constantFrom(0 as const, 1 as const);

const actions: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: writes.map((mutation) => ({ do: "write" as const, mutation })) },
  { weight: 2, arbitrary: purging.map((mutation) => ({ do: "purge" as const, mutation })) },
  {
    weight: 1,
    arbitrary: fc.tuple(shards, purging).map(([at, mutation]) => ({ do: "purge one" as const, at, mutation })),
  },
  { weight: 1, arbitrary: shards.map((at) => ({ do: "reclaim" as const, at })) },
  { weight: 1, arbitrary: shards.map((at) => ({ do: "checkpoint" as const, at })) },
  { weight: 1, arbitrary: shards.map((at) => ({ do: "restart" as const, at })) },
  { weight: 1, arbitrary: fc.constantFrom(1, 5, 30).map((ms) => ({ do: "sleep" as const, ms })) },
  { weight: 24, arbitrary: fc.constant({ do: "next move" as const }) },
  { weight: 4, arbitrary: fc.constantFrom(...STEPS).map((step) => ({ do: step })) },
  { weight: 3, arbitrary: fc.constant({ do: "replay" as const }) },
);

class Shard {
  #table = new CheckpointTable();
  store = new Store(this.#table, EMPTY_STORE_STATE);
  /** The copy that this shard sends, if it is the source. */
  copy: SlotCopy | undefined;

  get reader(): CheckpointTable {
    return this.#table;
  }

  apply(stampMs: number, mutation: Mutation): Outcome {
    const batch = decodeBatch(encodeBatch({ stampMs, mutations: [mutation] }));
    const [outcome] = this.store.apply(batch);
    if (outcome === undefined) throw new Error("one outcome for one mutation");
    this.copy?.applied(batch.mutations);
    return outcome;
  }

  checkpoint(): void {
    const delta = this.store.checkpointDelta();
    this.#table.write(delta);
    this.store.markCheckpointed(delta);
  }

  /** What the leader knew of its copy is gone. */
  restart(): void {
    this.checkpoint();
    this.#table = this.#table.throughSnapshot(2);
    this.store = new Store(this.#table, this.#table.state);
    this.copy = undefined;
  }
}

/** The slot's journey, as the leader of the shard that has it would lead it. */
class World {
  readonly shards = [new Shard(), new Shard()] as const;
  readonly single = new Store(new CheckpointTable(), EMPTY_STORE_STATE);
  nowMs = START_MS;
  #source: 0 | 1 = 0;
  #move = 1;
  #attempt = 0;
  #total: Total | undefined;
  /** Sent to the target, ever: any of it may come again. */
  readonly #sent: { readonly to: 0 | 1; readonly mutation: Mutation }[] = [];
  #replayed = 0;
  /** By key: what a purge may have taken that came to one shard only. */
  readonly #doubtful = new Map<string, "hard" | "soft">();

  constructor() {
    this.shards[0].apply(this.nowMs, { kind: "found_slots", slots: slotBitmap([SLOT]) });
    this.shards[1].apply(this.nowMs, { kind: "found_slots", slots: slotBitmap([]) });
  }

  get #from(): Shard {
    return this.shards[this.#source];
  }

  get #to(): 0 | 1 {
    return this.#source === 0 ? 1 : 0;
  }

  get owner(): Shard | undefined {
    const owners = this.shards.filter(({ store }) => store.marks.slots.owns(SLOT));
    expect(owners.length).toBeLessThan(2);
    return owners[0];
  }

  run(action: Action): void {
    switch (action.do) {
      case "write":
        this.#write(action.mutation);
        break;
      case "purge":
        this.#purge(action.mutation);
        break;
      case "purge one":
        this.#purgeOne(action.at, action.mutation);
        break;
      case "reclaim":
        this.#reclaim(this.shards[action.at]);
        break;
      case "checkpoint":
        this.shards[action.at].checkpoint();
        break;
      case "restart":
        this.shards[action.at].restart();
        break;
      case "sleep":
        this.nowMs += action.ms;
        break;
      case "replay":
        this.#replay();
        break;
      case "next move":
        this.#step(this.#nextStep());
        break;
      default:
        this.#step(action.do);
    }
  }

  check(): void {
    const { owner } = this;
    if (owner === undefined) return;
    this.#settleDoubts(owner);
    const clockMs = Math.max(owner.store.clockMs, this.single.clockMs, this.nowMs);
    for (const key of NAMES) {
      const [real, expected] = [owner.store, this.single].map((store) => {
        const entry = store.read(SLOT, key, clockMs);
        return entry && { text: String(entry.value), expiresMs: entry.expiresMs, isStale: isStale(entry, clockMs) };
      });
      expect({ key, ...real }).toEqual({ key, ...expected });
    }
    for (const { store } of this.shards) if (store !== owner.store) expect(store.read(SLOT, "a", 0)).toBeUndefined();
  }

  #write(mutation: KeyMutation): void {
    const { owner } = this;
    for (const shard of this.shards) {
      if (shard !== owner) expect(shard.apply(this.nowMs, mutation)).toEqual({ kind: "moved" });
    }
    if (owner === undefined) return;
    this.#settleDoubts(owner);
    const real = owner.apply(this.nowMs, mutation);
    if (real.kind === "moving") return;
    const [expected] = this.single.apply({ stampMs: this.nowMs, mutations: [mutation] });
    expect(withoutVersions(real)).toEqual(withoutVersions(expected));
  }

  #purge(mutation: Mutation): void {
    for (const at of [0, 1] as const) this.#purgeOne(at, mutation);
  }

  #purgeOne(at: 0 | 1, mutation: Mutation): void {
    const outcome = this.shards[at].apply(this.nowMs, mutation);
    if (outcome.kind !== "purged" || mutation.kind !== "purge") return;
    if (this.shards[at] === this.owner) {
      this.single.apply({ stampMs: this.nowMs, mutations: [mutation] });
      return;
    }
    // Nobody will be told that it is done; of what is on its way to this shard some may have gone, and some may be stale.
    for (const key of NAMES) {
      if (!mutation.isSoft || !this.#doubtful.has(key)) this.#doubtful.set(key, mutation.isSoft ? "soft" : "hard");
    }
  }

  #settleDoubts(owner: Shard): void {
    const clockMs = Math.max(owner.store.clockMs, this.single.clockMs, this.nowMs);
    for (const [key, kind] of this.#doubtful) {
      const [real, expected] = [owner.store, this.single].map((store) => store.read(SLOT, key, clockMs));
      if (expected === undefined) continue;
      const mutations: Mutation[] = [];
      if (real === undefined && kind === "hard") mutations.push(remove(key));
      if (real !== undefined && isStale(real, clockMs) && !isStale(expected, clockMs))
        mutations.push(purge(prefix(key), true));
      // No name is a prefix of another: this purge concerns one key.
      this.single.apply({ stampMs: this.nowMs, mutations });
    }
  }

  #reclaim(shard: Shard): void {
    const rows = NAMES.flatMap((key) => {
      const row = shard.store.find(SLOT, key);
      return row === undefined ? [] : [{ slot: SLOT, key, version: row.version }];
    });
    shard.apply(this.nowMs, { kind: "reclaim", rows });
    // Rightly only where every row of the slot was looked at and went, or is not concerned.
    const isClean = NAMES.every((key) => {
      const row = shard.store.find(SLOT, key);
      return row === undefined || shard.store.marks.survivor(row) === row;
    });
    if (isClean && !shard.store.marks.slots.isArriving(SLOT)) {
      shard.apply(this.nowMs, { kind: "forget_purges", revision: shard.store.revision });
    }
  }

  #nextStep(): Step {
    const state = this.#from.store.marks.slots.stateOf(SLOT);
    if (state === "owned") return "begin";
    if (state === "moved") return "own";
    const target = this.shards[this.#to].store.marks.slots.record(SLOT);
    const isThere = target?.move === this.#move && target.attempt === this.#attempt;
    if (this.#from.copy === undefined) return state === "frozen" ? "thaw" : "begin";
    if (!isThere) return "import";
    if (this.#from.copy.changed > 0 || !this.#from.copy.hasWalked) return "copy";
    if (state === "copying") return "freeze";
    if (target.state === "sealed") return "out";
    return this.#total === undefined ? "total" : "seal";
  }

  #send(mutation: Mutation): Outcome {
    this.#sent.push({ to: this.#to, mutation });
    return this.shards[this.#to].apply(this.nowMs, mutation);
  }

  #replay(): void {
    const sent = this.#sent[this.#replayed++ % Math.max(1, this.#sent.length)];
    // A decision that was made stays made; what else comes late must change nothing that counts.
    if (sent !== undefined) this.shards[sent.to].apply(this.nowMs, sent.mutation);
  }

  #own(step: MoveStep): Extract<Outcome, { kind: "move" }> {
    const outcome = this.#from.apply(this.nowMs, { kind: "move", ...step });
    if (outcome.kind !== "move") throw new Error(`a step's outcome, not ${outcome.kind}`);
    return outcome;
  }

  #step(step: Step): void {
    const from = this.#from;
    const id = { slot: SLOT, move: this.#move, attempt: this.#attempt };
    const isFrozen = from.store.marks.slots.stateOf(SLOT) === "frozen";
    switch (step) {
      case "begin": {
        const outcome = this.#own({ step, slot: SLOT, move: this.#move, to: this.#to });
        if (!outcome.isDone) return;
        this.#attempt = outcome.attempt;
        this.#total = undefined;
        from.copy = new SlotCopy(from.store, from.reader, SLOT);
        return;
      }
      case "import":
        this.#send({ kind: "move", step, ...id, from: this.#source });
        return;
      case "copy":
      case "lose":
        this.#copy(step === "lose");
        return;
      case "freeze":
      case "thaw":
        this.#own({ step, ...id });
        return;
      case "total":
        if (isFrozen && from.copy !== undefined) this.#total = totalOf(from.copy);
        return;
      case "seal":
        if (isFrozen && this.#total !== undefined) this.#send({ kind: "move", step, ...id, ...this.#total });
        return;
      case "out": {
        // Only what is sealed may be decided on: the leader has seen the target's answer.
        const target = this.shards[this.#to].store.marks.slots.record(SLOT);
        if (target?.state === "sealed" && target.attempt === this.#attempt) this.#own({ step, ...id });
        return;
      }
      case "own":
        this.#finish(id);
        return;
      case "call off": {
        const outcome = this.#own({ step: "call_off", slot: SLOT, move: this.#move });
        if (!outcome.isDone) return;
        from.copy = undefined;
        this.#send({ kind: "move", step: "drop", slot: SLOT, move: this.#move });
        expect(this.shards[this.#to].store.marks.slots.owns(SLOT)).toBe(false);
        this.#move += 1;
      }
    }
  }

  #copy(isLost: boolean): void {
    const chunk: Chunk | undefined = this.#from.copy?.next();
    if (chunk === undefined) return;
    if (isLost) {
      // Whoever gets no answer begins anew.
      this.#from.copy = undefined;
      return;
    }
    const id = { slot: SLOT, move: this.#move, attempt: this.#attempt };
    const outcome = this.#send({ kind: "import", ...id, ...chunk });
    if (outcome.kind === "move" && !outcome.isDone) this.#from.copy = undefined;
  }

  #finish(id: { readonly slot: number; readonly move: number; readonly attempt: number }): void {
    const record = this.#from.store.marks.slots.record(SLOT);
    if (record?.state !== "moved" || record.move !== this.#move) return;
    const { revision } = record;
    expect(this.#send({ kind: "move", step: "own", ...id, revision })).toMatchObject({ isDone: true });
    this.#from.copy = undefined;
    this.#source = this.#to;
    this.#move += 1;
  }
}

function totalOf(copy: SlotCopy): Total {
  const steps = copy.total();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Two sequences of versions are two sequences. */
function withoutVersions(outcome: Outcome | undefined): unknown {
  return JSON.parse(JSON.stringify(outcome, (name, value: unknown) => (name === "version" ? undefined : value)));
}

describe("a slot that moves between two shards", () => {
  it("is what it would be in one that never moved", () => {
    let made = 0;
    fc.assert(
      fc.property(fc.array(actions, { minLength: 30, maxLength: 120, size: "max" }), (life) => {
        const world = new World();
        for (const action of life) {
          world.run(action);
          world.check();
        }
        if (world.shards[1].store.marks.slots.ownedSince(SLOT) > 0) made++;
      }),
      { numRuns: RUNS },
    );
    // Or nothing was shown.
    expect(made).toBeGreaterThan(RUNS / 4);
  });
});
