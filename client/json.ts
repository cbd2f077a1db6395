// Bodies in JSON, in both directions.

import { utf8 } from "./codec.ts";
import { HaloServerError } from "./errors.ts";
import type { Bytes } from "./transport.ts";

export function jsonBody(body: unknown): { headers: { "Content-Type": string }; body: Bytes } {
  return { headers: { "Content-Type": "application/json" }, body: utf8(JSON.stringify(body)) };
}

export function parseBody<T>(body: Uint8Array): T {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as T;
  } catch (cause) {
    throw new HaloServerError({ slug: "malformed-reply", status: 0, detail: "expected a reply in JSON", cause });
  }
}
