// Idempotency-Key: makes a retry of a write safe. The store remembers the outcome under (key, id) with a fingerprint of
// the request, so that the same id with another request is told apart from a retry.

import { encodeBatch } from "../../durable/store/codec.ts";
import type { KeyMutation } from "../../durable/store/command.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";

/** A UUID has 36; ids are remembered with every write that carries one. */
export const IDEMPOTENCY_KEY_CHARS_MAX = 255;

const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/;

export function parseIdempotencyKey(header: string): Parsed<string> {
  if (header.length <= IDEMPOTENCY_KEY_CHARS_MAX && IDEMPOTENCY_KEY.test(header)) return parsed(header);
  return refused(
    "malformed-idempotency-key",
    `Idempotency-Key: expected 1 to ${IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters, unique to the request`,
  );
}

/**
 * SHA-256 of everything that decides what the write does, in hexadecimal. Only writes with an id pay for it. `digest`: of a
 * value in parts.
 */
export async function fingerprintOf(mutation: KeyMutation, digest?: string | undefined): Promise<string> {
  // The log's own form leaves nothing out, and is the same for the same request. An upload's id is another one every time,
  // so of a value in parts its digest counts in that place.
  const comparable =
    mutation.kind === "put" && mutation.parts !== undefined
      ? { ...mutation, parts: { ...mutation.parts, upload: digest ?? "" } }
      : mutation;
  return digestOf(encodeBatch({ stampMs: 0, mutations: [{ ...comparable, idempotency: undefined }] }));
}

/** SHA-256 in hexadecimal. */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)));
}

function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
