import { describe, expect, it } from "vitest";
import type { Conditions } from "../../../durable/store/command.ts";
import { conditionsHold } from "../../../durable/store/conditions.ts";
import type { Entry } from "../../../durable/store/entry.ts";

const BYTES = Uint8Array.of(1, 2, 3);
const PLAIN: Entry = { slot: 1, key: "k", version: 7, value: BYTES, contentType: "", createdMs: 1, modifiedMs: 1 };
const SOURCED: Entry = { ...PLAIN, extras: { sourceVersion: 5 } };
const LARGE: Entry = { ...PLAIN, value: new Uint8Array(0), extras: { parts: { upload: "u", count: 1, bytes: 3 } } };

describe("conditionsHold", () => {
  it.each<[string, Conditions, Entry | undefined, boolean]>([
    ["no condition", {}, undefined, true],
    ["If-Match * without an entry", { ifMatch: "any" }, undefined, false],
    ["If-Match of its version", { ifMatch: [6, 7] }, PLAIN, true],
    ["If-Match of another version", { ifMatch: [6] }, PLAIN, false],
    ["If-Match of none", { ifMatch: [] }, PLAIN, false],
    ["If-None-Match * without an entry", { ifNoneMatch: "any" }, undefined, true],
    ["If-None-Match * with one", { ifNoneMatch: "any" }, PLAIN, false],
    ["If-None-Match of its version", { ifNoneMatch: [7] }, PLAIN, false],
    ["If-None-Match of none", { ifNoneMatch: [] }, PLAIN, true],
    ["the value", { ifValue: Uint8Array.of(1, 2, 3) }, PLAIN, true],
    ["the value as a view into more", { ifValue: Uint8Array.of(0, 1, 2, 3, 4).subarray(1, 4) }, PLAIN, true],
    ["a shorter value", { ifValue: Uint8Array.of(1, 2) }, PLAIN, false],
    ["a value that differs at the end", { ifValue: Uint8Array.of(1, 2, 4) }, PLAIN, false],
    ["an empty value without an entry", { ifValue: new Uint8Array(0) }, undefined, false],
    ["an empty value with one in parts", { ifValue: new Uint8Array(0) }, LARGE, false],
    ["a higher version of the source", { sourceVersion: 6 }, SOURCED, true],
    ["the same version of the source", { sourceVersion: 5 }, SOURCED, false],
    ["a version of the source where there is none", { sourceVersion: 0 }, PLAIN, true],
    ["a version of the source without an entry", { sourceVersion: 0 }, undefined, true],
    ["two that hold", { ifMatch: [7], sourceVersion: 6 }, SOURCED, true],
    ["two of which one does not hold", { ifMatch: [7], sourceVersion: 4 }, SOURCED, false],
  ])("with %s", (_what, conditions, current, expected) => {
    expect(conditionsHold(conditions, current)).toBe(expected);
  });
});
