// Pure. In which order to ask replicas that could all answer: one small interface, four policies. A policy keeps only
// what it says it keeps; time and randomness come in with each call. It does not know which replicas are down
// (circuit-breaker.ts) nor who leads (preference-list.ts).

import type { Region } from "./region.ts";
import { regionRoundTripMs } from "./region-distance.ts";
import type { ReplicaLoads } from "./replica-loads.ts";

export interface Candidate {
  readonly name: string;
  readonly region: Region;
  /** Share of the requests for policies that weigh; absent: 1. */
  readonly weight?: number | undefined;
}

/** Shares of the requests by region; a region that is not in it has weight 1. */
export type RegionWeights = ReadonlyMap<Region, number>;

const EQUAL_WEIGHTS: RegionWeights = new Map();

export interface Moment {
  readonly nowMs: number;
  /** Uniform in [0, 1), fresh for every call. */
  readonly random: number;
}

export interface LoadBalancer {
  /** All candidates, each once, the one to ask first at the head. One call is one request's turn. */
  order<C extends Candidate>(candidates: readonly C[], moment: Moment): readonly C[];
  /** Forgets all candidates but these: to be called with the names of each new topology, which bounds what is kept. */
  retain(names: ReadonlySet<string>): void;
}

/**
 * Each in turn. Keeps when each was last at the head, not one counter: a counter shared by several shards, or by lists
 * of changing length, can give every turn to the same replica.
 */
export class RoundRobin implements LoadBalancer {
  readonly #lastTurns = new Map<string, number>();
  #turn = 0;

  order<C extends Candidate>(candidates: readonly C[]): readonly C[] {
    const ordered = sortBy(candidates, ({ name }) => this.#lastTurns.get(name) ?? 0);
    if (ordered[0] !== undefined) this.#lastTurns.set(ordered[0].name, ++this.#turn);
    return ordered;
  }

  retain(names: ReadonlySet<string>): void {
    forgetOthers(this.#lastTurns, names);
  }
}

/**
 * nginx's smooth weighted round robin: weights 5, 1, 1 give a a b a c a a, never five in a row. Keeps each candidate's
 * credit; the credits of a list that is asked for as a whole add up to 0.
 */
export class SmoothWeightedRoundRobin implements LoadBalancer {
  readonly #credits = new Map<string, number>();
  readonly #weights: RegionWeights;

  /** `weights`: of the candidates that have none of their own. */
  constructor(weights: RegionWeights = EQUAL_WEIGHTS) {
    this.#weights = weights;
  }

  order<C extends Candidate>(candidates: readonly C[]): readonly C[] {
    let totalWeight = 0;
    for (const { name, region, weight = this.#weights.get(region) ?? 1 } of candidates) {
      totalWeight += weight;
      this.#credits.set(name, this.#creditOf(name) + weight);
    }
    const ordered = sortBy(candidates, ({ name }) => -this.#creditOf(name));
    const [head] = ordered;
    if (head !== undefined) this.#credits.set(head.name, this.#creditOf(head.name) - totalWeight);
    return ordered;
  }

  retain(names: ReadonlySet<string>): void {
    forgetOthers(this.#credits, names);
  }

  #creditOf(name: string): number {
    return this.#credits.get(name) ?? 0;
  }
}

/** An unmeasured replica counts as fast, so that it gets measured. */
const UNMEASURED_LATENCY_MS = 1;
/** … by one request at a time: until that has come back, whoever is measured goes first. */
const UNMEASURED_BUSY_MS = 60_000;

/**
 * Two at random, the less loaded first: nearly as good as asking the least loaded of all, without the herd that follows
 * a stale "least loaded" (Mitzenmacher 2001). Load is peak latency times queue. Keeps nothing, reads the loads.
 */
export class PowerOfTwoChoices implements LoadBalancer {
  readonly #loads: ReplicaLoads;

  constructor(loads: ReplicaLoads) {
    this.#loads = loads;
  }

  order<C extends Candidate>(candidates: readonly C[], { nowMs, random }: Moment): readonly C[] {
    const count = candidates.length;
    if (count < 2) return [...candidates];
    // One number draws an ordered pair of different candidates.
    const draw = Math.floor(random * count * (count - 1));
    const first = draw % count;
    const second = (first + 1 + Math.floor(draw / count)) % count;
    const loadOf = ({ name }: C) => this.loadOf(name, nowMs);
    const isChosen = (index: number) => index === first || index === second;
    const chosen = sortBy(
      candidates.filter((_, index) => isChosen(index)),
      loadOf,
    );
    return [...chosen, ...candidates.filter((_, index) => !isChosen(index))];
  }

  /** What the two are compared by. */
  loadOf(name: string, nowMs: number): number {
    const inFlight = this.#loads.inFlight(name, nowMs);
    const peakMs = this.#loads.peakMs(name, nowMs);
    const latencyMs = peakMs ?? (inFlight === 0 ? UNMEASURED_LATENCY_MS : UNMEASURED_BUSY_MS);
    // Answers within the same millisecond would make every queue weigh nothing.
    return Math.max(latencyMs, UNMEASURED_LATENCY_MS) * (inFlight + 1);
  }

  retain(): void {}
}

/** Nearest first: by measured latency where there is one, by the map where not. Keeps nothing, reads the loads. */
export class Nearest implements LoadBalancer {
  readonly #from: Region;
  readonly #loads: ReplicaLoads;

  constructor(from: Region, loads: ReplicaLoads) {
    this.#from = from;
    this.#loads = loads;
  }

  order<C extends Candidate>(candidates: readonly C[], { nowMs }: Moment): readonly C[] {
    return sortBy(
      candidates,
      ({ name, region }) => this.#loads.latencyMs(name, nowMs) ?? regionRoundTripMs(this.#from, region),
    );
  }

  retain(): void {}
}

function forgetOthers(table: Map<string, number>, names: ReadonlySet<string>): void {
  for (const name of table.keys()) if (!names.has(name)) table.delete(name);
}

/** Sorted copy, lowest rank first; equals keep their order. */
function sortBy<C>(candidates: readonly C[], rankOf: (candidate: C) => number): C[] {
  return candidates
    .map((candidate) => ({ candidate, rank: rankOf(candidate) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ candidate }) => candidate);
}
