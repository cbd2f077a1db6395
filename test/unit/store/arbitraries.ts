// Random logs for the store: few keys and small numbers, so that conditions match, entries expire, purges meet rows and
// retries meet their first attempts. Every mutation here is one that `validateMutation` accepts.

import fc from "fast-check";
import type {
  Batch,
  Comparison,
  KeyMutation,
  Lifetime,
  Mutation,
  Parts,
  PurgeScope,
  TransactionOperation,
} from "../../../durable/store/command.ts";
import { DEFAULT_NAMESPACE, partKey, storedKey, systemKey } from "../../../durable/store/keyspace.ts";
import { IDEMPOTENCY_RETENTION_MS } from "../../../durable/store/limits.ts";
import { StoreModel } from "./model.ts";

const NAMESPACES = [DEFAULT_NAMESPACE, "ns"] as const;
const USER_KEYS = ["a", "ab", "user:{7}/session", "ключ", "\u0001mark"] as const;
const TAGS = ["red", "blue"] as const;
const PREFIXES = ["", "a", "user:", "\u0001"] as const;
const UPLOADS = ["u1", "u2"] as const;
/** Parts are numbered from 0; uploads here have at most so many. */
const TEST_PARTS = 2;

const VALUE_KEYS: readonly string[] = NAMESPACES.flatMap((namespace) =>
  USER_KEYS.slice(0, namespace === DEFAULT_NAMESPACE ? USER_KEYS.length : 2).map((key) => storedKey(namespace, key)),
);
const LIMIT_KEYS = [systemKey("limit", "", "l"), systemKey("limit", "ns", "l")];
const LOCK_KEY = systemKey("lock", "", "l");
const PART_KEYS = VALUE_KEYS.slice(0, 2).flatMap((key) =>
  UPLOADS.flatMap((upload) => Array.from({ length: TEST_PARTS }, (_, part) => partKey(key, upload, part))),
);

/** Every key that a row of these logs can have. */
export const KEYS: readonly string[] = [...VALUE_KEYS, ...LIMIT_KEYS, LOCK_KEY, ...PART_KEYS];

/** All in one slot, so that any of them can meet in a transaction. */
export function slotOfTestKey(_key: string): number {
  return 7;
}

/** Present in one of `times` + 1 cases. */
function seldom<T>(times: number, of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ arbitrary: fc.constant(undefined), weight: times }, { arbitrary: of, weight: 1 });
}

/** A flag is true or not there, as on the wire. */
function flag(times: number): fc.Arbitrary<true | undefined> {
  return seldom(times, fc.constant(true as const));
}

const versions = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 3 });
const versionMatch = seldom(5, fc.oneof(fc.constant("any" as const), versions));
const sourceVersion = seldom(5, fc.nat({ max: 4 }));

const numbers = fc.constantFrom("0", "1", "-1", "7", "9223372036854775807", "-9223372036854775808");
const floats = fc.constantFrom("0", "-0", "0.1", "-2.5e-7", "1e300", "-1.7e308", "12");

/** Longer than the store's smallest caches in these tests, empty, or the text of a number. */
const value = fc.oneof(
  { arbitrary: fc.uint8Array({ maxLength: 300 }), weight: 2 },
  { arbitrary: fc.constantFrom("1", "x", "-5", "0.5").map(bytesOf), weight: 1 },
);

const contentType = fc.constantFrom("", "text/plain", "application/json; charset=utf-8");

const idempotency = seldom(
  3,
  fc.record({ id: fc.constantFrom("i", "j"), fingerprint: fc.constantFrom("x", "x", "y") }),
);

const ttlMs = fc.constantFrom(0, 1, 2, 5, 10, IDEMPOTENCY_RETENTION_MS);
const windowMs = seldom(1, fc.constantFrom(0, 1, 4, 9));

const lifetime: fc.Arbitrary<Lifetime> = fc.oneof(
  { arbitrary: fc.constant({}), weight: 3 },
  { arbitrary: fc.record({ ttlMs }), weight: 2 },
  { arbitrary: fc.record({ ttlMs, staleWhileRevalidateMs: windowMs, staleIfErrorMs: windowMs }), weight: 2 },
  { arbitrary: fc.record({ expiresAtMs: fc.integer({ min: 990, max: 1_060 }), staleIfErrorMs: windowMs }), weight: 1 },
  { arbitrary: fc.record({ slidingMs: fc.constantFrom(1, 3, 20) }), weight: 1 },
);

const conditions = fc.record({
  ifMatch: versionMatch,
  ifNoneMatch: versionMatch,
  ifValue: seldom(7, value),
  sourceVersion,
});

type Keys = fc.Arbitrary<string>;
type Fields<T> = { readonly [K in keyof T]: fc.Arbitrary<T[K]> };

/** A mutation of one kind from its own fields and those that all kinds have. */
function mutationOf<Kind extends string, T>(
  kind: Kind,
  keys: Keys,
  fields: Fields<T>,
  ...more: fc.Arbitrary<object>[]
) {
  return fc.tuple(keys, fc.record(fields), ...more).map(([key, own, ...others]) => {
    return Object.assign({ kind, slot: slotOfTestKey(key), key }, ...others, own) as {
      kind: Kind;
      key: string;
      slot: number;
    } & T;
  });
}

const parts = fc.record({
  upload: fc.constantFrom(...UPLOADS),
  count: fc.integer({ min: 1, max: TEST_PARTS }),
  bytes: fc.integer({ min: 1, max: 4 }),
});

function putOf(keys: Keys): fc.Arbitrary<KeyMutation & { kind: "put" }> {
  const fields = {
    value,
    contentType,
    metadata: seldom(4, fc.constantFrom("", "meta", "mét")),
    tags: seldom(1, fc.uniqueArray(fc.constantFrom(...TAGS))),
    returnPrevious: flag(3),
  };
  return mutationOf("put", keys, fields, conditions, lifetime);
}

function operationOf(keys: Keys): fc.Arbitrary<TransactionOperation> {
  return fc.oneof(
    { arbitrary: mutationOf("get", keys, {}), weight: 1 },
    { arbitrary: putOf(keys), weight: 2 },
    { arbitrary: mutationOf("delete", keys, { returnPrevious: flag(2) }, conditions), weight: 1 },
    { arbitrary: mutationOf("touch", keys, {}, conditions, lifetime), weight: 1 },
    { arbitrary: incrementOf(keys), weight: 1 },
    { arbitrary: mutationOf("append", keys, { value, contentType }, conditions, lifetime), weight: 1 },
  ) as fc.Arbitrary<TransactionOperation>;
}

function incrementOf(keys: Keys): fc.Arbitrary<KeyMutation & { kind: "increment" }> {
  const of = (texts: fc.Arbitrary<string>) =>
    fc
      .record({
        by: texts,
        initial: seldom(2, texts),
        bounds: fc.tuple(seldom(2, texts), seldom(2, texts)),
        clamps: flag(2),
      })
      .map(({ bounds: [one, other], ...rest }) => {
        if (one === undefined || other === undefined) return { ...rest, min: one, max: other };
        return Number(one) <= Number(other) ? { ...rest, min: one, max: other } : { ...rest, min: other, max: one };
      });
  const fields = fc.oneof(
    of(numbers),
    of(floats).map((rest) => ({ ...rest, isFloat: true })),
  );
  return mutationOf<"increment", object>("increment", keys, {}, conditions, lifetime, fields) as fc.Arbitrary<
    KeyMutation & { kind: "increment" }
  >;
}

/** Mutations of keys out of `keys`, of every kind that a client's request becomes. */
export function keyMutationsOf(keys: Keys): fc.Arbitrary<KeyMutation> {
  const isAccess = fc.constant({ isAccess: true });
  const softens = fc.constant({ softens: true });
  const comparison: fc.Arbitrary<Comparison> = fc
    .tuple(keys, conditions)
    .map(([key, some]) => ({ slot: slotOfTestKey(key), key, ...some }));
  const operations = fc.array(operationOf(keys), { maxLength: 3 });
  const limits = mutationOf("limit", fc.constantFrom(...LIMIT_KEYS), {
    limit: fc.integer({ min: 1, max: 5 }),
    windowMs: fc.constantFrom(1, 4, 10),
    cost: fc.nat({ max: 3 }),
    algorithm: fc.constantFrom("fixed_window" as const, "sliding_window" as const),
  });
  const uploaded = fc.constantFrom(...VALUE_KEYS.slice(0, 2));
  const kinds = fc.oneof(
    { arbitrary: putOf(keys), weight: 6 },
    { arbitrary: putOf(fc.constant(LOCK_KEY)), weight: 1 },
    // A token is a version, and versions here are small.
    {
      arbitrary: fc
        .tuple(putOf(keys), fc.integer({ min: 1, max: 12 }))
        .map(([put, fillToken]) => ({ ...put, fillToken })),
      weight: 3,
    },
    {
      arbitrary: fc
        .tuple(putOf(uploaded), parts)
        .map(([{ ifMatch: _, ifNoneMatch: _none, ifValue: _value, sourceVersion: _source, ...put }, named]) => ({
          ...put,
          value: new Uint8Array(0),
          parts: named,
        })),
      weight: 4,
    },
    { arbitrary: mutationOf("delete", keys, { returnPrevious: flag(2) }, conditions), weight: 2 },
    { arbitrary: mutationOf("touch", keys, {}, conditions, fc.oneof(lifetime, isAccess, softens)), weight: 3 },
    { arbitrary: incrementOf(keys), weight: 2 },
    { arbitrary: mutationOf("append", keys, { value, contentType }, conditions, lifetime), weight: 1 },
    {
      arbitrary: mutationOf("stage", uploaded, {
        upload: fc.constantFrom(...UPLOADS),
        part: fc.nat({ max: TEST_PARTS - 1 }),
        value: fc.uint8Array({ minLength: 1, maxLength: 2 }),
      }),
      weight: 3,
    },
    {
      arbitrary: mutationOf("begin_fill", keys, {
        leaseMs: fc.constantFrom(1, 4, 30),
        isEarly: flag(1),
        holder: seldom(1, fc.constantFrom("h", "i")),
      }),
      weight: 4,
    },
    { arbitrary: mutationOf("release_fill", keys, { token: fc.integer({ min: 1, max: 12 }) }), weight: 1 },
    { arbitrary: limits, weight: 1 },
    {
      arbitrary: mutationOf("transaction", keys, {
        compare: fc.array(comparison, { maxLength: 2 }),
        onSuccess: operations,
        onFailure: operations,
      }),
      weight: 2,
    },
  );
  return fc.tuple(kinds, idempotency).map(([mutation, once]) => ({ ...mutation, idempotency: once }) as KeyMutation);
}

/** The first two are met most, so that what takes several steps with one key comes about. */
export const mutations = keyMutationsOf(
  fc.oneof(
    { arbitrary: fc.constantFrom(...VALUE_KEYS.slice(0, 2)), weight: 3 },
    { arbitrary: fc.constantFrom(...VALUE_KEYS), weight: 2 },
  ),
);

/** Keys as strange as the limits allow, byte order marks and NULs in front included. */
const strangeKeys = fc
  .tuple(
    fc.constantFrom(...NAMESPACES),
    fc.constantFrom("", "\u0000", "\ufeff", "\ufeff\ufeff", "\u0001", "\u0002"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 250 }),
  )
  .map(([namespace, start, rest]) => storedKey(namespace, start + rest));

export const strangeMutations = keyMutationsOf(strangeKeys);

const scopes: fc.Arbitrary<PurgeScope> = fc.oneof(
  fc.record({
    kind: fc.constant("tag" as const),
    namespace: fc.constantFrom(...NAMESPACES),
    tag: fc.constantFrom(...TAGS),
  }),
  fc.record({
    kind: fc.constant("prefix" as const),
    namespace: fc.constantFrom(...NAMESPACES),
    prefix: fc.constantFrom(...PREFIXES),
  }),
);

export const purges: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constant("purge" as const),
  scope: scopes,
  isSoft: fc.boolean(),
});

export const reclaims: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constant("reclaim" as const),
  rows: fc.array(
    fc.record({ slot: fc.constant(7), key: fc.constantFrom(...KEYS), version: fc.integer({ min: 1, max: 12 }) }),
    { maxLength: 4 },
  ),
  evicts: flag(1),
  softens: flag(1),
});

/** At any revision, rightly or not: replicas must agree all the same. */
export const forgettings: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constant("forget_purges" as const),
  revision: fc.nat({ max: 14 }),
});

/** Everything that a log can say. */
export const anyMutations: fc.Arbitrary<Mutation> = fc.oneof(
  { arbitrary: mutations, weight: 12 },
  { arbitrary: purges, weight: 2 },
  { arbitrary: reclaims, weight: 1 },
  { arbitrary: forgettings, weight: 1 },
);

/** Mostly small steps, some backwards, some past the retention of idempotency records. */
const stampSteps = fc.oneof(
  { arbitrary: fc.integer({ min: -3, max: 6 }), weight: 15 },
  { arbitrary: fc.constantFrom(IDEMPOTENCY_RETENTION_MS - 1, IDEMPOTENCY_RETENTION_MS), weight: 1 },
);

export function logOf<T extends Mutation>(mutation: fc.Arbitrary<T>): fc.Arbitrary<(Batch & { mutations: T[] })[]> {
  const batch = fc.array(mutation, { maxLength: 6, size: "max" });
  const steps = fc.array(fc.tuple(stampSteps, batch), { minLength: 1, maxLength: 25, size: "max" });
  return steps.map((batches) => {
    let stampMs = 1_000;
    return batches.map(([stepMs, batch]) => {
      stampMs += stepMs;
      return { stampMs, mutations: batch };
    });
  });
}

/**
 * The log with its odd tokens and versions replaced by those that are in force there: drawn at random, no fill would ever be
 * accepted after the first dozen changes, no version match and no row be reclaimed.
 */
export function aimed(log: readonly Batch[]): Batch[] {
  const model = new StoreModel();
  const granted = new Map<string, number>();
  return log.map(({ stampMs, mutations: drawn }) => ({
    stampMs,
    mutations: drawn.map((mutation) => {
      const better = aimedAt(mutation, model, granted);
      const [outcome] = model.apply({ stampMs, mutations: [better] });
      if (outcome?.kind === "fill_granted" && "key" in better) granted.set(better.key, outcome.token);
      return better;
    }),
  }));
}

function aimedAt(mutation: Mutation, model: StoreModel, granted: ReadonlyMap<string, number>): Mutation {
  const version = (key: string, drawn: number) => (drawn % 2 === 1 ? (model.rows.get(key)?.version ?? drawn) : drawn);
  if (mutation.kind === "reclaim") {
    return { ...mutation, rows: mutation.rows.map((row) => ({ ...row, version: version(row.key, row.version) })) };
  }
  if (!("key" in mutation)) return mutation;
  const { key, ifMatch } = mutation;
  const match = Array.isArray(ifMatch) ? { ifMatch: ifMatch.map((one: number) => version(key, one)) } : {};
  if (mutation.kind === "put" && mutation.parts !== undefined) {
    return { ...mutation, ...match, parts: stagedParts(mutation.parts, key, model) };
  }
  const token = (drawn: number) => (drawn % 3 > 0 ? (granted.get(key) ?? drawn) : drawn);
  if (mutation.kind === "release_fill") return { ...mutation, token: token(mutation.token) };
  if (mutation.kind !== "put" || mutation.fillToken === undefined) return { ...mutation, ...match };
  const fillToken = token(mutation.fillToken);
  return { ...mutation, ...match, fillToken };
}

/** What is staged of that upload from its first part on; as drawn where the drawn size is even, or nothing is there. */
function stagedParts(drawn: Parts, key: string, model: StoreModel): Parts {
  let [count, bytes] = [0, 0];
  for (let row = rowOf(0); row !== undefined; row = rowOf(count)) {
    count += 1;
    bytes += row.value.byteLength;
  }
  return count === 0 || drawn.bytes % 2 === 0 ? drawn : { upload: drawn.upload, count, bytes };

  function rowOf(part: number) {
    return model.rows.get(partKey(key, drawn.upload, part));
  }
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
