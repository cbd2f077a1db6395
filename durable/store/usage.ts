// Pure. Rows and bytes held, in all and by namespace. Counts what the log says: dead rows too, until one removes them. The
// parts of large values count among the bytes of their namespace; locks and limits count in no namespace.

import type { Entry, StoreState, Usage } from "./entry.ts";
import { isSystemKey, namespaceOf, parsePartKey } from "./keyspace.ts";
import { NAMESPACES_MAX } from "./limits.ts";
import { accountedBytes } from "./sizes.ts";

interface Counts {
  keys: number;
  bytes: number;
}

export class UsageCounter {
  /** Users' rows only. */
  keys: number;
  bytes: number;
  expiring: number;
  readonly #byNamespace: Map<string, Counts>;

  constructor({ keys, bytes, expiring, usage }: StoreState) {
    this.keys = keys;
    this.bytes = bytes;
    this.expiring = expiring;
    this.#byNamespace = new Map(usage.map(({ namespace, keys, bytes }) => [namespace, { keys, bytes }]));
  }

  added(entry: Entry): void {
    this.#count(entry, 1);
  }

  removed(entry: Entry): void {
    this.#count(entry, -1);
  }

  /** False: the key would be the first of its namespace, and there are NAMESPACES_MAX. */
  hasRoomFor(key: string): boolean {
    return this.#byNamespace.size < NAMESPACES_MAX || isSystemKey(key) || this.#byNamespace.has(namespaceOf(key));
  }

  of(namespace: string): Usage {
    const { keys, bytes } = this.#byNamespace.get(namespace) ?? { keys: 0, bytes: 0 };
    return { namespace, keys, bytes };
  }

  all(): readonly Usage[] {
    const usage = Array.from(this.#byNamespace, ([namespace, { keys, bytes }]) => ({ namespace, keys, bytes }));
    return usage.sort((left, right) => (left.namespace < right.namespace ? -1 : 1));
  }

  #count(entry: Entry, sign: 1 | -1): void {
    const bytes = sign * accountedBytes(entry);
    this.bytes += bytes;
    if (entry.expiresMs !== undefined) this.expiring += sign;
    const owner = isSystemKey(entry.key) ? parsePartKey(entry.key)?.key : entry.key;
    if (owner === undefined) return;
    const keys = owner === entry.key ? sign : 0;
    this.keys += keys;
    const namespace = namespaceOf(owner);
    const counts = this.#byNamespace.get(namespace) ?? { keys: 0, bytes: 0 };
    counts.keys += keys;
    counts.bytes += bytes;
    // Every row has bytes.
    if (counts.bytes === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, counts);
  }
}
