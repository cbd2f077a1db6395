// Changes of who the replicas are, as an operator makes them: a new document in the Directory, and a word to the replicas,
// which may reach all of them, only some, or none. Replicas that are replaced may be dead for good, with their disks.

import { memberId } from "../../durable/replica-context.ts";
import { decodeMembership, type Membership } from "../../durable/replication/membership.ts";
import { quorumSize } from "../../durable/replication/quorum.ts";
import { majorityProblem } from "../../durable/topology-changes.ts";
import type { Region } from "../../routing/region.ts";
import type { Topology } from "../../routing/topology.ts";
import { changedTopology, type ReplicaChange } from "../../routing/topology-change.ts";
import { FORMER_REPLICAS_MAX } from "../../routing/topology-parser.ts";
import { TopologyView } from "../../routing/topology-view.ts";
import { OPERATOR } from "./operator.ts";
import type { SeededRandom } from "./random.ts";
import type { ReplicaHost } from "./replica-host.ts";
import type { World } from "./world.ts";

const NEW_REGIONS: readonly Region[] = ["weur", "sam", "me", "afr", "apac-se"];

/** Former replicas for which the storm leaves room: those that are dead when it ends are all replaced. */
const FORMER_RESERVE = 8;

export class Reshaping {
  readonly #world: World;
  readonly #random: SeededRandom;

  constructor(world: World, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
  }

  scale(): void {
    const shard = this.#random.pick(this.#world.directory.shards);
    const now = shard.replicas.length;
    const replicas = this.#random.chance(0.1) ? 1 : this.#random.pick([3, 5]);
    const regions = replicas > now ? [this.#random.pick(NEW_REGIONS)] : [];
    this.#change({ kind: "set_replicas", shard: shard.shard, replicas, regions });
  }

  /** The replica that is replaced is dead or alive, and if it dies, before anybody knows of its successor or after. */
  replace(): void {
    const random = this.#random;
    const { shard, replicas } = random.pick(this.#world.directory.shards);
    const { replica } = random.pick(replicas);
    const victim = this.#world.listedHostsOf(shard).find(({ options }) => options.replica === replica);
    const dies = random.pick(["before", "after", "never"]);
    const change = (): void => {
      if (!this.#world.isStormy) return;
      this.#change({ kind: "replace_replica", shard, replica, region: random.pick(NEW_REGIONS) });
    };
    if (dies === "before" && victim !== undefined) {
      this.maybeDestroy(victim);
      this.#world.loop.after(random.between(0, 500), change);
      return;
    }
    change();
    if (dies === "after" && victim !== undefined) {
      this.#world.loop.after(random.between(0, 500), () => this.maybeDestroy(victim));
    }
  }

  /** What an operator does who sees that a change does not get on: says it again. */
  tellAll(): void {
    for (const host of this.#world.hosts) this.#tell(host);
  }

  /** Each of them with this probability. */
  tellSome(share: number): void {
    for (const host of this.#world.hosts) if (this.#random.chance(share)) this.#tell(host);
  }

  /** Before it is asked whether the cluster gets on again: nobody waits for the dead. */
  replaceDestroyed(): void {
    for (const { shard } of this.#world.directory.shards) {
      for (const host of this.#world.listedHostsOf(shard)) {
        const { replica } = host.options;
        if (host.isDestroyed) {
          this.#change({ kind: "replace_replica", shard, replica, region: this.#random.pick(NEW_REGIONS) });
        }
      }
    }
  }

  /** Who drops out of the former replicas while the log still has it as a member can never be found again. */
  hasRoomFor({ shards }: Topology, shard: number | undefined): boolean {
    const former = shards.find((placement) => placement.shard === shard)?.former ?? [];
    return !this.#world.isStormy || former.length <= FORMER_REPLICAS_MAX - FORMER_RESERVE;
  }

  #change(change: ReplicaChange): void {
    const changed = changedTopology(this.#world.directory, { ...change, allowSharedRegions: true });
    if (!changed.ok || !this.hasRoomFor(changed.topology, change.shard)) return;
    if (this.#isRefused(changed.topology, change.shard ?? 0)) return;
    this.#world.publish(changed.topology);
    const told = this.#random.pick([0, 0.4, 1]);
    for (const host of this.#world.hostsOf(change.shard ?? 0)) if (this.#random.chance(told)) this.#tell(host);
  }

  /** As the production code refuses it. Only the dead keep silent here: whoever is out of reach now is back a moment later. */
  #isRefused(next: Topology, shard: number): boolean {
    const [before, after] = [this.#world.directory, next].map((topology) => new TopologyView(topology).shard(shard));
    const listed = this.#world.listedHostsOf(shard);
    const living = listed.filter(({ isDestroyed }) => !isDestroyed);
    const isAlive = living.length >= quorumSize(listed.length);
    return majorityProblem(before, after, new Set(living.map(({ options }) => options.name)), isAlive) !== undefined;
  }

  #tell(host: ReplicaHost): void {
    const { rpc, directory } = this.#world;
    const { epoch } = directory;
    rpc
      .call(OPERATOR, host, {
        label: `epoch ${epoch} is there`,
        kind: "other",
        isRepeatable: true,
        run: (instance) => instance.topologyChanged(epoch),
      })
      .catch(() => undefined);
  }

  /**
   * Not where it would end a majority, nor two of the replicas that a new edge begins with. A majority of those that are listed
   * counts like one of those that vote: whoever has asked for three replicas survives the loss of one, while five vote as well.
   * Edges ask nobody else, and the topology takes no change without it.
   */
  maybeDestroy(victim: ReplicaHost): void {
    const { shard } = victim.options;
    if (!this.#world.isStormy || victim.isDestroyed) return;
    const gone = new Set(this.#world.hostsOf(shard).filter(({ isDestroyed }) => isDestroyed));
    gone.add(victim);
    // A shard that has, or is to have, one replica survives the loss of none, nor does it while two are members.
    const isSmall = [...membershipsInForce(this.#world, shard)].some(({ voters }) => voters.length < 3);
    // Whoever replaces the dead needs a majority of those that are listed, be they voters yet or not.
    const listed = this.#world.listedHostsOf(shard);
    const isListLost = listed.filter((host) => !gone.has(host)).length < quorumSize(listed.length);
    if (!isSmall && !isListLost && canSpare(this.#world, shard, gone, 2)) victim.destroy();
  }
}

/** Whether a majority of every membership that may be in force is left without those, and so many founders. */
export function canSpare(world: World, shard: number, away: ReadonlySet<ReplicaHost>, founders: number): boolean {
  const left = world.hostsOf(shard).filter((host) => !away.has(host));
  if (left.filter(({ isFounder }) => isFounder).length < founders) return false;
  return membershipsInForce(world, shard).every(({ voters }) => {
    const remaining = left.filter(({ member }) => voters.includes(member));
    return remaining.length >= quorumSize(voters.length);
  });
}

/** The committed membership, and those that are written somewhere and may still become it. */
export function membershipsInForce(world: World, shard: number): readonly Membership[] {
  const { entry } = world.checks.truthOf(shard).entries.findLast(({ entry }) => entry.kind === "config") ?? {};
  const founders = world.hostsOf(shard).filter(({ isFounder }) => isFounder);
  const committed =
    entry === undefined ? { voters: founders.map(({ member }) => member), learners: [] } : decodeMembership(entry.data);
  const later = world
    .hostsOf(shard)
    .flatMap(({ disk, instances }) => [
      ...disk.rows
        .filter((row) => row.entry.kind === "config" && row.entry.index > (entry?.index ?? 0))
        .map((row) => decodeMembership(row.entry.data)),
      ...instances.filter(({ core }) => core.membershipIndex > (entry?.index ?? 0)).map(({ core }) => core.membership),
    ]);
  return [committed, ...later].flatMap((membership) => [membership, ...nextOf(world, shard, membership)]);
}

/**
 * What the next step may make of it, taken by a leader that has not noticed yet who is gone, nor perhaps that the document
 * is not the newest. There is no second such step: it needs answers from after the first one.
 */
function nextOf(world: World, shard: number, { voters, learners }: Membership): readonly Membership[] {
  return listsKnown(world, shard, voters).flatMap((listed) => {
    const leaving = voters.length > listed.length ? voters.filter((id) => !listed.includes(id)) : [];
    const joining = learners.filter((id) => listed.includes(id));
    return [
      ...leaving.map((id) => ({ voters: voters.filter((other) => other !== id), learners })),
      ...joining.map((id) => ({ voters: [...voters, id], learners })),
    ];
  });
}

/** Whom the newest document lists, and those that they know who may lead. */
function listsKnown(world: World, shard: number, voters: readonly string[]): readonly (readonly string[])[] {
  const leaders = world.hostsOf(shard).filter(({ member, isDestroyed }) => voters.includes(member) && !isDestroyed);
  const documents = new Set([world.directory, ...leaders.map(({ topology }) => topology)]);
  return [...documents].map(({ shards }) => {
    const placement = shards.find((candidate) => candidate.shard === shard);
    return (placement?.replicas ?? []).map(memberId);
  });
}
