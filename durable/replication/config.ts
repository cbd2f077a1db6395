// Pure. The timing and the limits of one replica. Durations are milliseconds of the replica's own clock; the protocol
// needs clocks that run at about the same rate (CLOCK_DRIFT_MAX), never clocks that agree.

import { invariant } from "./invariant.ts";

export interface ReplicationConfig {
  /** This replica's member id, unique over all placements of the shard. */
  readonly id: string;
  /** A leader speaks to every member at least this often while the group is awake. */
  readonly heartbeatMs: number;
  /** How long a follower that heard the leader refuses to vote, and (less the drift) a leader's lease, at most. */
  readonly leaseMs: number;
  /** The same in a group whose nearest majority answers within FAR_ROUND_TRIP_MS. */
  readonly nearLeaseMs: number;
  /** Silence after which a follower campaigns without any other evidence: uniform in [min, max). */
  readonly electionMinMs: number;
  readonly electionMaxMs: number;
  /** Time that one round of votes may take before it is given up: above the slowest round trip in the group. */
  readonly campaignMs: number;
  /** The group goes to sleep after this long without a client. */
  readonly quiesceAfterMs: number;
  /** Appends to one follower that may be unanswered at once. */
  readonly appendsInFlightMax: number;
  /** Bytes of entries in one append; one entry always fits. */
  readonly appendBytesMax: number;
  /** Bytes of proposed entries that may be uncommitted before proposals are refused. */
  readonly uncommittedBytesMax: number;
  /** Bytes of recent entries kept in memory for followers; older ones are read from storage. */
  readonly logCacheBytesMax: number;
  /** Uniform in [0, 1); seeded in simulation. */
  readonly random: () => number;
}

/** The fastest and the slowest clock of a group differ in rate by less than this fraction. */
export const CLOCK_DRIFT_MAX = 0.05;

export const DEFAULT_TIMING = {
  heartbeatMs: 75,
  // Above the longest pause a busy isolate's collector makes (190 ms seen), so that a pause costs a lease no election.
  leaseMs: 300,
  // Where a renewal takes no time, what is left of a lease between two heartbeats is still above a hundred milliseconds. A pause that
  // is longer costs a round of messages, and no election: those who look for the leader wait as long as ever.
  nearLeaseMs: 200,
  // Silence alone, without a witness, must be clearly longer than any pause: a false failover costs more than 300 ms.
  electionMinMs: 600,
  electionMaxMs: 900,
  campaignMs: 250,
  quiesceAfterMs: 5_000,
} as const;

export type ReplicationLimits = Pick<
  ReplicationConfig,
  "appendsInFlightMax" | "appendBytesMax" | "uncommittedBytesMax" | "logCacheBytesMax"
>;

export const DEFAULT_LIMITS: ReplicationLimits = {
  appendsInFlightMax: 8,
  appendBytesMax: 4 * 1024 * 1024,
  uncommittedBytesMax: 2 * 1024 * 1024,
  logCacheBytesMax: 2 * 1024 * 1024,
};

/** A round trip that is never faster than this is the network's. */
export const FAR_ROUND_TRIP_MS = 20;

/** So much of a lease before the promise to a suspected leader ends, pre-votes are asked for: there is time for a round around the world. */
export const PRE_VOTE_LEAD = 1 / 3;
/** When several followers know that the leader is gone, they campaign one after the other, not into each other. */
export const CAMPAIGN_STAGGER_MS = 40;
/** Within its turn a campaign comes up to so much later: members that do not agree on whose turn it is may not meet again and again. */
export const CAMPAIGN_JITTER_MS = 8;

export function checkConfig(config: ReplicationConfig): void {
  invariant(config.heartbeatMs > 0 && config.heartbeatMs * 2 <= config.leaseMs, "a lease outlives two heartbeats");
  invariant(config.heartbeatMs * 2 <= config.nearLeaseMs, "a near lease outlives two heartbeats");
  invariant(config.nearLeaseMs <= config.leaseMs, "whoever restarts keeps the longest promise that it may have made");
  invariant(config.leaseMs <= config.electionMinMs, "nobody campaigns against a lease that may live");
  invariant(config.electionMinMs < config.electionMaxMs, "election timeouts need a spread");
}
