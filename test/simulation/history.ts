// What the clients of a simulation did and saw; the material of the checkers that look at a run from outside.

import type { ConsistencyLevel, Provenance } from "../../durable/protocol.ts";

export type OperationKind = "read" | "put" | "create" | "cas" | "delete";

interface OperationHeader {
  readonly id: number;
  /** Number of the client; operations of one client follow each other. */
  readonly client: number;
  readonly key: string;
  readonly shard: number;
  readonly invokedMs: number;
  /** Infinite where the outcome is open. */
  returnedMs: number;
}

/** What a read returned: the value and its version, or nothing. */
export interface Seen {
  readonly value: string;
  readonly version: number;
  readonly expiresMs?: number | undefined;
}

export interface ReadOperation extends OperationHeader {
  readonly kind: "read";
  readonly level: ConsistencyLevel;
  readonly boundMs?: number | undefined;
  /** Index of the bookmark that was sent along. */
  readonly afterIndex: number;
  outcome: "ok" | "fail";
  met?: ConsistencyLevel | undefined;
  seen?: Seen | undefined;
  clockMs?: number | undefined;
  from?: Provenance | undefined;
}

export type WriteOutcome =
  /** `index`: where in the log; `version` of what was stored. */
  | {
      readonly kind: "stored";
      readonly version: number;
      readonly created: boolean;
      readonly expiresMs?: number | undefined;
    }
  | { readonly kind: "deleted"; readonly existed: boolean }
  | { readonly kind: "precondition_failed"; readonly version?: number | undefined };

export interface WriteOperation extends OperationHeader {
  readonly kind: "put" | "create" | "cas" | "delete";
  /** Unique in the run; absent: a deletion. */
  readonly value?: string | undefined;
  /** `cas`: the value that must be there, as an earlier read said, and its version. */
  readonly expected?: Seen | undefined;
  readonly ttlMs?: number | undefined;
  /** Given: the client may send it again, and the store knows it again. */
  readonly idempotencyId?: string | undefined;
  outcome: "ok" | "fail" | "unknown";
  result?: WriteOutcome | undefined;
  from?: Provenance | undefined;
}

export type Operation = ReadOperation | WriteOperation;

/** Keys whose entries expire are written by one client each and checked by their own rules. */
export function isExpiringKey(key: string): boolean {
  return key.startsWith("ttl-");
}

/** `put c3-17 = ok` and the like, for reports. */
export function describe(operation: Operation): string {
  const { client, kind, key, invokedMs, returnedMs, outcome } = operation;
  const time = `[${invokedMs.toFixed(1)}, ${Number.isFinite(returnedMs) ? returnedMs.toFixed(1) : "…"}]`;
  const head = `${time} client ${client} ${kind} ${key}`;
  if (operation.kind === "read") {
    const seen = operation.seen === undefined ? "nothing" : `${operation.seen.value} v${operation.seen.version}`;
    const by = operation.from === undefined ? "" : ` from r${operation.from.replica} at ${operation.from.index}`;
    return `${head} ${operation.level}→${operation.met ?? "-"}: ${outcome === "ok" ? seen : outcome}${by}`;
  }
  const argument = operation.expected === undefined ? "" : ` if ${operation.expected.value}`;
  const result = operation.result === undefined ? "" : ` ${JSON.stringify(operation.result)}`;
  const by = operation.from === undefined ? "" : ` by r${operation.from.replica} at ${operation.from.index}`;
  return `${head} ${operation.value ?? ""}${argument}: ${outcome}${result}${by}`;
}
