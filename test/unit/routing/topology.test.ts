import { describe, expect, test } from "vitest";
import { parseClusterConfig } from "../../../routing/cluster-config.ts";
import { parseReplicaName, replicaName } from "../../../routing/replica-name.ts";
import { SLOT_COUNT } from "../../../routing/slots.ts";
import { buildTopology, preferredLeader, type Topology } from "../../../routing/topology.ts";
import { parseTopology } from "../../../routing/topology-parser.ts";
import { TopologyView } from "../../../routing/topology-view.ts";

function topologyOf(shards: number, regions = "weur,enam,apac", weights = ""): Topology {
  const parsed = parseClusterConfig({
    HALO_CLUSTER: "halo",
    HALO_SHARDS: String(shards),
    HALO_REPLICAS: "3",
    HALO_REGIONS: regions,
    HALO_WEIGHTS: weights,
  });
  if (!parsed.ok) throw new Error(parsed.problem);
  return buildTopology(parsed.config);
}

describe("epoch 0", () => {
  test("has every shard with its replicas in the first generation, and an owner for every slot", () => {
    const topology = topologyOf(4);
    expect(topology.cluster).toBe("halo");
    expect(topology.epoch).toBe(0);
    expect(topology.shards.map(({ shard }) => shard)).toEqual([0, 1, 2, 3]);
    expect(topology.shards[1]?.replicas).toEqual([
      { replica: 0, region: "enam", generation: 1 },
      { replica: 1, region: "apac", generation: 1 },
      { replica: 2, region: "weur", generation: 1 },
    ]);
    expect(new Set(topology.slots)).toEqual(new Set([0, 1, 2, 3]));
    expect(topology.slots).toHaveLength(SLOT_COUNT);
  });

  test("is the same wherever it is computed", () => {
    expect(topologyOf(5, "weur,enam,apac", "1,2,0,1,0.5")).toEqual(topologyOf(5, "weur,enam,apac", "1,2,0,1,0.5"));
  });

  test("spreads the preferred leaders of the shards over the regions", () => {
    const leaders = topologyOf(6).shards.map((shard) => {
      const leader = preferredLeader(shard);
      return shard.replicas.find(({ replica }) => replica === leader)?.region;
    });
    expect(leaders).toEqual(["weur", "enam", "apac", "weur", "enam", "apac"]);
  });

  test("puts all replicas into the only region there is", () => {
    const regions = topologyOf(2, "oc").shards.flatMap(({ replicas }) => replicas.map(({ region }) => region));
    expect(new Set(regions)).toEqual(new Set(["oc"]));
  });
});

describe("a replica's name", () => {
  test("says cluster, shard, replica and generation, and reads back", () => {
    const identity = { cluster: "my-cache", shard: 12, replica: 2, generation: 3 };
    expect(replicaName(identity)).toBe("halo:my-cache:s12:r2:g3");
    expect(parseReplicaName("halo:my-cache:s12:r2:g3")).toEqual(identity);
  });

  test.each([
    "",
    "halo:c:s1:r1",
    "halo:c:s1:r1:g1:x",
    "halo:c:s01:r1:g1",
    "halo:C:s1:r1:g1",
    "halo::s1:r1:g1",
    "halo:c:s-1:r1:g1",
    " halo:c:s1:r1:g1",
    "halo:c:s1:r1:g1\n",
    "other:c:s1:r1:g1",
    "halo:c:s9999999999:r1:g1",
  ])("%j is not one", (name) => {
    expect(parseReplicaName(name)).toBeUndefined();
  });
});

describe("the view", () => {
  test("finds the owner of every slot and the names of its replicas", () => {
    const topology = topologyOf(4);
    const view = new TopologyView(topology);
    for (let slot = 0; slot < SLOT_COUNT; slot++) expect(view.ownerOf(slot).shard).toBe(topology.slots[slot]);
    expect(view.ownerOf(0).replicas[2]?.name).toBe(`halo:halo:s${topology.slots[0]}:r2:g1`);
    expect(view.epoch).toBe(0);
  });

  test("copes with shard numbers that have gaps", () => {
    const topology = renumbered(topologyOf(2), 500);
    const view = new TopologyView(topology);
    for (let slot = 0; slot < SLOT_COUNT; slot++) expect(view.ownerOf(slot).shard).toBe(topology.slots[slot]);
    expect(view.shard(500)?.shard).toBe(500);
    expect(view.shard(0)).toBeUndefined();
  });

  test("refuses a slot that is none", () => {
    const view = new TopologyView(topologyOf(1));
    expect(() => view.ownerOf(SLOT_COUNT)).toThrow("no owner for slot 1024");
    expect(() => view.ownerOf(-1)).toThrow("no owner for slot -1");
  });
});

describe("an untrusted document", () => {
  /** As it comes over the wire, so that each test may spoil it. */
  // biome-ignore lint/suspicious/noExplicitAny: stands for JSON from outside, which has no type
  const wire = (): any => JSON.parse(JSON.stringify(topologyOf(4)));

  test("is accepted as it was made, and comes out the same", () => {
    expect(parseTopology(wire())).toEqual({ ok: true, topology: topologyOf(4) });
  });

  test("loses the fields that this version does not know, and is accepted", () => {
    const document = { ...wire(), migrations: [] };
    document.shards[0].colour = "red";
    expect(parseTopology(document)).toEqual({ ok: true, topology: topologyOf(4) });
  });

  test("may be smaller or larger than any that the variables can describe: gaps, drained shards, two replicas", () => {
    const document = wire();
    document.shards[3].weight = 0;
    document.shards[3].replicas.pop();
    expect(parseTopology(renumbered(document, 900)).ok).toBe(true);
  });

  test.each<[string, (document: ReturnType<typeof wire>) => unknown, RegExp]>([
    ["not an object", () => "topology", /^the document: /],
    ["nothing", () => undefined, /^the document: /],
    ["a list", () => [], /^the document: /],
    ["another kind of cluster name", (d) => ({ ...d, cluster: "a:b" }), /^cluster: expected 1 to 32/],
    ["a negative epoch", (d) => ({ ...d, epoch: -1 }), /^epoch: /],
    ["a fractional epoch", (d) => ({ ...d, epoch: 1.5 }), /^epoch: /],
    ["no shards", (d) => ({ ...d, shards: [] }), /^shards: /],
    ["too many shards", (d) => ({ ...d, shards: Array(257).fill(d.shards[0]) }), /^shards: /],
    [
      "one shard twice",
      (d) => ({ ...d, shards: [...d.shards, d.shards[0]] }),
      /^shards: shard numbers must be distinct/,
    ],
    ["a slot too few", (d) => ({ ...d, slots: d.slots.slice(1) }), /^slots: expected the owners of exactly 1024/],
    ["a slot too many", (d) => ({ ...d, slots: [...d.slots, 0] }), /^slots: expected the owners of exactly 1024/],
    ["an owner that does not exist", (d) => ({ ...d, slots: d.slots.with(7, 9) }), /^slots\.7: shard 9 is not among/],
    ["an owner that is text", (d) => ({ ...d, slots: d.slots.with(7, "1") }), /^slots\.7: /],
    ["a negative weight", (d) => withShard(d, { weight: -1 }), /^shards\.0\.weight: /],
    ["an endless weight", (d) => withShard(d, { weight: Number.POSITIVE_INFINITY }), /^shards\.0\.weight: /],
    ["a shard without replicas", (d) => withShard(d, { replicas: [] }), /^shards\.0\.replicas: /],
    ["a region that does not exist", (d) => withReplica(d, { region: "mars" }), /^shards\.0\.replicas\.0\.region: /],
    ["generation 0", (d) => withReplica(d, { generation: 0 }), /^shards\.0\.replicas\.0\.generation: /],
    [
      "one replica twice",
      (d) => withReplica(d, { replica: 1 }),
      /^shards\.0\.replicas: replica numbers must be distinct/,
    ],
  ])("that has %s is refused with the place and what was expected", (_, spoil, problem) => {
    const parsed = parseTopology(spoil(wire()));
    expect(parsed).toEqual({ ok: false, problem: expect.stringMatching(problem) });
  });
});

/** The same topology with `offset` added to every shard number. */
function renumbered(topology: Topology, offset: number): Topology {
  return {
    ...topology,
    shards: topology.shards.map((placement) => ({ ...placement, shard: placement.shard + offset })),
    slots: topology.slots.map((shard) => shard + offset),
  };
}

function withShard(document: Topology, change: object): unknown {
  return {
    ...document,
    shards: document.shards.map((shard, index) => (index === 0 ? { ...shard, ...change } : shard)),
  };
}

function withReplica(document: Topology, change: object): unknown {
  const replicas = document.shards[0]?.replicas ?? [];
  return withShard(document, {
    replicas: replicas.map((replica, index) => (index === 0 ? { ...replica, ...change } : replica)),
  });
}
