// Pure. Rows and bytes held, in all and by namespace. Counts what the log says: dead rows too, until one removes them.

import type { Entry, StoreState, Usage } from "./entry.ts";
import { isSystemKey, namespaceOf } from "./keyspace.ts";
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
    if (isSystemKey(entry.key)) return;
    this.keys += sign;
    const namespace = namespaceOf(entry.key);
    const counts = this.#byNamespace.get(namespace) ?? { keys: 0, bytes: 0 };
    counts.keys += sign;
    counts.bytes += bytes;
    if (counts.keys === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, counts);
  }
}
