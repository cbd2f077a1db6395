import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  CODEC_VERSION,
  decodeBatch,
  decodeOutcome,
  encodeBatch,
  encodeOutcome,
  MalformedBytesError,
  UnknownCodecVersionError,
} from "../../../durable/store/codec.ts";
import type { Batch, Outcome } from "../../../durable/store/command.ts";
import { anyMutations, logOf, strangeMutations } from "./arbitraries.ts";

// Seconds of work, beside whatever else the machine does.
vi.setConfig({ testTimeout: 60_000 });

const batches = fc.oneof(logOf(anyMutations), logOf(strangeMutations)).map((log) => log[0] as Batch);

const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  fc.record({
    kind: fc.constant("stored" as const),
    version: fc.maxSafeNat(),
    created: fc.boolean(),
    expiresMs: fc.option(fc.maxSafeNat(), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant("deleted" as const), existed: fc.boolean() }),
  fc.record({
    kind: fc.constant("precondition_failed" as const),
    version: fc.option(fc.maxSafeNat(), { nil: undefined }),
  }),
  fc.constant({ kind: "idempotency_conflict" as const }),
);

function frameOf(version: number, wire: unknown): Uint8Array {
  return Uint8Array.from([version, ...encode(wire)]);
}

/** The error that reading `bytes` throws; undefined where they can be read. */
function errorOf(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): unknown {
  try {
    decode(bytes);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("round trips", () => {
  it("returns any batch unchanged, whatever characters its keys start with", () => {
    fc.assert(
      fc.property(batches, (batch) => {
        expect(decodeBatch(encodeBatch(batch))).toEqual(batch);
      }),
    );
  });

  it("keeps the byte order mark of a key that is long enough for a text decoder to drop it", () => {
    const key = `\ufeff${"k".repeat(300)}`;
    const [mutation] = decodeBatch(
      encodeBatch({ stampMs: 1, mutations: [{ kind: "delete", slot: 1, key }] }),
    ).mutations;
    expect(mutation).toMatchObject({ key });
  });

  it("returns a value of a mebibyte and forgets nothing of the batch after it", () => {
    const value = new Uint8Array(1024 * 1024).map((_, index) => index % 251);
    const batch: Batch = {
      stampMs: 1_800_000_000_000,
      mutations: [
        { kind: "put", slot: 1023, key: "big", value, contentType: "image/png" },
        { kind: "delete", slot: 1, key: "small", ifMatch: [1, 2 ** 40] },
      ],
    };
    expect(decodeBatch(encodeBatch(batch))).toEqual(batch);
    expect(decodeBatch(encodeBatch({ stampMs: 1, mutations: [] }))).toEqual({ stampMs: 1, mutations: [] });
  });

  it("returns any outcome unchanged", () => {
    fc.assert(
      fc.property(outcomes, (outcome) => {
        expect(decodeOutcome(encodeOutcome(outcome))).toEqual(outcome);
      }),
    );
  });

  it("copies values out of the batch's buffer, also when that is a Node Buffer", () => {
    const value = Uint8Array.of(1, 2, 3);
    const bytes = encodeBatch({ stampMs: 1, mutations: [{ kind: "put", slot: 1, key: "a", value, contentType: "" }] });
    for (const input of [bytes, Buffer.from(bytes)]) {
      const [mutation] = decodeBatch(input).mutations;
      input.fill(0);
      expect(mutation).toMatchObject({ value: Uint8Array.of(1, 2, 3) });
      expect(mutation?.kind === "put" && mutation.value.buffer.byteLength).toBe(3);
    }
  });

  it("hands out bytes that a later encoding does not overwrite", () => {
    const first = encodeBatch({ stampMs: 1, mutations: [{ kind: "delete", slot: 1, key: "a" }] });
    const copy = first.slice();
    encodeBatch({ stampMs: 2, mutations: [{ kind: "delete", slot: 2, key: "b" }] });
    expect(first).toEqual(copy);
  });
});

/** Fields of a whole row, by its kind number: put, delete, touch, increment, append, stage, begin_fill, limit, … */
const FIELDS_BY_KIND = [12, 5, 7, 11, 7, 7, 7, 8, 7, 5, 4, 2, 3, 5];

describe("bytes that cannot be read", () => {
  it("are refused when truncated anywhere or when something follows", () => {
    fc.assert(
      fc.property(batches, fc.nat(), fc.nat({ max: 255 }), (batch, cut, extra) => {
        const bytes = encodeBatch(batch);
        expect(errorOf(decodeBatch, bytes.subarray(0, cut % bytes.length))).toBeInstanceOf(MalformedBytesError);
        expect(errorOf(decodeBatch, Uint8Array.from([...bytes, extra]))).toBeInstanceOf(MalformedBytesError);
      }),
    );
  });

  it("throw one of the two errors and nothing else, whatever they are", () => {
    const garbage = fc.uint8Array({ maxLength: 64 }).map((bytes) => Uint8Array.from([CODEC_VERSION, ...bytes]));
    const damaged = fc.tuple(batches, fc.nat(), fc.nat({ max: 255 })).map(([batch, at, byte]) => {
      const bytes = encodeBatch(batch);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(garbage, damaged), fc.constantFrom(decodeBatch, decodeOutcome), (bytes, decoder) => {
        const error = errorOf(decoder as (bytes: Uint8Array) => unknown, bytes);
        const isExpected = error instanceof MalformedBytesError || error instanceof UnknownCodecVersionError;
        expect(error === undefined || isExpected).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("are refused by version, before anything else is looked at", () => {
    const bytes = encodeBatch({ stampMs: 1, mutations: [] });
    for (const version of [0, CODEC_VERSION + 1, 255]) {
      bytes[0] = version;
      expect(() => decodeBatch(bytes)).toThrow(UnknownCodecVersionError);
      expect(() => decodeBatch(bytes)).toThrow(`expected codec version ${CODEC_VERSION}, got ${version}`);
    }
  });

  it("are refused by version when newer code added a field at the end, of whatever batch", () => {
    // The decoder refuses this one name in a map by itself, as malformed.
    const newerField = fc.jsonValue().filter((field) => !JSON.stringify(field).includes("__proto__"));
    const full = batches.filter(({ mutations }) => mutations.length > 0);
    fc.assert(
      fc.property(full, fc.nat(), newerField, ({ stampMs, mutations }, pick, field) => {
        const [, rows] = decode(encodeBatch({ stampMs, mutations }).subarray(1)) as [number, unknown[][]];
        const row = rows[pick % rows.length] ?? [];
        // All optional fields of this version first: only then is there a place that it does not know.
        while (row.length < (FIELDS_BY_KIND[Number(row[0])] ?? 0)) row.push(null);
        row.push(field);
        expect(errorOf(decodeBatch, frameOf(CODEC_VERSION, [stampMs, rows]))).toBeInstanceOf(UnknownCodecVersionError);
      }),
    );
  });

  it("with one bit flipped are refused, or are another batch that can be written and read again", () => {
    fc.assert(
      fc.property(batches, fc.nat(), fc.nat({ max: 7 }), (batch, at, bit) => {
        const bytes = encodeBatch(batch);
        const flipped = at % bytes.length;
        bytes[flipped] = (bytes[flipped] ?? 0) ^ (1 << bit);
        const error = errorOf(decodeBatch, bytes);
        if (error === undefined) {
          const read = decodeBatch(bytes);
          expect(decodeBatch(encodeBatch(read))).toEqual(read);
        } else if (!(error instanceof MalformedBytesError)) expect(error).toBeInstanceOf(UnknownCodecVersionError);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<[string, unknown]>([
    ["a mutation kind", [1, [[99, 1, "a"]]]],
    ["a field of a put", [1, [[0, 1, "a", null, new Uint8Array(1), "", ...new Array(6).fill(null), "new"]]]],
    ["a field of a delete", [1, [[1, 1, "a", null, null, "intent"]]]],
    ["a field of the header", [1, [[1, 1, "a", [null, null, null, null, null, null, "intent"]]]]],
    ["a field of the batch", [1, [], "field"]],
  ])("are refused, not guessed at, when newer code added %s", (_what, wire) => {
    expect(errorOf(decodeBatch, frameOf(CODEC_VERSION, wire))).toBeInstanceOf(UnknownCodecVersionError);
  });

  it.each<[string, unknown]>([
    ["no array", 7],
    ["no stamp", [null, []]],
    ["a negative stamp", [-1, []]],
    ["a fractional slot", [1, [[1, 0.5, "a"]]]],
    ["a key that is bytes", [1, [[1, 1, new Uint8Array(1)]]]],
    ["a value that is text", [1, [[0, 1, "a", null, "text", ""]]]],
    ["a kind that is text", [1, [["put", 1, "a"]]]],
    ["a condition that is false", [1, [[1, 1, "a", [false]]]]],
    ["an idempotency key without a fingerprint", [1, [[1, 1, "a", [null, null, "id"]]]]],
    ["an array longer than any batch", [1, new Array(65_537).fill(0)]],
  ])("are refused as malformed when they hold %s", (_what, wire) => {
    expect(errorOf(decodeBatch, frameOf(CODEC_VERSION, wire))).toBeInstanceOf(MalformedBytesError);
  });

  it("are never written: a batch longer than a reader accepts is refused", () => {
    const mutation = { kind: "delete", slot: 1, key: "a" } as const;
    const batch = { stampMs: 1, mutations: new Array(65_537).fill(mutation) };
    expect(() => encodeBatch(batch)).toThrow(RangeError);
  });
});

describe("the bytes of version 1", () => {
  // Logs and tables in the field hold these bytes: a change here needs a new version and a reader for both.
  it("stay what they were", () => {
    const batch: Batch = {
      stampMs: 1000,
      mutations: [
        { kind: "put", slot: 5, key: "k", value: Uint8Array.of(9), contentType: "a/b", ttlMs: 60 },
        { kind: "delete", slot: 5, key: "k", ifMatch: "any", idempotency: { id: "i", fingerprint: "f" } },
      ],
    };
    const wire = [
      1000,
      [
        [0, 5, "k", null, Uint8Array.of(9), "a/b", [60]],
        [1, 5, "k", [true, null, "i", "f"]],
      ],
    ];
    expect(encodeBatch(batch)).toEqual(frameOf(1, wire));
    expect(encodeOutcome({ kind: "stored", version: 3, created: true })).toEqual(frameOf(1, [0, 3, true]));
  });
});
