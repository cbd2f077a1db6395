// Pure. The policies by the names that operators and clients give them, and one instance of each for an isolate. Requests of
// different policies share what is measured of the replicas, but not whose turn it is.

import {
  type LoadBalancer,
  Nearest,
  PowerOfTwoChoices,
  type RegionWeights,
  RoundRobin,
  SmoothWeightedRoundRobin,
} from "./load-balancer.ts";
import { REGIONS, type Region } from "./region.ts";
import type { ReplicaLoads } from "./replica-loads.ts";

export const BALANCE_POLICIES = ["nearest", "round-robin", "weighted-round-robin", "p2c"] as const;
export type BalancePolicy = (typeof BALANCE_POLICIES)[number];

/** Far from where a replica is a round trip matters more than a queue. */
export const DEFAULT_BALANCE_POLICY: BalancePolicy = "nearest";

/** Undefined: no policy has this name. */
export function balancePolicyOf(name: string): BalancePolicy | undefined {
  return BALANCE_POLICIES.find((policy) => policy === name);
}

export const EXPECTED_BALANCE_POLICY = `expected one of ${BALANCE_POLICIES.join(", ")}`;

/** Where the isolate is, and what it goes by. */
export interface BalancerOptions {
  readonly from: Region;
  readonly loads: ReplicaLoads;
  readonly weights: RegionWeights;
}

export class Balancers {
  readonly #balancers: Readonly<Record<BalancePolicy, LoadBalancer>>;

  constructor({ from, loads, weights }: BalancerOptions) {
    this.#balancers = {
      nearest: new Nearest(from, loads),
      "round-robin": new RoundRobin(),
      "weighted-round-robin": new SmoothWeightedRoundRobin(weights),
      p2c: new PowerOfTwoChoices(loads),
    };
  }

  of(policy: BalancePolicy): LoadBalancer {
    return this.#balancers[policy];
  }

  retain(names: ReadonlySet<string>): void {
    for (const policy of BALANCE_POLICIES) this.#balancers[policy].retain(names);
  }
}

/** A share of 1,000 to 1 is what anyone could mean; more is a slip of the hand. */
export const REGION_WEIGHT_MAX = 1_000;

export type RegionWeightsResult =
  | { readonly ok: true; readonly weights: RegionWeights }
  | { readonly ok: false; readonly problem: string };

/** `text`: `weur=5,enam=1`; empty: all equal. */
export function parseRegionWeights(text: string): RegionWeightsResult {
  const weights = new Map<Region, number>();
  for (const item of text.split(",").map((part) => part.trim())) {
    if (item === "" && text.trim() === "") continue;
    const [name = "", weight = ""] = item.split("=");
    const region = REGIONS.find((known) => known === name);
    const isWeight = /^\d{1,4}$/.test(weight) && Number(weight) <= REGION_WEIGHT_MAX;
    if (region === undefined || !isWeight || item.split("=").length !== 2) {
      const expected = `expected <region>=<0 to ${REGION_WEIGHT_MAX}> between commas, regions being ${REGIONS.join(", ")}`;
      return { ok: false, problem: `"${item.slice(0, 40)}" is no weight of a region; ${expected}` };
    }
    if (weights.has(region)) return { ok: false, problem: `${region} has two weights; expected one` };
    weights.set(region, Number(weight));
  }
  return { ok: true, weights };
}
