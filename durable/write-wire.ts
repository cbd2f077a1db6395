// Pure. How a write travels between the edge and the leader, as the arguments and the result of an RPC. What nearly every
// write has goes by position and in one line of text, because each named field of an object is a name and a tag to
// serialise on one side and to look up on the other; what few have goes as the objects of protocol.ts.
//
//   write("1 halo:cluster:s0:r1:g0 <epoch> <slot> <deadlineMs>[ <urgency>]", key, value, contentType, { ttlMs, ifMatch, … }, trace)
//     → "<version> <created: 0 or 1> <expiresMs or -> <shard> <replica> <role> <term> <index> <clockMs>", stored
//     → a WriteReply for every other outcome, and where the reply is more than these words
//
// Versioned and additive: the version stands first, arguments and words are only ever added at the end, and what is not
// known is ignored.

import type { WriteReply, WriteRequest } from "./protocol.ts";
import { parseProvenance, provenanceWords } from "./provenance-words.ts";
import type { KeyMutation } from "./store/command.ts";

/** Of writes that travel in one call, as a list of what each would have gone as; the reply is a list too. */
export const WRITES_MAX = 64;
export const WRITES_BYTES_MAX = 256 * 1024;

/** What a mutation has beside slot, key and, of a put, value and type. `kind` only of those that are no put and no delete. */
export type WriteOptions = Readonly<Record<string, unknown>>;

/** Only a put has value and type here. */
export type WriteArguments = [
  head: string,
  key: string,
  value: Uint8Array | null,
  contentType: string | null,
  options?: WriteOptions,
  trace?: string,
];

export type WireWriteReply = string | WriteReply;

export function writeArguments(request: WriteRequest): WriteArguments {
  const untraced = untracedArguments(request);
  if (request.trace === undefined) return untraced;
  const [head, key, value, contentType, options = {}] = untraced;
  return [head, key, value, contentType, options, request.trace];
}

function untracedArguments({ v, to, epoch, slot, mutation, deadlineMs, urgency }: WriteRequest): WriteArguments {
  const head = `${v} ${to} ${epoch} ${slot} ${deadlineMs}${urgency === undefined ? "" : ` ${urgency}`}`;
  const { key } = mutation;
  if (mutation.kind === "put") {
    const { kind: _, slot: _slot, key: _key, value, contentType, ...rest } = mutation;
    return [head, key, value, contentType, ...optionsOf(rest)];
  }
  if (mutation.kind === "delete") {
    const { kind: _, slot: _slot, key: _key, ...rest } = mutation;
    return [head, key, null, null, ...optionsOf(rest)];
  }
  const { slot: _slot, key: _key, ...rest } = mutation;
  return [head, key, null, null, rest];
}

/** Absent fields are left out: every one is a name and a tag to serialise. */
function optionsOf(rest: WriteOptions): [] | [WriteOptions] {
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  return given.length === 0 ? [] : [Object.fromEntries(given)];
}

/** Undefined for a head that no edge sends. What a mutation must be is the replica's to check. */
export function writeRequest(
  ...[head, key, value, contentType, options, trace]: WriteArguments
): WriteRequest | undefined {
  const [v, to, epoch, slot, deadlineMs, urgency] = head.split(" ");
  const request = {
    v: Number(v),
    to: to ?? "",
    epoch: Number(epoch),
    slot: Number(slot),
    deadlineMs: Number(deadlineMs),
    ...(urgency === undefined ? {} : { urgency: Number(urgency) }),
    ...(trace === undefined ? {} : { trace }),
  };
  if (!Number.isFinite(request.v + request.epoch + request.slot + request.deadlineMs)) return undefined;
  const target = { slot: request.slot, key };
  if (value === null || contentType === null) {
    return { ...request, mutation: { kind: "delete", ...options, ...target } as KeyMutation };
  }
  return { ...request, mutation: { ...options, kind: "put", ...target, value, contentType } };
}

export function wireWriteReply(reply: WriteReply): WireWriteReply {
  if (reply.status !== "ok" || reply.outcome.kind !== "stored") return reply;
  const { outcome, from, clockMs } = reply;
  const { version, created, expiresMs, previous } = outcome;
  if (previous !== undefined || from.past !== undefined) return reply;
  return `${version} ${created ? 1 : 0} ${expiresMs ?? "-"} ${provenanceWords(from)} ${clockMs}`;
}

export function writeReply(wire: WireWriteReply): WriteReply {
  if (typeof wire !== "string") return wire;
  const words = wire.split(" ");
  const [version, created, expires] = words;
  return {
    status: "ok",
    outcome: {
      kind: "stored",
      version: Number(version),
      created: created === "1",
      ...(expires === "-" ? {} : { expiresMs: Number(expires) }),
    },
    from: parseProvenance(words.slice(3, 8)),
    clockMs: Number(words[8]),
  };
}
