// R1: by the committed logs of all shards together, nobody or one shard owns a slot, at every moment. What a log says counts from
// when its entry is committed, and with that known; a target's claim is sent only after the source's has ended.

import type { SlotTable } from "../../../durable/store/slots.ts";
import type { Report } from "./report.ts";

export class SlotOwnershipChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** `tables`: by shard. A log that speaks of no slots owns what the first topology gave it. */
  check(slots: readonly number[], tables: ReadonlyMap<number, SlotTable>, first: readonly number[]): void {
    for (const slot of slots) {
      const owners = [...tables].filter(([shard, table]) =>
        table.isFounded ? table.owns(slot) : first[slot] === shard,
      );
      if (owners.length < 2) continue;
      this.#report(`slot ${slot} is owned by ${owners.map(([shard]) => `shard ${shard}`).join(" and ")}`);
    }
  }
}
