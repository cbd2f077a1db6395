// Pure. What the commands work on: rows by key, versions and marks. The store is one; a transaction works on a draft over it,
// so that it can be dropped whole.

import type { Entry } from "./entry.ts";
import type { Marks } from "./marks.ts";

export interface Workspace {
  /** The stamped clock. */
  readonly clockMs: number;
  readonly marks: Marks;
  /** The row as it is, dead or alive. */
  find(slot: number, key: string): Entry | undefined;
  /** Bytes of that row's value, which need not be read for it. */
  sizeOf(slot: number, key: string): number | undefined;
  /** False: the key is the first of its namespace, and there are too many namespaces. */
  hasRoomFor(key: string): boolean;
  /** The version for the next change. */
  nextVersion(): number;
  /** Replaces `present`, the row that `find` returned. */
  put(entry: Entry, present: Entry | undefined): void;
  remove(present: Entry): void;
  /** The key was written or removed: whoever loads a value for it has come too late. */
  endFill(key: string): void;
}

/** Changes that wait for `commit()`. */
export class Draft implements Workspace {
  readonly #base: Workspace;
  readonly #rows = new Map<string, Entry | undefined>();
  readonly #steps: ((base: Workspace) => void)[] = [];

  constructor(base: Workspace) {
    this.#base = base;
  }

  get clockMs(): number {
    return this.#base.clockMs;
  }

  get marks(): Marks {
    return this.#base.marks;
  }

  find(slot: number, key: string): Entry | undefined {
    return this.#rows.has(key) ? this.#rows.get(key) : this.#base.find(slot, key);
  }

  sizeOf(slot: number, key: string): number | undefined {
    return this.#rows.has(key) ? this.#rows.get(key)?.value.byteLength : this.#base.sizeOf(slot, key);
  }

  /** Namespaces that are new in this draft do not count yet: it can pass the limit by its operations, once. */
  hasRoomFor(key: string): boolean {
    return this.#base.hasRoomFor(key);
  }

  /** Versions are taken from the store: a draft that is dropped leaves a gap, on every replica the same. */
  nextVersion(): number {
    return this.#base.nextVersion();
  }

  put(entry: Entry, present: Entry | undefined): void {
    this.#rows.set(entry.key, entry);
    this.#steps.push((base) => base.put(entry, present));
  }

  remove(present: Entry): void {
    this.#rows.set(present.key, undefined);
    this.#steps.push((base) => base.remove(present));
  }

  endFill(key: string): void {
    this.#steps.push((base) => base.endFill(key));
  }

  commit(): void {
    for (const step of this.#steps) step(this.#base);
  }
}
