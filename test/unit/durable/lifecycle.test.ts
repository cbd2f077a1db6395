// A group over time: sleeping and waking, checkpoints, snapshots, broken peers.

import { describe, expect, test } from "vitest";
import { DEFAULT_CHECKPOINT_LIMITS } from "../../../durable/checkpoint-limits.ts";
import { CALL_DEADLINE_MS, OPEN_CALLS_MAX } from "../../../durable/peer-calls.ts";
import { PART_DEADLINE_MS } from "../../../durable/snapshot-stream.ts";
import { type Host, ShardGroup, T, textIn } from "./shard-group.ts";

/** Checkpoints after a few keys, and keeps little log behind them. */
const SMALL = { ...DEFAULT_CHECKPOINT_LIMITS, dirtyKeys: 10, entriesKept: 2 };

async function putMany(group: ShardGroup, leader: Host, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at++) {
    const reply = await group.clock.until(leader.put(`k${at}`, `v${at}`));
    if (reply.status !== "ok") throw new Error(`not written: ${JSON.stringify(reply)}`);
  }
}

describe("sleep", () => {
  test("an idle group has no timer armed and no call open", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await putMany(group, leader, 0, 3);
    await group.clock.pass(T.quiesceAfterMs * 2);
    expect(group.clock.pending).toBe(0);
    for (const host of group.hosts) expect(host.replica.status().quiesced).toBe(true);
  });

  test("a group that was never used has none either", async () => {
    const group = new ShardGroup();
    await group.clock.pass(1);
    expect(group.clock.pending).toBe(0);
    expect(group.network.calls).toEqual([]);
  });

  test("a group whose members were killed in the middle of the day comes to rest too", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await putMany(group, leader, 0, 3);
    for (const host of group.hosts) host.crash();
    group.host(2).restart();
    await group.clock.pass(T.quiesceAfterMs * 2);
    expect(group.clock.pending).toBe(0);
  });

  test("the first request wakes the group in one round trip", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await putMany(group, leader, 0, 1);
    await group.clock.pass(T.quiesceAfterMs * 2);
    const startMs = group.clock.nowMs;
    expect(await group.clock.until(leader.put("k0", "again"))).toMatchObject({ status: "ok", from: { term: 1 } });
    expect(group.clock.nowMs - startMs).toBe(2);
    for (const host of group.hosts) expect(host.replica.status().quiesced).toBe(false);
  });

  test("eventual and session reads of a sleeping group wake nobody", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await putMany(group, leader, 0, 1);
    await group.clock.pass(T.quiesceAfterMs * 2);
    for (const host of group.hosts) expect(textIn(await host.read("k0", "eventual"))).toBe("v0");
    expect(group.clock.pending).toBe(0);
  });

  test("a request to a restarted follower of a sleeping leader is sent to that leader at once", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    await group.clock.pass(T.quiesceAfterMs * 2);
    group.host(2).crash();
    const follower = group.host(1);
    follower.crash();
    follower.restart();
    const startMs = group.clock.nowMs;
    expect(await group.clock.until(follower.put("k", "v"))).toEqual({ status: "not_leader", leader: 0, term: 1 });
    expect(group.clock.nowMs - startMs).toBeLessThan(10);
  });

  test("the leader's successor is elected at once where the leader died in its sleep", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await putMany(group, leader, 0, 3);
    await group.clock.pass(T.quiesceAfterMs * 2);
    leader.crash();
    const follower = group.host(1);
    const startMs = group.clock.nowMs;
    await group.clock.until(follower.replica.suspect({ v: 1, to: follower.name, leader: 0, evidence: "refused" }));
    expect(textIn(await group.clock.until(follower.read("k2")))).toBe("v2");
    expect(group.clock.nowMs - startMs).toBeLessThan(100);
  });
});

describe("checkpoints", () => {
  test("let the log go, and a restart needs only what came after", async () => {
    const group = new ShardGroup(3, SMALL);
    const leader = await group.lead(0);
    await putMany(group, leader, 0, 35);
    const { checkpointIndex, firstIndex, lastIndex } = leader.replica.status();
    expect(checkpointIndex).toBeGreaterThan(20);
    expect(firstIndex).toBe(checkpointIndex - SMALL.entriesKept + 1);
    expect(lastIndex).toBeGreaterThan(checkpointIndex);
    for (const host of group.hosts) {
      host.crash();
      host.restart();
    }
    const successor = await group.newLeader(group.hosts);
    for (let at = 0; at < 35; at++) {
      expect(textIn(await group.clock.until(successor.read(`k${at}`)))).toBe(`v${at}`);
    }
  });

  test("are due by the log that is new, not by the log that is kept for followers", async () => {
    const limits = { ...DEFAULT_CHECKPOINT_LIMITS, logBytes: 20_000, entriesKept: 1_000 };
    const group = new ShardGroup(3, limits);
    const leader = await group.lead(0);
    for (let at = 0; at < 100; at++) await group.clock.until(leader.put("hot", "x".repeat(1_000)));
    expect(leader.replica.status().logBytes).toBeGreaterThan(100_000);
    expect(leader.replica.status().counters.checkpoints).toBeGreaterThanOrEqual(4);
    expect(leader.replica.status().counters.checkpoints).toBeLessThanOrEqual(6);
  });
});

/** Down for so long that the log is not kept for it any more. */
async function loseForGood(group: ShardGroup, number: number): Promise<void> {
  group.host(number).crash();
  await group.clock.pass(T.electionMaxMs);
}

describe("snapshots", () => {
  test("a follower that missed the compaction catches up in several parts while writes go on", async () => {
    const group = new ShardGroup(3, SMALL);
    const leader = await group.lead(0);
    await loseForGood(group, 2);
    await putMany(group, leader, 0, 100);
    const { snapshots_sent: refused = 0 } = leader.replica.status().counters;
    group.host(2).restart();
    await putMany(group, leader, 100, 130);
    await group.clock.when(() => group.host(2).replica.status().appliedIndex >= leader.replica.status().appliedIndex);
    expect(group.network.calls.filter(({ kind }) => kind === "snapshot").length).toBeGreaterThan(5);
    expect(group.host(2).replica.status().counters.snapshots_installed).toBe(1);
    // No checkpoint was taken that would have broken the stream off.
    expect(leader.replica.status().counters.snapshots_sent).toBe(refused + 1);
    for (let at = 0; at < 130; at++) expect(textIn(await group.host(2).read(`k${at}`, "eventual"))).toBe(`v${at}`);
    await putMany(group, leader, 130, 135);
    await group.clock.pass(T.heartbeatMs);
    expect(textIn(await group.host(2).read("k134", "eventual"))).toBe("v134");
    for (const host of group.hosts) expect(host.failures).toEqual([]);
  });

  test("a stream whose checkpoint is replaced ends and begins again, so that no snapshot mixes two states", async () => {
    const group = new ShardGroup(3, { ...SMALL, snapshotHoldBytes: 0 });
    const leader = await group.lead(0);
    await loseForGood(group, 2);
    await putMany(group, leader, 0, 100);
    const { snapshots_sent: refused = 0 } = leader.replica.status().counters;
    group.host(2).restart();
    const sent = () => (leader.replica.status().counters.snapshots_sent ?? 0) - refused;
    await group.clock.when(() => sent() === 1);
    await putMany(group, leader, 0, 40);
    await group.clock.when(() => group.host(2).replica.status().counters.snapshots_installed === 1);
    await group.clock.pass(2 * T.heartbeatMs);
    expect(sent()).toBeGreaterThan(1);
    const versionAt = async (host: Host, key: string) => {
      const reply = await host.read(key, "eventual");
      return reply.status === "ok" && reply.entry?.version;
    };
    for (let at = 0; at < 100; at++) {
      expect(await versionAt(group.host(2), `k${at}`)).toBe(await versionAt(leader, `k${at}`));
    }
    const reply = await group.clock.until(leader.put("k0", "last"));
    await group.clock.pass(2 * T.heartbeatMs);
    expect(reply.status === "ok" && reply.outcome).toMatchObject({ version: await versionAt(group.host(2), "k0") });
  });

  test("what came by snapshot is durable: the follower restarts from it and can lead", async () => {
    const group = new ShardGroup(3, SMALL);
    const leader = await group.lead(0);
    await loseForGood(group, 2);
    await putMany(group, leader, 0, 40);
    group.host(2).restart();
    await group.clock.when(() => group.host(2).replica.status().counters.snapshots_installed === 1);
    await group.clock.pass(T.heartbeatMs * 2);
    group.host(2).crash();
    group.host(2).restart();
    leader.crash();
    group.host(1).crash();
    group.host(1).restart();
    const successor = await group.newLeader(group.hosts.slice(1));
    expect(textIn(await group.clock.until(successor.read("k39")))).toBe("v39");
  });

  test("a part that is never answered is given up, and the stream begins again", async () => {
    const group = new ShardGroup(3, SMALL);
    const leader = await group.lead(0);
    await loseForGood(group, 2);
    await putMany(group, leader, 0, 40);
    group.host(2).restart();
    await group.clock.when(() => group.network.calls.filter(({ kind }) => kind === "snapshot").length === 2);
    group.network.fault("2.1", "silent");
    // Clients keep the group awake meanwhile.
    for (let waitedMs = 0; waitedMs <= PART_DEADLINE_MS; waitedMs += 500) {
      await group.clock.until(leader.read("k0"));
      await group.clock.pass(500);
    }
    group.network.fault("2.1", undefined);
    await group.clock.when(() => group.host(2).replica.status().counters.snapshots_installed === 1);
    expect(leader.replica.status().counters.snapshots_sent).toBeGreaterThan(1);
  });

  test("a refused stream is not begun again in a loop", async () => {
    const group = new ShardGroup(3, SMALL);
    const leader = await group.lead(0);
    await loseForGood(group, 2);
    await putMany(group, leader, 0, 40);
    const before = group.network.calls.length;
    await group.clock.pass(1_000);
    // One try a heartbeat, and the heartbeats of the other follower.
    expect(group.network.calls.length - before).toBeLessThan((1_000 / T.heartbeatMs) * 4);
  });

  test("parts out of order, of an older term, or no longer needed are answered as such", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await putMany(group, leader, 0, 2);
    const membership = { voters: group.members, learners: [] };
    const part = {
      v: 1,
      from: "0.1",
      to: "1.1",
      term: 1,
      meta: { index: 99, term: 1, membership },
      part: 3,
      isLast: false,
      bytes: new Uint8Array(0),
    };
    const receiver = group.host(1).replica;
    expect(receiver.receiveSnapshotPart(part)).toEqual({ status: "refused", term: 1 });
    expect(receiver.receiveSnapshotPart({ ...part, term: 0 })).toEqual({ status: "refused", term: 1 });
    expect(receiver.receiveSnapshotPart({ ...part, meta: { index: 1, term: 1, membership } })).toEqual({
      status: "done",
    });
  });

  test("an instance whose storage fails during an import ends, as at any other write", async () => {
    const group = new ShardGroup();
    await group.lead(0);
    const host = group.host(1);
    const zombie = host.superseded();
    const part = {
      v: 1,
      from: "0.1",
      to: "1.1",
      term: 1,
      meta: { index: 99, term: 1, membership: { voters: group.members, learners: [] } },
      part: 0,
      isLast: false,
      bytes: new Uint8Array(0),
    };
    expect(() => zombie.receiveSnapshotPart(part)).toThrow("superseded");
    expect(host.failures).toHaveLength(1);
  });

  test("a write that meets its lost storage is refused whole, and leaves no refused promise to nobody", async () => {
    const group = new ShardGroup();
    const host = await group.lead(0);
    const { mutation: plain, ...request } = host.putRequest("plain", "v");
    // To say what it would return, a retry is looked up in the table; the one before it is queued by then.
    const { mutation: retry } = host.putRequest("k", "v", {
      idempotency: { id: "once", fingerprint: "f" },
      returnPrevious: true,
    });
    const zombie = host.superseded();
    const operations = [plain, retry].filter((operation) => operation.kind === "put");
    // A promise that nobody handles fails the run, by Vitest's own watch.
    await expect(zombie.batch({ ...request, level: "strong", operations })).rejects.toThrow("superseded");
  });
});

describe("broken peers", () => {
  test("a dead follower that lacks entries is not called in a loop", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.host(2).crash();
    await putMany(group, leader, 0, 1);
    const toDead = () => group.network.calls.filter(({ to }) => to === "2.1").length;
    const before = toDead();
    await group.clock.pass(1_000);
    expect(toDead() - before).toBeLessThanOrEqual(Math.ceil(1_000 / T.heartbeatMs) + 1);
  });

  test("a frozen follower is called ever more rarely, and never more often than calls may be open", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("2.1", "silent");
    await putMany(group, leader, 0, 1);
    const toFrozen = () => group.network.calls.filter(({ to }) => to === "2.1").length;
    const before = toFrozen();
    for (let second = 0; second < 120; second++) {
      await group.clock.until(leader.read("k0"));
      await group.clock.pass(1_000);
    }
    expect(toFrozen() - before).toBeLessThanOrEqual(OPEN_CALLS_MAX);
    group.network.fault("2.1", undefined);
    expect(await group.clock.until(leader.put("k0", "v"))).toMatchObject({ status: "ok" });
  });

  test("an unanswered call is given up at its deadline, and until then its member gets no other try", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.network.fault("2.1", "silent");
    await putMany(group, leader, 0, 1);
    const toFrozen = () => group.network.calls.filter(({ to }) => to === "2.1").length;
    // The first second's heartbeats leave before anybody knows; then one try a second.
    await group.clock.pass(CALL_DEADLINE_MS + T.heartbeatMs * 2);
    const before = toFrozen();
    for (let second = 0; second < 10; second++) {
      await group.clock.until(leader.read("k0"));
      await group.clock.pass(1_000);
    }
    expect(toFrozen() - before).toBeLessThanOrEqual(12);
    group.network.fault("2.1", undefined);
    await group.clock.pass(CALL_DEADLINE_MS + T.heartbeatMs * 3);
    expect(textIn(await group.host(2).read("k0", "eventual"))).toBe("v0");
  });

  test("a follower that comes back is caught up within a heartbeat or two", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    group.host(2).crash();
    await putMany(group, leader, 0, 20);
    group.host(2).restart();
    await group.clock.pass(2 * T.heartbeatMs);
    expect(textIn(await group.host(2).read("k19", "eventual"))).toBe("v19");
  });
});

test("the status of a leader names its members and how far they are", async () => {
  const group = new ShardGroup();
  const leader = await group.lead(0);
  await putMany(group, leader, 0, 3);
  await group.clock.pass(T.heartbeatMs);
  const status = leader.replica.status();
  expect(status).toMatchObject({ role: "leader", leader: 0, term: 1, keys: 3, quiesced: false });
  expect(status.members).toEqual([
    { id: "1.1", match: status.lastIndex, state: "replicate" },
    { id: "2.1", match: status.lastIndex, state: "replicate" },
  ]);
  expect(status.leaseRemainingMs).toBeGreaterThan(0);
});
