// The place of one replica: its disk, its clock, and the instances that run there one after the other. The first call after
// a crash starts the next instance, as the platform does; an instance that was superseded may run on as a zombie.

import { Ownership } from "../../durable/ownership.ts";
import { type RoutedReplica, refusingReplica } from "../../durable/refusing-replica.ts";
import { memberId } from "../../durable/replica-context.ts";
import { isRetired } from "../../routing/retired-shards.ts";
import { FIRST_GENERATION, generationIn, type Topology } from "../../routing/topology.ts";
import type { ReplicaView, TopologyView } from "../../routing/topology-view.ts";
import type { SimClock } from "./clock.ts";
import { DiskContent } from "./disk.ts";
import { Instance } from "./instance.ts";
import type { World } from "./world.ts";

export class ReplicaHost {
  readonly world: World;
  readonly name: string;
  readonly member: string;
  readonly options: {
    readonly name: string;
    readonly shard: number;
    readonly replica: number;
    readonly generation: number;
    readonly region: string;
  };
  readonly clock: SimClock;
  /** Durable: the newest topology that an instance of it has installed. */
  topology: Topology;
  /** Durable: log, votes and tables. */
  disk: DiskContent;
  current: Instance | undefined;
  zombies: Instance[] = [];
  /** One of the replicas with which its shard was created. */
  readonly isFounder: boolean;
  /** Dead for good, with its disk. */
  isDestroyed = false;
  /** Durable: its shard was removed, and it holds nothing any more. As cache-replica.ts keeps it. */
  #retired: { isWiped: boolean } | undefined;
  /** Something that it had stored was altered: it may have lost what others count on. */
  hasRotted = false;
  frozenUntilMs = 0;
  downUntilMs = 0;
  /** Mean extra time that an event waits before this machine gets to it; 0: it is as fast as any. */
  slowMs = 0;
  /** What the last instance had applied when it died, and nobody could have heard of. */
  unpublished: Instance["unpublished"] = [];
  #incarnations = 0;

  /** `topology`: the newest one at the replica's first start. */
  constructor(world: World, shard: number, view: ReplicaView, topology: Topology, clock: SimClock) {
    this.world = world;
    this.name = `s${shard}r${view.replica}${view.generation === FIRST_GENERATION ? "" : `g${view.generation}`}`;
    this.member = memberId(view);
    this.options = { ...view, shard };
    this.clock = clock;
    this.topology = topology;
    const createdIn = topology.shards.find((placement) => placement.shard === shard)?.createdIn ?? 0;
    this.isFounder = view.generation === generationIn(createdIn);
    this.disk = new DiskContent(new Ownership(topology).foundingMembership(shard));
  }

  get isDown(): boolean {
    return this.isDestroyed || this.world.loop.nowMs < this.downUntilMs;
  }

  get isRetired(): boolean {
    return this.#retired !== undefined;
  }

  /** What it is to routers once it is retired. */
  get refusing(): RoutedReplica {
    this.world.coverage.count("wiped object sent a router on");
    return refusingReplica(new Ownership(this.topology).wrongOwner());
  }

  /** Marked if the document says so; ends whatever runs, which knows nothing of that. */
  maybeRetire({ topology, epoch }: TopologyView, removedIn: number): void {
    if (epoch < removedIn || !isRetired(topology, this.options) || this.#retired !== undefined) return;
    this.#retired = { isWiped: false };
    this.topology = topology;
    this.world.coverage.count("object of a removed shard marked");
    this.crash("its shard was removed");
  }

  /** Of one that is marked. Everything goes but the mark and the topology. */
  wipe(): true {
    if (this.#retired?.isWiped === false) {
      this.world.checks.wiped(this);
      this.world.coverage.count("object of a removed shard wiped");
      this.world.note(this.name, "is wiped");
      this.#retired = { isWiped: true };
      this.disk = new DiskContent({ voters: [], learners: [] });
    }
    return true;
  }

  /** It never comes back. */
  destroy(): void {
    this.world.note(this.name, "is destroyed");
    this.isDestroyed = true;
    for (const instance of this.instances) this.removed(instance);
  }

  /** All that run, zombies included. */
  get instances(): readonly Instance[] {
    return this.current === undefined ? this.zombies : [...this.zombies, this.current];
  }

  /** How long an event that arrives now must wait. */
  arrivalDelayMs(): number {
    const frozenMs = this.frozenUntilMs - this.world.loop.nowMs;
    const { coverage, networkRandom } = this.world;
    if (frozenMs > 0) {
      coverage.count("call held up by a freeze");
      return frozenMs;
    }
    if (this.slowMs === 0 || networkRandom.chance(0.5)) return 0;
    coverage.count("call held up by a slow object");
    return networkRandom.exponential(this.slowMs);
  }

  /** The instance that a call of `caller` reaches, started if need be; undefined: it failed at its start. */
  instanceFor(caller: string): Instance | undefined {
    for (const zombie of this.zombies) {
      if (!this.world.faultRandom.chance(zombie.reachedBy.get(caller) ?? 0)) continue;
      this.world.coverage.count("call reached a zombie");
      return zombie;
    }
    return this.current ?? this.#start();
  }

  #start(): Instance | undefined {
    const { world } = this;
    let instance: Instance | undefined;
    if (world.isStormy) world.bitRot.maybeStrike(this);
    world.starting(this, () => {
      this.#incarnations++;
      instance = new Instance(this, this.#incarnations);
      this.current = instance;
    });
    if (instance !== undefined) {
      world.coverage.count("start of an instance");
      world.note(
        instance.label,
        "starts",
        `t${instance.core.term} at ${instance.core.appliedIndex}/${instance.core.log.lastIndex}`,
      );
      instance.enter(() => {});
    }
    return instance;
  }

  /** The instance loses its memory and what was not durable. `only`: nothing happens if another one runs by now. */
  crash(why: string, only: Instance | undefined = this.current, downMs = 0): void {
    const instance = this.current;
    if (instance !== only) return;
    this.downUntilMs = Math.max(this.downUntilMs, this.world.loop.nowMs + downMs);
    if (instance === undefined) return;
    this.world.coverage.count("crash");
    this.world.note(instance.label, "crashes", why);
    this.removed(instance);
  }

  /** Another instance takes the storage over; the old one does not notice and is reached by some callers. */
  supersede(lifeMs: number, reachedBy: ReadonlyMap<string, number>): Instance | undefined {
    const instance = this.current;
    if (instance === undefined) return undefined;
    this.world.coverage.count("zombie");
    this.world.note(instance.label, "becomes a zombie", `for ${Math.round(lifeMs)} ms`);
    instance.loseStorage();
    instance.isZombie = true;
    for (const [caller, probability] of reachedBy) instance.reachedBy.set(caller, probability);
    this.zombies.push(instance);
    this.unpublished = instance.unpublished;
    instance.unpublished = [];
    this.current = undefined;
    this.#start();
    this.world.loop.after(lifeMs, () => this.removed(instance));
    return instance;
  }

  freeze(forMs: number): void {
    this.frozenUntilMs = Math.max(this.frozenUntilMs, this.world.loop.nowMs + forMs);
    this.world.coverage.count("freeze");
    this.world.note(this.name, "freezes", `for ${Math.round(forMs)} ms`);
  }

  /** Ends every fault of this machine. */
  heal(): void {
    this.frozenUntilMs = 0;
    this.downUntilMs = 0;
    this.slowMs = 0;
    for (const zombie of [...this.zombies]) this.removed(zombie);
  }

  /** The instance is over: it failed, or it was a zombie whose time was up. */
  removed(instance: Instance): void {
    if (this.current === instance) {
      this.current = undefined;
      this.unpublished = instance.unpublished;
    }
    this.zombies = this.zombies.filter((zombie) => zombie !== instance);
    instance.die();
  }
}
