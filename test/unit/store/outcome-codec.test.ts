import { decode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../durable/store/command.ts";
import { encodeFrame, MalformedBytesError, UnknownCodecVersionError } from "../../../durable/store/framing.ts";
import { outcomeFromWire, outcomeToWire } from "../../../durable/store/outcome-codec.ts";

const VALUE = { version: 3, value: Uint8Array.of(9), contentType: "a/b" };
const VALUE_WIRE = [3, Uint8Array.of(9), "a/b"];

/** Idempotency records in the field hold these arrays, the longest form of each kind first. */
const GOLDEN: readonly (readonly [Outcome, readonly unknown[]])[] = [
  [{ kind: "stored", version: 1, created: true, expiresMs: 2, previous: VALUE }, [0, 1, true, 2, VALUE_WIRE]],
  [{ kind: "stored", version: 1, created: false }, [0, 1, false]],
  [{ kind: "deleted", existed: true, previous: VALUE }, [1, true, VALUE_WIRE]],
  [{ kind: "deleted", existed: false }, [1, false]],
  [{ kind: "precondition_failed", version: 1, sourceVersion: 2 }, [2, 1, 2]],
  [{ kind: "precondition_failed" }, [2]],
  [{ kind: "idempotency_conflict" }, [3]],
  [{ kind: "touched", version: 1, expiresMs: 2 }, [4, 1, 2]],
  [{ kind: "number", value: "7", version: 1, created: true, expiresMs: 2 }, [5, "7", 1, true, 2]],
  [{ kind: "fill_granted", token: 1, untilMs: 2 }, [6, 1, 2]],
  [{ kind: "limited", isAllowed: false, remaining: 1, resetMs: 2 }, [7, false, 1, 2]],
  [
    {
      kind: "transaction",
      succeeded: true,
      results: [
        { kind: "value", found: VALUE },
        { kind: "touched", version: 1 },
      ],
    },
    [
      8,
      true,
      [
        [12, VALUE_WIRE],
        [4, 1],
      ],
    ],
  ],
  [{ kind: "purged", revision: 1 }, [9, 1]],
  [{ kind: "staged" }, [10]],
  [{ kind: "reclaimed", rows: 1 }, [11, 1]],
  [{ kind: "value", found: VALUE }, [12, VALUE_WIRE]],
  [{ kind: "value" }, [12]],
  [{ kind: "not_found" }, [13]],
  [{ kind: "not_a_number", version: 1 }, [14, 1]],
  [{ kind: "out_of_range", value: "7" }, [15, "7"]],
  [{ kind: "too_large", bytes: 1 }, [16, 1]],
  [{ kind: "fill_held", untilMs: 1 }, [17, 1]],
  [{ kind: "fill_unneeded", version: 1 }, [18, 1]],
  [{ kind: "fill_refused", version: 1 }, [19, 1]],
  [{ kind: "table_full" }, [20]],
  [{ kind: "incomplete_upload" }, [21]],
  [{ kind: "transaction_failed", at: 1, outcome: { kind: "not_found" } }, [22, 1, [13]]],
  [{ kind: "fill_released", existed: true }, [23, true]],
  [{ kind: "moving" }, [24]],
  [{ kind: "moved" }, [25]],
  [{ kind: "slots_founded" }, [26]],
  [{ kind: "move", isDone: true, state: "sealed", move: 1, attempt: 2 }, [27, true, 5, 1, 2]],
  [{ kind: "move", isDone: false, move: 0, attempt: 0 }, [27, false, null, 0, 0]],
];

function errorOf(wire: readonly unknown[]): unknown {
  try {
    outcomeFromWire(wire);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each(GOLDEN)("$0.kind", (outcome, wire) => {
  it("stays what it was on the wire, and is read back whole", () => {
    expect(decode(encodeFrame(1, outcomeToWire(outcome)).subarray(1))).toEqual(wire);
    expect(outcomeFromWire(wire)).toEqual(outcome);
  });

  it("is refused as newer with a field more than this code knows, and malformed with one of another type", () => {
    const longest = GOLDEN.find(([, other]) => other[0] === wire[0])?.[1].length ?? 0;
    const longer = [...wire, ...new Array(longest - wire.length).fill(null), "new"];
    expect(errorOf(longer)).toBeInstanceOf(UnknownCodecVersionError);
    for (const at of wire.keys()) {
      expect(errorOf(wire.map((field, index) => (index === at ? { not: "this" } : field)))).toBeInstanceOf(
        MalformedBytesError,
      );
    }
  });
});

describe("outcomes", () => {
  it("have their bytes written down here, all kinds of them", () => {
    expect(new Set(GOLDEN.map(([, wire]) => wire[0])).size).toBe(28);
    expect(errorOf([28])).toBeInstanceOf(UnknownCodecVersionError);
  });

  it("are refused however deep transactions stand in transactions", () => {
    let wire: readonly unknown[] = [13];
    for (let depth = 0; depth < 50_000; depth++) wire = depth % 2 === 0 ? [8, true, [wire]] : [22, 0, wire];
    expect(errorOf(wire)).toBeInstanceOf(MalformedBytesError);
  });
});
