// Idempotency-Key: makes a retry of a write safe. The store remembers the outcome under (key, id) with a fingerprint of
// the request, so that the same id with another request is told apart from a retry.

import type { KeyMutation } from "../../durable/store/command.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";

/** A UUID has 36; ids are remembered with every write that carries one. */
export const IDEMPOTENCY_KEY_CHARS_MAX = 255;

const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/;
const encoder = new TextEncoder();

export function parseIdempotencyKey(header: string): Parsed<string> {
  if (header.length <= IDEMPOTENCY_KEY_CHARS_MAX && IDEMPOTENCY_KEY.test(header)) return parsed(header);
  return refused(
    "malformed-idempotency-key",
    `Idempotency-Key: expected 1 to ${IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters, unique to the request`,
  );
}

/** SHA-256 of everything that decides what the write does, in hexadecimal. Only writes with an id pay for it. */
export async function fingerprintOf(mutation: KeyMutation): Promise<string> {
  const { kind, key, ifMatch, ifNoneMatch } = mutation;
  const isPut = mutation.kind === "put";
  const described = isPut ? [mutation.contentType, mutation.ttlMs ?? null] : [];
  const head = encoder.encode(JSON.stringify([kind, key, ifMatch ?? null, ifNoneMatch ?? null, ...described]));
  const value = isPut ? mutation.value : new Uint8Array(0);
  // JSON holds no zero byte, so the head cannot run into the value.
  const bytes = new Uint8Array(head.length + 1 + value.length);
  bytes.set(head, 0);
  bytes.set(value, head.length + 1);
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
