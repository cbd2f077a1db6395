// Pure. How a write travels between the edge and the leader, as the arguments and the result of an RPC. What nearly every
// write has goes by position and in one line of text, because each named field of an object is a name and a tag to
// serialise on one side and to look up on the other; what few have goes as the objects of protocol.ts.
//
//   write("1 halo:cluster:s0:r1:g0 <epoch> <slot> <deadlineMs>", key, value, contentType, { ttlMs, ifMatch, … })
//     → "<version> <created: 0 or 1> <expiresMs or -> <shard> <replica> <role> <term> <index> <clockMs>", stored
//     → a WriteReply for every other outcome
//
// Versioned and additive: the version stands first, arguments and words are only ever added at the end, and what is not
// known is ignored.

import type { ReplicaRole, WriteReply, WriteRequest } from "./protocol.ts";
import type { Mutation } from "./store/command.ts";

/** What a mutation may have beside slot, key, value and type. */
export type WriteOptions = Pick<Mutation, "ifMatch" | "ifNoneMatch" | "idempotency"> & {
  readonly ttlMs?: number | undefined;
};

/** A delete has neither value nor type. */
export type WriteArguments = [
  head: string,
  key: string,
  value: Uint8Array | null,
  contentType: string | null,
  options?: WriteOptions,
];

export type WireWriteReply = string | WriteReply;

export function writeArguments({ v, to, epoch, slot, mutation, deadlineMs }: WriteRequest): WriteArguments {
  const head = `${v} ${to} ${epoch} ${slot} ${deadlineMs}`;
  const { key, ifMatch, ifNoneMatch, idempotency } = mutation;
  const isPut = mutation.kind === "put";
  const ttlMs = isPut ? mutation.ttlMs : undefined;
  const isPlain =
    ttlMs === undefined && ifMatch === undefined && ifNoneMatch === undefined && idempotency === undefined;
  const options: [] | [WriteOptions] = isPlain ? [] : [{ ttlMs, ifMatch, ifNoneMatch, idempotency }];
  return [head, key, isPut ? mutation.value : null, isPut ? mutation.contentType : null, ...options];
}

/** Undefined for a head that no edge sends. */
export function writeRequest(...[head, key, value, contentType, options]: WriteArguments): WriteRequest | undefined {
  const [v, to, epoch, slot, deadlineMs] = head.split(" ");
  const request = {
    v: Number(v),
    to: to ?? "",
    epoch: Number(epoch),
    slot: Number(slot),
    deadlineMs: Number(deadlineMs),
  };
  const { ttlMs, ...rest } = options ?? {};
  if (!Number.isFinite(request.v + request.epoch + request.slot + request.deadlineMs)) return undefined;
  const target = { slot: request.slot, key, ...rest };
  if (value === null || contentType === null) return { ...request, mutation: { kind: "delete", ...target } };
  return {
    ...request,
    mutation: { kind: "put", ...target, value, contentType, ...(ttlMs === undefined ? {} : { ttlMs }) },
  };
}

export function wireWriteReply(reply: WriteReply): WireWriteReply {
  if (reply.status !== "ok" || reply.outcome.kind !== "stored") return reply;
  const { outcome, from, clockMs } = reply;
  const { version, created, expiresMs } = outcome;
  const { shard, replica, role, term, index } = from;
  return `${version} ${created ? 1 : 0} ${expiresMs ?? "-"} ${shard} ${replica} ${role} ${term} ${index} ${clockMs}`;
}

export function writeReply(wire: WireWriteReply): WriteReply {
  if (typeof wire !== "string") return wire;
  const [version, created, expires, shard, replica, role, term, index, clock] = wire.split(" ");
  return {
    status: "ok",
    outcome: {
      kind: "stored",
      version: Number(version),
      created: created === "1",
      ...(expires === "-" ? {} : { expiresMs: Number(expires) }),
    },
    from: {
      shard: Number(shard),
      replica: Number(replica),
      role: role as ReplicaRole,
      term: Number(term),
      index: Number(index),
    },
    clockMs: Number(clock),
  };
}
