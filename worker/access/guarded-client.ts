// Pure. The one place where rights over keys are enforced: the shard client as somebody with limited rights gets it. Handlers
// know nothing of it, so that none can forget it: whatever they ask of a shard goes through here, by the name under which the
// store would find it. Root tokens get the client itself and pay nothing.
//
// Each operation is judged by itself: a batch has a result of its own for each, a transaction is one. A read of what a write
// replaces, or compares with, is a read.

import type { KeyMutation, PurgeScope, TransactionOperation } from "../../durable/store/command.ts";
import { type KeyName, parseKey } from "../../durable/store/keyspace.ts";
import type { Forbidden } from "../clients/call-plan.ts";
import type { BatchAnswer, BatchOperation, Wanted } from "../clients/operations.ts";
import type { ReadAnswer } from "../clients/ports.ts";
import type { ShardClient } from "../clients/shard-client.ts";
import type { Principal, Scope } from "./principal.ts";

/** No request for data can name these; should one be able to some day, it is refused all the same. */
const HALOS_OWN: ReadonlySet<KeyName["kind"]> = new Set(["audit", "quota"]);

const OUTSIDE: Forbidden = { status: "forbidden", reason: "the key is outside of what the token may touch" };
const OUTSIDE_PREFIX: Forbidden = {
  status: "forbidden",
  reason: "the token may not touch every key that starts with this prefix, or has this tag",
};

export function lacks(scope: Scope): Forbidden {
  return { status: "forbidden", reason: `the token lacks the scope ${scope}` };
}

type Judged = Pick<Principal, "scopes" | "allows" | "allowsPrefix">;

/** `changing`: what it takes to change a key; a purge of keys is sent as deletes. */
export function guardedClient<Answer extends ReadAnswer>(
  client: ShardClient<Answer>,
  principal: Judged,
  changing: "write" | "purge" = "write",
): ShardClient<Answer> {
  const onKey = (scope: Scope, stored: string) => keyRefusal(principal, scope, stored);
  const onPrefix = (namespace: string, prefix: string) =>
    scopeRefusal(principal, "read") ?? (principal.allowsPrefix(namespace, prefix) ? undefined : OUTSIDE_PREFIX);
  const onOperation = (operation: BatchOperation | KeyMutation) => operationRefusal(onKey, changing, operation);
  return {
    breakers: () => client.breakers(),
    read: async (read) => onKey("read", read.key) ?? client.read(read),
    write: async (mutation, options) => onOperation(mutation) ?? client.write(mutation, options),
    batch: (operations, wanted) => guardedBatch(client, operations, wanted, onOperation),
    // Whoever gets the right to load keeps all others waiting, and is expected to write.
    fill: async (wish) => onKey("read", wish.key) ?? onKey(changing, wish.key) ?? client.fill(wish),
    scan: async (query) => onPrefix(query.namespace, query.prefix) ?? client.scan(query),
    count: async (query) => onPrefix(query.namespace, query.prefix) ?? client.count(query),
    part: async (slot, key, upload, part) => onKey("read", key) ?? client.part(slot, key, upload, part),
    // Of no key: whoever leads is told to anybody who may ask.
    leader: (shard) => client.leader(shard),
    purge: async (scopes, isSoft) => {
      // Its route has refused it whole by now: a purge of some shards or scopes only is not what was asked for.
      if (purgeRefusal(principal, scopes) !== undefined) throw new Error("halo: a purge is judged before it is sent");
      return client.purge(scopes, isSoft);
    },
  };
}

/** Whether scopes may be purged: a tag can be on any key, so it takes the whole namespace. */
export function purgeRefusal(principal: Judged, scopes: readonly PurgeScope[]): Forbidden | undefined {
  const isAllowed = scopes.every((scope) =>
    principal.allowsPrefix(scope.namespace, scope.kind === "tag" ? "" : scope.prefix),
  );
  return scopeRefusal(principal, "purge") ?? (isAllowed ? undefined : OUTSIDE_PREFIX);
}

export function keyRefusal(principal: Judged, scope: Scope, stored: string): Forbidden | undefined {
  const name = parseKey(stored);
  const isAllowed = name !== undefined && !HALOS_OWN.has(name.kind) && principal.allows(name.namespace, name.key);
  return scopeRefusal(principal, scope) ?? (isAllowed ? undefined : OUTSIDE);
}

function scopeRefusal({ scopes }: Judged, scope: Scope): Forbidden | undefined {
  return scopes.has(scope) ? undefined : lacks(scope);
}

type Judge = (scope: Scope, stored: string) => Forbidden | undefined;

function operationRefusal(
  judge: Judge,
  changing: "write" | "purge",
  operation: BatchOperation | KeyMutation | TransactionOperation,
): Forbidden | undefined {
  const { kind, key } = operation;
  switch (kind) {
    case "get":
      return judge("read", key);
    case "touch":
      // An access of a value with a sliding lifetime is written down by the edge, for whoever has read it.
      return judge(operation.isAccess === true ? "read" : changing, key);
    case "transaction":
      return firstOf([
        ...operation.compare.map((comparison) => judge("read", comparison.key)),
        ...[...operation.onSuccess, ...operation.onFailure].map((one) => operationRefusal(judge, changing, one)),
      ]);
    case "put":
    case "delete":
      return judge(changing, key) ?? (operation.returnPrevious === true ? judge("read", key) : undefined);
    default:
      return judge(changing, key);
  }
}

function firstOf(refusals: readonly (Forbidden | undefined)[]): Forbidden | undefined {
  return refusals.find((refusal) => refusal !== undefined);
}

/** What is allowed is sent, in the order given; the rest is refused in its place. */
async function guardedBatch(
  client: Pick<ShardClient, "batch">,
  operations: readonly BatchOperation[],
  wanted: Wanted,
  judge: (operation: BatchOperation) => Forbidden | undefined,
): Promise<BatchAnswer> {
  const refusals = operations.map(judge);
  const allowed = operations.filter((_, at) => refusals[at] === undefined);
  if (allowed.length === 0)
    return { items: refusals.flatMap((one) => one ?? []), from: [], level: undefined, clockMs: 0 };
  const answer = await client.batch(allowed, wanted);
  if (allowed.length === operations.length) return answer;
  let at = 0;
  const items = refusals.map((refusal) => {
    const item = refusal ?? answer.items[at++];
    if (item === undefined) throw new Error("halo: one item for each operation");
    return item;
  });
  return { ...answer, items };
}
