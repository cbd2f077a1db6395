import { describe, expect, it } from "vitest";
import type { LogPlace, MoveStep, Outcome } from "../../../durable/store/command.ts";
import type { Entry } from "../../../durable/store/entry.ts";
import { PAST_SHARDS_MAX, slotBitmap } from "../../../durable/store/slots.ts";
import { bytesOf } from "./arbitraries.ts";
import { beginFill, increment, OneShard, purge, put, remove, SLOT, START_MS, tag, transaction } from "./one-shard.ts";

const S = 0;
const T = 1;
const MOVE = 5;

function take(shard: OneShard, step: MoveStep): Extract<Outcome, { kind: "move" }> {
  const outcome = shard.do({ kind: "move", ...step });
  if (outcome.kind !== "move") throw new Error(`a step's outcome, not ${outcome.kind}`);
  return outcome;
}

/** A shard that owns SLOT, with a row in it. */
function source(): OneShard {
  const shard = new OneShard();
  shard.do({ kind: "found_slots", slots: slotBitmap([SLOT]) });
  shard.do(put("k", "v", { tags: ["t"] }));
  return shard;
}

function target(): OneShard {
  const shard = new OneShard();
  shard.do({ kind: "found_slots", slots: slotBitmap([]) });
  return shard;
}

function begin(shard: OneShard, move = MOVE): { slot: number; move: number; attempt: number } {
  const { attempt, isDone } = take(shard, { step: "begin", slot: SLOT, move, to: T });
  expect(isDone).toBe(true);
  return { slot: SLOT, move, attempt };
}

const ROW: Entry = {
  slot: SLOT,
  key: "k",
  version: 400,
  value: bytesOf("moved"),
  contentType: "text/plain",
  createdMs: 1,
  modifiedMs: 1,
  extras: { tags: ["t"] },
};

/** A target that has got ROW and owns the slot. */
function owner(shard = target(), attempt = 1): OneShard {
  const id = { slot: SLOT, move: MOVE, attempt };
  take(shard, { step: "import", ...id, from: S });
  shard.do({ kind: "import", ...id, chunk: 1, rows: [ROW], removals: [], records: [] });
  return owning(shard, attempt);
}

/** What it has is all. */
function owning(shard: OneShard, attempt = 1): OneShard {
  const id = { slot: SLOT, move: MOVE, attempt };
  const { chunks = 0, rows = 0, digest = 0 } = shard.store.marks.slots.record(SLOT) ?? {};
  expect(take(shard, { step: "seal", ...id, chunks, rows, digest }).isDone).toBe(true);
  expect(take(shard, { step: "own", ...id, revision: 500 }).isDone).toBe(true);
  return shard;
}

describe("a shard whose log speaks of no slots", () => {
  it("refuses nothing: the topology alone decides", () => {
    const shard = new OneShard();
    expect(shard.do(put("k", "v"))).toMatchObject({ kind: "stored" });
    expect(shard.store.marks.slots.owns(1)).toBe(true);
  });
});

describe("the source of a move", () => {
  it("changes nothing from the freeze on, nor remembers that it was asked to", () => {
    const shard = source();
    const id = begin(shard);
    expect(shard.do(put("k", "while copying"))).toMatchObject({ kind: "stored" });
    take(shard, { step: "freeze", ...id });
    const retried = { idempotency: { id: "i", fingerprint: "f" } };
    for (const mutation of [put("k", "x", retried), remove("k"), increment("n", "1"), beginFill("f"), transaction()]) {
      expect(shard.do(mutation)).toEqual({ kind: "moving" });
    }
    expect(shard.text("k")).toBe("while copying");
    take(shard, { step: "thaw", ...id });
    expect(shard.do(put("k", "after", retried))).toMatchObject({ kind: "stored" });
  });

  it("holds back purges while a slot is frozen, since the copy would not know of them", () => {
    const shard = source();
    const id = begin(shard);
    take(shard, { step: "freeze", ...id });
    expect(shard.do(purge(tag("t")))).toEqual({ kind: "moving" });
    expect(shard.text("k")).toBe("v");
    take(shard, { step: "thaw", ...id });
    expect(shard.do(purge(tag("t")))).toMatchObject({ kind: "purged" });
  });

  it("is not the owner once the decision is applied: reads find nothing", () => {
    const shard = source();
    const id = begin(shard);
    take(shard, { step: "freeze", ...id });
    take(shard, { step: "out", ...id });
    expect(shard.do(put("k", "x"))).toEqual({ kind: "moved" });
    expect(shard.read("k")).toBeUndefined();
    expect(shard.store.marks.slots.record(SLOT)).toMatchObject({ peer: T, revision: shard.store.revision });
  });

  it("decides on the frozen attempt only", () => {
    const shard = source();
    const id = begin(shard);
    expect(take(shard, { step: "out", ...id }).isDone).toBe(false);
    const again = begin(shard);
    expect(again.attempt).toBeGreaterThan(id.attempt);
    expect(take(shard, { step: "freeze", ...id }).isDone).toBe(false);
    take(shard, { step: "freeze", ...again });
    expect(take(shard, { step: "out", ...id }).isDone).toBe(false);
    expect(take(shard, { step: "begin", slot: SLOT, move: MOVE, to: T }).isDone).toBe(false);
    expect(take(shard, { step: "out", ...again })).toMatchObject({ isDone: true, state: "moved" });
    expect(take(shard, { step: "out", ...again }).isDone).toBe(true);
  });

  it("never makes a move that was called off, and tells one that was made", () => {
    const shard = source();
    const id = begin(shard);
    take(shard, { step: "freeze", ...id });
    expect(take(shard, { step: "call_off", slot: SLOT, move: MOVE })).toMatchObject({ isDone: true, state: "owned" });
    expect(take(shard, { step: "out", ...id }).isDone).toBe(false);
    expect(take(shard, { step: "begin", slot: SLOT, move: MOVE, to: T }).isDone).toBe(false);
    expect(shard.do(put("k", "x"))).toMatchObject({ kind: "stored" });
    const later = begin(shard, MOVE + 1);
    take(shard, { step: "freeze", ...later });
    take(shard, { step: "out", ...later });
    expect(take(shard, { step: "call_off", slot: SLOT, move: MOVE + 1 }).isDone).toBe(false);
  });

  it("calls off a move that it has not heard of", () => {
    const shard = source();
    expect(take(shard, { step: "call_off", slot: SLOT, move: MOVE }).isDone).toBe(true);
    expect(take(shard, { step: "begin", slot: SLOT, move: MOVE, to: T }).isDone).toBe(false);
  });

  it("ends the leases of fills with the slot", () => {
    const shard = source();
    expect(shard.do(beginFill("f", 60_000))).toMatchObject({ kind: "fill_granted" });
    const id = begin(shard);
    take(shard, { step: "freeze", ...id });
    take(shard, { step: "out", ...id });
    expect(shard.store.marks.fill("f")).toBeUndefined();
  });

  it("gives back the room of what it has given away, and of nothing that is frozen", () => {
    const shard = source();
    const version = shard.row("k")?.version ?? 0;
    const reclaim = { kind: "reclaim" as const, rows: [{ slot: SLOT, key: "k", version }], evicts: true };
    const id = begin(shard);
    take(shard, { step: "freeze", ...id });
    expect(shard.do(reclaim)).toEqual({ kind: "reclaimed", rows: 0 });
    take(shard, { step: "out", ...id });
    expect(shard.do(reclaim)).toEqual({ kind: "reclaimed", rows: 1 });
    expect(shard.store.state).toMatchObject({ keys: 0, bytes: 0 });
  });
});

describe("the target of a move", () => {
  it("shows nothing before it owns the slot, and then the rows with their versions", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    take(shard, { step: "import", ...id, from: S });
    shard.do({ kind: "import", ...id, chunk: 1, rows: [ROW], removals: [], records: [] });
    expect(shard.read("k")).toBeUndefined();
    expect(shard.do(put("k", "early"))).toEqual({ kind: "moved" });
    const { chunks = 0, rows = 0, digest = 0 } = shard.store.marks.slots.record(SLOT) ?? {};
    take(shard, { step: "seal", ...id, chunks, rows, digest });
    expect(shard.read("k")).toBeUndefined();
    take(shard, { step: "own", ...id, revision: 500 });
    expect(shard.read("k")).toMatchObject({ version: 400, value: bytesOf("moved") });
    // Versions go on.
    expect(shard.do(put("k", "x"))).toMatchObject({ kind: "stored", version: 501, created: false });
    expect(shard.row("k")?.extras?.purgeRevision).toBeUndefined();
  });

  it("does not seal a copy that lacks a row or a chunk, or has another version of a row", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    const nothing = { kind: "import" as const, ...id, rows: [], removals: [], records: [] };
    take(shard, { step: "import", ...id, from: S });
    shard.do({ ...nothing, chunk: 1, rows: [ROW, { ...ROW, key: "l" }] });
    const { rows = 0, digest = 0 } = shard.store.marks.slots.record(SLOT) ?? {};
    expect(rows).toBe(2);
    shard.do({ ...nothing, chunk: 2, rows: [{ ...ROW, version: 401 }] });
    const seal = { step: "seal" as const, ...id, rows, digest };
    expect(take(shard, { ...seal, chunks: 2 })).toMatchObject({ isDone: false, state: "importing" });
    shard.do({ ...nothing, chunk: 3, rows: [ROW], removals: ["l", "never there"] });
    expect(take(shard, { ...seal, chunks: 3 }).isDone).toBe(false);
    shard.do({ ...nothing, chunk: 4, rows: [{ ...ROW, key: "l" }] });
    expect(take(shard, { ...seal, chunks: 5 }).isDone).toBe(false);
    expect(take(shard, { ...seal, chunks: 4 }).isDone).toBe(true);
  });

  it("applies chunks in order, and each once", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    const chunk = (number: number, version: number) =>
      shard.do({ kind: "import", ...id, chunk: number, rows: [{ ...ROW, version }], removals: [], records: [] });
    take(shard, { step: "import", ...id, from: S });
    expect(chunk(1, 400)).toMatchObject({ isDone: true });
    expect(chunk(3, 403)).toMatchObject({ isDone: false });
    expect(chunk(2, 402)).toMatchObject({ isDone: true });
    expect(chunk(1, 400)).toMatchObject({ isDone: true });
    expect(shard.row("k")?.version).toBe(402);
  });

  it("begins with nothing, whatever it holds of the slot from earlier", () => {
    const shard = target();
    const first = { slot: SLOT, move: MOVE, attempt: 1 };
    take(shard, { step: "import", ...first, from: S });
    shard.do({ kind: "import", ...first, chunk: 1, rows: [ROW, { ...ROW, key: "gone" }], removals: [], records: [] });
    const second = { ...first, attempt: 2 };
    take(shard, { step: "import", ...second, from: S });
    expect(shard.do({ kind: "import", ...first, chunk: 2, rows: [ROW], removals: [], records: [] })).toMatchObject({
      isDone: false,
    });
    owner(shard, 2);
    expect(shard.text("k")).toBe("moved");
    expect(shard.read("gone")).toBeUndefined();
    const left = { slot: SLOT, key: "gone", version: ROW.version };
    expect(shard.do({ kind: "reclaim", rows: [left] })).toEqual({ kind: "reclaimed", rows: 1 });
  });

  it("takes nothing of a move that was dropped, and gives up nothing that it owns", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    expect(take(shard, { step: "drop", slot: SLOT, move: MOVE }).isDone).toBe(true);
    expect(take(shard, { step: "import", ...id, from: S }).isDone).toBe(false);
    const moved = owner();
    expect(take(moved, { step: "drop", slot: SLOT, move: MOVE }).isDone).toBe(false);
    expect(take(moved, { step: "import", ...id, attempt: 2, from: S }).isDone).toBe(false);
    expect(take(moved, { step: "own", ...id, revision: 900 }).isDone).toBe(true);
    expect(moved.store.revision).toBe(500);
    expect(moved.text("k")).toBe("moved");
  });

  it("owns nothing that was not sealed", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    take(shard, { step: "import", ...id, from: S });
    expect(take(shard, { step: "own", ...id, revision: 1 }).isDone).toBe(false);
    expect(take(shard, { step: "own", ...id, attempt: 2, revision: 1 }).isDone).toBe(false);
  });

  it("remembers what the source would not apply twice", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    const known = increment("n", "1", { idempotency: { id: "i", fingerprint: "f" } });
    const outcome: Outcome = { kind: "number", value: "1", version: 300, created: true };
    take(shard, { step: "import", ...id, from: S });
    const record = { slot: SLOT, key: "n", id: "i", fingerprint: "f", outcome, expiresMs: START_MS * 2, sequence: 77 };
    shard.do({ kind: "import", ...id, chunk: 1, rows: [], removals: [], records: [record] });
    take(shard, { step: "seal", ...id, chunks: 1, rows: 0, digest: 0 });
    take(shard, { step: "own", ...id, revision: 500 });
    expect(shard.do(known)).toEqual(outcome);
    expect(shard.read("n")).toBeUndefined();
  });
});

describe("purges at the target", () => {
  it("from before a row came do not concern it, whatever its version", () => {
    const shard = target();
    for (let count = 0; count < 600; count++) shard.do(purge(tag("t")));
    owner(shard);
    expect(shard.text("k")).toBe("moved");
  });

  it("concern rows that had come, be it that the slot was not owned yet", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    take(shard, { step: "import", ...id, from: S });
    shard.do({ kind: "import", ...id, chunk: 1, rows: [ROW], removals: [], records: [] });
    shard.do(purge(tag("t")));
    owning(shard);
    expect(shard.read("k")).toBeUndefined();
  });

  it("are not forgotten while rows have come that no sweep has seen", () => {
    const shard = target();
    const id = { slot: SLOT, move: MOVE, attempt: 1 };
    take(shard, { step: "import", ...id, from: S });
    shard.do({ kind: "import", ...id, chunk: 1, rows: [ROW], removals: [], records: [] });
    shard.do(purge(tag("t")));
    shard.do({ kind: "forget_purges", revision: shard.store.revision });
    owning(shard);
    expect(shard.read("k")).toBeUndefined();
  });

  it("concern a moved row that was touched since, and not one that was written since", () => {
    const shard = owner();
    shard.do({ kind: "touch", slot: SLOT, key: "k", ttlMs: 1_000 });
    shard.do(purge(tag("t"), true));
    expect(shard.read("k")?.extras?.staleMs).toBeDefined();
    shard.do(put("k", "new", { tags: ["t"] }));
    expect(shard.read("k")?.extras?.staleMs).toBeUndefined();
  });
});

describe("the past of what has come", () => {
  /** A target that has taken the slot by `move`. */
  function taken(shard: OneShard, move: number, past: readonly LogPlace[]): void {
    const id = { slot: SLOT, move, attempt: 1 };
    take(shard, { step: "import", ...id, from: S });
    take(shard, { step: "seal", ...id, chunks: 0, rows: 0, digest: 0 });
    expect(take(shard, { step: "own", ...id, revision: 500, past }).isDone).toBe(true);
  }

  /** Gives it away, so that it can come again. */
  function given(shard: OneShard, move: number): void {
    const id = begin(shard, move);
    take(shard, { step: "freeze", ...id });
    expect(take(shard, { step: "out", ...id }).isDone).toBe(true);
  }

  const places = (shard: OneShard) => [...shard.store.marks.slots.past].sort((one, other) => one.shard - other.shard);

  it("is the latest place in each log, whatever comes later, and survives checkpoints and snapshots", () => {
    const shard = target();
    taken(shard, 5, [{ shard: S, index: 70 }]);
    given(shard, 6);
    taken(shard, 7, [
      { shard: S, index: 60 },
      { shard: 3, index: 9 },
    ]);
    const both = [
      { shard: S, index: 70 },
      { shard: 3, index: 9 },
    ];
    expect(places(shard)).toMatchObject(both);
    shard.restart();
    expect(places(shard)).toMatchObject(both);
    shard.table = shard.table.throughSnapshot(1);
    shard.restart();
    expect(places(shard)).toMatchObject(both);
    given(shard, 8);
    taken(shard, 9, [{ shard: S, index: 80 }]);
    shard.restart();
    expect(places(shard)).toMatchObject([{ shard: S, index: 80 }, both[1]]);
  });

  it("is of as many logs as are remembered: those that came with the oldest moves go", () => {
    const shard = target();
    for (let number = 0; number < PAST_SHARDS_MAX + 2; number++) {
      taken(shard, 5 + 2 * number, [{ shard: 1_000 - number, index: 1 }]);
      given(shard, 6 + 2 * number);
      if (number % 10 === 0) shard.restart();
    }
    shard.restart();
    expect(places(shard).map(({ shard: other }) => other)).toEqual(
      Array.from({ length: PAST_SHARDS_MAX }, (_, at) => 1_000 - PAST_SHARDS_MAX - 1 + at),
    );
  });

  it("does not grow by a step that comes again", () => {
    const shard = target();
    taken(shard, 5, [{ shard: S, index: 70 }]);
    const { past } = shard.store.marks.slots;
    const id = { slot: SLOT, move: 5, attempt: 1 };
    expect(take(shard, { step: "own", ...id, revision: 500, past: [{ shard: S, index: 90 }] }).isDone).toBe(true);
    expect(shard.store.marks.slots.past).toBe(past);
  });
});

describe("what the log says of slots", () => {
  it("survives checkpoints and snapshots", () => {
    const shard = owner();
    shard.restart();
    expect(shard.text("k")).toBe("moved");
    expect(shard.store.marks.slots.ownedSince(SLOT)).toBe(MOVE);
    shard.table = shard.table.throughSnapshot(1);
    shard.restart();
    expect(shard.text("k")).toBe("moved");
    expect(shard.do({ kind: "found_slots", slots: slotBitmap([1, 2]) })).toEqual({ kind: "slots_founded" });
    expect([1, 2, SLOT].map((slot) => shard.store.marks.slots.owns(slot))).toEqual([false, false, true]);
  });
});
