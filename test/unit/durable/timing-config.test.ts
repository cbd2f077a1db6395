import { describe, expect, test } from "vitest";
import { checkConfig, DEFAULT_LIMITS, DEFAULT_TIMING } from "../../../durable/replication/config.ts";
import { parseTiming } from "../../../durable/timing-config.ts";

function timingOf(variables: Parameters<typeof parseTiming>[0]) {
  const parsed = parseTiming(variables);
  if (!parsed.ok) throw new Error(parsed.problem);
  checkConfig({ ...parsed.timing, ...DEFAULT_LIMITS, id: "a", random: () => 0 });
  return parsed.timing;
}

describe("the times of a deployment", () => {
  test("are the defaults where no variable says otherwise", () => {
    expect(timingOf({})).toEqual(DEFAULT_TIMING);
  });

  test("keep their proportion to the lease, that of a near group too", () => {
    const { leaseMs, nearLeaseMs, electionMinMs } = timingOf({ HALO_LEASE_MS: "900" });
    expect([leaseMs, nearLeaseMs, electionMinMs]).toEqual([900, 600, 1_800]);
  });

  test.each(["1", "75", "110", "150"])(
    "give a near group a lease that outlives heartbeats of %s ms, and no longer one than others",
    (ms) => {
      const { heartbeatMs, leaseMs, nearLeaseMs } = timingOf({ HALO_HEARTBEAT_MS: ms });
      expect(nearLeaseMs).toBe(Math.min(leaseMs, Math.max(DEFAULT_TIMING.nearLeaseMs, 2.5 * heartbeatMs)));
    },
  );

  test.each([
    [{ HALO_LEASE_MS: "99" }, /^HALO_LEASE_MS must be a whole number of milliseconds, 100 to 10000; got "99"/],
    [{ HALO_HEARTBEAT_MS: "151" }, /^HALO_HEARTBEAT_MS must be .*1 to 150, half the lease; got "151"/],
    [{ HALO_QUIESCE_MS: "1e3" }, /^HALO_QUIESCE_MS must be /],
  ])("%j is refused in one line", (variables, problem) => {
    const parsed = parseTiming(variables);
    expect(parsed.ok ? "" : parsed.problem).toMatch(problem);
  });
});
