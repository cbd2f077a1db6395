// Pure. Increments: the value is the decimal text of a number. Integers are 64-bit and exact; floats are IEEE doubles in
// JavaScript's shortest form. Halo's increment of a text that is not such a number changes nothing and says so.

import type { IncrementMutation, Outcome } from "../command.ts";
import type { Workspace } from "../workspace.ts";
import { refusalOf, rewrite, roomRefusal, targetOf } from "./values.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const INTEGER = /^-?(?:0|[1-9][0-9]{0,18})$/;
const FLOAT = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?$/;
/** Longer texts are no numbers that anybody counts with. */
export const NUMBER_CHARS_MAX = 64;

const CONTENT_TYPE = "text/plain";
const ZERO = "0";

export function increment(work: Workspace, mutation: IncrementMutation): Outcome {
  const target = targetOf(work, mutation);
  const { current } = target;
  const refusal = refusalOf(mutation, current);
  if (refusal !== undefined) return refusal;
  const before = current === undefined ? (mutation.initial ?? ZERO) : textOf(current.value);
  const isReadable = before !== undefined && isNumberText(before, mutation.isFloat === true);
  if (!isReadable || current?.extras?.parts !== undefined)
    return { kind: "not_a_number", version: current?.version ?? 0 };
  const after = mutation.isFloat === true ? addFloats(before, mutation) : addIntegers(before, mutation);
  if (after === undefined) return { kind: "out_of_range", value: before };
  const noRoom = roomRefusal(work, mutation.key, target.present);
  if (noRoom !== undefined) return noRoom;
  const { version, created, expiresMs } = rewrite(work, mutation, target, bytesOf(after), CONTENT_TYPE);
  return { kind: "number", value: after, version, created, expiresMs };
}

export function isNumberText(text: string, isFloat: boolean): boolean {
  if (text.length > NUMBER_CHARS_MAX) return false;
  if (isFloat) return FLOAT.test(text) && Number.isFinite(Number(text));
  return INTEGER.test(text) && isInt64(BigInt(text));
}

function addIntegers(before: string, { by, min, max, clamps }: IncrementMutation): string | undefined {
  const low = min === undefined ? INT64_MIN : BigInt(min);
  const high = max === undefined ? INT64_MAX : BigInt(max);
  const sum = BigInt(before) + BigInt(by);
  if (sum >= low && sum <= high) return sum.toString();
  if (clamps !== true) return undefined;
  return (sum < low ? low : high).toString();
}

function addFloats(before: string, { by, min, max, clamps }: IncrementMutation): string | undefined {
  const low = min === undefined ? -Number.MAX_VALUE : Number(min);
  const high = max === undefined ? Number.MAX_VALUE : Number(max);
  const sum = Number(before) + Number(by);
  if (sum >= low && sum <= high) return String(sum);
  if (clamps !== true) return undefined;
  return String(sum < low ? low : high);
}

function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/** Numbers are ASCII; undefined: the bytes are something else. */
function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength > NUMBER_CHARS_MAX) return undefined;
  for (const byte of bytes) if (byte > 0x7e) return undefined;
  return String.fromCharCode(...bytes);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
