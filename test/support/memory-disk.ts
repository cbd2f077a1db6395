// A replica's disk for unit tests: every write is durable at once, and opening it again cuts the earlier instance off, as
// the platform does with a superseded one. The simulator's disk is the same content with flushes and crashes around it.

import type { LogEntry } from "../../durable/replication/entry.ts";
import type { Membership } from "../../durable/replication/membership.ts";
import { DiskContent } from "../simulation/disk.ts";
import { SimStorage } from "../simulation/sim-storage.ts";

export class MemoryDisk {
  readonly content: DiskContent;
  /** Entries handed to the log, in order, over all instances. */
  readonly appended: LogEntry[] = [];
  #current: SimStorage | undefined;

  constructor(members: Membership) {
    this.content = new DiskContent(members);
  }

  /** Storage for a new instance. Whoever had it open fails on the next access. */
  open(): SimStorage {
    if (this.#current !== undefined) this.#current.isGone = true;
    this.#current = new SimStorage(
      this.content.copy(),
      (write) => write(this.content),
      (entries) => this.appended.push(...entries),
    );
    return this.#current;
  }
}
