// Housekeeping through a whole group: agreed on by all replicas, taken up by the next leader, and no reason to stay awake.

import { describe, expect, test } from "vitest";
import { DEFAULT_CHECKPOINT_LIMITS } from "../../../durable/checkpoint-limits.ts";
import { PASS_PAUSE_MS, SLICE_ROWS } from "../../../durable/housekeeper.ts";
import type { WriteReply } from "../../../durable/protocol.ts";
import { range } from "./housekeeping.ts";
import { type Host, ShardGroup, T } from "./shard-group.ts";

const TTL_MS = 1_000;
const ROWS = 3 * SLICE_ROWS;

async function fill(group: ShardGroup, leader: Host, rows: number, options = {}): Promise<readonly WriteReply[]> {
  return group.clock.until(Promise.all(range(rows).map((number) => leader.put(`k${number}`, "text", options))));
}

function keys(group: ShardGroup): readonly number[] {
  return group.hosts.map((host) => host.replica.status().keys);
}

/** Asleep, and no timer left. */
async function sleep(group: ShardGroup): Promise<void> {
  await group.clock.when(() => group.hosts.every((host) => host.replica.status().quiesced));
  // The answers to the last messages.
  await group.clock.pass(T.heartbeatMs);
}

/** How long one read keeps a sleeping group awake. */
async function wakeByRead(group: ShardGroup, leader: Host): Promise<number> {
  const startMs = group.clock.nowMs;
  await group.clock.until(leader.read("k0"));
  await sleep(group);
  return group.clock.nowMs - startMs;
}

describe("a group that is awake", () => {
  test("removes what has expired on every replica, then sleeps; housekeeping alone keeps nobody awake", async () => {
    const group = new ShardGroup();
    const leader = await group.lead(0);
    await fill(group, leader, ROWS, { ttlMs: TTL_MS });
    await sleep(group);
    expect(group.clock.pending).toBe(0);
    expect(keys(group)).toEqual([ROWS, ROWS, ROWS]);
    await group.clock.pass(2 * PASS_PAUSE_MS);
    // Nobody asked: nothing was done.
    expect(keys(group)).toEqual([ROWS, ROWS, ROWS]);
    const awakeMs = await wakeByRead(group, leader);
    expect(keys(group)).toEqual([0, 0, 0]);
    expect(group.clock.pending).toBe(0);
    // As long as a read keeps it awake when there is nothing to do.
    await group.clock.pass(2 * PASS_PAUSE_MS);
    const idleMs = await wakeByRead(group, leader);
    expect(Math.abs(awakeMs - idleMs)).toBeLessThanOrEqual(T.heartbeatMs);
  });

  test("a leader that dies in the middle of a pass leaves the rest to the next one, and all replicas agree", async () => {
    const checkpoints = { ...DEFAULT_CHECKPOINT_LIMITS, dirtyKeys: 200, entriesKept: 10_000 };
    const group = new ShardGroup(3, checkpoints);
    const leader = await group.lead(0);
    await fill(group, leader, ROWS, { ttlMs: TTL_MS });
    await group.clock.until(leader.put("lasting", "text"));
    await sleep(group);
    await group.clock.pass(2 * PASS_PAUSE_MS);
    await group.clock.until(leader.read("k0"));
    await group.clock.when(() => leader.replica.status().keys < ROWS);
    expect(leader.replica.status().keys).toBeGreaterThan(1);
    leader.crash();
    const others = group.hosts.filter((host) => host !== leader);
    const next = others[0] as Host;
    await group.clock.until(next.read("k0"));
    await group.clock.when(() => others.every((host) => host.replica.status().keys === 1));
    leader.restart();
    const nowLeading = await group.newLeader(others);
    await group.clock.until(nowLeading.put("after", "text"));
    await group.clock.when(() => keys(group).every((count) => count === 2));
    expect(group.hosts.flatMap(({ failures }) => failures)).toEqual([]);
  });
});

describe("above the budget", () => {
  test("rows are evicted by the log, the same ones on every replica", async () => {
    const checkpoints = { ...DEFAULT_CHECKPOINT_LIMITS, dirtyKeys: 64, entriesKept: 10_000 };
    const storage = { storageBytesMax: 15_000, namespaces: new Map() };
    const group = new ShardGroup(3, checkpoints, storage);
    const leader = await group.lead(0);
    let refused = 0;
    for (const number of range(400)) {
      const reply = await group.clock.until(leader.put(`k${number}`, "text"));
      if (reply.status === "overloaded") refused += 1;
      else expect(reply.status).toBe("ok");
    }
    expect(refused).toBeLessThan(40);
    await sleep(group);
    const held = group.hosts.map((host) =>
      // A follower answers from what it has applied itself.
      range(400).filter((number) => {
        const reply = host.read(`k${number}`, "eventual");
        if (reply instanceof Promise) throw new Error("an eventual read waits for nobody");
        return reply.status === "ok" && reply.entry !== undefined;
      }),
    );
    expect(held[1]).toEqual(held[0]);
    expect(held[2]).toEqual(held[0]);
    expect(held[0]?.length).toBeGreaterThan(100);
    expect(held[0]?.length).toBeLessThan(200);
    expect(leader.replica.status().counters.rows_evicted).toBeGreaterThan(150);
  });

  test("a no-evict namespace gets a typed refusal that changes nothing", async () => {
    const storage = { storageBytesMax: 30_000, namespaces: new Map([["", { quotaBytes: 500, evict: false }]]) };
    const group = new ShardGroup(3, undefined, storage);
    const leader = await group.lead(0);
    const replies = await fill(group, leader, 5);
    expect(replies.every(({ status }) => status === "ok")).toBe(true);
    const later = await group.clock.until(leader.put("one more", "x".repeat(200)));
    expect(later).toMatchObject({ status: "full", reason: expect.stringContaining("quota") });
    expect(keys(group)[0]).toBe(5);
  });
});
