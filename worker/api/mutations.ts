// Operations of the API as mutations of the store: the same for a batch and for a transaction.

import type {
  Comparison,
  Conditions,
  GetOperation,
  KeyMutation,
  Lifetime,
  TransactionOperation,
  VersionMatch,
} from "../../durable/store/command.ts";
import { EXPECTED_VALUE_BYTES_MAX, VALUE_BYTES_MAX } from "../../durable/store/limits.ts";
import { validateMutation } from "../../durable/store/validate.ts";
import type { BatchOperation } from "../clients/operations.ts";
import { type Parsed, type Problem, parsed, problem, refused } from "../http/problem.ts";
import { fingerprintOf } from "../routes/idempotency.ts";
import { targetIn } from "../routes/key-request.ts";
import type { ApiConditions, ApiOperation } from "./schemas.ts";
import { bytesOfValue, contentTypeOf } from "./values.ts";

type ChangeOperation = Exclude<TransactionOperation, GetOperation>;

/** An operation of a batch, recognisable by its idempotency key if it has one. */
export async function batchOperationOf(namespace: string, operation: ApiOperation): Promise<Parsed<BatchOperation>> {
  const mutation = operationOf(namespace, operation);
  if (!mutation.ok || mutation.value.kind === "get" || operation.op === "get") return mutation;
  const { idempotencyKey } = operation;
  if (idempotencyKey === undefined) return parsed(mutation.value);
  const fingerprint = await fingerprintOf(mutation.value);
  return parsed({ ...mutation.value, idempotency: { id: idempotencyKey, fingerprint } });
}

/** Without its idempotency key. */
export function operationOf(namespace: string, operation: ApiOperation): Parsed<TransactionOperation> {
  const target = targetIn(namespace, operation.key);
  if (operation.op === "get") return parsed({ kind: "get", ...target });
  const conditions = conditionsOf(operation);
  if (!conditions.ok) return conditions;
  const mutation = trimmed(changeOf(operation, { ...target, ...conditions.value }));
  if ("value" in mutation && mutation.value.byteLength > VALUE_BYTES_MAX) {
    return refused(
      "value-too-large",
      `the value has ${mutation.value.byteLength} bytes; expected at most ${VALUE_BYTES_MAX} here, more with PUT`,
    );
  }
  const found = mutationProblem(mutation);
  return found === undefined ? parsed(mutation) : { ok: false, problem: found };
}

function changeOf(
  operation: Exclude<ApiOperation, { op: "get" }>,
  shared: Conditions & { readonly slot: number; readonly key: string },
): ChangeOperation {
  switch (operation.op) {
    case "set": {
      const { value, contentType, tags, metadata, fillToken, returnPrevious } = operation;
      return {
        kind: "put",
        ...shared,
        ...lifetimeOf(operation),
        value: bytesOfValue(value),
        contentType: contentType ?? contentTypeOf(value),
        tags: tags === undefined ? undefined : [...new Set(tags)],
        metadata,
        fillToken,
        returnPrevious: returnPrevious === true ? true : undefined,
      };
    }
    case "delete":
      return { kind: "delete", ...shared, returnPrevious: operation.returnPrevious === true ? true : undefined };
    case "touch":
      return { kind: "touch", ...shared, ...lifetimeOf(operation) };
    case "increment":
      return { kind: "increment", ...shared, ...lifetimeOf(operation), ...counterOf(operation) };
    case "append": {
      const { value, contentType } = operation;
      return {
        kind: "append",
        ...shared,
        ...lifetimeOf(operation),
        value: bytesOfValue(value),
        contentType: contentType ?? contentTypeOf(value),
      };
    }
  }
}

interface ApiCounter {
  readonly by?: string | undefined;
  readonly float?: boolean | undefined;
  readonly initial?: string | undefined;
  readonly min?: string | undefined;
  readonly max?: string | undefined;
  readonly onBound?: "refuse" | "clamp" | undefined;
}

export function counterOf({ by = "1", float, initial, min, max, onBound }: ApiCounter) {
  return {
    by,
    isFloat: float === true ? true : undefined,
    initial,
    min,
    max,
    clamps: onBound === "clamp" ? true : undefined,
  };
}

function lifetimeOf({ ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs }: Lifetime): Lifetime {
  return { ttlMs, expiresAtMs, staleWhileRevalidateMs, staleIfErrorMs, slidingMs };
}

export function comparisonOf(
  namespace: string,
  { key, ...conditions }: ApiConditions & { readonly key: string },
): Parsed<Comparison> {
  const read = conditionsOf(conditions);
  return read.ok ? parsed({ ...targetIn(namespace, key), ...read.value }) : read;
}

function conditionsOf(conditions: ApiConditions): Parsed<Conditions> {
  const { ifVersion, ifNotVersion, ifExists, ifAbsent, ifValue, sourceVersion } = conditions;
  const value = ifValue === undefined ? undefined : bytesOfValue(ifValue);
  if (value !== undefined && value.byteLength > EXPECTED_VALUE_BYTES_MAX) {
    return refused(
      "malformed-condition",
      `ifValue: ${value.byteLength} bytes; expected at most ${EXPECTED_VALUE_BYTES_MAX}`,
    );
  }
  return parsed(
    trimmed({
      // Any of these versions is one that exists.
      ifMatch: matchOf(ifVersion) ?? (ifExists === true ? "any" : undefined),
      // Whatever does not exist has none of these versions.
      ifNoneMatch: ifAbsent === true ? ("any" as const) : matchOf(ifNotVersion),
      ifValue: value,
      sourceVersion,
    }),
  );
}

function matchOf(versions: number | number[] | undefined): VersionMatch | undefined {
  return typeof versions === "number" ? [versions] : versions;
}

/** Absent fields are left out: each is a name and a tag to serialise on the way to the replica. */
export function trimmed<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** Undefined: it can be sent. */
export function mutationProblem(mutation: KeyMutation): Problem | undefined {
  const found = validateMutation(mutation);
  return found === undefined ? undefined : problem("malformed-body", found);
}
