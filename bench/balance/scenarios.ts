// Pure. The worlds in which the policies are compared: where the isolates are and how much each asks, and how the replicas of
// one shard serve. Times are milliseconds.

import type { RegionWeights } from "../../routing/load-balancer.ts";
import type { Region } from "../../routing/region.ts";

export interface ReplicaModel {
  readonly region: Region;
  /** Mean of the exponential time that one read takes, one after another. */
  readonly serviceMs: number;
  /** It does nothing for `lengthMs` every `everyMs`, as in a long collection of garbage. */
  readonly pause?: { readonly everyMs: number; readonly lengthMs: number };
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Isolates: where, and their shares of the requests. */
  readonly isolates: readonly { readonly region: Region; readonly share: number }[];
  /** Replica 0 leads. */
  readonly replicas: readonly ReplicaModel[];
  readonly requestsPerSecond: number;
  /** For `weighted-round-robin`: what an operator who knows the replicas would say. */
  readonly weights: RegionWeights;
}

const NEAR = { region: "weur", serviceMs: 1 } as const;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "slow-replica",
    about: "two isolates beside three replicas, one of which takes eight times as long as the others",
    isolates: [
      { region: "weur", share: 1 },
      { region: "weur", share: 1 },
    ],
    replicas: [NEAR, { ...NEAR, serviceMs: 8 }, NEAR],
    requestsPerSecond: 330,
    weights: new Map(),
  },
  {
    name: "skewed-load",
    about: "replicas on three continents, and four fifths of the requests come from one of them",
    isolates: [
      { region: "weur", share: 8 },
      { region: "enam", share: 1 },
      { region: "apac", share: 1 },
    ],
    replicas: [
      { region: "weur", serviceMs: 1 },
      { region: "enam", serviceMs: 1 },
      { region: "apac", serviceMs: 1 },
    ],
    requestsPerSecond: 1_000,
    weights: new Map([
      ["weur", 8],
      ["enam", 1],
      ["apac", 1],
    ]),
  },
  {
    name: "pauses",
    about: "two isolates beside three replicas, one of which stops for 120 ms in every second",
    isolates: [
      { region: "weur", share: 1 },
      { region: "weur", share: 1 },
    ],
    replicas: [NEAR, { ...NEAR, pause: { everyMs: 1_000, lengthMs: 120 } }, NEAR],
    requestsPerSecond: 600,
    weights: new Map(),
  },
];
