// Pure. Every metric of Halo: its name, what it means and its labels. Nothing else is ever exported, and docs/metrics.md lists
// exactly these. Labels have few values: what a route, a level, a role or a shard is; never a key, a namespace or a token.

export type MetricKind = "counter" | "gauge" | "histogram";

export interface Metric {
  readonly kind: MetricKind;
  readonly help: string;
  readonly labels: readonly string[];
}

const REPLICA = ["shard", "replica"] as const;

function counter<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { kind: "counter", labels, help } as const;
}

function gauge<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { kind: "gauge", labels, help } as const;
}

function histogram<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { kind: "histogram", labels, help } as const;
}

/** Counters have `_total` in their names, times are seconds, sizes bytes. */
export const METRICS = {
  halo_edge_requests_total: counter(["operation", "status"], "Requests that this isolate has answered"),
  halo_edge_request_duration_seconds: histogram(
    ["operation", "level", "role", "class"],
    "From a request's arrival to its reply; the runtime's clock moves only with I/O, so code without waits takes 0",
  ),
  halo_edge_reads_total: counter(["result"], "Reads of single keys that found a value (hit) or none (miss)"),
  halo_edge_copies_served_total: counter(
    [],
    "Reads answered from copies of hot keys in this isolate or its data centre",
  ),
  halo_edge_calls_total: counter(["kind"], "Calls to replicas, and why: first, hedge, retry, redirect"),
  halo_edge_calls_failed_total: counter(["kind"], "Calls to replicas without an answer: silent, refused; or shed"),
  halo_edge_shed_total: counter([], "Requests kept back because their replica had said that it sheds such"),
  halo_edge_breaker_state: gauge(REPLICA, "Circuit breaker of a replica here: 0 closed, 1 half-open, 2 open"),
  halo_edge_topology_epoch: gauge([], "Epoch of the topology that this isolate routes by"),
  halo_edge_uptime_seconds: gauge([], "Since this isolate's first request"),
  halo_edge_slow_requests_total: counter([], "Requests that took longer than HALO_SLOW_MS"),
  halo_edge_exports_total: counter(["signal", "result"], "Pushes of telemetry: metrics or traces; ok or failed"),
  halo_edge_series_dropped_total: counter([], "Requests not counted by label because there were too many series"),

  halo_replica_up: gauge(
    [...REPLICA, "region"],
    "Whether the replica answered in time; 0: all else about it is missing",
  ),
  halo_replica_role: gauge([...REPLICA, "role"], "1 for the role that the replica has"),
  halo_replica_term: gauge(REPLICA, "Raft term"),
  halo_replica_last_index: gauge(REPLICA, "Newest entry of the log"),
  halo_replica_commit_index: gauge(REPLICA, "Newest entry that is known to be committed"),
  halo_replica_applied_index: gauge(REPLICA, "Newest entry that is applied"),
  halo_replica_checkpoint_index: gauge(REPLICA, "Entry up to which the newest checkpoint reaches"),
  halo_replica_lag_entries: gauge(REPLICA, "Committed entries, as the furthest replica knows them, not applied here"),
  halo_replica_lease_remaining_seconds: gauge(REPLICA, "For so long the leader's lease still holds; 0 elsewhere"),
  halo_replica_quiesced: gauge(REPLICA, "1: the replica sleeps, because nobody asks"),
  halo_replica_topology_epoch: gauge(REPLICA, "Epoch of the topology that the replica routes by"),
  halo_replica_keys: gauge(REPLICA, "Entries in the store"),
  halo_replica_store_bytes: gauge(REPLICA, "Bytes that the entries take, as quotas count them"),
  halo_replica_stored_bytes: gauge(REPLICA, "Bytes of the object's database, which are billed"),
  halo_replica_log_bytes: gauge(REPLICA, "Bytes of the entries in the log"),
  halo_replica_dirty_keys: gauge(REPLICA, "Rows that are not in the tables yet"),
  halo_replica_hot_keys: gauge(REPLICA, "Keys that are hot"),
  halo_replica_hottest_key_per_second: gauge(REPLICA, "Reads and writes a second of the hottest key"),
  halo_replica_moves_pending: gauge(REPLICA, "Moves of slots that this leader has to make or to call off"),
  halo_replica_move_pause_longest_seconds: gauge(REPLICA, "The longest time for which writes waited for a move"),
  halo_replica_uptime_seconds: gauge(REPLICA, "Since the object was loaded; its counters began then"),

  halo_replica_requests_total: counter(REPLICA, "Calls that the object has received, each of which is billed"),
  halo_replica_client_requests_total: counter(REPLICA, "Those of them that edges made for clients"),
  halo_replica_reads_total: counter(
    [...REPLICA, "result"],
    "Reads of single keys that found a value (hit) or none (miss)",
  ),
  halo_replica_reads_copied_total: counter(REPLICA, "Reads that edges answered from copies, as far as they have told"),
  halo_replica_mutations_total: counter(REPLICA, "Mutations applied from the log"),
  halo_replica_batches_total: counter(REPLICA, "Batches proposed"),
  halo_replica_batch_size: histogram(REPLICA, "Mutations of one batch that was committed"),
  halo_replica_commit_duration_seconds: histogram(REPLICA, "From the proposal of a batch until it was applied"),
  halo_replica_elections_total: counter(REPLICA, "Elections won"),
  halo_replica_lease_renewals_total: counter(REPLICA, "Times that a majority's acknowledgement made the lease longer"),
  halo_replica_checkpoints_total: counter(REPLICA, "Checkpoints written"),
  halo_replica_snapshots_sent_total: counter(REPLICA, "Snapshots that were begun to be sent"),
  halo_replica_snapshot_parts_sent_total: counter(REPLICA, "Parts of snapshots sent"),
  halo_replica_snapshots_installed_total: counter(REPLICA, "Snapshots installed"),
  halo_replica_rows_reclaimed_total: counter(REPLICA, "Expired and purged entries taken out"),
  halo_replica_rows_evicted_total: counter(REPLICA, "Entries evicted for want of room"),
  halo_replica_purges_total: counter(REPLICA, "Scopes purged"),
  halo_replica_shed_total: counter(REPLICA, "Requests shed above HALO_REPLICA_REQUESTS_PER_SECOND"),
  halo_replica_slow_requests_total: counter(REPLICA, "Requests that took longer than HALO_SLOW_MS"),
  halo_replica_slots_given_total: counter(REPLICA, "Slots given to other shards"),
  halo_replica_slots_taken_total: counter(REPLICA, "Slots taken over from other shards"),
  halo_replica_moves_broken_off_total: counter(REPLICA, "Moves of slots begun anew or given up"),
  halo_replica_rpcs_sent_total: counter(REPLICA, "Calls to other replicas of the group"),
  halo_replica_rows_written_total: counter(REPLICA, "Rows written, as the platform bills them"),
  halo_replica_rows_read_total: counter(REPLICA, "Rows read, as the platform bills them"),
  halo_replica_active_seconds_total: counter(REPLICA, "Time in memory, as the platform bills it"),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

type LabelOf<Name extends MetricName> = (typeof METRICS)[Name]["labels"][number];

export type LabelsOf<Name extends MetricName> = Readonly<Record<LabelOf<Name>, string>>;
