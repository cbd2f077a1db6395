// What an operator's changes come to. A shard that is drained gets nothing any more, and gives away all that it has; every move is
// planned from the slot's owner to another shard that there is.

import type { Topology } from "../../../routing/topology.ts";
import type { Report } from "./report.ts";

export class PlacementChecker {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** A document with moves that were planned for it; `drains`: what is to happen to whom is the shares' to say, not somebody's choice. */
  planned({ epoch, moves = [], shards, slots }: Topology, drains = true): void {
    for (const { slot, from, to } of moves.filter((move) => move.epoch === epoch)) {
      const target = shards.find(({ shard }) => shard === to);
      if (slots[slot] !== from) this.#report(`slot ${slot} is to move from shard ${from}, it is at ${slots[slot]}`);
      if (target === undefined || from === to) this.#report(`slot ${slot} is to move from shard ${from} to ${to}`);
      if (target?.weight === 0) this.#report(`slot ${slot} is to move to shard ${to}, which is drained`);
    }
    if (!drains) return;
    // Whoever is drained is rid of all its slots once the moves are made.
    const leaving = new Set(moves.map(({ slot }) => slot));
    for (const { shard } of shards.filter(({ weight }) => weight === 0)) {
      const kept = slots.findIndex((owner, slot) => owner === shard && !leaving.has(slot));
      if (kept !== -1) this.#report(`shard ${shard} is drained, and slot ${kept} stays there`);
    }
  }
}
