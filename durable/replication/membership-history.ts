// Pure. Which memberships the log holds: one is in force from the moment its entry is in the log, committed or not
// (dissertation, section 4.1), and is undone with the entry. What lies before the log's start is the snapshot's.

import type { LogEntry } from "./entry.ts";
import { invariant } from "./invariant.ts";
import { decodeMembership, type Membership } from "./membership.ts";

interface Known {
  readonly index: number;
  readonly membership: Membership;
}

export class MembershipHistory {
  /** Oldest first, over that of the snapshot, which is never taken away; the last one is in force. */
  #known: [Known, ...Known[]];

  constructor(snapshot: Known) {
    this.#known = [snapshot];
  }

  /** Of the membership in force. */
  get index(): number {
    return this.#latest.index;
  }

  get membership(): Membership {
    return this.#latest.membership;
  }

  get #latest(): Known {
    const latest = this.#known.at(-1);
    invariant(latest !== undefined, "there is always a membership");
    return latest;
  }

  /** In force at `index`, for a snapshot that ends there. */
  at(index: number): Membership {
    let [{ membership: found }] = this.#known;
    for (const { index: at, membership } of this.#known) if (at <= index) found = membership;
    return found;
  }

  note(entry: LogEntry): void {
    this.#known.push({ index: entry.index, membership: decodeMembership(entry.data) });
  }

  /** The log's entries from `index` on are replaced. */
  truncateFrom(index: number): void {
    while (this.#known.length > 1 && this.index >= index) this.#known.pop();
  }

  /** The log begins behind `index` from now on. */
  compactTo(index: number): void {
    this.#known = [{ index, membership: this.at(index) }, ...this.#known.filter((known) => known.index > index)];
  }
}
