// Pure. Rates from the counters of two views. A counter starts again at zero when its object does, so a replica whose counter fell,
// or that did not answer one of the two times, has no rate between them.

import type { ClusterView, ReplicaView, ShardView } from "../../worker/api/admin-schemas.ts";

export interface ShardRates {
  readonly shard: number;
  /** Answered by any replica. */
  readonly reads: number;
  /** Applied by the replica that is ahead of the others: all of them apply the same. */
  readonly writes: number;
  /** Batches that were proposed: a log entry each. */
  readonly batches: number;
  readonly lag: number | null;
}

/** One point of every chart. */
export interface Sample {
  readonly atMs: number;
  readonly shards: readonly ShardRates[];
  readonly reads: number;
  readonly writes: number;
  readonly batches: number;
  /** Entries, of the replica that is most behind; null: no leader knows. */
  readonly lagMax: number | null;
}

type Before = ReadonlyMap<string, ReplicaView>;

export function sampleBetween(before: ClusterView, after: ClusterView): Sample {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1_000);
  const known: Before = new Map(before.shards.flatMap(({ replicas }) => replicas.map((found) => [found.name, found])));
  const shards = after.shards.map((shard) => shardRates(shard, known, seconds));
  const lags = shards.flatMap(({ lag }) => (lag === null ? [] : [lag]));
  return {
    atMs: after.atMs,
    shards,
    reads: sum(shards.map(({ reads }) => reads)),
    writes: sum(shards.map(({ writes }) => writes)),
    batches: sum(shards.map(({ batches }) => batches)),
    lagMax: lags.length === 0 ? null : Math.max(...lags),
  };
}

function shardRates({ shard, replicas }: ShardView, known: Before, seconds: number): ShardRates {
  const rate = (name: string) => replicas.map((replica) => (grown(known, replica, name) ?? 0) / seconds);
  return {
    shard,
    reads: sum(rate("reads")),
    writes: Math.max(0, ...rate("mutations")),
    batches: sum(rate("batches")),
    lag: lagOf(replicas),
  };
}

/** By how much a counter has grown; undefined: it is not known. */
function grown(known: Before, { name, counters }: ReplicaView, counter: string): number | undefined {
  const now = counters?.[counter];
  const then = known.get(name)?.counters?.[counter];
  return now === undefined || then === undefined || now < then ? undefined : now - then;
}

export function lagOf(replicas: readonly ReplicaView[]): number | null {
  const lags = replicas.flatMap(({ lag }) => (lag === null ? [] : [lag]));
  return lags.length === 0 ? null : Math.max(...lags);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
