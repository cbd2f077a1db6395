import { encode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import {
  asBytesCopy,
  asKey,
  asOptionalCount,
  asOptionalString,
  decodeFrame,
  encodeFrame,
  isCount,
  keyToWire,
  MalformedBytesError,
  refuseNewerFields,
  trimmed,
  UnknownCodecVersionError,
  WIRE_ARRAY_LENGTH_MAX,
} from "../../../durable/store/framing.ts";

describe("a frame", () => {
  it("is a version byte and one MessagePack array", () => {
    expect(encodeFrame(7, [1, "a"])).toEqual(Uint8Array.from([7, ...encode([1, "a"])]));
    expect(decodeFrame("thing", 7, encodeFrame(7, [1, "a"]))).toEqual([1, "a"]);
  });

  it.each<[string, Uint8Array]>([
    ["no bytes", new Uint8Array(0)],
    ["a version alone", Uint8Array.of(7)],
    ["no array", Uint8Array.from([7, ...encode({ a: 1 })])],
    ["two values", Uint8Array.from([7, ...encode([]), ...encode([])])],
    [
      "an array longer than any on the wire",
      Uint8Array.from([7, ...encode(new Array(WIRE_ARRAY_LENGTH_MAX + 1).fill(0))]),
    ],
    ["an array that says it is longer than the bytes", Uint8Array.of(7, 0xdd, 0, 0, 0xff, 0xff)],
    ["a byte that MessagePack never uses", Uint8Array.of(7, 0xc1)],
  ])("that holds %s is malformed", (_what, bytes) => {
    expect(() => decodeFrame("thing", 7, bytes)).toThrow(MalformedBytesError);
  });

  it("of another version is refused by name", () => {
    expect(() => decodeFrame("thing", 7, encodeFrame(8, []))).toThrow(UnknownCodecVersionError);
    expect(() => decodeFrame("thing", 7, encodeFrame(8, []))).toThrow("thing: expected codec version 7, got 8");
  });

  it("that is broken off leaves the next one readable", () => {
    const large = encodeFrame(7, [new Uint8Array(300_000)]);
    expect(() => decodeFrame("thing", 7, large.subarray(0, 200_000))).toThrow(MalformedBytesError);
    expect(decodeFrame("thing", 7, large)).toEqual([new Uint8Array(300_000)]);
  });
});

describe("fields", () => {
  it("beyond those that are known were written by newer code", () => {
    expect(() => refuseNewerFields("thing", [1, 2], 2)).not.toThrow();
    expect(() => refuseNewerFields("thing", [1, 2, 3], 2)).toThrow(UnknownCodecVersionError);
  });

  it("that are absent at the end are left out", () => {
    expect(trimmed([1, undefined, 2, undefined, undefined])).toEqual([1, undefined, 2]);
    expect(trimmed([undefined])).toEqual([]);
  });

  it("that are absent are undefined, and anything else is checked", () => {
    expect([asOptionalCount("n", null), asOptionalCount("n", undefined), asOptionalCount("n", 3)]).toEqual([
      undefined,
      undefined,
      3,
    ]);
    expect([asOptionalString("s", null), asOptionalString("s", "")]).toEqual([undefined, ""]);
    for (const wrong of [-1, 0.5, "1", Number.NaN, 2 ** 53, -0]) {
      expect(() => asOptionalCount("n", wrong)).toThrow(MalformedBytesError);
    }
    expect(() => asOptionalString("s", 1)).toThrow(MalformedBytesError);
  });

  it("that are bytes are copied", () => {
    const bytes = Uint8Array.of(1, 2);
    const copy = asBytesCopy("b", bytes.subarray(1));
    bytes.fill(0);
    expect([copy, copy.buffer.byteLength]).toEqual([Uint8Array.of(2), 1]);
    expect(() => asBytesCopy("b", "text")).toThrow(MalformedBytesError);
  });
});

describe("isCount", () => {
  it.each<[unknown, boolean]>([
    [0, true],
    [Number.MAX_SAFE_INTEGER, true],
    [-0, false],
    [-1, false],
    [2 ** 53, false],
    [0.5, false],
    [Number.NaN, false],
    ["1", false],
    [1n, false],
  ])("of %s is %s", (value, expected) => {
    expect(isCount(value)).toBe(expected);
  });
});

describe("keys on the wire", () => {
  it.each(["", "a", "\u0000", "\u0000\u0000a", "\ufeff", "\ufeff\ufeff", "\u0001ns\u0001\ufeff"])(
    "come back as %j",
    (key) => {
      expect(asKey("key", keyToWire(key))).toBe(key);
    },
  );
});
