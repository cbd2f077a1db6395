import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytesError, UnknownCodecVersionError } from "../../../durable/store/codec.ts";
import type { Outcome } from "../../../durable/store/command.ts";
import type { Entry, IdempotencyRecord, Mark, StoreState } from "../../../durable/store/entry.ts";
import { NAMESPACE_CHARS_MAX } from "../../../durable/store/keyspace.ts";
import {
  CONTENT_TYPE_BYTES_MAX,
  FINGERPRINT_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  KEY_BYTES_MAX,
  METADATA_BYTES_MAX,
  NAMESPACES_MAX,
  TAG_CHARS_MAX,
  TAGS_MAX,
  TRANSACTION_OPERATIONS_MAX,
  VALUE_BYTES_MAX,
} from "../../../durable/store/limits.ts";
import { bytesReturned, entryBytes, idempotencyRecordBytes, markBytes } from "../../../durable/store/sizes.ts";
import {
  decodeSnapshotChunk,
  encodeSnapshotChunk,
  SNAPSHOT_CHUNK_BYTES_MAX,
  SNAPSHOT_CHUNK_BYTES_TARGET,
  SNAPSHOT_CODEC_VERSION,
  type SnapshotChunk,
} from "../../../durable/store/snapshot-codec.ts";
import { entries, records } from "./row-arbitraries.ts";

const STATE: StoreState = {
  revision: 9,
  clockMs: 1_800_000_000_000,
  keys: 3,
  bytes: 300,
  expiring: 1,
  idempotencySequence: 4,
  usage: [{ namespace: "", keys: 3, bytes: 300 }],
};

const MARKS: readonly Mark[] = [
  { kind: "tag", name: "t", hardRevision: 1, softRevision: 2, softMs: 3 },
  { kind: "fill", name: "\ufeffk", slot: 7, token: 8, untilMs: 9 },
];

function entryOf(key: string, valueBytes: number): Entry {
  const value = new Uint8Array(valueBytes);
  return { slot: 1, key, version: 1, value, contentType: "", createdMs: 1, modifiedMs: 1 };
}

// Three bytes a character is the worst that UTF-8 does to an estimate of two.
const WIDE_KEY = "€".repeat(Math.floor(KEY_BYTES_MAX / 3));

const WIDE_EXTRAS = {
  metadata: "ÿ".repeat(METADATA_BYTES_MAX),
  tags: new Array(TAGS_MAX).fill("t".repeat(TAG_CHARS_MAX)),
};

const WIDE_ENTRY: Entry = {
  ...entryOf(WIDE_KEY, 0),
  contentType: "ÿ".repeat(CONTENT_TYPE_BYTES_MAX),
  extras: WIDE_EXTRAS,
};

/** Part of every chunk. */
const WIDE_STATE: StoreState = {
  ...STATE,
  usage: Array.from({ length: NAMESPACES_MAX }, (_, index) => ({
    namespace: String(index).padStart(NAMESPACE_CHARS_MAX, "n"),
    keys: 2 ** 50,
    bytes: 2 ** 50,
  })),
};

/** What a transaction of the most operations returns at most. */
const WIDE_OUTCOME: Outcome = {
  kind: "transaction",
  succeeded: true,
  results: new Array(TRANSACTION_OPERATIONS_MAX).fill({
    kind: "value",
    found: {
      version: 2 ** 50,
      value: new Uint8Array(VALUE_BYTES_MAX / TRANSACTION_OPERATIONS_MAX),
      contentType: "ÿ".repeat(CONTENT_TYPE_BYTES_MAX),
    },
  }),
};

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
        const chunk = { state: STATE, entries: some, idempotency: remembered, marks: MARKS };
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
    const bytes = encodeSnapshotChunk({ state: WIDE_STATE, entries: [...entries, largest], idempotency, marks: [] });
    expect(bytes.byteLength).toBeGreaterThan(VALUE_BYTES_MAX + SNAPSHOT_CHUNK_BYTES_TARGET / 2);
    expect(bytes.byteLength).toBeLessThanOrEqual(SNAPSHOT_CHUNK_BYTES_MAX);
  });

  it("stay under the largest size with the largest outcome last, or full of marks with the widest names", () => {
    const idempotency = [...almostFull(WIDE_RECORD, idempotencyRecordBytes), { ...WIDE_RECORD, outcome: WIDE_OUTCOME }];
    expect(bytesReturned(WIDE_OUTCOME)).toBe(VALUE_BYTES_MAX);
    const records = encodeSnapshotChunk({ state: WIDE_STATE, entries: [], idempotency, marks: [] });
    expect(records.byteLength).toBeGreaterThan(VALUE_BYTES_MAX + SNAPSHOT_CHUNK_BYTES_TARGET / 2);
    const mark: Mark = { kind: "fill", name: WIDE_KEY, slot: 1023, token: 2 ** 50, untilMs: 2 ** 50 };
    const marks = encodeSnapshotChunk({
      state: WIDE_STATE,
      entries: [],
      idempotency: [],
      marks: almostFull(mark, markBytes),
    });
    for (const { byteLength } of [records, marks]) expect(byteLength).toBeLessThanOrEqual(SNAPSHOT_CHUNK_BYTES_MAX);
  });

  it("stay what they were", () => {
    const entry = { ...entryOf("\ufeffk", 1), expiresMs: 5, extras: { staleMs: 4 } };
    const record: IdempotencyRecord = {
      ...WIDE_RECORD,
      slot: 1,
      key: "k",
      id: "i",
      fingerprint: "f",
      expiresMs: 2,
      sequence: 3,
    };
    const chunk = {
      state: STATE,
      entries: [entry, entryOf("k", 0)],
      idempotency: [{ ...record, outcome: { kind: "not_found" } as const }],
      marks: MARKS,
    };
    const wire = [
      [9, 1_800_000_000_000, 3, 300, 1, 4, [["", 3, 300]]],
      [
        [1, "\u0000\ufeffk", 1, new Uint8Array(1), "", 1, 1, 5, [4]],
        [1, "k", 1, new Uint8Array(0), "", 1, 1],
      ],
      [[1, "k", "i", "f", [13], 2, 3]],
      [
        [0, "t", 1, 2, 3],
        [3, "\u0000\ufeffk", 7, 8, 9],
      ],
    ];
    expect(encodeSnapshotChunk(chunk)).toEqual(Uint8Array.from([1, ...encode(wire)]));
  });

  it.each<[string, unknown]>([
    ["the chunk", [[9, 1, 3, 300, 1, 4, []], [], [], [], "new"]],
    ["the state", [[9, 1, 3, 300, 1, 4, [], "new"], [], [], []]],
    ["a namespace's usage", [[9, 1, 3, 300, 1, 4, [["", 3, 300, "new"]]], [], [], []]],
    ["an entry", [[9, 1, 3, 300, 1, 4, []], [[1, "k", 1, new Uint8Array(0), "", 1, 1, 5, [4], "new"]], [], []]],
    ["a record", [[9, 1, 3, 300, 1, 4, []], [], [[1, "k", "i", "f", [13], 2, 3, "new"]], []]],
  ])("are refused, not guessed at, when newer code added a field of %s", (_what, wire) => {
    expect(() => decodeSnapshotChunk(Uint8Array.from([1, ...encode(wire)]))).toThrow(UnknownCodecVersionError);
  });

  it("are refused when larger than the largest size, by the sender and by the receiver", () => {
    const chunk = { state: STATE, entries: [entryOf("a", SNAPSHOT_CHUNK_BYTES_MAX)], idempotency: [], marks: [] };
    expect(() => encodeSnapshotChunk(chunk)).toThrow(RangeError);
    expect(() => decodeSnapshotChunk(new Uint8Array(SNAPSHOT_CHUNK_BYTES_MAX + 1))).toThrow(MalformedBytesError);
  });

  it("are refused when truncated anywhere", () => {
    const bytes = encodeSnapshotChunk({ state: STATE, entries: [entryOf("a", 10)], idempotency: [], marks: [] });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeSnapshotChunk(bytes.subarray(0, length))).toThrow(MalformedBytesError);
    }
  });

  it("throw one of the two errors and nothing else, whatever they are: garbage, cut short, or a byte or a bit changed", () => {
    const chunks = fc
      .tuple(fc.array(entries, { maxLength: 3 }), fc.array(records, { maxLength: 3 }))
      .map(([some, idempotency]) => encodeSnapshotChunk({ state: STATE, entries: some, idempotency, marks: [] }));
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
    const bytes = encodeSnapshotChunk({ state: STATE, entries: [], idempotency: [], marks: [] });
    bytes[0] = SNAPSHOT_CODEC_VERSION + 1;
    expect(() => decodeSnapshotChunk(bytes)).toThrow(UnknownCodecVersionError);
  });
});
