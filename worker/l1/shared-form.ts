// The form in which a copy is in the data centre's cache: one body, what is known of the copy and the reply's headers first, so
// that nothing of it is taken for an instruction to the cache.
//
//   | 4 bytes: length of the head | head: JSON | value |

import type { HttpBody } from "./http-copies.ts";
import type { Copy } from "./near-client.ts";
import type { CopyOrigin } from "./serving.ts";

const HEAD_LENGTH_BYTES = 4;

interface Head {
  /** Minus infinity is no JSON: absent. */
  readonly origin: Omit<CopyOrigin, "asOfMs" | "changesAtMs" | "isShared"> & {
    readonly asOfMs?: number;
    readonly changesAtMs?: number;
  };
  readonly headers: Readonly<Record<string, string>>;
  readonly isValue: boolean;
}

export function encodeCopy({ body, shard, term, index, startedMs, asOfMs, changesAtMs }: Copy<HttpBody>): Uint8Array {
  const { headers, value } = body;
  const times = {
    startedMs,
    ...(Number.isFinite(asOfMs) ? { asOfMs } : {}),
    ...(Number.isFinite(changesAtMs) ? { changesAtMs } : {}),
  };
  const head: Head = { origin: { shard, term, index, ...times }, headers, isValue: value !== undefined };
  const text = new TextEncoder().encode(JSON.stringify(head));
  const bytes = new Uint8Array(HEAD_LENGTH_BYTES + text.byteLength + (value?.byteLength ?? 0));
  new DataView(bytes.buffer).setUint32(0, text.byteLength);
  bytes.set(text, HEAD_LENGTH_BYTES);
  if (value !== undefined) bytes.set(value, HEAD_LENGTH_BYTES + text.byteLength);
  return bytes;
}

export function decodeCopy(bytes: Uint8Array): Copy<HttpBody> {
  const valueAt = HEAD_LENGTH_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const { origin, headers, isValue }: Head = JSON.parse(
    new TextDecoder().decode(bytes.subarray(HEAD_LENGTH_BYTES, valueAt)),
  );
  const value = isValue ? bytes.subarray(valueAt) : undefined;
  return {
    asOfMs: Number.NEGATIVE_INFINITY,
    changesAtMs: Number.POSITIVE_INFINITY,
    ...origin,
    isShared: true,
    body: { headers, value },
    bytes: bytes.byteLength,
  };
}
