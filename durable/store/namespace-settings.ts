// Pure. What a deployment says about its namespaces, from the variable HALO_NAMESPACES, and what follows for one write.
//
//   {"sessions": {"ttlSeconds": 1800, "maxValueBytes": 65536}, "ledger": {"quotaBytes": 1000000000, "evict": false}, "": {}}
//
// The empty name is the default namespace. A namespace that is not named has no settings: whatever fits the shard is accepted,
// lives for ever and may be evicted.

import * as z from "zod";
import { BALANCE_POLICIES, EXPECTED_BALANCE_POLICY } from "../../routing/balance-policy.ts";
import { once } from "../../routing/once.ts";
import type { Comparison, KeyMutation, Lifetime, TransactionOperation } from "./command.ts";
import type { Entry } from "./entry.ts";
import { DEFAULT_NAMESPACE, isSystemKey, NAMESPACE_PATTERN, namespaceOf } from "./keyspace.ts";
import { LARGE_VALUE_BYTES_MAX, PART_BYTES_MAX, TTL_MS_MAX } from "./limits.ts";
import { accountedBytes } from "./sizes.ts";

const MS_PER_SECOND = 1_000;
/** The variable itself may have 5 KB on the platform. */
export const NAMED_NAMESPACES_MAX = 64;

const settingsSchema = once(() =>
  z.strictObject({
    /** Lifetime of a value that is written without one. */
    ttlSeconds: z
      .int()
      .min(1)
      .max(TTL_MS_MAX / MS_PER_SECOND)
      .optional(),
    maxValueBytes: z.int().min(1).max(LARGE_VALUE_BYTES_MAX).optional(),
    /** Of the whole cluster, as `accountedBytes` counts; a shard's part is its share of the slots. */
    quotaBytes: z.int().min(1).optional(),
    /** False: nothing is evicted, and a write that finds no room is refused. */
    evict: z.boolean().optional(),
    /** How the edge chooses among the replicas that may all answer. */
    balance: z.enum(BALANCE_POLICIES, EXPECTED_BALANCE_POLICY).optional(),
  }),
);

export type NamespaceSettings = z.infer<ReturnType<typeof settingsSchema>>;
export type Namespaces = ReadonlyMap<string, NamespaceSettings>;

export const NO_NAMESPACES: Namespaces = new Map();

export type NamespacesResult =
  | { readonly ok: true; readonly namespaces: Namespaces }
  | { readonly ok: false; readonly problem: string };

/** `variable`: as it comes from `env`; absent or empty: no settings. */
export function parseNamespaces(variable: unknown): NamespacesResult {
  const text = variable === undefined || variable === null ? "" : String(variable).trim();
  if (text === "") return { ok: true, namespaces: NO_NAMESPACES };
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return refuse('it is not JSON; expected an object like {"sessions": {"ttlSeconds": 1800}}');
  }
  const parsed = z.record(z.string(), settingsSchema()).safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.map(String).join(".")}: `;
    return refuse(`${path}${issue?.message ?? "unacceptable"}`);
  }
  const named = Object.entries(parsed.data);
  if (named.length > NAMED_NAMESPACES_MAX)
    return refuse(`${named.length} namespaces; expected at most ${NAMED_NAMESPACES_MAX}`);
  for (const [name] of named) {
    if (name === DEFAULT_NAMESPACE || NAMESPACE_PATTERN.test(name)) continue;
    return refuse(
      `"${name}" is no name of a namespace; expected 1 to 64 of a-z, 0-9, ".", "_", "-", or "" for the default`,
    );
  }
  return { ok: true, namespaces: new Map(named) };
}

function refuse(problem: string): NamespacesResult {
  return { ok: false, problem: `HALO_NAMESPACES: ${problem}` };
}

export function isEvictableNamespace(namespaces: Namespaces, namespace: string): boolean {
  return namespaces.get(namespace)?.evict !== false;
}

/** This shard's part of the quota; infinite where there is none. */
export function shardQuotaBytes(settings: NamespaceSettings | undefined, slotShare: number): number {
  return settings?.quotaBytes === undefined ? Number.POSITIVE_INFINITY : Math.ceil(settings.quotaBytes * slotShare);
}

/** The lifetime that the namespace gives to what is written without one. */
export function withDefaultLifetime<T extends Lifetime>(written: T, settings: NamespaceSettings | undefined): T {
  if (settings?.ttlSeconds === undefined) return written;
  const { ttlMs, expiresAtMs, slidingMs } = written;
  if (ttlMs !== undefined || expiresAtMs !== undefined || slidingMs !== undefined) return written;
  return { ...written, ttlMs: settings.ttlSeconds * MS_PER_SECOND };
}

/** Bytes of a row that one operation may write, and of the value in it. */
export interface Growth {
  readonly slot: number;
  readonly key: string;
  readonly rowBytes: number;
  readonly valueBytes: number;
  /** The value has these bytes beside those that it has already. */
  readonly isAppended?: boolean | undefined;
}

type Operation = KeyMutation | TransactionOperation;

/** What the mutation may add to the shard, by key; nothing where it only takes away or changes times. */
export function growthsOf(mutation: Operation | Comparison): readonly Growth[] {
  if (!("kind" in mutation)) return [];
  const { slot } = mutation;
  switch (mutation.kind) {
    case "put": {
      const { key, value, contentType, metadata, tags, parts } = mutation;
      const row = { key, value, contentType, extras: { metadata, tags } } as Entry;
      return [{ slot, key, rowBytes: accountedBytes(row), valueBytes: parts?.bytes ?? value.byteLength }];
    }
    case "stage": {
      const { key, value, part } = mutation;
      // The parts before it are whole: the value has no fewer bytes than these, and its put may be long in coming.
      const valueBytes = part * PART_BYTES_MAX + value.byteLength;
      return [{ slot, key, rowBytes: key.length + value.byteLength, valueBytes }];
    }
    case "append": {
      const { key, value, contentType } = mutation;
      const row = { key, value, contentType } as Entry;
      return [{ slot, key, rowBytes: accountedBytes(row), valueBytes: value.byteLength, isAppended: true }];
    }
    case "transaction": {
      const { onSuccess, onFailure } = mutation;
      // Either branch may be taken; the larger one is what has to fit, and the sum is never less.
      return [...onSuccess, ...onFailure].flatMap(growthsOf);
    }
    case "increment":
      return [{ slot, key: mutation.key, rowBytes: accountedBytes(NUMBER_ROW) + mutation.key.length, valueBytes: 0 }];
    default:
      return [];
  }
}

/** A number is at most 64 characters; half of that is what one usually takes. */
const NUMBER_ROW = { key: "", value: new Uint8Array(32), contentType: "text/plain" } as Entry;

/** The namespace whose quota a key counts for; undefined: one of Halo's own. */
export function quotaNamespaceOf(key: string): string | undefined {
  return isSystemKey(key) ? undefined : namespaceOf(key);
}
