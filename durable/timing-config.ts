// Timing of the replication, from the deployment's variables. The defaults suit replicas up to about 200 ms apart.

import type { ReplicaTiming } from "./replica-context.ts";
import { DEFAULT_TIMING } from "./replication/config.ts";

export interface TimingVariables {
  readonly HALO_HEARTBEAT_MS?: string;
  readonly HALO_LEASE_MS?: string;
  readonly HALO_QUIESCE_MS?: string;
}

const LEASE_MS_MIN = 100;
const LEASE_MS_MAX = 10_000;
/** A lease that hardly outlives two heartbeats would lapse with the first that is late. */
const NEAR_LEASE_HEARTBEATS = 2.5;
const QUIESCE_MS_MIN = 500;

export type TimingResult =
  | { readonly ok: true; readonly timing: ReplicaTiming }
  | { readonly ok: false; readonly problem: string };

/** Election and campaign times keep their proportion to the lease. */
export function parseTiming(variables: TimingVariables): TimingResult {
  const leaseMs = milliseconds(variables.HALO_LEASE_MS, DEFAULT_TIMING.leaseMs);
  const heartbeatMs = milliseconds(variables.HALO_HEARTBEAT_MS, Math.floor(leaseMs / 4));
  const quiesceAfterMs = milliseconds(variables.HALO_QUIESCE_MS, DEFAULT_TIMING.quiesceAfterMs);
  if (!(leaseMs >= LEASE_MS_MIN && leaseMs <= LEASE_MS_MAX)) {
    return problem("HALO_LEASE_MS", `${LEASE_MS_MIN} to ${LEASE_MS_MAX}`, variables.HALO_LEASE_MS);
  }
  if (!(heartbeatMs >= 1 && heartbeatMs * 2 <= leaseMs)) {
    return problem("HALO_HEARTBEAT_MS", `1 to ${Math.floor(leaseMs / 2)}, half the lease`, variables.HALO_HEARTBEAT_MS);
  }
  if (!(quiesceAfterMs >= QUIESCE_MS_MIN)) {
    return problem("HALO_QUIESCE_MS", `${QUIESCE_MS_MIN} or more`, variables.HALO_QUIESCE_MS);
  }
  const scale = leaseMs / DEFAULT_TIMING.leaseMs;
  return {
    ok: true,
    timing: {
      heartbeatMs,
      leaseMs,
      nearLeaseMs: Math.min(leaseMs, Math.max(DEFAULT_TIMING.nearLeaseMs * scale, NEAR_LEASE_HEARTBEATS * heartbeatMs)),
      electionMinMs: DEFAULT_TIMING.electionMinMs * scale,
      electionMaxMs: DEFAULT_TIMING.electionMaxMs * scale,
      campaignMs: DEFAULT_TIMING.campaignMs * scale,
      quiesceAfterMs,
    },
  };
}

function milliseconds(text: string | undefined, fallback: number): number {
  if (text === undefined || text === "") return fallback;
  return /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
}

function problem(name: string, expected: string, got: string | undefined): TimingResult {
  return {
    ok: false,
    problem: `${name} must be a whole number of milliseconds, ${expected}; got ${JSON.stringify(got ?? "")}`,
  };
}
