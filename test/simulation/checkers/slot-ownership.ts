// R1: by the committed logs of all shards together, nobody or one shard owns a slot, at every moment. What a log says counts from
// when its entry is committed, and with that known; a target's claim is sent only after the source's has ended.

import type { SlotTable } from "../../../durable/store/slots.ts";
import type { Report } from "./report.ts";

export class SlotOwnershipChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** In the end: the shard that the document says, and nobody else. */
  checkEnd(slots: readonly number[], tables: ReadonlyMap<number, SlotTable>, listed: readonly number[]): void {
    for (const slot of slots) {
      const owner = listed[slot] ?? -1;
      const table = tables.get(owner);
      // One that speaks of no slots has what it was founded with.
      if (table === undefined || !table.owns(slot))
        this.#report(`slot ${slot} is not owned by shard ${owner} in the end`);
    }
  }

  /** An object of the shard is about to be wiped. */
  checkWiped(shard: number, slots: readonly number[], table: SlotTable): void {
    const owned = slots.filter((slot) => table.isFounded && table.owns(slot));
    if (owned.length > 0) this.#report(`shard ${shard} is wiped, and owns slots ${owned.join(", ")}`);
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
