// How a change is published, over scripted replicas: what the Directory gets, and when it gets nothing.

import { describe, expect, test } from "vitest";
import type { ChangeReply, PublishReply } from "../../../durable/ports.ts";
import { type ChangeConditions, publishChange } from "../../../durable/topology-changes.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import { changedTopology, type TopologyChange } from "../../../routing/topology-change.ts";
import { TopologyView } from "../../../routing/topology-view.ts";

class Cluster {
  document: Topology;
  /** By replica number: who answers nobody. */
  readonly dead: ReadonlySet<number>;
  readonly told: string[] = [];
  /** Member ids that vote, by the log; and how many were asked. */
  voters: readonly string[] = [];
  asked = 0;

  constructor(replicas: number, dead: readonly number[]) {
    this.document = buildTopology({
      cluster: "test",
      replicas,
      regions: (["weur", "enam", "apac", "oc", "wnam"] as const).slice(0, replicas),
      weights: [1],
    });
    this.dead = new Set(dead);
  }

  change(change: TopologyChange, conditions?: ChangeConditions): Promise<ChangeReply> {
    const ports = {
      read: async () => this.document,
      publish: async (topology: Topology): Promise<PublishReply> => {
        this.document = topology;
        return { status: "ok", topology };
      },
      tell: async ({ name, replica, generation }: { name: string; replica: number; generation: number }) => {
        this.told.push(name);
        return generation > 1 || !this.dead.has(replica);
      },
      status: async ({ replica, generation }: { replica: number; generation: number }) => {
        this.asked++;
        return generation === 1 && this.dead.has(replica) ? undefined : { commitIndex: 7, voters: this.voters };
      },
    };
    return publishChange(ports, change, this.document.epoch, conditions);
  }

  get replicas(): readonly string[] {
    const [shard] = new TopologyView(this.document).shards;
    return (shard?.replicas ?? []).map(({ replica, generation }) => `${replica}.${generation}`);
  }
}

const replace = (replica: number) => ({ kind: "replace_replica", shard: 0, replica, region: "sam" }) as const;

describe("a change of replicas", () => {
  test("is published where a majority of the replicas answers", async () => {
    const cluster = new Cluster(3, [1]);
    expect(await cluster.change(replace(1))).toMatchObject({ status: "ok", untold: ["halo:test:s0:r1:g1"] });
    expect(cluster.replicas).toEqual(["0.1", "1.2", "2.1"]);
  });

  test("is refused where none does, and changes nothing", async () => {
    const cluster = new Cluster(3, [1, 2]);
    expect(await cluster.change(replace(1))).toEqual({
      status: "unavailable",
      problem: "shard 0: only 1 of 3 replicas answer, a majority must",
    });
    expect(cluster.document.epoch).toBe(0);
  });

  test.each([
    [3, 1, [0]],
    [5, 3, [0, 2]],
  ])(
    "is refused where a majority of those that would stay is dead: %i replicas to %i",
    async (from, replicas, dead) => {
      const cluster = new Cluster(from, dead);
      expect(await cluster.change({ kind: "set_replicas", replicas })).toEqual({
        status: "unavailable",
        problem: `shard 0: of the ${replicas} replicas that it would have, ${dead.join(", ")} do not answer, and a majority must; replace these first`,
      });
      expect(cluster.replicas).toHaveLength(from);
    },
  );

  test("is published where the dead are to leave", async () => {
    const cluster = new Cluster(5, [3, 4]);
    expect(await cluster.change({ kind: "set_replicas", replicas: 3 })).toMatchObject({ status: "ok" });
    expect(cluster.replicas).toEqual(["0.1", "1.1", "2.1"]);
  });

  test("counts replicas that it adds as alive", async () => {
    const cluster = new Cluster(3, [2]);
    expect(await cluster.change({ kind: "set_replicas", replicas: 5, regions: ["oc", "wnam"] })).toMatchObject({
      status: "ok",
    });
  });

  // The group has three of five voters, and the document lists one of them. Until the dead are replaced nobody can leave.
  test("is published where too few of the listed answer, and enough of those that vote, be they listed or not", async () => {
    const cluster = new Cluster(5, [0, 1]);
    const shrunk = changedTopology(cluster.document, { kind: "set_replicas", shard: 0, replicas: 3 });
    if (!shrunk.ok) throw new Error(shrunk.problem);
    cluster.document = shrunk.topology;
    cluster.voters = ["0.1", "1.1", "2.1", "3.1", "4.1"];
    expect(await cluster.change(replace(0))).toMatchObject({ status: "ok" });
    expect(cluster.replicas).toEqual(["0.3", "1.1", "2.1"]);
    // The successor counts as alive, so the other one is replaced as ever.
    const { asked } = cluster;
    expect(await cluster.change({ ...replace(1), region: "oc" })).toMatchObject({ status: "ok" });
    expect(cluster.asked).toBe(asked);
  });

  test("is refused where those that vote and are not listed are too few as well, or a majority of the list would be dead", async () => {
    const dead: readonly (readonly [readonly number[], string])[] = [
      [[0, 1, 3], "shard 0: only 1 of 3 replicas answer, a majority must"],
      [[0, 1, 2], "shard 0: only 0 of 3 replicas answer, a majority must"],
    ];
    for (const [numbers, problem] of dead) {
      const cluster = new Cluster(5, numbers);
      const shrunk = changedTopology(cluster.document, { kind: "set_replicas", shard: 0, replicas: 3 });
      if (!shrunk.ok) throw new Error(shrunk.problem);
      cluster.document = shrunk.topology;
      cluster.voters = ["0.1", "1.1", "2.1", "3.1", "4.1"];
      expect(await cluster.change(replace(0))).toEqual({ status: "unavailable", problem });
    }
    // Nobody else votes any more: only 2 is left of three.
    const settled = new Cluster(5, [0, 1]);
    const shrunk = changedTopology(settled.document, { kind: "set_replicas", shard: 0, replicas: 3 });
    if (!shrunk.ok) throw new Error(shrunk.problem);
    settled.document = shrunk.topology;
    settled.voters = ["0.1", "1.1", "2.1"];
    expect(await settled.change(replace(0))).toMatchObject({ status: "unavailable" });
  });

  test("that is made because a replica is taken for dead is not made if it answers", async () => {
    const cluster = new Cluster(3, []);
    expect(await cluster.change(replace(1), { onlyOfTheDead: true })).toEqual({
      status: "unavailable",
      problem: "shard 0: the replica that was taken for dead answers",
    });
    expect(cluster.document.epoch).toBe(0);
    const other = new Cluster(3, [1]);
    expect(await other.change(replace(1), { onlyOfTheDead: true })).toMatchObject({ status: "ok" });
  });

  test("of an older topology than the newest asks nobody", async () => {
    const cluster = new Cluster(3, []);
    const changed = changedTopology(cluster.document, replace(0));
    if (changed.ok) cluster.document = changed.topology;
    const asked = publishChange(
      {
        read: async () => cluster.document,
        publish: async () => expect.unreachable(),
        tell: async () => expect.unreachable(),
        status: async () => expect.unreachable(),
      },
      replace(1),
      0,
    );
    expect(await asked).toEqual({ status: "epoch_conflict", current: cluster.document });
  });
});
