// A network between the processes of a region cluster that can be cut, in either direction alone, slowed down and broken.
// It needs no code in Halo and none in workerd: Miniflare's dev registry tells each process at which TCP address it finds
// the others, and here every process is told an address of ours.
//
//   region weur                                                 region enam
//   registry/weur/weur   written by weur     ── read ──▶
//   registry/weur/enam   written here: Link weur▸enam           registry/enam/enam  written by enam
//
// Each ordered pair of processes has a Route (does anything pass from one to the other, and how late?) and a Link (the
// proxy for the calls that the one makes to the other). Nothing here depends on the processes' clocks.
//
// Seen with Miniflare 5: a proxy object keeps its connection for as long as the address and the instance id in the registry
// stay the same, also when the connection is broken. So an entry is written anew, with another instance id, whenever
// connections were broken; without that, two live processes would never find each other again.

import { mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { ClusterNetwork, OpenNetwork } from "../network.ts";
import { LOOPBACK } from "../ports.ts";
import { Link } from "./link.ts";
import { Route } from "./route.ts";

/** Miniflare rewrites an entry when its workerd is respawned; how soon that is noticed here. */
const LOOK_EVERY_MS = 20;
/** Miniflare drops entries of which nobody says for 90 s that they are alive; their own processes say it every 10 s. */
const REFRESH_EVERY_MS = 10_000;

/** What Miniflare writes of a Worker; what else is in it is passed on untouched. */
interface Registration {
  readonly debugPortAddress: string;
  readonly instanceId: string;
}

interface Node {
  readonly name: string;
  readonly registryDir: string;
  /** As the process wrote it last. */
  written: string | undefined;
  registration: Registration | undefined;
}

export class FaultNetwork implements ClusterNetwork {
  readonly #directory: string;
  readonly #nodes: readonly Node[];
  readonly #routes = new Map<string, Route>();
  readonly #links = new Map<string, Link>();
  #timers: NodeJS.Timeout[] = [];
  /** Makes instance ids differ. */
  #editions = 0;

  private constructor(directory: string, processNames: readonly string[]) {
    this.#directory = directory;
    this.#nodes = processNames.map((name) => ({
      name,
      registryDir: path.join(directory, name),
      written: undefined,
      registration: undefined,
    }));
    for (const { registryDir } of this.#nodes) mkdirSync(registryDir, { recursive: true });
  }

  /** To be given to `startRegionCluster`; `onOpen` gets hold of the network. */
  static opener(onOpen: (network: FaultNetwork) => void): OpenNetwork {
    return async (directory, processNames) => {
      const network = new FaultNetwork(directory, processNames);
      await network.#open();
      onOpen(network);
      return network;
    };
  }

  async #open(): Promise<void> {
    for (const [from, to] of this.#pairs()) this.#routes.set(pairName(from, to), new Route());
    for (const [from, to] of this.#pairs()) {
      this.#links.set(pairName(from, to), await Link.open(this.route(from, to), this.route(to, from)));
    }
    this.#timers = [
      setInterval(() => this.#look(), LOOK_EVERY_MS),
      setInterval(() => this.#refresh(), REFRESH_EVERY_MS),
    ];
  }

  registryDirOf(processName: string): string {
    return this.#node(processName).registryDir;
  }

  /** What the one process sends to the other, requests and replies alike. */
  route(from: string, to: string): Route {
    const route = this.#routes.get(pairName(from, to));
    if (route === undefined) throw new Error(`no route from ${from} to ${to} in this network`);
    return route;
  }

  /** Breaks the connections between the two, whoever opened them; new ones can be made at once. Returns how many. */
  breakConnections(one: string, other: string): number {
    let broken = 0;
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      broken += this.#links.get(pairName(from, to))?.breakConnections() ?? 0;
      this.#announce(this.#node(to), this.#node(from));
    }
    return broken;
  }

  /** Every route open and undelayed. */
  healAll(): void {
    for (const route of this.#routes.values()) {
      route.delay(0);
      route.join();
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const link of this.#links.values()) link.close();
  }

  /** Has a process registered, or registered anew? Then the others have to know, and its links where to go. */
  #look(): void {
    for (const node of this.#nodes) {
      const written = readIfThere(path.join(node.registryDir, node.name));
      if (written === undefined || written === node.written) continue;
      const registration = parseRegistration(written);
      // Half written: it will be whole at the next look.
      if (registration === undefined) continue;
      node.written = written;
      node.registration = registration;
      for (const other of this.#nodes) if (other !== node) this.#announce(node, other);
    }
  }

  /** Tells one process where to find the other: at the link's port, under an instance id that it has not seen. */
  #announce(node: Node, to: Node): void {
    const link = this.#links.get(pairName(to.name, node.name));
    if (link === undefined || node.registration === undefined) return;
    link.targetPort = Number(new URL(`tcp://${node.registration.debugPortAddress}`).port);
    this.#editions += 1;
    const entry = {
      ...node.registration,
      debugPortAddress: `${LOOPBACK}:${link.port}`,
      instanceId: `${node.registration.instanceId}-${this.#editions}`,
    };
    // Renamed into place, so that nobody reads half an entry.
    const draft = path.join(this.#directory, `draft-${this.#editions}`);
    writeFileSync(draft, JSON.stringify(entry));
    renameSync(draft, path.join(to.registryDir, node.name));
  }

  #refresh(): void {
    const now = new Date();
    for (const [reader, named] of this.#pairs()) {
      const file = path.join(this.registryDirOf(reader), named);
      if (readIfThere(file) !== undefined) utimesSync(file, now, now);
    }
  }

  #pairs(): readonly (readonly [string, string])[] {
    const names = this.#nodes.map(({ name }) => name);
    return names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const));
  }

  #node(processName: string): Node {
    const node = this.#nodes.find(({ name }) => name === processName);
    if (node === undefined) throw new Error(`no process ${processName} in this network`);
    return node;
  }
}

function pairName(from: string, to: string): string {
  return `${from}▸${to}`;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function parseRegistration(text: string): Registration | undefined {
  try {
    const { debugPortAddress, instanceId } = JSON.parse(text) as Partial<Registration>;
    if (typeof debugPortAddress !== "string" || typeof instanceId !== "string") return undefined;
    return JSON.parse(text) as Registration;
  } catch {
    return undefined;
  }
}
