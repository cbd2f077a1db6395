// The sweep over a scripted cluster: what it writes down, and when it replaces a replica.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SweepRecord } from "../../../durable/health-protocol.ts";
import {
  type LostReplica,
  REPLACE_COOLDOWN_MS,
  SWEEP_SHARDS_MAX,
  type SweepPorts,
  successorRegion,
  sweep,
  WIPES_MAX,
} from "../../../durable/health-sweep.ts";
import { memberId } from "../../../durable/ownership.ts";
import type { ReplicaStatus } from "../../../durable/protocol.ts";
import { withWiped } from "../../../routing/retired-shards.ts";
import { withCompleted } from "../../../routing/slot-moves.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import { changedTopology, type TopologyChange } from "../../../routing/topology-change.ts";
import { TopologyView } from "../../../routing/topology-view.ts";
import { ShardGroup, T } from "./shard-group.ts";

const MINUTE_MS = 60_000;
const REGIONS = ["weur", "enam", "apac"] as const;

class Cluster implements SweepPorts {
  nowMs = 1_700_000_000_000;
  document: Topology;
  kept: SweepRecord | undefined;
  /** Names of replicas that answer nobody, and of those that only the sweep does not reach. */
  readonly down = new Set<string>();
  readonly hidden = new Set<string>();
  /** Names of replicas that hold something else than they should. */
  readonly differing = new Set<string>();
  /** Of shard 0, by its log; undefined: whoever is listed and no learner. */
  voters: readonly string[] | undefined;
  /** Member ids that do not vote yet, by shard. */
  readonly learners = new Map<number, Set<string>>();
  readonly asked: string[] = [];
  readonly replaced: LostReplica[] = [];
  refusesChanges = false;

  constructor(shards = 2) {
    this.document = buildTopology({
      cluster: "test",
      replicas: 3,
      regions: REGIONS,
      weights: Array<number>(shards).fill(1),
    });
  }

  names(shard: number): readonly string[] {
    return (new TopologyView(this.document).shard(shard)?.replicas ?? []).map(({ name }) => name);
  }

  async sweep(replaceAfterMs = 0, afterMs = 0): Promise<SweepRecord> {
    this.nowMs += afterMs;
    return sweep(this, { replaceAfterMs });
  }

  now = () => this.nowMs;
  topology = async () => this.document;
  lastRecord = async () => this.kept;
  record = async (record: SweepRecord) => {
    this.kept = record;
  };

  status: SweepPorts["status"] = async ({ name }) => {
    this.asked.push(name);
    if (this.down.has(name) || this.hidden.has(name)) return undefined;
    const view = new TopologyView(this.document).shards.find(({ replicas }) =>
      replicas.some((one) => one.name === name),
    );
    const learners = this.learners.get(view?.shard ?? -1);
    const listed = (view?.replicas ?? []).map(memberId).filter((member) => learners?.has(member) !== true);
    const voters = this.voters ?? listed;
    const states = [{ index: 7, hash: this.differing.has(name) ? 1 : 0, way: 1, ranges: [] }];
    return { name, commitIndex: 7, voters, states } as unknown as ReplicaStatus;
  };

  reaches: SweepPorts["reaches"] = async (witness, member) => {
    const shard = new TopologyView(this.document).shards.find(({ replicas }) =>
      replicas.some(({ name }) => name === witness.name),
    );
    const name = shard?.replicas.find((replica) => memberId(replica) === member)?.name ?? "";
    return !this.down.has(name);
  };

  /** Names of objects that hold nothing any more, and the calls that asked for it. */
  readonly wiped = new Set<string>();
  readonly wipeCalls: string[] = [];
  isDirectoryDown = false;

  wipe: SweepPorts["wipe"] = async ({ name }, epoch) => {
    expect(epoch).toBeLessThanOrEqual(this.document.epoch);
    this.wipeCalls.push(name);
    if (this.down.has(name)) return false;
    this.wiped.add(name);
    return true;
  };

  settleWiped: SweepPorts["settleWiped"] = async (wiped) => {
    if (this.isDirectoryDown) throw new Error("no way to the Directory");
    this.document = withWiped(this.document, wiped);
  };

  /** Slots of the documents by whose moves somebody was roused. */
  readonly roused: number[][] = [];

  rouse: SweepPorts["rouse"] = async ({ moves = [], cancelled = [] }) => {
    this.roused.push([...moves, ...cancelled].map(({ slot }) => slot));
  };

  replace: SweepPorts["replace"] = async (lost, epoch) => {
    const changed = changedTopology(this.document, { kind: "replace_replica", ...lost });
    if (this.refusesChanges || epoch !== this.document.epoch || !changed.ok) return undefined;
    this.replaced.push(lost);
    this.document = changed.topology;
    return this.document.epoch;
  };
}

describe("a sweep", () => {
  test("rouses those who have slots to give away, and nobody where no slot is on its way", async () => {
    const cluster = new Cluster();
    await cluster.sweep();
    expect(cluster.roused).toEqual([]);
    const slot = cluster.document.slots.indexOf(1);
    cluster.document = { ...cluster.document, moves: [{ slot, from: 1, to: 0, epoch: 0 }] };
    await cluster.sweep();
    expect(cluster.roused).toEqual([[slot]]);
    cluster.document = { ...cluster.document, moves: undefined, cancelled: [{ slot, from: 1, to: 0, epoch: 0 }] };
    await cluster.sweep();
    expect(cluster.roused).toEqual([[slot], [slot]]);
  });

  test("names those that hold something else than the others of their shard", async () => {
    const cluster = new Cluster();
    const [name = ""] = cluster.names(1);
    cluster.differing.add(name);
    expect((await cluster.sweep()).diverged).toEqual([{ shard: 1, index: 7, differing: [name] }]);
    cluster.differing.clear();
    expect((await cluster.sweep()).diverged).toEqual([]);
  });

  test("of a cluster in which everybody answers and votes finds nothing, and writes that down", async () => {
    const cluster = new Cluster();
    expect(await cluster.sweep()).toEqual({
      atMs: cluster.nowMs,
      epoch: 0,
      nextShard: 0,
      unreachable: [],
      underReplicated: [],
      diverged: [],
    });
    expect(cluster.asked.toSorted()).toEqual([...cluster.names(0), ...cluster.names(1)].toSorted());
  });

  test("says who does not answer, and since which sweep in a row", async () => {
    const cluster = new Cluster();
    const [, name = ""] = cluster.names(1);
    cluster.down.add(name);
    const { atMs } = await cluster.sweep();
    const again = await cluster.sweep(0, MINUTE_MS);
    expect(again.unreachable).toEqual([{ shard: 1, name, sinceMs: atMs }]);
    expect(again.underReplicated).toEqual([{ shard: 1, missing: [name] }]);
    cluster.down.clear();
    expect((await cluster.sweep(0, MINUTE_MS)).unreachable).toEqual([]);
    cluster.down.add(name);
    const later = await cluster.sweep(0, MINUTE_MS);
    expect(later.unreachable).toEqual([{ shard: 1, name, sinceMs: later.atMs }]);
  });

  test("counts a shard as under-replicated until its newcomer votes", async () => {
    const cluster = new Cluster();
    cluster.learners.set(0, new Set(["2.1"]));
    expect(await cluster.sweep()).toMatchObject({
      unreachable: [],
      underReplicated: [{ shard: 0, missing: [cluster.names(0)[2]] }],
    });
  });

  test("looks at a limited number of shards, goes on where the last one ended, and keeps what that has found", async () => {
    const shards = SWEEP_SHARDS_MAX + 30;
    const cluster = new Cluster(shards);
    const [name = ""] = cluster.names(3);
    cluster.down.add(name);
    expect(await cluster.sweep()).toMatchObject({ nextShard: SWEEP_SHARDS_MAX, underReplicated: [{ shard: 3 }] });
    expect(cluster.asked).toHaveLength(3 * SWEEP_SHARDS_MAX);
    cluster.asked.length = 0;
    const second = await cluster.sweep();
    expect(second).toMatchObject({ nextShard: (2 * SWEEP_SHARDS_MAX) % shards, underReplicated: [{ shard: 3 }] });
    expect(new Set(cluster.asked).size).toBe(3 * SWEEP_SHARDS_MAX);
    // Within two sweeps every shard was looked at.
    expect(cluster.asked).toContain(cluster.names(shards - 1)[0]);
  });
});

describe("replacement", () => {
  const AFTER_MS = 10 * MINUTE_MS;

  test("is off unless a time is configured", async () => {
    const cluster = new Cluster();
    cluster.down.add(cluster.names(0)[1] ?? "");
    await cluster.sweep();
    await cluster.sweep(0, 365 * 24 * 60 * MINUTE_MS);
    expect(cluster.replaced).toEqual([]);
  });

  test("waits for the configured time, then gives the number to a successor, and the count goes back to zero", async () => {
    const cluster = new Cluster();
    const [, name = ""] = cluster.names(0);
    cluster.down.add(name);
    await cluster.sweep(AFTER_MS);
    await cluster.sweep(AFTER_MS, AFTER_MS - 1);
    expect(cluster.replaced).toEqual([]);
    const record = await cluster.sweep(AFTER_MS, 1);
    expect(cluster.replaced).toEqual([{ shard: 0, replica: 1, region: expect.any(String) }]);
    expect(record.replaced).toEqual({ atMs: cluster.nowMs, name, epoch: 1 });
    expect(cluster.names(0)).not.toContain(name);
    cluster.learners.set(0, new Set(["1.2"]));
    expect((await cluster.sweep(AFTER_MS, MINUTE_MS)).underReplicated).toHaveLength(1);
    cluster.learners.clear();
    expect(await cluster.sweep(AFTER_MS, MINUTE_MS)).toMatchObject({ underReplicated: [], unreachable: [] });
  });

  test("is one at a time, with a time to cool down between", async () => {
    const cluster = new Cluster();
    for (const shard of [0, 1]) cluster.down.add(cluster.names(shard)[2] ?? "");
    await cluster.sweep(AFTER_MS);
    await cluster.sweep(AFTER_MS, AFTER_MS);
    await cluster.sweep(AFTER_MS, REPLACE_COOLDOWN_MS - 1);
    expect(cluster.replaced).toHaveLength(1);
    await cluster.sweep(AFTER_MS, 1);
    expect(cluster.replaced).toHaveLength(2);
  });

  test("does not happen where fewer than a majority answer, or vote", async () => {
    const cluster = new Cluster(1);
    const [first = "", second = ""] = cluster.names(0);
    cluster.down.add(first).add(second);
    await cluster.sweep(AFTER_MS);
    await cluster.sweep(AFTER_MS, 2 * AFTER_MS);
    expect(cluster.replaced).toEqual([]);
    cluster.down.delete(second);
    cluster.learners.set(0, new Set(["1.1"]));
    await cluster.sweep(AFTER_MS, 2 * AFTER_MS);
    // Two answer, but of the two voters only one.
    expect(cluster.replaced).toEqual([]);
    cluster.learners.clear();
    await cluster.sweep(AFTER_MS, MINUTE_MS);
    expect(cluster.replaced).toHaveLength(1);
  });

  test("happens where too few of the listed answer, if those that still vote are enough; one after the other", async () => {
    const cluster = new Cluster(1);
    const grown = changedTopology(cluster.document, { kind: "set_replicas", replicas: 5, regions: ["oc", "wnam"] });
    if (!grown.ok) throw new Error(grown.problem);
    const shrunk = changedTopology(grown.topology, { kind: "set_replicas", replicas: 3 });
    if (!shrunk.ok) throw new Error(shrunk.problem);
    cluster.document = shrunk.topology;
    const [, , , fourth = ""] = (new TopologyView(grown.topology).shards[0]?.replicas ?? []).map(({ name }) => name);
    cluster.voters = (grown.topology.shards[0]?.replicas ?? []).map(memberId);
    for (const name of cluster.names(0).slice(0, 2)) cluster.down.add(name);
    await cluster.sweep(MINUTE_MS);
    cluster.down.add(fourth);
    await cluster.sweep(MINUTE_MS, MINUTE_MS);
    expect(cluster.replaced).toEqual([]);
    cluster.down.delete(fourth);
    await cluster.sweep(MINUTE_MS, MINUTE_MS);
    expect(cluster.replaced.map(({ replica }) => replica)).toEqual([0]);
    await cluster.sweep(MINUTE_MS, REPLACE_COOLDOWN_MS);
    expect(cluster.replaced.map(({ replica }) => replica)).toEqual([0, 1]);
  });

  test("does not happen to a replica that its own group reaches: the sweep is cut off, not the replica", async () => {
    const cluster = new Cluster();
    const [name = ""] = cluster.names(0);
    cluster.hidden.add(name);
    await cluster.sweep(AFTER_MS);
    const record = await cluster.sweep(AFTER_MS, 2 * AFTER_MS);
    expect(cluster.replaced).toEqual([]);
    expect(record.unreachable).toHaveLength(1);
  });

  test("that is refused is not counted as one, and is tried again", async () => {
    const cluster = new Cluster();
    cluster.down.add(cluster.names(0)[1] ?? "");
    cluster.refusesChanges = true;
    await cluster.sweep(AFTER_MS);
    expect((await cluster.sweep(AFTER_MS, AFTER_MS)).replaced).toBeUndefined();
    cluster.refusesChanges = false;
    expect((await cluster.sweep(AFTER_MS, MINUTE_MS)).replaced).toBeDefined();
  });

  test("never flaps: however replicas come and go, a successor gets its own full time", () => {
    const step = fc.record({ toggled: fc.nat(5), afterMs: fc.integer({ min: 0, max: 3 * AFTER_MS }) });
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const cluster = new Cluster();
        const times: number[] = [];
        for (const { toggled, afterMs } of steps) {
          const name = cluster.names(toggled % 2)[Math.floor(toggled / 2)] ?? "";
          if (!cluster.down.delete(name)) cluster.down.add(name);
          const before = cluster.replaced.length;
          const known = cluster.kept?.unreachable ?? [];
          const record = await cluster.sweep(AFTER_MS, afterMs);
          expect(cluster.replaced.length - before).toBeLessThanOrEqual(1);
          if (cluster.replaced.length === before) continue;
          times.push(cluster.nowMs);
          const since = known.find((lost) => lost.name === record.replaced?.name)?.sinceMs ?? Number.POSITIVE_INFINITY;
          expect(cluster.nowMs - since).toBeGreaterThanOrEqual(AFTER_MS);
        }
        for (const [index, atMs] of times.entries()) {
          expect(atMs - (times[index - 1] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(REPLACE_COOLDOWN_MS);
        }
      }),
    );
  });
});

describe("the successor's region", () => {
  const [shard] = new TopologyView(new Cluster().document).shards;
  if (shard === undefined) throw new Error("a cluster has shards");
  const [lost] = shard.replicas;
  if (lost === undefined) throw new Error("a shard has replicas");

  test("is the same while anything answers there", () => {
    expect(successorRegion(lost, shard, [{ shard, answers: new Map([[lost.name, 1]]) }])).toBe("weur");
  });

  test("is the nearest one in which the shard has none, when the whole region is silent", () => {
    expect(successorRegion(lost, shard, [{ shard, answers: new Map() }])).toBe("eeur");
  });
});

test("asking a sleeping replica for its status, just loaded, leaves it asleep and no timer behind", async () => {
  const group = new ShardGroup();
  await group.lead(0);
  await group.clock.pass(2 * T.quiesceAfterMs);
  for (const host of group.hosts) {
    host.crash();
    host.restart();
  }
  const before = group.hosts.map((host) => host.disk.appended.length);
  const statuses = group.hosts.map((host) => host.replica.status());
  for (const host of group.hosts) host.replica.ping();
  expect(statuses.map(({ quiesced }) => quiesced)).toEqual([true, true, true]);
  expect(group.clock.pending).toBe(0);
  await group.clock.pass(60 * MINUTE_MS);
  expect(group.hosts.map((host) => host.replica.status().term)).toEqual(statuses.map(({ term }) => term));
  expect(group.hosts.map((host) => host.disk.appended.length)).toEqual(before);
});

describe("objects of a shard that was removed", () => {
  const named = (shard: number) => [0, 1, 2].map((replica) => `halo:test:s${shard}:r${replica}:g1`);

  function without(shards: number, ...removed: number[]): Cluster {
    const cluster = new Cluster(shards);
    const change = (wanted: TopologyChange) => {
      const changed = changedTopology(cluster.document, wanted);
      if (!changed.ok) throw new Error(changed.problem);
      const done = withCompleted(changed.topology, changed.topology.moves ?? []);
      if (!done.ok) throw new Error(done.problem);
      cluster.document = done.topology;
    };
    for (const shard of removed) {
      change({ kind: "drain_shard", shard });
      change({ kind: "remove_shard", shard });
    }
    return cluster;
  }

  test("are wiped and taken off the list, once", async () => {
    const cluster = without(3, 2);
    const { epoch } = cluster.document;
    expect((await cluster.sweep()).unwiped).toBeUndefined();
    expect([...cluster.wiped]).toEqual(named(2));
    expect(cluster.document).toMatchObject({ epoch: epoch + 1 });
    expect(cluster.document.retired).toBeUndefined();
    await cluster.sweep();
    expect(cluster.wipeCalls).toHaveLength(3);
  });

  test("that are out of reach stay on the list until a later sweep reaches them", async () => {
    const cluster = without(3, 2);
    const [, lost = ""] = named(2);
    cluster.down.add(lost);
    expect((await cluster.sweep()).unwiped).toBe(1);
    expect(cluster.document.retired?.[0]?.replicas.map(({ replica }) => replica)).toEqual([1]);
    cluster.down.clear();
    expect((await cluster.sweep()).unwiped).toBeUndefined();
    expect(cluster.wiped.has(lost)).toBe(true);
  });

  test("are wiped again where the Directory died before it was told", async () => {
    const cluster = without(3, 2);
    cluster.isDirectoryDown = true;
    await cluster.sweep();
    expect(cluster.document.retired?.[0]?.replicas).toHaveLength(3);
    cluster.isDirectoryDown = false;
    await cluster.sweep();
    expect(cluster.document.retired).toBeUndefined();
    expect(cluster.wipeCalls).toEqual([...named(2), ...named(2)]);
  });

  test("take their turns, so that those that nobody reaches keep no other from being wiped", async () => {
    const cluster = without(9, 1, 2, 3, 4, 5, 6, 7);
    for (const shard of [1, 2, 3, 4, 5, 6]) for (const name of named(shard)) cluster.down.add(name);
    await cluster.sweep();
    expect(cluster.wipeCalls).toHaveLength(WIPES_MAX);
    await cluster.sweep();
    expect([...cluster.wiped].sort()).toEqual(named(7));
    for (let sweeps = 0; sweeps < 3; sweeps++) await cluster.sweep();
    expect(new Set(cluster.wipeCalls)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7].flatMap(named)));
  });
});
