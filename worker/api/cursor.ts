// A scan's cursor: the last key of the page, with a check that it belongs to this cluster, namespace and prefix. The check
// tells mistakes, not attacks: a position that somebody makes up only shows what a scan may show anyway.
//
// The key alone says where it is, whichever shard owns its slot: a cursor outlives any change of the topology.

import type { RowPosition } from "../../durable/store/entry.ts";
import { userKey } from "../../durable/store/keyspace.ts";
import { KEY_BYTES_MAX } from "../../durable/store/limits.ts";
import { hash32 } from "../../routing/hash.ts";
import { checkKeyText } from "../http/key.ts";
import { type Parsed, parsed, refused } from "../http/problem.ts";
import { targetIn } from "../routes/key-request.ts";

export interface CursorScope {
  /** `clusterTag()` of this cluster. */
  readonly cluster: string;
  readonly namespace: string;
  readonly prefix: string;
}

const VERSION = "1";
/** The longest key in base64, and what is in front of it. */
export const CURSOR_CHARS_MAX = Math.ceil(((KEY_BYTES_MAX + 16) * 4) / 3);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeCursor(scope: CursorScope, position: RowPosition): string {
  const { key } = userKey(position.key);
  const bytes = encoder.encode(`${VERSION}.${checkOf(scope, key)}.${key}`);
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function decodeCursor(scope: CursorScope, cursor: string): Parsed<RowPosition> {
  const text = cursor.length <= CURSOR_CHARS_MAX ? textOf(cursor) : undefined;
  const found = text === undefined ? null : /^1\.([0-9a-z]{1,7})\.(.+)$/su.exec(text);
  const [, check, key] = found ?? [];
  if (key === undefined || !checkKeyText(key).ok) return refused("malformed-cursor", EXPECTED);
  if (check !== checkOf(scope, key)) {
    return refused("malformed-cursor", `the cursor belongs to another scan; ${EXPECTED}`);
  }
  return parsed(targetIn(scope.namespace, key));
}

const EXPECTED = "expected the cursor of the page before, unchanged, with the same namespace and prefix";

function checkOf({ cluster, namespace, prefix }: CursorScope, key: string): string {
  return hash32([cluster, namespace, prefix, key].map((part) => `${part.length}:${part}`).join("")).toString(36);
}

function textOf(cursor: string): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(cursor)) return undefined;
  try {
    const binary = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
    return decoder.decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)));
  } catch {
    return undefined;
  }
}
