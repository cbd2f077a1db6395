// Every key has exactly one owner: whoever answers for it is a replica of the shard that the topology names for its slot,
// and no two shards have ever answered for the same slot in the same epoch.

import type { Topology } from "../../../routing/topology.ts";
import type { Report } from "./report.ts";

export class KeyOwnershipChecker {
  readonly #answeredBy = new Map<string, number>();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  answered(slot: number, shard: number, topology: Topology): void {
    if (topology.slots[slot] !== shard) this.#report(`shard ${shard} answered for slot ${slot} of another shard`);
    const name = `${topology.epoch}/${slot}`;
    const known = this.#answeredBy.get(name);
    if (known === undefined) this.#answeredBy.set(name, shard);
    else if (known !== shard) this.#report(`shards ${known} and ${shard} both answered for slot ${slot}`);
  }
}
