// Rows as codecs must carry them: keys that a decoder may swallow a part of, numbers up to the largest, fields that are not there.

import fc from "fast-check";
import type { Entry, IdempotencyRecord } from "../../../durable/store/entry.ts";

export const keys = fc
  .tuple(fc.constantFrom("", "\u0000", "\ufeff"), fc.string({ unit: "binary" }))
  .map((parts) => parts.join(""));

export const entries: fc.Arbitrary<Entry> = fc.record({
  slot: fc.nat({ max: 1023 }),
  key: keys,
  version: fc.maxSafeNat(),
  value: fc.uint8Array(),
  contentType: fc.constantFrom("", "text/plain"),
  createdMs: fc.maxSafeNat(),
  modifiedMs: fc.maxSafeNat(),
  expiresMs: fc.option(fc.maxSafeNat(), { nil: undefined }),
  extras: fc.constantFrom(undefined, { staleMs: 5, tags: ["t"] }, { parts: { upload: "u", count: 1, bytes: 2 } }),
});

export const records: fc.Arbitrary<IdempotencyRecord> = fc.record({
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
