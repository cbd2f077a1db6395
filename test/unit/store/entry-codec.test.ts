import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytesError, UnknownCodecVersionError } from "../../../durable/store/codec.ts";
import type { EntryExtras, Mark } from "../../../durable/store/entry.ts";
import { decodeExtras, decodeMark, encodeExtras, encodeMark } from "../../../durable/store/entry-codec.ts";

function frameOf(wire: unknown, version = 1): Uint8Array {
  return Uint8Array.from([version, ...encode(wire)]);
}

const FULL: EntryExtras = {
  staleMs: 1,
  staleWhileRevalidateMs: 2,
  staleIfErrorMs: 3,
  slidingMs: 4,
  metadata: "m",
  tags: ["t"],
  sourceVersion: 5,
  parts: { upload: "u", count: 6, bytes: 7 },
  purgedMs: 8,
  purgeRevision: 9,
};
const FULL_WIRE = [1, 2, 3, 4, "m", ["t"], 5, ["u", 6, 7], 8, 9];

const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const count = fc.maxSafeNat();
const names = fc
  .tuple(fc.constantFrom("", "\u0000", "\ufeff"), fc.string({ unit: "binary", maxLength: 300 }))
  .map((all) => all.join(""));

describe("extras", () => {
  it("stay what they were, and may be absent from the end on", () => {
    expect(encodeExtras(FULL)).toEqual(frameOf(FULL_WIRE));
    expect(decodeExtras(frameOf(FULL_WIRE))).toEqual(FULL);
    expect(encodeExtras({ metadata: "m" })).toEqual(frameOf([null, null, null, null, "m"]));
    expect(encodeExtras({})).toEqual(frameOf([]));
  });

  it("come back whole, whatever is in them", () => {
    const extras = fc.record({
      staleMs: optional(count),
      slidingMs: optional(count),
      metadata: optional(fc.string({ maxLength: 300 })),
      tags: optional(fc.array(fc.string())),
      sourceVersion: optional(count),
      parts: optional(fc.record({ upload: fc.string(), count, bytes: count })),
      purgedMs: optional(count),
    });
    fc.assert(
      fc.property(extras, (some) => {
        expect(decodeExtras(encodeExtras(some))).toEqual(some);
      }),
    );
  });

  it("are refused with a field or of a version that this code does not know", () => {
    expect(() => decodeExtras(frameOf([...FULL_WIRE, "new"]))).toThrow(UnknownCodecVersionError);
    expect(() => decodeExtras(frameOf(FULL_WIRE, 2))).toThrow(UnknownCodecVersionError);
  });

  it("are malformed where any of their fields is of another type", () => {
    for (const at of FULL_WIRE.keys()) {
      const damaged = FULL_WIRE.map((field, index) => (index === at ? { not: "this" } : field));
      expect(() => decodeExtras(frameOf(damaged))).toThrow(MalformedBytesError);
    }
  });
});

const GOLDEN_MARKS: readonly (readonly [Mark, readonly unknown[]])[] = [
  [{ kind: "tag", name: "t", hardRevision: 1, softRevision: 2, softMs: 3 }, [0, "t", 1, 2, 3]],
  [{ kind: "prefix", name: "\ufeffp", hardRevision: 1, softRevision: 0, softMs: 0 }, [1, "\u0000\ufeffp", 1, 0, 0]],
  [{ kind: "namespace", name: "", hardRevision: 0, softRevision: 2, softMs: 3 }, [2, "", 0, 2, 3]],
  [{ kind: "fill", name: "k", slot: 7, token: 8, untilMs: 9, holder: "h" }, [3, "k", 7, 8, 9, "h"]],
  [{ kind: "fill", name: "k", slot: 7, token: 8, untilMs: 9 }, [3, "k", 7, 8, 9]],
];

describe.each(GOLDEN_MARKS)("the mark %j", (mark, wire) => {
  it("stays what it was, and is read back whole", () => {
    expect(encodeMark(mark)).toEqual(frameOf(wire));
    expect(decodeMark(frameOf(wire))).toEqual(mark);
  });

  it("is refused with more fields than are known, and malformed with one of another type or one less than it needs", () => {
    // A fill's holder may be absent; it is the last that is known.
    const [known, needed] = mark.kind === "fill" ? [6, 5] : [wire.length, wire.length];
    const filled = [...wire, ...Array.from({ length: known - wire.length }, () => "h")];
    expect(() => decodeMark(frameOf([...filled, "new"]))).toThrow(UnknownCodecVersionError);
    expect(() => decodeMark(frameOf(wire.slice(0, needed - 1)))).toThrow(MalformedBytesError);
    for (const at of wire.keys()) {
      const damaged = wire.map((field, index) => (index === at ? { not: "this" } : field));
      expect(() => decodeMark(frameOf(damaged))).toThrow(MalformedBytesError);
    }
  });
});

describe("marks", () => {
  it("come back whole, whatever their names", () => {
    const purges = fc.record({
      kind: fc.constantFrom("tag" as const, "prefix" as const, "namespace" as const),
      name: names,
      hardRevision: count,
      softRevision: count,
      softMs: count,
    });
    const fills = fc.record({
      kind: fc.constant("fill" as const),
      name: names,
      slot: count,
      token: count,
      untilMs: count,
    });
    fc.assert(
      fc.property(fc.oneof(purges, fills), (mark) => {
        expect(decodeMark(encodeMark(mark))).toEqual(mark);
      }),
    );
  });

  it("of a kind that this code does not know are refused as newer", () => {
    expect(() => decodeMark(frameOf([4, "x", 1, 2, 3]))).toThrow(UnknownCodecVersionError);
  });
});
