import { beforeEach, describe, expect, it } from "vitest";
import type { IncrementMutation } from "../../../../durable/store/command.ts";
import { isNumberText, NUMBER_CHARS_MAX } from "../../../../durable/store/commands/numbers.ts";
import { increment, OneShard, prefix, purge, put, START_MS } from "../one-shard.ts";

const INT64_MIN = "-9223372036854775808";
const INT64_MAX = "9223372036854775807";

let shard: OneShard;

beforeEach(() => {
  shard = new OneShard();
});

type Bounds = Pick<IncrementMutation, "min" | "max" | "clamps" | "isFloat">;

describe("increment", () => {
  it("starts from 0, or from `initial`, with the lifetime of the mutation", () => {
    expect(shard.do(increment("a", "5"))).toEqual({ kind: "number", value: "5", version: 1, created: true });
    const outcome = shard.do(increment("b", "-1", { initial: "10", ttlMs: 50 }));
    expect(outcome).toEqual({ kind: "number", value: "9", version: 2, created: true, expiresMs: START_MS + 50 });
    expect(shard.read("a")).toMatchObject({ contentType: "text/plain", value: Uint8Array.of(0x35) });
  });

  it("keeps the lifetime and everything else of an entry that is there", () => {
    shard.do(put("a", "41", { ttlMs: 50, metadata: "m", contentType: "x/y" }));
    expect(shard.do(increment("a", "1", { ttlMs: 500, initial: "7" }))).toEqual({
      kind: "number",
      value: "42",
      version: 2,
      created: false,
      expiresMs: START_MS + 50,
    });
    expect(shard.read("a")).toMatchObject({ contentType: "x/y", extras: { metadata: "m" } });
  });

  it("begins anew where the number has expired or was purged", () => {
    shard.do(put("a", "41", { ttlMs: 5 }));
    expect(shard.apply(START_MS + 5, increment("a", "1"))).toMatchObject([{ value: "1", created: true }]);
    shard.do(purge(prefix("a")));
    expect(shard.do(increment("a", "1"))).toMatchObject({ value: "1", created: true });
  });

  it.each<[string, string, Bounds, string | undefined]>([
    ["9007199254740993", "1", {}, "9007199254740994"],
    [INT64_MAX, "1", {}, undefined],
    [INT64_MAX, "1", { clamps: true }, INT64_MAX],
    [INT64_MIN, "-1", {}, undefined],
    [INT64_MIN, INT64_MIN, { clamps: true }, INT64_MIN],
    [INT64_MIN, INT64_MAX, {}, "-1"],
    ["-0", "0", {}, "0"],
    ["5", "3", { max: "8" }, "8"],
    ["5", "4", { max: "8" }, undefined],
    ["5", "4", { max: "8", clamps: true }, "8"],
    ["5", "-6", { min: "0" }, undefined],
    ["5", "-6", { min: "0", clamps: true }, "0"],
    // Already outside: it may not stay there.
    ["100", "-1", { max: "8" }, undefined],
    ["100", "-1", { max: "8", clamps: true }, "8"],
    ["0.1", "0.2", { isFloat: true }, "0.30000000000000004"],
    ["10", "-0.5", { isFloat: true }, "9.5"],
    ["1e21", "0", { isFloat: true }, "1e+21"],
    ["1e+21", "1e+21", { isFloat: true }, "2e+21"],
    ["5e-324", "0", { isFloat: true }, "5e-324"],
    ["-0", "-0", { isFloat: true }, "0"],
    ["1.7e308", "1.7e308", { isFloat: true }, undefined],
    ["1.7e308", "1.7e308", { isFloat: true, clamps: true }, String(Number.MAX_VALUE)],
    ["-1.7e308", "-1.7e308", { isFloat: true, clamps: true }, String(-Number.MAX_VALUE)],
    ["1.5", "1", { isFloat: true, max: "2" }, undefined],
    ["1.5", "1", { isFloat: true, max: "2.25", clamps: true }, "2.25"],
  ])("of %s by %s with %j makes %s", (before, by, bounds, after) => {
    shard.do(put("a", before));
    const expected = after === undefined ? { kind: "out_of_range", value: before } : { kind: "number", value: after };
    expect(shard.do(increment("a", by, bounds))).toMatchObject(expected);
    expect(shard.text("a")).toBe(after ?? before);
    expect(isNumberText(after ?? before, bounds.isFloat === true)).toBe(true);
  });

  it.each(["", " 1", "1 ", "+1", "01", "1.5", "1e3", "0x10", "one", "--1", "-", "9223372036854775808", "é", "\u0661"])(
    "refuses an entry whose value is %j, which is no integer",
    (text) => {
      shard.do(put("a", "", { value: new TextEncoder().encode(text) }));
      expect(shard.do(increment("a", "1"))).toEqual({ kind: "not_a_number", version: 1 });
      expect(shard.store.revision).toBe(1);
    },
  );

  it.each(["", "NaN", "Infinity", "-Infinity", "1e999", ".5", "5.", "01.5", "1e", "1_000"])(
    "refuses an entry whose value is %j, which is no finite number",
    (text) => {
      shard.do(put("a", text));
      expect(shard.do(increment("a", "1", { isFloat: true }))).toEqual({ kind: "not_a_number", version: 1 });
    },
  );

  it("heeds conditions and stays stale where it was purged softly", () => {
    shard.do(put("a", "1"));
    expect(shard.do(increment("a", "1", { ifMatch: [9] }))).toEqual({ kind: "precondition_failed", version: 1 });
    shard.do(purge(prefix("a"), true));
    shard.apply(START_MS + 9, increment("a", "1"));
    expect(shard.read("a")?.extras?.staleMs).toBe(START_MS);
  });
});

describe("isNumberText", () => {
  it("takes no text longer than NUMBER_CHARS_MAX, whatever it says", () => {
    expect(isNumberText(`0.${"1".repeat(NUMBER_CHARS_MAX - 2)}`, true)).toBe(true);
    expect(isNumberText(`0.${"1".repeat(NUMBER_CHARS_MAX - 1)}`, true)).toBe(false);
  });
});
