// Pure. The topology as the hot path wants it: slot → shard → replicas by array index, with the objects' names made
// once. Derived from the document, never changed: a newer epoch is a new view.

import { replicaName } from "./replica-name.ts";
import type { ReplicaPlacement, ShardPlacement, Topology } from "./topology.ts";

export interface ReplicaView extends ReplicaPlacement {
  /** Name of the object that is this replica. */
  readonly name: string;
}

export interface ShardView extends ShardPlacement {
  readonly replicas: readonly ReplicaView[];
  readonly former?: readonly ReplicaView[] | undefined;
}

export class TopologyView {
  readonly topology: Topology;
  readonly shards: readonly ShardView[];
  /** By slot: index of the owner in `shards`, which is not its number once a shard has been removed. */
  readonly #owners: Uint16Array;

  constructor(topology: Topology) {
    const { cluster } = topology;
    this.topology = topology;
    this.shards = topology.shards.map(({ former, ...placement }) => {
      const named = (placed: ReplicaPlacement): ReplicaView => ({
        ...placed,
        name: replicaName({ cluster, shard: placement.shard, replica: placed.replica, generation: placed.generation }),
      });
      return {
        ...placement,
        replicas: placement.replicas.map(named),
        ...(former === undefined ? {} : { former: former.map(named) }),
      };
    });
    const indexes = new Map(topology.shards.map(({ shard }, index) => [shard, index]));
    this.#owners = Uint16Array.from(topology.slots, (shard) => indexes.get(shard) ?? topology.shards.length);
  }

  get epoch(): number {
    return this.topology.epoch;
  }

  /** The shard that owns the slot. Throws on a slot that is not one, or a document that was never checked. */
  ownerOf(slot: number): ShardView {
    const shard = this.shards[this.#owners[slot] ?? -1];
    if (shard === undefined) throw new Error(`epoch ${this.epoch} of the topology has no owner for slot ${slot}`);
    return shard;
  }

  /** Undefined when there is no such shard in this epoch. */
  shard(shard: number): ShardView | undefined {
    return this.shards.find((view) => view.shard === shard);
  }
}
