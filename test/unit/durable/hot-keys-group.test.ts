// Hot keys through a whole group: what replicas count, whom they tell, and what they do with a flood of writes.

import { describe, expect, test } from "vitest";
import { PROTOCOL_VERSION } from "../../../durable/protocol.ts";
import { HOT_WRITE_URGENCY } from "../../../durable/shard-replica.ts";
import { slotOf } from "../../../routing/slots.ts";
import { batches, type Host, ShardGroup } from "./shard-group.ts";

const HOT = 40;

/** A group of which replica 0 leads. */
async function hotGroup(requestsPerSecondMax?: number): Promise<ShardGroup> {
  const group = new ShardGroup();
  group.hotKeyPerSecond = HOT;
  group.requestsPerSecondMax = requestsPerSecondMax;
  for (const host of group.hosts) {
    host.crash();
    host.restart();
  }
  await group.lead(0);
  return group;
}

/** Reads it at ten times the rate that makes it hot, for a second. */
async function heat(group: ShardGroup, host: Host, key: string): Promise<void> {
  for (let at = 0; at < 10 * HOT; at++) {
    if (at % HOT === 0) await group.clock.pass(100);
    host.read(key, "eventual");
  }
}

async function read(group: ShardGroup, host: Host, key: string, options: Parameters<Host["read"]>[2] = {}) {
  const reply = await group.clock.until(Promise.resolve(host.read(key, "eventual", options)));
  if (reply.status !== "ok") throw new Error(JSON.stringify(reply));
  return reply;
}

function increment(host: Host, key: string) {
  const slot = slotOf(key);
  const mutation = { kind: "increment", slot, key, by: "1" } as const;
  return host.replica.write({ v: PROTOCOL_VERSION, to: host.name, epoch: 0, slot, deadlineMs: 2_000, mutation });
}

describe("a replica", () => {
  test("tells whoever can use it that a key is hot, and says nothing of other keys or to others", async () => {
    const group = await hotGroup();
    const follower = group.host(1);
    await group.clock.until(group.host(0).put("k", "v", { ttlMs: 60_000 }));
    await group.clock.pass(200);
    expect(await read(group, follower, "k", { alsoFor: 0 })).not.toHaveProperty("hot");
    await heat(group, follower, "k");
    const { hot, level } = await read(group, follower, "k", { alsoFor: 0 });
    expect(level).toBe("eventual");
    expect(hot?.staleMs).toBeGreaterThanOrEqual(0);
    expect(hot?.sameForMs).toBeLessThan(60_000);
    expect(hot?.sameForMs).toBeGreaterThan(50_000);
    expect(await read(group, follower, "k")).not.toHaveProperty("hot");
    expect(await read(group, follower, "other", { alsoFor: 0 })).not.toHaveProperty("hot");
  });

  test("counts the reads that were answered on the way to it, and knows its hot keys in its status", async () => {
    const group = await hotGroup();
    const leader = group.host(0);
    for (let at = 0; at < 8; at++) {
      await read(group, leader, "k", { alsoFor: 10 * HOT });
      await group.clock.pass(250);
    }
    expect((await read(group, leader, "k", { alsoFor: 0 })).hot).toEqual({ staleMs: 0 });
    expect(leader.replica.status().hotKeys).toEqual([
      { key: "k", readsPerSecond: expect.any(Number), writesPerSecond: 0 },
    ]);
    expect(leader.replica.status().hotKeys?.[0]?.readsPerSecond).toBeGreaterThan(20 * HOT);
    expect(group.host(1).replica.status().hotKeys).toEqual([]);
  });

  test("does not say how stale it is where it cannot know", async () => {
    const group = await hotGroup();
    const follower = group.host(1);
    // Started anew, and out of the leader's reach.
    for (const host of [group.host(0), group.host(2), follower]) host.crash();
    follower.restart();
    for (let at = 0; at < 20 * HOT; at++) follower.read("k", "eventual");
    expect((await read(group, follower, "k", { alsoFor: 0 })).hot).toEqual({ staleMs: undefined });
  });
});

describe("a key that is written too much", () => {
  test("is shed while there is room for the writes of others, and counters are not", async () => {
    const group = await hotGroup(200);
    const leader = group.host(0);
    const flood = async (key: string) => {
      const replies = [];
      for (let at = 0; at < 200; at++) replies.push(leader.put(key, `v${at}`));
      return group.clock.until(Promise.all(replies));
    };
    await flood("hot");
    await group.clock.pass(2_000);
    await flood("hot");
    expect(leader.replica.status().hotKeys?.[0]).toMatchObject({ key: "hot" });
    await group.clock.pass(1_000);
    // As many as fill the share of hot writes, and the rest shed with a time to come back after.
    const last = await flood("hot");
    const shed = last.filter(({ status }) => status === "overloaded");
    expect(shed.length).toBeGreaterThan(0);
    expect(shed[0]).toMatchObject({ shedFrom: HOT_WRITE_URGENCY, retryAfterMs: expect.any(Number) });
    const other = await group.clock.until(leader.put("other", "v"));
    expect(other.status).toBe("ok");
    // It is no number: what counts is that this was looked at.
    expect((await group.clock.until(increment(leader, "hot"))).status).toBe("ok");
  });

  test("costs one log entry for all of a counter's increments that arrive while one is on its way", async () => {
    const group = await hotGroup();
    const leader = group.host(0);
    await group.clock.until(increment(leader, "n"));
    const before = batches(leader);
    const replies = await group.clock.until(Promise.all(Array.from({ length: 1_000 }, () => increment(leader, "n"))));
    expect(replies.every(({ status }) => status === "ok")).toBe(true);
    expect(batches(leader) - before).toBeLessThanOrEqual(3);
  });
});
