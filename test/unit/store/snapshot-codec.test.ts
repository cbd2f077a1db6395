import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytesError, UnknownCodecVersionError } from "../../../durable/store/codec.ts";
import type { Entry, IdempotencyRecord, StoreState } from "../../../durable/store/entry.ts";
import {
  CONTENT_TYPE_BYTES_MAX,
  FINGERPRINT_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  KEY_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../../../durable/store/limits.ts";
import { entryBytes, idempotencyRecordBytes } from "../../../durable/store/sizes.ts";
import {
  decodeSnapshotChunk,
  encodeSnapshotChunk,
  SNAPSHOT_CHUNK_BYTES_MAX,
  SNAPSHOT_CHUNK_BYTES_TARGET,
  SNAPSHOT_CODEC_VERSION,
  type SnapshotChunk,
} from "../../../durable/store/snapshot-codec.ts";

const STATE: StoreState = { revision: 9, clockMs: 1_800_000_000_000, keys: 3, idempotencySequence: 4 };

const keys = fc
  .tuple(fc.constantFrom("", "\u0000", "\ufeff"), fc.string({ unit: "binary" }))
  .map((parts) => parts.join(""));

const entries: fc.Arbitrary<Entry> = fc.record({
  slot: fc.nat({ max: 1023 }),
  key: keys,
  version: fc.maxSafeNat(),
  value: fc.uint8Array(),
  contentType: fc.constantFrom("", "text/plain"),
  createdMs: fc.maxSafeNat(),
  modifiedMs: fc.maxSafeNat(),
  expiresMs: fc.option(fc.maxSafeNat(), { nil: undefined }),
});

const records: fc.Arbitrary<IdempotencyRecord> = fc.record({
  slot: fc.nat({ max: 1023 }),
  key: keys,
  id: fc.string({ minLength: 1 }),
  fingerprint: fc.string({ minLength: 1 }),
  outcome: fc.constantFrom(
    { kind: "stored", version: 3, created: false, expiresMs: 70 },
    { kind: "deleted", existed: true },
    { kind: "precondition_failed", version: undefined },
  ),
  expiresMs: fc.maxSafeNat(),
  sequence: fc.maxSafeNat(),
});

function entryOf(key: string, valueBytes: number): Entry {
  const value = new Uint8Array(valueBytes);
  return { slot: 1, key, version: 1, value, contentType: "", createdMs: 1, modifiedMs: 1 };
}

// Three bytes a character is the worst that UTF-8 does to an estimate of two.
const WIDE_KEY = "€".repeat(Math.floor(KEY_BYTES_MAX / 3));

const WIDE_ENTRY: Entry = { ...entryOf(WIDE_KEY, 0), contentType: "ÿ".repeat(CONTENT_TYPE_BYTES_MAX) };

const WIDE_RECORD: IdempotencyRecord = {
  slot: 1023,
  key: WIDE_KEY,
  id: "ÿ".repeat(IDEMPOTENCY_KEY_BYTES_MAX),
  fingerprint: "f".repeat(FINGERPRINT_BYTES_MAX),
  outcome: { kind: "stored", version: 2 ** 50, created: true, expiresMs: 2 ** 50 },
  expiresMs: 2 ** 50,
  sequence: 2 ** 50,
};

/** As many of the same as fit before a sender closes the chunk. */
function almostFull<T>(item: T, bytesOf: (item: T) => number): T[] {
  return new Array<T>(Math.floor(SNAPSHOT_CHUNK_BYTES_TARGET / bytesOf(item))).fill(item);
}

describe("snapshot chunks", () => {
  it("return any state, entries and records unchanged", () => {
    fc.assert(
      fc.property(fc.array(entries, { maxLength: 5 }), fc.array(records, { maxLength: 5 }), (some, remembered) => {
        const chunk = { state: STATE, entries: some, idempotency: remembered };
        expect(decodeSnapshotChunk(encodeSnapshotChunk(chunk))).toEqual(chunk);
      }),
    );
  });

  it.each<[string, Pick<SnapshotChunk, "entries" | "idempotency">]>([
    [
      "entries with the widest keys, the largest one last",
      { entries: almostFull(WIDE_ENTRY, entryBytes), idempotency: [] },
    ],
    ["records with the widest texts", { entries: [], idempotency: almostFull(WIDE_RECORD, idempotencyRecordBytes) }],
  ])("stay under the largest size when closed at the target: %s", (_what, { entries, idempotency }) => {
    const largest = { ...WIDE_ENTRY, value: new Uint8Array(VALUE_BYTES_MAX) };
    const bytes = encodeSnapshotChunk({ state: STATE, entries: [...entries, largest], idempotency });
    expect(bytes.byteLength).toBeGreaterThan(VALUE_BYTES_MAX + SNAPSHOT_CHUNK_BYTES_TARGET / 2);
    expect(bytes.byteLength).toBeLessThanOrEqual(SNAPSHOT_CHUNK_BYTES_MAX);
  });

  it("are refused when larger than the largest size, by the sender and by the receiver", () => {
    const chunk = { state: STATE, entries: [entryOf("a", SNAPSHOT_CHUNK_BYTES_MAX)], idempotency: [] };
    expect(() => encodeSnapshotChunk(chunk)).toThrow(RangeError);
    expect(() => decodeSnapshotChunk(new Uint8Array(SNAPSHOT_CHUNK_BYTES_MAX + 1))).toThrow(MalformedBytesError);
  });

  it("are refused when truncated anywhere", () => {
    const bytes = encodeSnapshotChunk({ state: STATE, entries: [entryOf("a", 10)], idempotency: [] });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeSnapshotChunk(bytes.subarray(0, length))).toThrow(MalformedBytesError);
    }
  });

  it("throw one of the two errors and nothing else, whatever they are: garbage, cut short, or a byte or a bit changed", () => {
    const chunks = fc
      .tuple(fc.array(entries, { maxLength: 3 }), fc.array(records, { maxLength: 3 }))
      .map(([some, idempotency]) => encodeSnapshotChunk({ state: STATE, entries: some, idempotency }));
    const garbage = fc
      .uint8Array({ maxLength: 64 })
      .map((bytes) => Uint8Array.from([SNAPSHOT_CODEC_VERSION, ...bytes]));
    const cut = fc.tuple(chunks, fc.nat()).map(([bytes, at]) => bytes.subarray(0, at % bytes.length));
    const changed = fc.tuple(chunks, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([bytes, at, mask]) => {
      bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ mask;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(garbage, cut, changed), (bytes) => {
        try {
          const chunk = decodeSnapshotChunk(bytes);
          expect(decodeSnapshotChunk(encodeSnapshotChunk(chunk))).toEqual(chunk);
        } catch (error) {
          if (!(error instanceof MalformedBytesError)) expect(error).toBeInstanceOf(UnknownCodecVersionError);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("are refused when their version is unknown", () => {
    const bytes = encodeSnapshotChunk({ state: STATE, entries: [], idempotency: [] });
    bytes[0] = SNAPSHOT_CODEC_VERSION + 1;
    expect(() => decodeSnapshotChunk(bytes)).toThrow(UnknownCodecVersionError);
  });
});
