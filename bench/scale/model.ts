// Pure. Halo on paper: from a rate of requests to shards, objects, clusters, money and how far each limit is away. The platform's
// figures are its documentation's (November 2026), Halo's are its own constants and measurements; what is assumed is a field of
// `Profile`. A model: nothing here was tried at these rates.

import { SHARDS_MAX } from "../../routing/cluster-config.ts";
import { OBJECT_GB, PRICES } from "../all/money.ts";

export interface Profile {
  readonly title: string;
  /** Of all requests. */
  readonly writes: number;
  /** Of the reads. */
  readonly strong: number;
  /** Of the reads below strong: answered by the edge itself. */
  readonly l1Hits: number;
  /** Of the writes: keys that no other write touches before the next checkpoint; the others share its row. */
  readonly uniqueWrites: number;
}

export const PROFILES: readonly Profile[] = [
  { title: "all reads strong", writes: 0.05, strong: 1, l1Hits: 0, uniqueWrites: 0.5 },
  {
    title: "one read in five strong, half of the others hot",
    writes: 0.05,
    strong: 0.2,
    l1Hits: 0.5,
    uniqueWrites: 0.5,
  },
];

export const RATES = [1_000, 100_000, 10_000_000] as const;

/** What one object is planned for: half of the platform's soft limit of 1,000 a second, since writes are among its requests. */
const OBJECT_PER_SECOND = 500;
const OBJECT_SOFT_LIMIT_PER_SECOND = 1_000;
const REPLICAS = 3;
/** A shard's writes that are committed together: it has so many batches in flight in each round trip between regions. */
const COMMIT_SECONDS = 0.1;
const BATCHES_IN_FLIGHT = 4;
/** Rows of a batch on each replica: its log entry, and that entry's deletion. */
const LOG_ROWS = 2;
const CHECKPOINT_ROWS = 1;
/** Calls of a batch to the followers; their commit notices travel with the next one. */
const CALLS_PER_BATCH = REPLICAS - 1;
const HEARTBEATS_PER_SECOND = 2 / 0.075;
const CPU_MS_PER_REQUEST = 0.4;
const SECONDS_PER_MONTH = 2_629_800;
/** Of one isolate; assumed. */
const ISOLATE_PER_SECOND = 500;
/** An isolate pings each replica of a group that it uses once in so long. */
const PING_EVERY_SECONDS = 10;

export interface Scale {
  readonly profile: string;
  readonly ratePerSecond: number;
  readonly clusters: number;
  readonly shardsPerCluster: number;
  readonly objects: number;
  readonly writesPerBatch: number;
  readonly rowsPerWrite: number;
  /** Of the busiest object: the leader's share of the requests, and what every isolate's pings add to it. */
  readonly leaderPerSecond: number;
  readonly pingsPerObjectPerSecond: number;
  readonly dollarsPerMonth: {
    readonly workers: number;
    readonly objectRequests: number;
    readonly rows: number;
    readonly awake: number;
    readonly pings: number;
    readonly total: number;
  };
  readonly dollarsPerMillion: number;
  /** What is beyond its limit, in words; empty: the design holds as it is. */
  readonly breaks: readonly string[];
}

export function scaleOf(profile: Profile, ratePerSecond: number): Scale {
  const { writes, strong, l1Hits, uniqueWrites } = profile;
  const reads = 1 - writes;
  const toLeaders = writes + reads * strong;
  const toAny = reads * (1 - strong) * (1 - l1Hits);
  // Leaders answer what is strong and everybody the rest: whichever needs more shards.
  const byLeaders = (ratePerSecond * toLeaders) / OBJECT_PER_SECOND;
  const byAll = (ratePerSecond * (toLeaders + toAny)) / (REPLICAS * OBJECT_PER_SECOND);
  const shards = Math.max(1, Math.ceil(Math.max(byLeaders, byAll)));
  const clusters = Math.ceil(shards / SHARDS_MAX);
  const shardsPerCluster = Math.ceil(shards / clusters);
  const all = clusters * shardsPerCluster;
  const objects = all * REPLICAS;

  const writesPerShard = (ratePerSecond * writes) / all;
  const writesPerBatch = Math.max(1, (writesPerShard * COMMIT_SECONDS) / BATCHES_IN_FLIGHT);
  const rowsPerWrite = REPLICAS * (LOG_ROWS / writesPerBatch + CHECKPOINT_ROWS * uniqueWrites);
  const batchesPerSecond = (ratePerSecond * writes) / writesPerBatch;
  const heartbeats = Math.max(0, all * HEARTBEATS_PER_SECOND - batchesPerSecond * CALLS_PER_BATCH);
  const isolates = Math.max(1, Math.ceil(ratePerSecond / clusters / ISOLATE_PER_SECOND));
  const pingsPerObjectPerSecond = isolates / PING_EVERY_SECONDS;
  const leaderPerSecond = (ratePerSecond * toLeaders) / all;

  const perMonth = (dollarsPerMillion: number, perSecond: number) =>
    (dollarsPerMillion * perSecond * SECONDS_PER_MONTH) / 1e6;
  const calls = ratePerSecond * (toLeaders + toAny) + batchesPerSecond * CALLS_PER_BATCH + heartbeats;
  const money = {
    workers: perMonth(PRICES.workerRequests + CPU_MS_PER_REQUEST * PRICES.workerCpuMs, ratePerSecond),
    objectRequests: perMonth(PRICES.objectRequests, calls),
    rows: perMonth(PRICES.rowsWritten, ratePerSecond * writes * rowsPerWrite),
    awake: perMonth(PRICES.objectGbSeconds, objects * OBJECT_GB),
    pings: perMonth(PRICES.objectRequests, objects * pingsPerObjectPerSecond),
  };
  const total = Object.values(money).reduce((sum, dollars) => sum + dollars, 0);
  return {
    profile: profile.title,
    ratePerSecond,
    clusters,
    shardsPerCluster,
    objects,
    writesPerBatch,
    rowsPerWrite,
    leaderPerSecond,
    pingsPerObjectPerSecond,
    dollarsPerMonth: { ...money, total },
    dollarsPerMillion: (total / (ratePerSecond * SECONDS_PER_MONTH)) * 1e6,
    breaks: breaksOf(clusters, leaderPerSecond + pingsPerObjectPerSecond, pingsPerObjectPerSecond),
  };
}

function breaksOf(clusters: number, busiestPerSecond: number, pings: number): string[] {
  const breaks: string[] = [];
  if (clusters > 1)
    breaks.push(`more shards than one cluster may have (${SHARDS_MAX}): ${clusters} clusters, split by whoever calls`);
  if (busiestPerSecond > OBJECT_SOFT_LIMIT_PER_SECOND) {
    breaks.push(
      `a leader gets ${Math.round(busiestPerSecond)} requests a second, ${Math.round(pings)} of them pings; the platform's soft limit is ${OBJECT_SOFT_LIMIT_PER_SECOND}`,
    );
  }
  return breaks;
}
