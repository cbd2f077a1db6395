// Pure. The topology as the hot path wants it: slot → shard → replicas by array index, with the objects' names made
// once. Derived from the document, never changed: a newer epoch is a new view.

import { replicaName } from "./replica-name.ts";
import type { ReplicaPlacement, ShardPlacement, SlotMove, Topology } from "./topology.ts";

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
  /** By slot: index of the owner in `shards`, which is not its number once a shard has been removed; made when it is asked for. */
  #owners: Uint16Array | undefined;
  /** By slot, of those that have moved; made when it is asked for. */
  #movedAt: ReadonlyMap<number, number> | undefined;

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
  }

  get epoch(): number {
    return this.topology.epoch;
  }

  /** The shard that owns the slot. Throws on a slot that is not one, or a document that was never checked. */
  ownerOf(slot: number): ShardView {
    this.#owners ??= ownersIn(this.topology);
    const shard = this.shards[this.#owners[slot] ?? -1];
    if (shard === undefined) throw new Error(`epoch ${this.epoch} of the topology has no owner for slot ${slot}`);
    return shard;
  }

  /** Undefined when there is no such shard in this epoch. */
  shard(shard: number): ShardView | undefined {
    return this.shards.find((view) => view.shard === shard);
  }

  /** Pending moves of slots that this shard is to give away. */
  movesFrom(shard: number): readonly SlotMove[] {
    return (this.topology.moves ?? []).filter(({ from }) => from === shard);
  }

  /** Pending moves of slots that this shard is to get. */
  movesTo(shard: number): readonly SlotMove[] {
    return (this.topology.moves ?? []).filter(({ to }) => to === shard);
  }

  /** Moves that this shard was to make and is to call off, unless its log says that it has made them. */
  cancelledFrom(shard: number): readonly SlotMove[] {
    return (this.topology.cancelled ?? []).filter(({ from }) => from === shard);
  }

  /** Epoch of the move that made the slot's owner its owner; 0: it is where epoch 0 put it. */
  movedAt(slot: number): number {
    this.#movedAt ??= new Map(
      (this.topology.movedAt ?? []).flatMap(({ epoch, slots }) => slots.map((moved) => [moved, epoch] as const)),
    );
    return this.#movedAt.get(slot) ?? 0;
  }
}

function ownersIn({ shards, slots }: Topology): Uint16Array {
  const indexes = new Map(shards.map(({ shard }, index) => [shard, index]));
  // Not by `from` with a function, which takes ten times as long.
  const owners = new Uint16Array(slots.length);
  let slot = 0;
  for (const shard of slots) owners[slot++] = indexes.get(shard) ?? shards.length;
  return owners;
}
