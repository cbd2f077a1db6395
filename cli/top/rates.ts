// Pure. What happens per second, from two readings of counters that each object counts since it woke.

import type { ClusterView, ReplicaView } from "../../worker/api/admin-schemas.ts";

export interface Rates {
  readonly reads: number;
  readonly writes: number;
  readonly elections: number;
}

export const NO_RATES: Rates = { reads: 0, writes: 0, elections: 0 };

/** By shard. Replicas that were not in the first view, or that did not answer in one of them, add nothing. */
export function ratesBetween(before: ClusterView | undefined, after: ClusterView): ReadonlyMap<number, Rates> {
  const rates = new Map<number, Rates>();
  const seconds = before === undefined ? 0 : (after.atMs - before.atMs) / 1_000;
  const known = new Map(before?.shards.flatMap(({ replicas }) => replicas.map((replica) => [replica.name, replica])));
  for (const { shard, replicas } of after.shards) {
    const total = { reads: 0, writes: 0, elections: 0 };
    for (const replica of replicas) {
      const earlier = known.get(replica.name);
      if (earlier === undefined || seconds <= 0) continue;
      total.reads += added(earlier, replica, "reads") / seconds;
      // Whoever led when they came has counted them, and the followers that apply them have not.
      total.writes += added(earlier, replica, "mutations") / seconds;
      total.elections += added(earlier, replica, "elections") / seconds;
    }
    rates.set(shard, total);
  }
  return rates;
}

export function sumOf(rates: ReadonlyMap<number, Rates>): Rates {
  const all = [...rates.values()];
  const total = (name: keyof Rates) => all.reduce((sum, each) => sum + each[name], 0);
  return { reads: total("reads"), writes: total("writes"), elections: total("elections") };
}

function added(before: ReplicaView, after: ReplicaView, name: string): number {
  if (before.counters === null || after.counters === null) return 0;
  const now = after.counters[name] ?? 0;
  const then = before.counters[name] ?? 0;
  // Fewer than before: the object has woken anew, and has counted these since.
  return now >= then ? now - then : now;
}
