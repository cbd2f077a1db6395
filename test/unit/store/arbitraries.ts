// Random logs for the store: few keys and small numbers, so that conditions match, entries expire and retries meet.

import fc from "fast-check";
import type { Batch, DeleteMutation, PutMutation } from "../../../durable/store/command.ts";
import { IDEMPOTENCY_RETENTION_MS } from "../../../durable/store/limits.ts";

export type PlainMutation = PutMutation | DeleteMutation;

export const KEYS = ["a", "b", "c", "user:{7}/session", "ключ"] as const;

/** Any function of the key will do. */
export function slotOfTestKey(key: string): number {
  return key.length;
}

const versions = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 3 });
const versionMatch = fc.option(fc.oneof(fc.constant("any" as const), versions), { nil: undefined, freq: 2 });

/** Longer than the store's smallest caches in these tests, or empty. */
const value = fc.uint8Array({ maxLength: 300 });

const idempotency = fc.option(
  fc.record({ id: fc.constantFrom("i", "j"), fingerprint: fc.constantFrom("x", "x", "x", "y") }),
  { nil: undefined },
);

function header<T extends string>(kind: T, keys: fc.Arbitrary<string>) {
  return { kind: fc.constant(kind), key: keys, ifMatch: versionMatch, ifNoneMatch: versionMatch, idempotency };
}

function mutationOf(keys: fc.Arbitrary<string>): fc.Arbitrary<PlainMutation> {
  const put = fc.record({
    ...header("put", keys),
    value,
    contentType: fc.constantFrom("", "text/plain", "application/json; charset=utf-8"),
    ttlMs: fc.option(fc.constantFrom(0, 1, 2, 5, 10, IDEMPOTENCY_RETENTION_MS), { nil: undefined }),
  });
  const remove = fc.record(header("delete", keys));
  return fc
    .oneof({ arbitrary: put, weight: 3 }, { arbitrary: remove, weight: 1 })
    .map((mutation) => ({ ...mutation, slot: slotOfTestKey(mutation.key) }));
}

export const mutations = mutationOf(fc.constantFrom(...KEYS));

/** Keys as strange as the limits allow, byte order marks and NULs in front included. */
export const strangeMutations = mutationOf(
  fc
    .tuple(fc.constantFrom("", "\u0000", "\ufeff", "\ufeff\ufeff"), fc.string({ unit: "binary", maxLength: 250 }))
    .map(([start, rest]) => start + rest),
);

/** Mostly small steps, some backwards, some past the retention of idempotency records. */
const stampSteps = fc.oneof(
  { arbitrary: fc.integer({ min: -3, max: 6 }), weight: 9 },
  { arbitrary: fc.constantFrom(IDEMPOTENCY_RETENTION_MS - 1, IDEMPOTENCY_RETENTION_MS), weight: 1 },
);

export function logOf(mutation: fc.Arbitrary<PlainMutation>): fc.Arbitrary<Batch[]> {
  const steps = fc.array(fc.tuple(stampSteps, fc.array(mutation, { maxLength: 6 })), { minLength: 1, maxLength: 25 });
  return steps.map((batches) => {
    let stampMs = 1_000;
    return batches.map(([stepMs, batch]) => {
      stampMs += stepMs;
      return { stampMs, mutations: batch };
    });
  });
}
