// Pure. What replicas say of themselves (`ReplicaStatus`) as metrics. A replica of an older version lacks some of them.

import type { ReplicaStatus } from "../../durable/protocol.ts";
import type { MetricName } from "./catalogue.ts";
import { type FamilySet, secondsOf } from "./families.ts";

/** One who has not answered is in the list with an error. */
export type ReplicaReport =
  | ReplicaStatus
  | { readonly replica: number; readonly region: string; readonly error: string };

export interface ShardReport {
  readonly shard: number;
  readonly replicas: readonly ReplicaReport[];
}

type PlainCounter = Extract<MetricName, `halo_replica_${string}_total`>;

/** Counters that are called otherwise by replicas than here. */
const COUNTERS: readonly (readonly [counter: string, metric: Exclude<PlainCounter, "halo_replica_reads_total">])[] = [
  ["requests", "halo_replica_requests_total"],
  ["client_requests", "halo_replica_client_requests_total"],
  ["reads_copied", "halo_replica_reads_copied_total"],
  ["mutations", "halo_replica_mutations_total"],
  ["batches", "halo_replica_batches_total"],
  ["elections", "halo_replica_elections_total"],
  ["lease_renewals", "halo_replica_lease_renewals_total"],
  ["checkpoints", "halo_replica_checkpoints_total"],
  ["snapshots_sent", "halo_replica_snapshots_sent_total"],
  ["snapshot_parts_sent", "halo_replica_snapshot_parts_sent_total"],
  ["snapshots_installed", "halo_replica_snapshots_installed_total"],
  ["rows_reclaimed", "halo_replica_rows_reclaimed_total"],
  ["rows_evicted", "halo_replica_rows_evicted_total"],
  ["purges", "halo_replica_purges_total"],
  ["requests_shed", "halo_replica_shed_total"],
  ["slow", "halo_replica_slow_requests_total"],
  ["slots_given", "halo_replica_slots_given_total"],
  ["slots_taken", "halo_replica_slots_taken_total"],
  ["moves_broken_off", "halo_replica_moves_broken_off_total"],
  ["rpcs_sent", "halo_replica_rpcs_sent_total"],
  ["rows_written", "halo_replica_rows_written_total"],
  ["rows_read", "halo_replica_rows_read_total"],
];

export function addReplicas(set: FamilySet, shards: readonly ShardReport[]): void {
  for (const { shard, replicas } of shards) {
    const furthest = Math.max(0, ...replicas.map((report) => ("error" in report ? 0 : report.commitIndex)));
    for (const report of replicas) {
      const labels = { shard: `${shard}`, replica: `${report.replica}` };
      // Its counters are of this instance of the object, and start from 0 with the next.
      set.startMs = "error" in report ? undefined : report.startedMs;
      set.add("halo_replica_up", { ...labels, region: report.region }, "error" in report ? 0 : 1);
      if (!("error" in report)) addReplica(set, labels, report, furthest);
    }
  }
}

function addReplica(
  set: FamilySet,
  labels: { readonly shard: string; readonly replica: string },
  status: ReplicaStatus,
  furthestCommit: number,
): void {
  const { counters, histograms = {}, hotKeys, moves } = status;
  set.add("halo_replica_role", { ...labels, role: status.role }, 1);
  set.add("halo_replica_term", labels, status.term);
  set.add("halo_replica_last_index", labels, status.lastIndex);
  set.add("halo_replica_commit_index", labels, status.commitIndex);
  set.add("halo_replica_applied_index", labels, status.appliedIndex);
  set.add("halo_replica_checkpoint_index", labels, status.checkpointIndex);
  set.add("halo_replica_lag_entries", labels, Math.max(0, furthestCommit - status.appliedIndex));
  set.add("halo_replica_lease_remaining_seconds", labels, status.leaseRemainingMs / 1_000);
  set.add("halo_replica_quiesced", labels, status.quiesced ? 1 : 0);
  set.add("halo_replica_topology_epoch", labels, status.epoch);
  set.add("halo_replica_keys", labels, status.keys);
  set.add("halo_replica_store_bytes", labels, status.storeBytes);
  set.add("halo_replica_stored_bytes", labels, status.storedBytes);
  set.add("halo_replica_log_bytes", labels, status.logBytes);
  set.add("halo_replica_dirty_keys", labels, status.dirtyKeys);
  set.add("halo_replica_hot_keys", labels, hotKeys?.length);
  const hottest = hotKeys?.[0] ?? { readsPerSecond: 0, writesPerSecond: 0 };
  set.add("halo_replica_hottest_key_per_second", labels, hottest.readsPerSecond + hottest.writesPerSecond);
  set.add("halo_replica_moves_pending", labels, moves?.pending);
  set.add("halo_replica_move_pause_longest_seconds", labels, moves && moves.longestPauseMs / 1_000);
  if (status.startedMs !== undefined && status.nowMs !== undefined) {
    set.add("halo_replica_uptime_seconds", labels, (status.nowMs - status.startedMs) / 1_000);
  }
  for (const [counter, metric] of COUNTERS) set.add(metric, labels, counters[counter]);
  set.add("halo_replica_reads_total", { ...labels, result: "hit" }, counters.reads_hit);
  set.add("halo_replica_reads_total", { ...labels, result: "miss" }, counters.reads_missed);
  const { active_ms: activeMs } = counters;
  set.add("halo_replica_active_seconds_total", labels, activeMs === undefined ? undefined : activeMs / 1_000);
  const { commit_ms: commitMs, batch_size: batchSize } = histograms;
  set.add("halo_replica_commit_duration_seconds", labels, commitMs === undefined ? undefined : secondsOf(commitMs));
  set.add("halo_replica_batch_size", labels, batchSize);
}
