// The storm: faults of the kinds that the seed has switched on, each again and again at random times.

import type { Edge } from "./edge.ts";
import type { CutMode } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import type { ReplicaHost } from "./replica-host.ts";
import type { Reshaping } from "./reshaping.ts";
import { FAULT_KINDS, type FaultKind, HANDOVER_FAULT_KINDS, MEMBER_FAULT_KINDS } from "./swarm.ts";
import { DIRECTORY, SWEEPER, type World } from "./world.ts";

/** Machines are told by name, replicas and edges alike. */
export class Storm {
  readonly #world: World;
  readonly #edges: readonly Edge[];
  readonly #reshaping: Reshaping;
  readonly #random: SeededRandom;
  /** Faults injected so far. */
  count = 0;

  constructor(world: World, edges: readonly Edge[], reshaping: Reshaping) {
    this.#world = world;
    this.#edges = edges;
    this.#reshaping = reshaping;
    this.#random = world.random.fork("storm");
  }

  begin(): void {
    for (const kind of [...FAULT_KINDS, ...MEMBER_FAULT_KINDS, ...HANDOVER_FAULT_KINDS]) {
      const everyMs = this.#world.config.faults[kind];
      if (everyMs !== undefined) this.#schedule(kind, everyMs);
    }
  }

  #schedule(kind: FaultKind, everyMs: number): void {
    const { loop } = this.#world;
    loop.after(this.#random.exponential(everyMs), () => {
      if (!this.#world.isStormy) return;
      this.count++;
      this.#inject(kind);
      this.#schedule(kind, everyMs);
    });
  }

  #inject(kind: FaultKind): void {
    const random = this.#random;
    const lastsMs = random.between(0, this.#world.config.faultMsMax);
    const host = this.#victim();
    const { coverage } = this.#world;
    switch (kind) {
      case "crash":
        host.crash("killed", host.current, random.chance(0.5) ? lastsMs : 0);
        break;
      case "evict":
        host.crash("evicted");
        break;
      case "freeze":
        host.freeze(lastsMs);
        break;
      case "partition":
        coverage.count("partition");
        this.#partition(lastsMs);
        break;
      case "one_way_cut":
        coverage.count("one-way cut");
        this.#cut([random.pick(this.#machines())], this.#machines(), lastsMs, "silent", random.chance(0.5));
        break;
      case "clog":
        this.#clog(lastsMs);
        break;
      case "zombie":
        this.#makeZombie(host, lastsMs);
        break;
      case "deploy":
        coverage.count("deploy-wide restart");
        this.#deploy();
        break;
      case "slow":
        coverage.count("slow object");
        this.#slowDown(host, lastsMs);
        break;
      case "overload":
        random.pick(this.#edges).overloadedUntil.set(host, this.#world.loop.nowMs + lastsMs);
        break;
      case "transfer":
        this.#transfer(host, lastsMs);
        break;
      case "scale":
        this.#reshaping.scale();
        break;
      case "replace":
        this.#reshaping.replace();
        break;
      case "estrange":
        this.#estrange(lastsMs);
        break;
      case "edge_restart":
        random.pick(this.#edges).restart();
        break;
      case "pause":
        coverage.count("silence of all clients");
        this.#world.clientsSilentUntilMs = this.#world.loop.nowMs + lastsMs;
        break;
    }
  }

  /** Leaders are worth more attention than chance would give them. */
  #victim(): ReplicaHost {
    const leaders = this.#world.hosts.filter(({ current }) => current?.core.role === "leader");
    if (leaders.length > 0 && this.#random.chance(0.5)) return this.#random.pick(leaders);
    return this.#random.pick(this.#world.hosts);
  }

  #machines(): readonly string[] {
    const machines = [...[...this.#world.hosts, ...this.#edges].map(({ name }) => name), DIRECTORY];
    return this.#world.config.sweep === undefined ? machines : [...machines, SWEEPER];
  }

  /** Two sides that do not hear each other; each edge is on one of them or, with luck, on both. */
  #partition(lastsMs: number): void {
    const machines = this.#machines();
    const inside = this.#oneSide(machines);
    const outside = machines.filter((name) => !inside.includes(name));
    const reachable = this.#random.chance(0.5) ? outside.filter((name) => name.startsWith("edge")) : [];
    const mode = this.#random.pick<CutMode>(["silent", "refusing"]);
    this.#cut(
      inside,
      outside.filter((name) => !reachable.includes(name)),
      lastsMs,
      mode,
      undefined,
    );
  }

  #oneSide(machines: readonly string[]): readonly string[] {
    const random = this.#random;
    const victim = this.#victim();
    const group = this.#world.hostsOf(victim.options.shard);
    const others = random.shuffled(group.filter((host) => host !== victim)).map(({ name }) => name);
    switch (random.below(3)) {
      case 0:
        return [victim.name];
      case 1:
        // The largest minority: in a group of five, a leader with one follower.
        return [victim.name, ...others.slice(0, Math.ceil(group.length / 2) - 2)];
      default:
        return random.shuffled(machines).slice(0, 1 + random.below(machines.length - 1));
    }
  }

  /** `outgoing`: only messages from `inside`, or only those to it; undefined: both. */
  #cut(
    inside: readonly string[],
    outside: readonly string[],
    lastsMs: number,
    mode: CutMode,
    outgoing: boolean | undefined,
  ): void {
    const { network, loop } = this.#world;
    const links: [string, string][] = [];
    for (const left of inside) {
      for (const right of outside) {
        if (left === right) continue;
        if (outgoing !== false) links.push([left, right]);
        if (outgoing !== true) links.push([right, left]);
      }
    }
    this.#world.note("network", `cut (${mode})`, inside.join(","), outgoing === undefined ? "both" : String(outgoing));
    const mends = links.map(([from, to]) => network.cut(from, to, mode));
    loop.after(lastsMs, () => {
      for (const mend of mends) mend();
    });
  }

  /** A follower that its group does not reach any more, nor the Directory perhaps, while all clients do. */
  #estrange(lastsMs: number): void {
    const { hosts, directory } = this.#world;
    const listed = directory.shards.flatMap(({ shard }) => this.#world.listedHostsOf(shard));
    const followers = hosts.filter((host) => host.current?.core.role === "follower" && listed.includes(host));
    if (followers.length === 0) return;
    const host = this.#random.pick(followers);
    const peers = this.#world.hostsOf(host.options.shard).filter((peer) => peer !== host);
    const lost = peers.map(({ name }) => name);
    this.#cut([host.name], lost, lastsMs, "silent", undefined);
    // Where it is refused, the replica knows at once that there is no newer document to be had.
    if (this.#random.chance(0.5)) this.#cut([host.name], [DIRECTORY], lastsMs, "refusing", undefined);
  }

  #clog(lastsMs: number): void {
    const [from, to] = this.#random.shuffled(this.#machines());
    if (from === undefined || to === undefined) return;
    this.#world.note("network", "clogged", `${from}>${to}`, Math.round(lastsMs));
    this.#world.network.clog(from, to, this.#world.loop.nowMs + lastsMs);
  }

  #makeZombie(host: ReplicaHost, lastsMs: number): void {
    const machines = this.#machines();
    const reachedBy = new Map(machines.map((name) => [name, this.#random.pick([0, 0.5, 1])]));
    const zombie = host.supersede(lastsMs, reachedBy);
    if (zombie === undefined) return;
    // It runs on another machine than its successor, with connections of its own.
    const lost = machines.filter((name) => name !== host.name && this.#random.chance(0.3));
    this.#cut([zombie.name], lost, lastsMs, "silent", undefined);
  }

  /** Every object and every isolate restarts within a moment. */
  #deploy(): void {
    const { loop, hosts } = this.#world;
    const withinMs = this.#random.pick([0, 20, 500]);
    for (const host of hosts) loop.after(this.#random.between(0, withinMs), () => host.crash("deploy"));
    for (const edge of this.#edges) loop.after(this.#random.between(0, withinMs), () => edge.restart());
  }

  #slowDown(host: ReplicaHost, lastsMs: number): void {
    host.slowMs = this.#random.logarithmic(2, 200);
    this.#world.note(host.name, "is slow", host.slowMs);
    this.#world.loop.after(lastsMs, () => {
      host.slowMs = 0;
    });
  }

  /** Sometimes the order to take over meets a clogged link, and arrives when the leader has long gone on without. */
  #transfer(host: ReplicaHost, lastsMs: number): void {
    const { current, options } = host;
    const { loop, network } = this.#world;
    if (current === undefined || host.frozenUntilMs > loop.nowMs) return;
    const target = this.#random.pick(this.#world.hostsOf(options.shard));
    const to = target.options.replica;
    if (this.#random.chance(0.3)) network.clog(host.name, target.name, loop.nowMs + lastsMs);
    // Or the one that takes over is not heard by everybody.
    const deaf = this.#random.pick(this.#world.hostsOf(options.shard));
    if (this.#random.chance(0.3)) network.clog(target.name, deaf.name, loop.nowMs + 2 * lastsMs);
    this.#world.note(current.label, "is asked to hand over to", to);
    if (current.core.role === "leader") this.#world.coverage.count("transfer asked for");
    current.enter(() => {
      try {
        current.replica.transferLeadership(to);
      } catch {
        // A replica whose storage is gone fails, which is reported where it matters.
      }
    });
  }
}
