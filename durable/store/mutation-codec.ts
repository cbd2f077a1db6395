// Pure. Mutations on the wire: arrays of fields by position, each kind with a number of its own.
//
//   [kind, slot, key, header?, …fields of the kind]        header: [ifMatch, ifNoneMatch, id, fingerprint, ifValue, sourceVersion]
//                                                          lifetime: [ttl, expiresAt, staleWhileRevalidate, staleIfError, sliding]
//
// Absent fields are nil, and left out at the end, so that a row is never longer than what it says.

import type {
  Comparison,
  Conditions,
  KeyMutation,
  Lifetime,
  LimitAlgorithm,
  Mutation,
  MutationHeader,
  Parts,
  PurgeScope,
  ReclaimMutation,
  SlotMutation,
  TransactionOperation,
  VersionMatch,
} from "./command.ts";
import {
  asArray,
  asBytesCopy,
  asCount,
  asKey,
  asOptionalCount,
  asOptionalString,
  asString,
  keyToWire,
  MalformedBytesError,
  refuseNewerFields,
  trimmed,
  UnknownCodecVersionError,
  type Wire,
} from "./framing.ts";

/** Those that move slots are move-codec.ts's. */
type PlainMutation = Exclude<Mutation, SlotMutation>;

/** Never reused; 14 to 16 are move-codec.ts's. */
const KIND = {
  put: 0,
  delete: 1,
  touch: 2,
  increment: 3,
  append: 4,
  stage: 5,
  begin_fill: 6,
  limit: 7,
  transaction: 8,
  purge: 9,
  reclaim: 10,
  forget_purges: 11,
  get: 12,
  release_fill: 13,
} as const satisfies Record<PlainMutation["kind"] | "get", number>;

/** Known kinds that are no operations of a transaction. */
const OTHER_KINDS: ReadonlySet<unknown> = new Set([
  KIND.stage,
  KIND.begin_fill,
  KIND.release_fill,
  KIND.limit,
  KIND.transaction,
  KIND.purge,
  KIND.reclaim,
  KIND.forget_purges,
]);

/** Fields in front of those of a kind: kind, slot, key, header. */
const HEADER = 4;

const ALGORITHMS: readonly LimitAlgorithm[] = ["fixed_window", "sliding_window"];

export function mutationToWire(mutation: PlainMutation | TransactionOperation): Wire {
  switch (mutation.kind) {
    case "purge": {
      const { scope, isSoft } = mutation;
      const name = scope.kind === "tag" ? scope.tag : scope.prefix;
      return [KIND.purge, scope.kind === "tag" ? 0 : 1, scope.namespace, keyToWire(name), isSoft];
    }
    case "reclaim":
      return trimmed([KIND.reclaim, mutation.rows.map(rowToWire), flag(mutation.evicts), flag(mutation.softens)]);
    case "forget_purges":
      return [KIND.forget_purges, mutation.revision];
    case "get":
      return [KIND.get, mutation.slot, keyToWire(mutation.key)];
    default: {
      const { kind, slot, key } = mutation;
      return trimmed([KIND[kind], slot, keyToWire(key), headerToWire(mutation), ...fieldsToWire(mutation)]);
    }
  }
}

function fieldsToWire(mutation: KeyMutation): Wire {
  switch (mutation.kind) {
    case "put": {
      const { value, contentType, parts, metadata, tags, fillToken, returnPrevious } = mutation;
      const rest = [lifetimeToWire(mutation), partsToWire(parts), metadata, tags, fillToken, flag(returnPrevious)];
      return [value, contentType, ...rest];
    }
    case "delete":
      return [flag(mutation.returnPrevious)];
    case "touch":
      return [lifetimeToWire(mutation), flag(mutation.isAccess), flag(mutation.softens)];
    case "increment": {
      const { by, isFloat, initial, min, max, clamps } = mutation;
      return [by, flag(isFloat), initial, min, max, flag(clamps), lifetimeToWire(mutation)];
    }
    case "append":
      return [mutation.value, mutation.contentType, lifetimeToWire(mutation)];
    case "stage":
      return [mutation.upload, mutation.part, mutation.value];
    case "begin_fill":
      return [mutation.leaseMs, flag(mutation.isEarly), mutation.holder];
    case "release_fill":
      return [mutation.token];
    case "limit":
      return [mutation.limit, mutation.windowMs, mutation.cost, ALGORITHMS.indexOf(mutation.algorithm)];
    case "transaction":
      return [
        mutation.compare.map((one) => trimmed([one.slot, keyToWire(one.key), headerToWire(one)])),
        mutation.onSuccess.map(mutationToWire),
        mutation.onFailure.map(mutationToWire),
      ];
  }
}

export function mutationFromWire(wire: unknown): PlainMutation {
  const row = asArray("mutation", wire);
  switch (row[0]) {
    case KIND.purge:
      refuseNewerFields("purge", row, 5);
      return { kind: "purge", scope: scopeFromWire(row), isSoft: isFlag("isSoft", row[4]) };
    case KIND.reclaim:
      refuseNewerFields("reclaim", row, 4);
      return {
        kind: "reclaim",
        rows: asArray("rows", row[1]).map(rowFromWire),
        evicts: optionalFlag("evicts", row[2]),
        softens: optionalFlag("softens", row[3]),
      };
    case KIND.forget_purges:
      refuseNewerFields("forget_purges", row, 2);
      return { kind: "forget_purges", revision: asCount("revision", row[1]) };
    default:
      return keyMutationFromWire(row);
  }
}

function keyMutationFromWire(row: Wire): KeyMutation {
  switch (row[0]) {
    case KIND.put:
      refuseNewerFields("put", row, HEADER + 8);
      return {
        kind: "put",
        ...headerFromWire(row),
        value: asBytesCopy("value", row[HEADER]),
        contentType: asString("contentType", row[HEADER + 1]),
        ...lifetimeFromWire(row[HEADER + 2]),
        parts: partsFromWire(row[HEADER + 3]),
        metadata: asOptionalString("metadata", row[HEADER + 4]),
        tags: tagsFromWire(row[HEADER + 5]),
        fillToken: asOptionalCount("fillToken", row[HEADER + 6]),
        returnPrevious: optionalFlag("returnPrevious", row[HEADER + 7]),
      };
    case KIND.delete:
      refuseNewerFields("delete", row, HEADER + 1);
      return {
        kind: "delete",
        ...headerFromWire(row),
        returnPrevious: optionalFlag("returnPrevious", row[HEADER]),
      };
    case KIND.touch:
      refuseNewerFields("touch", row, HEADER + 3);
      return {
        kind: "touch",
        ...headerFromWire(row),
        ...lifetimeFromWire(row[HEADER]),
        isAccess: optionalFlag("isAccess", row[HEADER + 1]),
        softens: optionalFlag("softens", row[HEADER + 2]),
      };
    case KIND.increment:
      refuseNewerFields("increment", row, HEADER + 7);
      return {
        kind: "increment",
        ...headerFromWire(row),
        by: asString("by", row[HEADER]),
        isFloat: optionalFlag("isFloat", row[HEADER + 1]),
        initial: asOptionalString("initial", row[HEADER + 2]),
        min: asOptionalString("min", row[HEADER + 3]),
        max: asOptionalString("max", row[HEADER + 4]),
        clamps: optionalFlag("clamps", row[HEADER + 5]),
        ...lifetimeFromWire(row[HEADER + 6]),
      };
    default:
      return rarerMutationFromWire(row);
  }
}

function rarerMutationFromWire(row: Wire): KeyMutation {
  switch (row[0]) {
    case KIND.append:
      refuseNewerFields("append", row, HEADER + 3);
      return {
        kind: "append",
        ...headerFromWire(row),
        value: asBytesCopy("value", row[HEADER]),
        contentType: asString("contentType", row[HEADER + 1]),
        ...lifetimeFromWire(row[HEADER + 2]),
      };
    case KIND.stage:
      refuseNewerFields("stage", row, HEADER + 3);
      return {
        kind: "stage",
        ...headerFromWire(row),
        upload: asString("upload", row[HEADER]),
        part: asCount("part", row[HEADER + 1]),
        value: asBytesCopy("value", row[HEADER + 2]),
      };
    case KIND.begin_fill:
      refuseNewerFields("begin_fill", row, HEADER + 3);
      return {
        kind: "begin_fill",
        ...headerFromWire(row),
        leaseMs: asCount("leaseMs", row[HEADER]),
        isEarly: optionalFlag("isEarly", row[HEADER + 1]),
        holder: asOptionalString("holder", row[HEADER + 2]),
      };
    case KIND.release_fill:
      refuseNewerFields("release_fill", row, HEADER + 1);
      return { kind: "release_fill", ...headerFromWire(row), token: asCount("token", row[HEADER]) };
    case KIND.limit:
      refuseNewerFields("limit", row, HEADER + 4);
      return {
        kind: "limit",
        ...headerFromWire(row),
        limit: asCount("limit", row[HEADER]),
        windowMs: asCount("windowMs", row[HEADER + 1]),
        cost: asCount("cost", row[HEADER + 2]),
        algorithm: algorithmFromWire(row[HEADER + 3]),
      };
    case KIND.transaction:
      refuseNewerFields("transaction", row, HEADER + 3);
      return {
        kind: "transaction",
        ...headerFromWire(row),
        compare: asArray("compare", row[HEADER]).map(comparisonFromWire),
        onSuccess: asArray("onSuccess", row[HEADER + 1]).map(operationFromWire),
        onFailure: asArray("onFailure", row[HEADER + 2]).map(operationFromWire),
      };
    default:
      throw unknownKind("mutation", row[0]);
  }
}

function operationFromWire(wire: unknown): TransactionOperation {
  const row = asArray("operation", wire);
  if (row[0] === KIND.get) {
    refuseNewerFields("get", row, 3);
    return { kind: "get", slot: asCount("slot", row[1]), key: asKey("key", row[2]) };
  }
  // Before it is read: a transaction in a transaction, and so on, would be read as deep as the bytes say.
  if (OTHER_KINDS.has(row[0])) throw new MalformedBytesError(`operation: expected none of kind ${row[0]}`);
  return keyMutationFromWire(row) as TransactionOperation;
}

// --- fields that several kinds have ---

function headerToWire(header: Conditions & Pick<MutationHeader, "idempotency">): Wire | undefined {
  const { ifMatch, ifNoneMatch, ifValue, sourceVersion, idempotency } = header;
  return present([
    matchToWire(ifMatch),
    matchToWire(ifNoneMatch),
    idempotency?.id,
    idempotency?.fingerprint,
    ifValue,
    sourceVersion,
  ]);
}

function headerFromWire(row: Wire): MutationHeader {
  const target = { slot: asCount("slot", row[1]), key: asKey("key", row[2]) };
  if (isAbsent(row[3])) return target;
  const header = asArray("header", row[3]);
  return { ...target, ...conditionsFromWire(header), idempotency: idempotencyFromWire(header[2], header[3]) };
}

function conditionsFromWire(header: Wire): Conditions {
  refuseNewerFields("header", header, 6);
  return {
    ifMatch: matchFromWire(header[0]),
    ifNoneMatch: matchFromWire(header[1]),
    ifValue: isAbsent(header[4]) ? undefined : asBytesCopy("ifValue", header[4]),
    sourceVersion: asOptionalCount("sourceVersion", header[5]),
  };
}

function comparisonFromWire(wire: unknown): Comparison {
  const row = asArray("comparison", wire);
  refuseNewerFields("comparison", row, 3);
  const conditions = isAbsent(row[2]) ? {} : conditionsFromWire(asArray("header", row[2]));
  return { slot: asCount("slot", row[0]), key: asKey("key", row[1]), ...conditions };
}

function matchToWire(match: VersionMatch | undefined): true | readonly number[] | undefined {
  return match === "any" ? true : match;
}

function matchFromWire(wire: unknown): VersionMatch | undefined {
  if (isAbsent(wire)) return undefined;
  if (wire === true) return "any";
  return asArray("versions", wire).map((version) => asCount("version", version));
}

function idempotencyFromWire(id: unknown, fingerprint: unknown): MutationHeader["idempotency"] {
  if (isAbsent(id)) return undefined;
  return { id: asString("idempotency id", id), fingerprint: asString("fingerprint", fingerprint) };
}

function lifetimeToWire(lifetime: Lifetime): Wire | undefined {
  const { ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs } = lifetime;
  return present([ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs]);
}

function lifetimeFromWire(wire: unknown): Lifetime {
  if (isAbsent(wire)) return {};
  const row = asArray("lifetime", wire);
  refuseNewerFields("lifetime", row, 5);
  return {
    ttlMs: asOptionalCount("ttlMs", row[0]),
    expiresAtMs: asOptionalCount("expiresAtMs", row[1]),
    staleWhileRevalidateMs: asOptionalCount("staleWhileRevalidateMs", row[2]),
    staleIfErrorMs: asOptionalCount("staleIfErrorMs", row[3]),
    slidingMs: asOptionalCount("slidingMs", row[4]),
  };
}

export function partsToWire(parts: Parts | undefined): Wire | undefined {
  return parts === undefined ? undefined : [parts.upload, parts.count, parts.bytes];
}

export function partsFromWire(wire: unknown): Parts | undefined {
  if (isAbsent(wire)) return undefined;
  const row = asArray("parts", wire);
  refuseNewerFields("parts", row, 3);
  return { upload: asString("upload", row[0]), count: asCount("count", row[1]), bytes: asCount("bytes", row[2]) };
}

export function tagsFromWire(wire: unknown): readonly string[] | undefined {
  return isAbsent(wire) ? undefined : asArray("tags", wire).map((tag) => asString("tag", tag));
}

function scopeFromWire(row: Wire): PurgeScope {
  const namespace = asString("namespace", row[2]);
  const name = asKey("name", row[3]);
  if (row[1] === 0) return { kind: "tag", namespace, tag: name };
  if (row[1] === 1) return { kind: "prefix", namespace, prefix: name };
  throw unknownKind("scope", row[1]);
}

function rowToWire({ slot, key, version }: ReclaimMutation["rows"][number]): Wire {
  return [slot, keyToWire(key), version];
}

function rowFromWire(wire: unknown): ReclaimMutation["rows"][number] {
  const row = asArray("row", wire);
  refuseNewerFields("row", row, 3);
  return { slot: asCount("slot", row[0]), key: asKey("key", row[1]), version: asCount("version", row[2]) };
}

function algorithmFromWire(wire: unknown): LimitAlgorithm {
  const algorithm = typeof wire === "number" ? ALGORITHMS[wire] : undefined;
  if (algorithm === undefined) throw unknownKind("algorithm", wire);
  return algorithm;
}

/** A flag is true or not there. */
function flag(value: boolean | undefined): true | undefined {
  return value === true ? true : undefined;
}

function optionalFlag(what: string, wire: unknown): true | undefined {
  if (isAbsent(wire)) return undefined;
  if (wire === true) return true;
  throw new MalformedBytesError(`${what}: expected true or nothing`);
}

function isFlag(what: string, wire: unknown): boolean {
  if (typeof wire === "boolean") return wire;
  throw new MalformedBytesError(`${what}: expected a boolean`);
}

function isAbsent(wire: unknown): wire is undefined | null {
  return wire === undefined || wire === null;
}

/** Undefined where every field is absent. */
function present(fields: Wire): Wire | undefined {
  const row = trimmed(fields);
  return row.length === 0 ? undefined : row;
}

/** A kind that is a number was written by newer code; anything else was never written by any code. */
export function unknownKind(what: string, kind: unknown): Error {
  if (typeof kind === "number") return new UnknownCodecVersionError(`${what}: unknown kind ${kind}`);
  return new MalformedBytesError(`${what}: expected a kind number`);
}
