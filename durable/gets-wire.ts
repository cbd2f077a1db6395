// Pure. How a batch that only reads travels (batch-path.ts): fifty keys as fifty objects, and as many entries back, cost more to
// serialise on one side and to read on the other than to look up.
//
//   gets({ what a BatchRequest has beside its operations }, keys, slots)
//     → { items, values, status: "ok", level, clockMs, from }
//       one item for each key: "" where there is no entry; one line of text for a short value and nothing else, which takes the
//       next bytes of `values`; a BatchItem for all else
//     → a refusal
//
//   "<version> <bytes> <modifiedMs> <expiresMs or -> <content type>"
//
// During a deploy a replica may not know the method: it is sent the batch as it is. What is to be added gets a name of its own.

import type { BatchItem, BatchOk, BatchReply, BatchRequest, ReadEntry, Refusal } from "./protocol.ts";

/** Longer values go as they are: a copy of them costs more than the object around them. */
export const LINE_VALUE_BYTES_MAX = 4 * 1024;

export type GetsHeader = Omit<BatchRequest, "operations">;
export type GetsArguments = [header: GetsHeader, keys: readonly string[], slots: readonly number[]];

export interface GetsOk extends Omit<BatchOk, "items"> {
  readonly items: readonly (string | BatchItem)[];
  readonly values: Uint8Array;
}

export type GetsReply = GetsOk | Refusal;

const ABSENT = "";
const NEVER = "-";
const FIELDS = 4;

/** Undefined: it does not only read. */
export function getsArguments({ operations, ...header }: BatchRequest): GetsArguments | undefined {
  if (!operations.every(({ kind }) => kind === "get")) return undefined;
  return [header, operations.map(({ key }) => key), operations.map(({ slot }) => slot)];
}

/** Undefined for anything that no edge sends. */
export function getsRequest(...[header, keys, slots]: GetsArguments): BatchRequest | undefined {
  if (keys.length !== slots.length) return undefined;
  return { ...header, operations: keys.map((key, at) => ({ kind: "get", slot: slots[at] ?? Number.NaN, key })) };
}

export function wireGets(reply: BatchReply): GetsReply {
  if (reply.status !== "ok") return reply;
  const values: Uint8Array[] = [];
  const items = reply.items.map((item) => {
    if (item.kind !== "entry") return item;
    if (item.entry === undefined) return ABSENT;
    const line = lineOf(item.entry);
    if (line === undefined || item.entry.value === undefined) return item;
    values.push(item.entry.value);
    return line;
  });
  return { ...reply, items, values: joined(values) };
}

/** Undefined: the entry is more than a short value. */
function lineOf(entry: ReadEntry): string | undefined {
  const { value, expiresMs } = entry;
  if (value === undefined || value.byteLength > LINE_VALUE_BYTES_MAX) return undefined;
  if (entry.extras !== undefined || entry.stale !== undefined || entry.isAccessDue !== undefined) return undefined;
  const expires = expiresMs === undefined ? NEVER : expiresMs;
  return `${entry.version} ${value.byteLength} ${entry.modifiedMs} ${expires} ${entry.contentType}`;
}

/** One after the other. */
export function joined(values: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(values.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const value of values) {
    whole.set(value, at);
    at += value.byteLength;
  }
  return whole;
}

export function getsReply(wire: GetsReply): BatchReply {
  if (wire.status !== "ok") return wire;
  const { items: sent, values, ...rest } = wire;
  let at = 0;
  const items = sent.map((item): BatchItem => {
    if (typeof item !== "string") return item;
    if (item === ABSENT) return { kind: "entry" };
    const entry = entryOf(item, values, at);
    at += entry.size;
    return { kind: "entry", entry };
  });
  return { ...rest, items };
}

function entryOf(line: string, values: Uint8Array, at: number): ReadEntry {
  const fields = line.split(" ", FIELDS);
  const [version, bytes, modified, expires] = fields;
  const size = Number(bytes);
  return {
    version: Number(version),
    contentType: line.slice(fields.reduce((sum, field) => sum + field.length + 1, 0)),
    value: values.subarray(at, at + size),
    size,
    modifiedMs: Number(modified),
    expiresMs: expires === NEVER ? undefined : Number(expires),
  };
}
