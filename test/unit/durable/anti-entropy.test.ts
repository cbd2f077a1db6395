// Replicas that do not hold what they should: what is found, by whom, and that it ends with all of them holding the same.

import { describe, expect, test } from "vitest";
import { DEFAULT_CHECKPOINT_LIMITS } from "../../../durable/checkpoint-limits.ts";
import { DamagedStorageError } from "../../../durable/damage.ts";
import { RangeHashes } from "../../../durable/store/range-hashes.ts";
import { type Host, ShardGroup, T, textIn } from "./shard-group.ts";

/** Checkpoints after a few keys, and keeps no log behind them. */
const SMALL = { ...DEFAULT_CHECKPOINT_LIMITS, dirtyKeys: 4, entriesKept: 0 };

async function putMany(group: ShardGroup, leader: Host, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await group.clock.until(leader.put(`k${at}`, `v${at}`));
  await group.clock.pass(4 * T.heartbeatMs);
}

/** Three replicas with a checkpoint each, led by the first, which compare their states every other entry. */
async function checkedGroup(): Promise<ShardGroup> {
  const group = new ShardGroup(3, SMALL);
  group.checkEntries = 2;
  for (const host of group.hosts) host.restart();
  await putMany(group, await group.lead(0), 20);
  return group;
}

/** As a mistake in the code would leave it: all checksums are right. */
function makeDiffer(host: Host, key: string, text: string): void {
  const { content } = host.disk;
  const row = content.tables.entries.get(key);
  if (row === undefined) throw new Error(`no row ${key}`);
  const other = { ...row, value: new TextEncoder().encode(text) };
  const ranges = new RangeHashes(content.checkpointState.ranges);
  ranges.removed(row);
  ranges.added(other);
  content.tables.insert({ entries: [other], idempotency: [], marks: [] });
  content.checkpointState = { ...content.checkpointState, ranges: ranges.all() };
  host.crash();
  host.restart();
}

/** As a disk does it. */
function damage(host: Host, key: string): void {
  const { entries } = host.storage.content.tables;
  const row = entries.get(key);
  if (row === undefined) throw new Error(`no row ${key}`);
  entries.set(key, { ...row, value: new Uint8Array([0]) });
}

async function expectSame(group: ShardGroup, key: string, text: string): Promise<void> {
  for (const host of group.hosts) {
    await group.clock.when(() => host.replica.status().appliedIndex === group.host(0).replica.status().appliedIndex);
    expect(textIn(await group.clock.until(Promise.resolve(host.read(key, "eventual"))))).toBe(text);
  }
}

describe("a replica whose state is another than its leader's", () => {
  test("is found by the traffic that there is, begins anew, and holds the same as the others again", async () => {
    const group = await checkedGroup();
    const [leader, follower] = [group.host(0), group.host(1)];
    expect(leader.replica.status().counters.states_compared).toBeGreaterThan(0);
    expect(group.diverged).toEqual([]);
    makeDiffer(follower, "k3", "wrong");
    await putMany(group, leader, 4);
    expect(group.diverged).toMatchObject([{ member: follower.member, isRepaired: true }]);
    expect(leader.replica.status().counters).toMatchObject({ divergences: 1, repairs: 1 });
    expect(follower.failures).toMatchObject([{ name: "DamagedStorageError" }]);
    follower.restart();
    expect(follower.storage.recovered).toMatchObject({ kind: "begin_anew" });
    await putMany(group, leader, 4);
    await expectSame(group, "k3", "v3");
    expect(group.diverged).toHaveLength(1);
  });

  test("and leads, while a majority holds the same, gives way to it", async () => {
    const group = await checkedGroup();
    makeDiffer(group.host(0), "k3", "wrong");
    const leader = await group.lead(0);
    // It fails in the middle of a write, as soon as both of the others have been heard.
    await expect(putMany(group, leader, 10)).rejects.toThrow("about to restart");
    expect(leader.failures[0]).toBeInstanceOf(DamagedStorageError);
    for (const host of group.hosts.slice(1)) expect(host.failures).toEqual([]);
    leader.crash();
    const next = await group.newLeader(group.hosts.slice(1));
    leader.restart();
    await putMany(group, next, 4);
    await expectSame(group, "k3", "v3");
  });

  test("is left at the alarm where no majority holds the same: nobody knows who is right", async () => {
    const group = await checkedGroup();
    makeDiffer(group.host(1), "k3", "one");
    makeDiffer(group.host(2), "k3", "another");
    await putMany(group, await group.lead(0), 4);
    expect(new Set(group.diverged.map(({ member }) => member))).toEqual(new Set(group.members.slice(1)));
    expect(group.diverged.every(({ isRepaired }) => !isRepaired)).toBe(true);
    for (const host of group.hosts) expect(host.failures).toEqual([]);
  });

  test("that differs again at once is not made anew without end", async () => {
    const group = await checkedGroup();
    const [leader, follower] = [group.host(0), group.host(1)];
    makeDiffer(follower, "k3", "wrong");
    await putMany(group, leader, 4);
    follower.restart();
    await putMany(group, leader, 20);
    makeDiffer(follower, "k3", "wrong again");
    await putMany(group, leader, 4);
    expect(leader.replica.status().counters).toMatchObject({ repairs: 1 });
    expect(group.diverged.at(-1)).toMatchObject({ isRepaired: false });
  });
});

describe("a replica that finds its storage damaged", () => {
  test("serves nothing of it, and heals from its leader", async () => {
    const group = await checkedGroup();
    const follower = group.host(1);
    follower.restart();
    await group.clock.pass(4 * T.heartbeatMs);
    damage(follower, "k0");
    expect(() => follower.read("k0", "eventual")).toThrow(DamagedStorageError);
    follower.crash();
    follower.restart();
    // It holds nothing yet, and does not pretend that there is nothing.
    expect(follower.read("k0", "eventual")).toMatchObject({ status: "not_leader" });
    await putMany(group, group.host(0), 4);
    await expectSame(group, "k0", "v0");
    expect(follower.replica.status().counters.snapshots_installed).toBe(1);
  });
});

describe("a part of a snapshot that is damaged on its way", () => {
  test("is not taken, and sent again", async () => {
    const group = await checkedGroup();
    const follower = group.host(1);
    follower.storage.condemn();
    let damaged = 0;
    group.onPart = (part) => (damaged++ === 0 ? { ...part, bytes: part.bytes.map((byte) => byte ^ 1) } : part);
    follower.crash();
    follower.restart();
    await putMany(group, group.host(0), 4);
    await expectSame(group, "k0", "v0");
    expect(follower.replica.status().counters).toMatchObject({ parts_damaged: 1, snapshots_installed: 1 });
  });

  test("again and again breaks the stream off, and nothing of it is ever taken over", async () => {
    const group = await checkedGroup();
    const follower = group.host(1);
    follower.storage.condemn();
    group.onPart = (part) => ({ ...part, bytes: part.bytes.map((byte) => byte ^ 1) });
    follower.crash();
    follower.restart();
    await putMany(group, group.host(0), 4);
    expect(follower.replica.status().counters.snapshots_installed).toBe(0);
    expect(follower.read("k0", "eventual")).toMatchObject({ status: "not_leader" });
    group.onPart = (part) => part;
    await putMany(group, group.host(0), 4);
    await expectSame(group, "k0", "v0");
  });
});
