// One scenario under one policy: the edge's own shard client, with its budgets, breakers and measurements, on simulated time,
// in front of replicas that are queues. Nothing of the policies is modelled; what is modelled is the network (a fixed round
// trip by the map) and the replicas (one read after another).

import type { ReadOk, ReadReply } from "../../durable/protocol.ts";
import { type BalancePolicy, Balancers } from "../../routing/balance-policy.ts";
import { regionRoundTripMs } from "../../routing/region-distance.ts";
import { ReplicaLoads } from "../../routing/replica-loads.ts";
import { slotOf } from "../../routing/slots.ts";
import { buildTopology } from "../../routing/topology.ts";
import { TopologyView } from "../../routing/topology-view.ts";
import type { ReplicaPort } from "../../worker/clients/ports.ts";
import { type AskingClient, createShardClient, SHARD_CLIENT_DEFAULTS } from "../../worker/clients/shard-client.ts";
import { TopologyHolder } from "../../worker/clients/topology-holder.ts";
import { SeededRandom } from "../seeded-random.ts";
import type { ReplicaModel, Scenario } from "./scenarios.ts";
import { SimulatedTime } from "./simulated-time.ts";

export interface RunOptions {
  readonly policy: BalancePolicy;
  readonly isHedging: boolean;
  readonly requests: number;
  readonly seed: number;
}

export interface Figures {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** Reads that the busiest replica has served, by its share of an even spread. */
  readonly spread: number;
  /** Reads sent beyond one for each request. */
  readonly extra_percent: number;
  readonly errors: number;
}

const KEY = "balanced";
const READ = { key: KEY, slot: slotOf(KEY), level: "eventual" } as const;
/** The generator's numbers are whole. */
const RESOLUTION = 2 ** 31;

export async function simulate(scenario: Scenario, options: RunOptions): Promise<Figures> {
  const time = new SimulatedTime();
  const random = new SeededRandom(options.seed);
  const draw = () => random.below(RESOLUTION) / RESOLUTION;
  const replicas = scenario.replicas.map((model) => new Replica(model, time, draw));
  const clients = scenario.isolates.map(({ region }) =>
    createClient(scenario, options, { region, replicas, time, draw }),
  );
  const latencies: number[] = [];
  let errors = 0;
  let left = options.requests;
  const arrive = (): void => {
    const startedMs = time.nowMs;
    const client =
      clients[
        pick(
          scenario.isolates.map(({ share }) => share),
          draw(),
        )
      ];
    client?.read(READ).then(({ status }) => {
      if (status === "ok") latencies.push(time.nowMs - startedMs);
      else errors += 1;
    });
    left -= 1;
    if (left > 0) time.after(exponential(1_000 / scenario.requestsPerSecond, draw()), arrive);
  };
  time.after(0, arrive);
  await time.run();
  latencies.sort((a, b) => a - b);
  const served = replicas.map((replica) => replica.served);
  const total = served.reduce((sum, count) => sum + count, 0);
  return {
    p50_ms: quantile(latencies, 0.5),
    p99_ms: quantile(latencies, 0.99),
    max_ms: latencies.at(-1) ?? Number.NaN,
    spread: (Math.max(...served) / total) * replicas.length,
    extra_percent: (total / options.requests - 1) * 100,
    errors,
  };
}

/** Serves reads one after another, in the order in which they come. */
class Replica {
  served = 0;
  readonly #model: ReplicaModel;
  readonly #time: SimulatedTime;
  readonly #draw: () => number;
  #freeAtMs = 0;

  constructor(model: ReplicaModel, time: SimulatedTime, draw: () => number) {
    this.#model = model;
    this.#time = time;
    this.#draw = draw;
  }

  /** Calls `done` when it has served the read that comes now. */
  serve(done: () => void): void {
    this.served += 1;
    const startMs = this.#awakeAt(Math.max(this.#time.nowMs, this.#freeAtMs));
    this.#freeAtMs = this.#awakeAt(startMs + exponential(this.#model.serviceMs, this.#draw()));
    this.#time.after(this.#freeAtMs - this.#time.nowMs, done);
  }

  /** The first moment from `atMs` on at which it does not pause. */
  #awakeAt(atMs: number): number {
    const { pause } = this.#model;
    if (pause === undefined) return atMs;
    const sinceMs = atMs % pause.everyMs;
    return sinceMs < pause.lengthMs ? atMs - sinceMs + pause.lengthMs : atMs;
  }
}

interface IsolateOptions {
  readonly region: ReplicaModel["region"];
  readonly replicas: readonly Replica[];
  readonly time: SimulatedTime;
  readonly draw: () => number;
}

function createClient(
  scenario: Scenario,
  { policy, isHedging }: RunOptions,
  { region, replicas, time, draw }: IsolateOptions,
): AskingClient {
  const loads = new ReplicaLoads();
  const topology = buildTopology({
    cluster: "bench",
    replicas: scenario.replicas.length,
    regions: scenario.replicas.map((model) => model.region),
    weights: [1],
  });
  const port = {
    read: ({ replica, region: there }: { replica: number; region: ReplicaModel["region"] }) =>
      new Promise<ReadReply>((resolve) => {
        const oneWayMs = regionRoundTripMs(region, there) / 2;
        time.after(oneWayMs, () => {
          replicas[replica]?.serve(() => time.after(oneWayMs, () => resolve(readOk(replica))));
        });
      }),
    suspect: () => Promise.resolve(),
  };
  return createShardClient({
    // A client that only reads asks for nothing else.
    port: port as unknown as ReplicaPort,
    topology: new TopologyHolder(new TopologyView(topology)),
    timers: { after: (delayMs, callback) => time.after(delayMs, callback) },
    balancer: new Balancers({ from: region, loads, weights: scenario.weights }).of(policy),
    loads,
    now: () => time.nowMs,
    random: draw,
    options: isHedging ? {} : { hedgeAfterMs: SHARD_CLIENT_DEFAULTS.silenceMs },
  });
}

function readOk(replica: number): ReadOk {
  const role = replica === 0 ? "leader" : "follower";
  return { status: "ok", level: "eventual", clockMs: 0, from: { shard: 0, replica, role, term: 1, index: 1 } };
}

function exponential(mean: number, random: number): number {
  return -mean * Math.log(1 - random);
}

/** Index of a weight, as often as it weighs. */
function pick(weights: readonly number[], random: number): number {
  let left = random * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return index;
  }
  return weights.length - 1;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
