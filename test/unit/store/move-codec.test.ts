import { decode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import { decodeBatch, encodeBatch } from "../../../durable/store/codec.ts";
import type { MoveMutation, MoveStep, SlotMutation } from "../../../durable/store/command.ts";
import type { Mark } from "../../../durable/store/entry.ts";
import { markFromWire, markToWire } from "../../../durable/store/entry-codec.ts";
import { encodeFrame, MalformedBytesError, UnknownCodecVersionError } from "../../../durable/store/framing.ts";
import { slotMutationFromWire, slotMutationToWire } from "../../../durable/store/move-codec.ts";
import { slotBitmap } from "../../../durable/store/slots.ts";

const ID = { slot: 5, move: 2, attempt: 3 };
const BITMAP = slotBitmap([0, 9, 1023]);
const VALUE = Uint8Array.of(9);
const ROW = { slot: 5, key: "\ufeffk", version: 4, value: VALUE, contentType: "a/b", createdMs: 1, modifiedMs: 2 };
const RECORD = {
  slot: 5,
  key: "k",
  id: "i",
  fingerprint: "f",
  outcome: { kind: "staged" as const },
  expiresMs: 8,
  sequence: 9,
};

function step(fields: MoveStep): MoveMutation {
  return { kind: "move", ...fields };
}

const PAST = [
  { shard: 0, index: 70 },
  { shard: 4, index: 11 },
];

/** Logs in the field hold these arrays: a change here needs a reader for both. */
const GOLDEN: readonly (readonly [string, SlotMutation, readonly unknown[]])[] = [
  ["a founding", { kind: "found_slots", slots: BITMAP }, [14, BITMAP]],
  ["a begin", step({ step: "begin", slot: 5, move: 2, to: 1 }), [15, 0, 5, 2, 1]],
  ["a freeze", step({ step: "freeze", ...ID }), [15, 1, 5, 2, 3]],
  ["a thaw", step({ step: "thaw", ...ID }), [15, 2, 5, 2, 3]],
  ["a decision", step({ step: "out", ...ID }), [15, 3, 5, 2, 3]],
  ["a calling off", step({ step: "call_off", slot: 5, move: 2 }), [15, 4, 5, 2]],
  ["an import", step({ step: "import", ...ID, from: 0 }), [15, 5, 5, 2, 3, 0]],
  ["a seal", step({ step: "seal", ...ID, chunks: 8, rows: 6, digest: 7 }), [15, 6, 5, 2, 3, 8, 6, 7]],
  ["an owning, from before there was a past", step({ step: "own", ...ID, revision: 6 }), [15, 7, 5, 2, 3, 6]],
  ["an owning", step({ step: "own", ...ID, revision: 6, past: PAST }), [15, 7, 5, 2, 3, 6, [0, 70, 4, 11]]],
  ["a drop", step({ step: "drop", slot: 5, move: 2 }), [15, 8, 5, 2]],
  [
    "rows",
    { kind: "import", ...ID, chunk: 1, rows: [ROW], removals: ["\ufeffgone"], records: [RECORD] },
    [
      16,
      5,
      2,
      3,
      1,
      [[5, "\u0000\ufeffk", 4, VALUE, "a/b", 1, 2]],
      ["\u0000\ufeffgone"],
      [[5, "k", "i", "f", [10], 8, 9]],
    ],
  ],
];

function errorOf(read: () => unknown): unknown {
  try {
    read();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each(GOLDEN)("%s", (_what, mutation, wire) => {
  it("stays what it was on the wire, and is read back whole", () => {
    expect(decode(encodeFrame(1, slotMutationToWire(mutation)).subarray(1))).toEqual(wire);
    expect(slotMutationFromWire(wire)).toEqual(mutation);
    const batch = { stampMs: 1, mutations: [mutation] };
    expect(decodeBatch(encodeBatch(batch))).toEqual(batch);
  });

  it("is refused as newer with a field more than this code knows", () => {
    const whole = "step" in mutation && mutation.step === "own" ? [...wire.slice(0, 6), []] : wire;
    expect(errorOf(() => slotMutationFromWire([...whole, "new"]))).toBeInstanceOf(UnknownCodecVersionError);
  });

  it("is refused as malformed without its last field", () => {
    const needed = wire.slice(0, "step" in mutation && mutation.step === "own" ? 6 : undefined);
    expect(errorOf(() => slotMutationFromWire(needed.slice(0, -1)))).toBeInstanceOf(MalformedBytesError);
  });
});

describe("what newer code wrote", () => {
  it("is refused: a step or a state that this code does not know", () => {
    expect(errorOf(() => slotMutationFromWire([15, 9, 5, 2]))).toBeInstanceOf(UnknownCodecVersionError);
    const mark = [5, "5", 5, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    expect(errorOf(() => markFromWire(mark))).toBeInstanceOf(UnknownCodecVersionError);
  });

  it("is malformed where a bitmap has another length", () => {
    expect(errorOf(() => slotMutationFromWire([14, BITMAP.subarray(1)]))).toBeInstanceOf(MalformedBytesError);
    expect(errorOf(() => markFromWire([4, "", BITMAP.subarray(1)]))).toBeInstanceOf(MalformedBytesError);
  });
});

describe("marks of slots", () => {
  const record: Mark = {
    kind: "slot",
    name: "5",
    slot: 5,
    state: "moved",
    since: 1,
    move: 2,
    attempt: 3,
    peer: 4,
    base: 5,
    chunks: 6,
    rows: 7,
    digest: 8,
    revision: 9,
  };

  it.each<[Mark, readonly unknown[]]>([
    [{ kind: "founding", name: "", slots: BITMAP }, [4, "", BITMAP]],
    [{ kind: "past", name: "0", shard: 3, index: 70, move: 2 }, [6, "0", 3, 70, 2]],
    [record, [5, "5", 5, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ])("stay what they were on the wire", (mark, wire) => {
    expect(markToWire(mark)).toEqual(wire);
    expect(markFromWire(wire)).toEqual(mark);
    expect(errorOf(() => markFromWire([...wire, 1]))).toBeInstanceOf(UnknownCodecVersionError);
  });
});
