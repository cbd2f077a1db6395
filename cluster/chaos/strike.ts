// Carries out a fault on a running cluster and takes it back again. Two faults of an episode overlap, so every cut is
// counted: a route that two faults cut is open again when both are over.

import type { Region } from "../../routing/region.ts";
import type { Place, RegionCluster } from "../supervisor.ts";
import type { FaultNetwork } from "./fault-network.ts";
import { type Fault, isCut, routesOf } from "./schedule.ts";

export class Striker {
  readonly #cluster: RegionCluster;
  readonly #network: FaultNetwork;
  readonly #cuts = new Map<string, number>();

  constructor(cluster: RegionCluster, network: FaultNetwork) {
    this.#cluster = cluster;
    this.#network = network;
  }

  async begin(fault: Fault): Promise<void> {
    const { kind, region } = fault;
    if (kind === "kill") await this.#cluster.kill(region);
    else if (kind === "kill_all") await Promise.all(this.#regions.map((each) => this.#cluster.kill(each)));
    else if (kind === "kill_workerd") await this.#cluster.killWorkerdOnly(region);
    else if (kind === "freeze") this.#cluster.freeze(region);
    else if (kind === "break_connections") this.#breakConnections(fault);
    else if (kind === "slow") this.#delay(fault, fault.delayMs ?? 0);
    else if (isCut(kind)) this.#cut(fault);
  }

  async end(fault: Fault): Promise<void> {
    const { kind, region } = fault;
    if (kind === "kill") await this.#cluster.restart(region);
    else if (kind === "kill_all") await Promise.all(this.#regions.map((each) => this.#cluster.restart(each)));
    else if (kind === "freeze") this.#cluster.thaw(region);
    else if (kind === "slow") this.#delay(fault, 0);
    else if (isCut(kind)) this.#join(fault);
  }

  get #regions(): readonly Region[] {
    return this.#cluster.regions;
  }

  #cut(fault: Fault): void {
    for (const [from, to] of routesOf(fault, this.#regions)) {
      const name = `${from}▸${to}`;
      this.#cuts.set(name, (this.#cuts.get(name) ?? 0) + 1);
      this.#route(from, to).cut();
    }
    if (fault.breaks?.atStart === true) this.#breakConnections(fault);
  }

  #join(fault: Fault): void {
    // Before the routes open: what was held must not arrive first.
    if (fault.breaks?.atEnd === true) this.#breakConnections(fault);
    for (const [from, to] of routesOf(fault, this.#regions)) {
      const name = `${from}▸${to}`;
      const cuts = (this.#cuts.get(name) ?? 0) - 1;
      this.#cuts.set(name, cuts);
      if (cuts === 0) this.#route(from, to).join();
    }
  }

  #delay(fault: Fault, ms: number): void {
    for (const [from, to] of routesOf(fault, this.#regions)) this.#route(from, to).delay(ms);
  }

  #breakConnections(fault: Fault): void {
    const pairs = new Map(
      routesOf(fault, this.#regions).map(([one, other]) => [[one, other].sort().join(), [one, other]]),
    );
    for (const [one, other] of pairs.values()) {
      if (one !== undefined && other !== undefined) {
        this.#network.breakConnections(this.#cluster.processName(one), this.#cluster.processName(other));
      }
    }
  }

  #route(from: Place, to: Place) {
    return this.#network.route(this.#cluster.processName(from), this.#cluster.processName(to));
  }
}
