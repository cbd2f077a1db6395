// Which slots this shard owns, by the newest topology that the replica has seen. Platform-free.

import type { Topology } from "../routing/topology.ts";
import { TopologyView } from "../routing/topology-view.ts";
import type { Refusal } from "./protocol.ts";

export class Ownership {
  #view: TopologyView;
  #slotsOf: ReadonlyMap<number, number>;

  constructor(topology: Topology) {
    this.#view = new TopologyView(topology);
    this.#slotsOf = countSlots(topology);
  }

  get epoch(): number {
    return this.#view.epoch;
  }

  get view(): TopologyView {
    return this.#view;
  }

  /** Takes a topology over if it is newer; returns whether it was. */
  install(topology: Topology): boolean {
    if (topology.epoch <= this.epoch) return false;
    this.#view = new TopologyView(topology);
    this.#slotsOf = countSlots(topology);
    return true;
  }

  /** How many slots the shard owns. */
  slotsOf(shard: number): number {
    return this.#slotsOf.get(shard) ?? 0;
  }

  /** What to answer to a request for a slot of another shard. */
  refusal(shard: number, slot: number): Refusal | undefined {
    if (this.#view.topology.slots[slot] === shard) return undefined;
    return { status: "wrong_owner", topology: this.#view.topology };
  }
}

function countSlots({ slots }: Topology): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const shard of slots) counts.set(shard, (counts.get(shard) ?? 0) + 1);
  return counts;
}
