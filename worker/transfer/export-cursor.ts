// Pure. Where a segment of an export has ended: the last key in it, with a check that it belongs to this cluster and to what is
// exported. The key says where it is, whichever shard owns its slot, so a cursor outlives any change of the topology.

import type { RowPosition } from "../../durable/store/entry.ts";
import { parseKey } from "../../durable/store/keyspace.ts";
import { STORED_KEY_BYTES_MAX } from "../../durable/store/limits.ts";
import { hash32 } from "../../routing/hash.ts";
import { slotOf } from "../../routing/slots.ts";
import { toBase64 } from "../api/values.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";

export interface ExportScope {
  /** `clusterTag()` of this cluster. */
  readonly cluster: string;
  /** Or `ALL_NAMESPACES`. */
  readonly namespace: string;
}

/** The longest key in base64, and what is in front of it. */
const CURSOR_CHARS_MAX = Math.ceil(((STORED_KEY_BYTES_MAX + 16) * 4) / 3);
const EXPECTED = "expected the cursor that the segment before ends with, unchanged, and the same namespace";

export function encodeExportCursor(scope: ExportScope, { key }: RowPosition): string {
  const base64 = toBase64(new TextEncoder().encode(`${checkOf(scope, key)}.${key}`));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function decodeExportCursor(scope: ExportScope, cursor: string): Parsed<RowPosition> {
  const text = textOf(cursor) ?? "";
  const end = text.indexOf(".");
  const key = text.slice(end + 1);
  if (end < 1 || parseKey(key)?.kind !== "value") return refused("malformed-cursor", EXPECTED);
  if (text.slice(0, end) !== checkOf(scope, key)) {
    return refused("malformed-cursor", `the cursor belongs to another export; ${EXPECTED}`);
  }
  return parsed({ slot: slotOf(key), key });
}

function checkOf({ cluster, namespace }: ExportScope, key: string): string {
  return hash32(["export", cluster, namespace, key].map((part) => `${part.length}:${part}`).join("")).toString(36);
}

function textOf(cursor: string): string | undefined {
  if (cursor.length > CURSOR_CHARS_MAX || !/^[A-Za-z0-9_-]+$/.test(cursor)) return undefined;
  try {
    const binary = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
