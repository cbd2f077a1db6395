// What a replica does about a topology that others know better: the watch, who founds a group, and whom requests are sent to.

import { describe, expect, test } from "vitest";
import { Ownership, placedIn } from "../../../durable/ownership.ts";
import type { ReadReply } from "../../../durable/protocol.ts";
import {
  DOUBT_INTERVAL_MS,
  READ_DEADLINE_MS,
  TELL_INTERVAL_MS,
  TopologyWatch,
} from "../../../durable/topology-watch.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import { changedTopology, type TopologyChange } from "../../../routing/topology-change.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { type Host, ShardGroup } from "./shard-group.ts";

const SEED = buildTopology({ cluster: "test", replicas: 3, regions: ["weur", "enam", "apac"], weights: [1] });

function changed(topology: Topology, change: TopologyChange): Topology {
  const result = changedTopology(topology, change);
  if (!result.ok) throw new Error(result.problem);
  return result.topology;
}

const FIVE = changed(SEED, { kind: "set_replicas", replicas: 5, regions: ["oc", "sam"] });
const REPLACED = changed(SEED, { kind: "replace_replica", shard: 0, replica: 2, region: "oc" });

describe("the founding membership", () => {
  test("is all of epoch 0, for each of them", () => {
    expect(new Ownership(SEED).foundingMembership(0)).toEqual({ voters: ["0.1", "1.1", "2.1"], learners: [] });
  });

  test("is nobody once the members have changed: not for a newcomer, and not for a founder that begins anew", () => {
    for (const topology of [FIVE, REPLACED]) {
      expect(new Ownership(topology).foundingMembership(0)).toEqual({ voters: [], learners: [] });
    }
  });

  test("is all with whom a shard was added, until they change", () => {
    const added = changed(SEED, { kind: "add_shard", replicas: 3, regions: ["weur", "enam", "apac"] });
    const voters = ["0.2", "1.2", "2.2"];
    expect(new Ownership(added).foundingMembership(1)).toEqual({ voters, learners: [] });
    const later = changed(added, { kind: "replace_replica", shard: 0, replica: 0, region: "oc" });
    expect(new Ownership(later).foundingMembership(1)).toEqual({ voters, learners: [] });
    expect(new Ownership(later).foundingMembership(0)).toEqual({ voters: [], learners: [] });
    const replaced = changed(added, { kind: "replace_replica", shard: 1, replica: 0, region: "oc" });
    expect(new Ownership(replaced).foundingMembership(1)).toEqual({ voters: [], learners: [] });
  });

  test("is nobody for a shard that the topology does not have", () => {
    expect(new Ownership(SEED).foundingMembership(7)).toEqual({ voters: [], learners: [] });
  });

  test("a member id says in which epoch it was placed", () => {
    expect(new Ownership(REPLACED).listed(0)).toEqual({ members: ["0.1", "1.1", "2.2"], since: 1 });
    expect(["0.1", "2.2", "1.40"].map(placedIn)).toEqual([0, 1, 39]);
  });

  test("former replicas can still be found", () => {
    expect(new Ownership(REPLACED).placed(0).map(({ name }) => name)).toContain("halo:test:s0:r2:g1");
  });
});

describe("the watch", () => {
  function watchOf(answers: (Topology | "refused" | "silent")[]) {
    const clock = new ManualClock();
    const ownership = new Ownership(SEED);
    const events: string[] = [];
    const watch = new TopologyWatch({
      ownership,
      read: () => {
        const answer = answers.shift() ?? "silent";
        events.push("asked");
        if (answer === "silent") return new Promise(() => undefined);
        return answer === "refused" ? Promise.reject(new Error("refused")) : Promise.resolve(answer);
      },
      store: ({ epoch }) => events.push(`stored ${epoch}, routing by ${ownership.epoch}`),
      onInstalled: () => events.push(`installed ${ownership.epoch}`),
      timers: { now: () => clock.nowMs, after: (ms, run) => clock.after(ms, run) },
    });
    return { clock, watch, events };
  }

  test("stores a newer topology before it routes by it", async () => {
    const { watch, events } = watchOf([FIVE]);
    await watch.heard(1);
    expect(events).toEqual(["asked", "stored 1, routing by 0", "installed 1"]);
    await watch.heard(1);
    expect(events).toHaveLength(3);
  });

  test("asks once more when the answer is older than what was heard of: it was on its way already", async () => {
    const { watch, events } = watchOf([SEED, FIVE]);
    await watch.heard(1);
    expect(events).toEqual(["asked", "asked", "stored 1, routing by 0", "installed 1"]);
  });

  test("goes on with the old one when the Directory refuses or is silent", async () => {
    const { clock, watch, events } = watchOf(["refused", "silent", FIVE]);
    const startMs = clock.nowMs;
    await clock.until(watch.heard(1));
    expect(clock.nowMs - startMs).toBe(READ_DEADLINE_MS);
    expect(watch.epoch).toBe(0);
    await watch.heard(1);
    expect(watch.epoch).toBe(1);
    expect(events.filter((event) => event === "asked")).toHaveLength(3);
  });

  test("asks for many at once", async () => {
    const { watch, events } = watchOf([FIVE]);
    await Promise.all([watch.heard(1), watch.heard(1), watch.refresh()]);
    expect(events.filter((event) => event === "asked")).toHaveLength(1);
  });

  test("tells a peer that is behind, but not with each of its messages", async () => {
    const { clock, watch } = watchOf([FIVE]);
    await watch.heard(1);
    let told = 0;
    const tell = () => {
      told++;
    };
    for (let message = 0; message < 5; message++) watch.heardFromPeer(0, tell);
    watch.heardFromPeer(1, tell);
    expect(told).toBe(1);
    await clock.pass(TELL_INTERVAL_MS);
    watch.heardFromPeer(0, tell);
    expect(told).toBe(2);
  });

  test("hears of a newer epoch from a peer", async () => {
    const { clock, watch } = watchOf([FIVE]);
    watch.heardFromPeer(1, () => undefined);
    await clock.when(() => watch.epoch === 1);
  });

  test("has its doubts now and then only", async () => {
    const { clock, watch, events } = watchOf([SEED, SEED]);
    for (let request = 0; request < 5; request++) watch.doubt();
    await clock.pass(DOUBT_INTERVAL_MS - 1);
    watch.doubt();
    expect(events).toEqual(["asked"]);
    await clock.pass(1);
    watch.doubt();
    expect(events).toEqual(["asked", "asked"]);
  });
});

describe("a replica whose topology has changed", () => {
  async function group(topology: Topology, who: (host: Host) => boolean = () => true) {
    const shard = new ShardGroup(3);
    const leader = await shard.lead(0);
    await shard.clock.until(leader.put("k", "here"));
    await shard.clock.pass(200);
    for (const host of shard.hosts.filter(who)) host.ownership.install(topology);
    return { shard, leader };
  }

  const eventual = (host: Host, epoch: number): ReadReply => host.read("k", "eventual", { epoch }) as ReadReply;

  test("sends everybody away once it is not listed, whatever they route by", async () => {
    const { shard } = await group(REPLACED);
    for (const epoch of [0, 1]) {
      expect(eventual(shard.host(2), epoch)).toEqual({ status: "wrong_owner", topology: REPLACED });
    }
  });

  test("serves old routers while the members have not followed, and tells them as soon as they have", async () => {
    const { shard, leader } = await group(FIVE);
    expect(eventual(shard.host(1), 0)).toMatchObject({ status: "ok" });
    expect(eventual(leader, 0)).toMatchObject({ status: "ok" });
    const three = changed(FIVE, { kind: "set_replicas", replicas: 3 });
    for (const host of shard.hosts) host.ownership.install(three);
    // Three members are what this group has: the change is over.
    expect(eventual(shard.host(1), 0)).toMatchObject({ status: "wrong_owner" });
    expect(eventual(leader, 1)).toMatchObject({ status: "wrong_owner" });
    expect(eventual(leader, 2)).toMatchObject({ status: "ok" });
  });

  test("hands over when it leads and is not listed, and serves until it has", async () => {
    const next = changed(SEED, { kind: "replace_replica", shard: 0, replica: 0, region: "oc" });
    const { shard, leader } = await group(next);
    expect(await shard.clock.until(leader.read("k", "strong", { epoch: 0 }))).toMatchObject({ status: "ok" });
    await shard.clock.when(() => leader.replica.status().role !== "leader");
    const heir = await shard.newLeader([shard.host(1), shard.host(2)]);
    expect(eventual(leader, 0)).toMatchObject({ status: "wrong_owner" });
    expect(await shard.clock.until(heir.read("k", "strong", { epoch: 0 }))).toMatchObject({ status: "ok" });
  });

  test("adds newcomers as learners, keeps them so while they cannot be reached, and sleeps in the end", async () => {
    const { shard, leader } = await group(FIVE);
    await shard.clock.pass(500);
    expect(leader.replica.status()).toMatchObject({ voters: ["0.1", "1.1", "2.1"], learners: ["3.2", "4.2"] });
    expect(leader.replica.status().isSettled).toBe(false);
    expect(await shard.clock.until(leader.put("k", "still"))).toMatchObject({ status: "ok" });
    await shard.clock.pass(60_000);
    expect(leader.replica.status().quiesced).toBe(true);
  });

  test("that sleeps is woken when the topology changes", async () => {
    const { shard, leader } = await group(FIVE, () => false);
    await shard.clock.pass(60_000);
    expect(leader.replica.status().quiesced).toBe(true);
    leader.ownership.install(FIVE);
    leader.replica.topologyChanged();
    await shard.clock.pass(500);
    expect(leader.replica.status().learners).toEqual(["3.2", "4.2"]);
  });
});
