// Which slots this shard owns and which replicas it should have, by the newest topology that the replica has seen.
// Platform-free.

import type { Topology } from "../routing/topology.ts";
import { FIRST_GENERATION } from "../routing/topology.ts";
import { type ReplicaView, TopologyView } from "../routing/topology-view.ts";
import type { MovedSlot, Refusal } from "./protocol.ts";
import type { Membership } from "./replication/membership.ts";

/** What the topology says of one shard's replicas. */
export interface ListedMembers {
  /** Member ids, the preferred leader first; none where there is no such shard. */
  readonly members: readonly string[];
  /** Epoch since which these are the replicas. */
  readonly since: number;
}

export class Ownership {
  #view: TopologyView;
  /** Made when it is asked for, as the rest. */
  #slotsOf: ReadonlyMap<number, number> | undefined;
  /** By shard; made when they are asked for. */
  #listed = new Map<number, ListedMembers>();

  constructor(topology: Topology) {
    this.#view = new TopologyView(topology);
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
    this.#slotsOf = undefined;
    this.#listed = new Map();
    return true;
  }

  /** How many slots the shard owns. */
  slotsOf(shard: number): number {
    this.#slotsOf ??= countSlots(this.#view.topology);
    return this.#slotsOf.get(shard) ?? 0;
  }

  /** Whether the topology has the slot at the shard. Whether the shard answers for it is its log's to say. */
  lists(shard: number, slot: number): boolean {
    return this.#view.topology.slots[slot] === shard;
  }

  /** Sends a router away that does not know whom to ask. `moved`: what the log knows of the slot that it asked for. */
  wrongOwner(moved?: MovedSlot): Refusal {
    return { status: "wrong_owner", topology: this.#view.topology, ...(moved === undefined ? {} : { moved }) };
  }

  listed(shard: number): ListedMembers {
    let listed = this.#listed.get(shard);
    if (listed === undefined) {
      const view = this.#view.shard(shard);
      listed = { members: (view?.replicas ?? []).map(memberId), since: view?.since ?? 0 };
      this.#listed.set(shard, listed);
    }
    return listed;
  }

  /** All that a shard's log may have as members: its replicas, and former ones that the log may still know. */
  placed(shard: number): readonly ReplicaView[] {
    const view = this.#view.shard(shard);
    return view === undefined ? [] : [...view.replicas, ...(view.former ?? [])];
  }

  /**
   * The membership that a replica starts with which has stored nothing yet. The replicas with which a shard was created, in
   * epoch 0 or when it was added, found its group: no log says who they are, so each of them takes all of them for voters.
   * Everybody else joins a group that exists, and so does a founder that begins anew after the members have changed: it has no
   * say, and only listens, until the leader's log or snapshot tells it who the members are.
   *
   * Race: founders start at different times and by different epochs. While `since` is the epoch of creation, all epochs list
   * the same members, so all found the same group. Once it is not, a founder that never started must not found with the
   * replicas of then, whom the others do not know; it need not: the change was published after a majority had founded
   * (topology-changes.ts), and they bring it in. A shard's number is never used again, so nobody founds a second group of it.
   */
  foundingMembership(shard: number): Membership {
    const { members, since } = this.listed(shard);
    const createdIn = this.#view.shard(shard)?.createdIn ?? 0;
    const isFounding = since === createdIn && members.every((member) => placedIn(member) === createdIn);
    return { voters: isFounding ? members : [], learners: [] };
  }
}

/** Unique over all placements of a shard. */
export function memberId(placement: { readonly replica: number; readonly generation: number }): string {
  return `${placement.replica}.${placement.generation}`;
}

/** The replica's number; what else is in the id says which of its objects it is. */
export function replicaOf(member: string | undefined): number | undefined {
  return member === undefined ? undefined : Number.parseInt(member, 10);
}

/** The epoch in which a member was placed: who routes by an older one has never heard of it. */
export function placedIn(member: string): number {
  return Number.parseInt(member.slice(member.indexOf(".") + 1), 10) - FIRST_GENERATION;
}

function countSlots({ slots }: Topology): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const shard of slots) counts.set(shard, (counts.get(shard) ?? 0) + 1);
  return counts;
}
