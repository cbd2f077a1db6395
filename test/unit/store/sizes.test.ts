import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { encodeBatch } from "../../../durable/store/codec.ts";
import type { Mutation, PutMutation } from "../../../durable/store/command.ts";
import { partKey } from "../../../durable/store/keyspace.ts";
import {
  CONDITION_VERSIONS_MAX,
  CONTENT_TYPE_BYTES_MAX,
  EXPECTED_VALUE_BYTES_MAX,
  FINGERPRINT_BYTES_MAX,
  IDEMPOTENCY_KEY_BYTES_MAX,
  KEY_BYTES_MAX,
  METADATA_BYTES_MAX,
  RECLAIM_ROWS_MAX,
  STORED_KEY_BYTES_MAX,
  TAG_CHARS_MAX,
  TAGS_MAX,
  TRANSACTION_BYTES_MAX,
  UPLOAD_CHARS_MAX,
  VALUE_BYTES_MAX,
} from "../../../durable/store/limits.ts";
import { accountedBytes, bytesReturned, mutationBytes } from "../../../durable/store/sizes.ts";
import { validateMutation } from "../../../durable/store/validate.ts";
import { BATCH_BYTES_MAX, BATCH_MUTATIONS_MAX } from "../../../durable/write-queue.ts";
import { anyMutations, strangeMutations } from "./arbitraries.ts";
import { put, transaction } from "./one-shard.ts";

// Seconds of work, beside whatever else the machine does.
vi.setConfig({ testTimeout: 60_000 });

/** What the platform takes in one row. */
const ROW_BYTES_MAX = 2_000_000;

function wireBytes(...mutations: Mutation[]): number {
  return encodeBatch({ stampMs: 2 ** 42, mutations }).byteLength;
}

const WIDEST_PUT: PutMutation = {
  kind: "put",
  slot: 1023,
  key: "€".repeat(Math.floor(KEY_BYTES_MAX / 3)),
  value: new Uint8Array(VALUE_BYTES_MAX),
  contentType: "ÿ".repeat(CONTENT_TYPE_BYTES_MAX),
  ttlMs: 2 ** 38,
  expiresAtMs: 2 ** 42,
  staleWhileRevalidateMs: 2 ** 38,
  staleIfErrorMs: 2 ** 38,
  metadata: "ÿ".repeat(METADATA_BYTES_MAX),
  tags: new Array(TAGS_MAX).fill("t".repeat(TAG_CHARS_MAX)),
  fillToken: 2 ** 50,
  returnPrevious: true,
  ifMatch: new Array(CONDITION_VERSIONS_MAX).fill(2 ** 50),
  ifNoneMatch: new Array(CONDITION_VERSIONS_MAX).fill(2 ** 50),
  ifValue: new Uint8Array(EXPECTED_VALUE_BYTES_MAX),
  sourceVersion: 2 ** 50,
  idempotency: { id: "ÿ".repeat(IDEMPOTENCY_KEY_BYTES_MAX), fingerprint: "f".repeat(FINGERPRINT_BYTES_MAX) },
};

describe("mutationBytes", () => {
  it("is never less than what the mutation takes in a log entry", () => {
    fc.assert(
      fc.property(fc.oneof(anyMutations, strangeMutations), (mutation) => {
        expect(mutationBytes(mutation)).toBeGreaterThanOrEqual(wireBytes(mutation) - wireBytes());
      }),
      { numRuns: 1_000 },
    );
  });

  it("holds with every field as large and as wide as the limits allow", () => {
    const parts = { upload: "u".repeat(UPLOAD_CHARS_MAX), count: 16, bytes: 2 ** 24 };
    // Every field there and nothing in it: only the fixed cost covers it.
    const narrow: PutMutation = {
      ...WIDEST_PUT,
      key: "k",
      value: new Uint8Array(0),
      contentType: "",
      metadata: "",
      tags: [],
      ifMatch: [],
      ifNoneMatch: [],
      ifValue: new Uint8Array(0),
      slidingMs: 2 ** 38,
      idempotency: { id: "i", fingerprint: "f" },
    };
    for (const mutation of [WIDEST_PUT, narrow, { ...narrow, parts }]) {
      expect(mutationBytes(mutation)).toBeGreaterThanOrEqual(wireBytes(mutation) - wireBytes());
    }
    expect(validateMutation(WIDEST_PUT)).toBeUndefined();
  });

  it("keeps any batch that is closed at its limits below one row: the widest put, transaction, reclaim", () => {
    const key = "k".repeat(STORED_KEY_BYTES_MAX);
    const row = { slot: 1023, key: partKey(key, "u".repeat(UPLOAD_CHARS_MAX), 15), version: 2 ** 50 };
    const reclaim: Mutation = { kind: "reclaim", rows: new Array(RECLAIM_ROWS_MAX).fill(row), evicts: true };
    const small = put("k", "");
    const fits = Math.floor(TRANSACTION_BYTES_MAX / 2 / mutationBytes({ ...WIDEST_PUT, value: new Uint8Array(0) }));
    const operation: PutMutation = {
      ...WIDEST_PUT,
      value: new Uint8Array(0),
      fillToken: undefined,
      idempotency: undefined,
    };
    const widest = { ...transaction({ onSuccess: new Array(fits).fill(operation) }), slot: 1023, key: operation.key };
    expect(validateMutation(widest)).toBeUndefined();
    for (const mutation of [WIDEST_PUT, widest, reclaim]) {
      // As the write queue fills a batch.
      const room = Math.max(0, BATCH_BYTES_MAX - mutationBytes(mutation));
      const beside = Math.min(BATCH_MUTATIONS_MAX - 1, Math.floor(room / mutationBytes(small)));
      expect(wireBytes(...new Array<Mutation>(beside).fill(small), mutation)).toBeLessThan(ROW_BYTES_MAX);
    }
  });
});

describe("accountedBytes", () => {
  // Part of the state machine: replicas that counted otherwise would disagree.
  it("stays what it was", () => {
    const entry = {
      slot: 1,
      key: "ключ",
      version: 1,
      value: new Uint8Array(10),
      contentType: "a/b",
      createdMs: 1,
      modifiedMs: 1,
    };
    expect(accountedBytes(entry)).toBe(64 + 4 + 10 + 3);
    expect(accountedBytes({ ...entry, extras: { metadata: "meta", tags: ["a", "bc"] } })).toBe(64 + 4 + 10 + 3 + 4 + 3);
    expect(accountedBytes({ ...entry, expiresMs: 5, extras: { staleMs: 1, sourceVersion: 9 } })).toBe(64 + 4 + 10 + 3);
  });
});

describe("bytesReturned", () => {
  it("counts the values in an outcome, those of a transaction together", () => {
    const value = { version: 1, value: new Uint8Array(5), contentType: "" };
    const stored = { kind: "stored", version: 1, created: true, previous: value } as const;
    const found = { kind: "value", found: value } as const;
    expect(bytesReturned(stored)).toBe(5);
    expect(bytesReturned({ kind: "deleted", existed: true, previous: value })).toBe(5);
    expect(bytesReturned({ kind: "transaction", succeeded: true, results: [stored, found, { kind: "value" }] })).toBe(
      10,
    );
    expect(bytesReturned({ kind: "not_found" })).toBe(0);
  });
});
