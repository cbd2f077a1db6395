// One checkpoint in slices: an end after any of its turns leaves the state before it or the state after it, and nothing else.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_CHECKPOINT_LIMITS } from "../../../durable/checkpoint-limits.ts";
import { CheckpointWriter, slicesOf } from "../../../durable/checkpoint-writer.ts";
import type { KeyMutation } from "../../../durable/store/command.ts";
import { Store } from "../../../durable/store/store.ts";
import { DiskContent } from "../../simulation/disk.ts";
import { SimStorage } from "../../simulation/sim-storage.ts";
import { aimed, anyMutations, KEYS, logOf, slotOfTestKey } from "../store/arbitraries.ts";
import { CheckpointLife, happenings } from "./checkpoint-life.ts";

const SLOT = 3;
const LIMITS = { ...DEFAULT_CHECKPOINT_LIMITS, sliceRows: 2 };
const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"];
const MEMBERS = { voters: ["0.1"], learners: [] };

function open(content: DiskContent): SimStorage {
  return new SimStorage(
    content,
    () => {},
    () => {},
  );
}

function put(key: string, value: string): KeyMutation {
  const idempotency = { id: `${key}${value}`, fingerprint: "f" };
  return {
    kind: "put",
    slot: SLOT,
    key,
    value: new TextEncoder().encode(value),
    contentType: "text/plain",
    idempotency,
  };
}

function contentOf(store: Store): (string | undefined)[] {
  return NAMES.map((key) => {
    const entry = store.read(SLOT, key, 0);
    return entry === undefined ? undefined : new TextDecoder().decode(entry.value);
  });
}

describe("a checkpoint in slices", () => {
  /** Ends after so many turns; what the next instance finds. */
  function openedAfter(turns: number) {
    const storage = open(new DiskContent(MEMBERS));
    const store = new Store(storage, storage.checkpointState);
    const before = NAMES.slice(0, 6).map((key) => put(key, "old"));
    store.apply({ stampMs: 1, mutations: before });
    const first = store.checkpointDelta();
    storage.saveCheckpoint(first, 0);
    store.markCheckpointed(first);
    const removals = ["a", "b", "c"].map((key) => ({ kind: "delete", slot: SLOT, key }) as const);
    store.apply({ stampMs: 2, mutations: [...removals, ...["d", "e", "g", "h"].map((key) => put(key, "new"))] });
    const writer = new CheckpointWriter(storage, store.checkpointDelta(), 0, LIMITS);
    let isDone = false;
    for (let turn = 0; turn < turns && !isDone; turn++) isDone = writer.step() === "done";
    const next = open(storage.content.copy());
    const restarted = new Store(next, next.checkpointState);
    return { isDone, next, content: contentOf(restarted), state: restarted.state, wanted: store.state };
  }

  it("is all there or not at all, after whichever turn the replica ends", () => {
    const old = ["old", "old", "old", "old", "old", "old", undefined, undefined];
    const found: string[] = [];
    for (let turns = 0; turns < 20; turns++) {
      const { isDone, next, content, state, wanted } = openedAfter(turns);
      const isNew = state.revision === wanted.revision;
      found.push(isNew ? "new" : "old");
      expect(content).toEqual(isNew ? [undefined, undefined, undefined, "new", "new", "old", "new", "new"] : old);
      expect(next.idempotency(SLOT, "g", "gnew") !== undefined).toBe(isNew);
      expect([next.content.journal, next.content.journaled]).toEqual([[], 0]);
      if (isDone) break;
    }
    // Six slices: two turns of journal, one that makes it count, and six in which it is carried over.
    expect(found).toEqual(["old", "old", "old", ...new Array(7).fill("new")]);
  });

  it("never shows, whatever is applied between its turns, and wherever the replica ends", () => {
    let interrupted = 0;
    fc.assert(
      fc.property(logOf(anyMutations).map(aimed), happenings, (log, all) => {
        let content = new DiskContent(MEMBERS);
        const life = new CheckpointLife(() => {
          content = content.copy();
          return open(content);
        });
        const leader = open(new DiskContent(MEMBERS));
        const reference = new Store(leader, leader.checkpointState);
        expect(life.live(log, all)).toEqual(log.map((batch) => reference.apply(batch)));
        interrupted += life.interrupted;
        const isAsReference = () => {
          expect(life.store.state).toEqual(reference.state);
          expect(life.store.stateHash()).toBe(reference.stateHash());
          const read = (store: Store) => KEYS.map((key) => store.read(slotOfTestKey(key), key, 0));
          expect(read(life.store)).toEqual(read(reference));
        };
        isAsReference();
        life.finish();
        life.finish();
        expect([life.store.dirtyKeys, life.store.dirtyBytes]).toEqual([0, 0]);
        life.restart();
        isAsReference();
      }),
      { numRuns: 300 },
    );
    expect(interrupted).toBeGreaterThan(300);
  });

  it("begins anew where the journal is damaged, and only where it counts", () => {
    const storage = open(new DiskContent(MEMBERS));
    const store = new Store(storage, storage.checkpointState);
    store.apply({ stampMs: 1, mutations: NAMES.map((key) => put(key, "1")) });
    const writer = new CheckpointWriter(storage, store.checkpointDelta(), 0, LIMITS);
    const damaged = () => {
      const content = storage.content.copy();
      const [first] = content.journal;
      if (first !== undefined) content.journal[0] = { ...first, checksum: first.checksum ^ 1 };
      return open(content);
    };
    writer.step();
    expect([damaged().recovered, damaged().content.journal]).toEqual([undefined, []]);
    while (writer.step() !== "saved");
    expect(damaged().recovered).toMatchObject({ kind: "begin_anew" });
    expect(damaged().content.isCondemned).toBe(false);
    const cut = storage.content.copy();
    cut.journal.pop();
    expect(open(cut).recovered).toMatchObject({ kind: "begin_anew" });
  });

  it("of one slice is written in one turn, without a journal", () => {
    const storage = open(new DiskContent(MEMBERS));
    const store = new Store(storage, storage.checkpointState);
    store.apply({ stampMs: 1, mutations: [put("a", "1")] });
    const writer = new CheckpointWriter(storage, store.checkpointDelta(), 0, LIMITS);
    expect([writer.step(), storage.content.journal, storage.content.journaled]).toEqual(["saved", [], 0]);
    expect(writer.step()).toBe("done");
    expect(storage.entry(SLOT, "a")).toBeDefined();
  });
});

describe("slices", () => {
  const entry = (key: string, size: number) => ({
    slot: SLOT,
    key,
    version: 1,
    value: new Uint8Array(size),
    contentType: "",
    createdMs: 1,
    modifiedMs: 1,
    expiresMs: undefined,
    extras: undefined,
  });
  const keysOf = (slices: ReturnType<typeof slicesOf>) => slices.map(({ upserts }) => upserts.map(({ key }) => key));

  it("are in the table's order, whatever the order of writing, and of as many rows at most", () => {
    const at = (slot: number, key: string) => ({ ...entry(key, 1), slot });
    // UTF-8 bytes, not UTF-16 units.
    const upserts = [at(3, "c"), at(7, "a"), at(3, "\u{10000}"), at(0, "z"), at(3, "\uffff")];
    const rows = { upserts, removals: [at(9, "b"), at(2, "b")], idempotencyUpserts: [] };
    const slices = slicesOf(rows, LIMITS);
    expect(keysOf(slices)).toEqual([["z", "c"], ["\uffff", "\u{10000}"], ["a"], []]);
    expect(slices.map(({ removals }) => removals.map(({ slot }) => slot))).toEqual([[], [], [2], [9]]);
  });

  it("close once they have their bytes: one row of the largest size may come on top", () => {
    const upserts = [entry("a", 500), entry("b", 1), entry("c", 5_000), entry("d", 1)];
    const rows = { upserts, removals: [], idempotencyUpserts: [] };
    expect(keysOf(slicesOf(rows, { sliceRows: 100, sliceBytes: 1_000 }))).toEqual([["a", "b"], ["c"], ["d"]]);
  });

  it("of nothing are none", () => {
    expect(slicesOf({ upserts: [], removals: [], idempotencyUpserts: [] }, LIMITS)).toEqual([]);
  });
});
