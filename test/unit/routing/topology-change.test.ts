import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Region } from "../../../routing/region.ts";
import type { ChangeRefusalCode } from "../../../routing/shard-change.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import { changedTopology, successorProblem, type TopologyChange } from "../../../routing/topology-change.ts";
import { FORMER_REPLICAS_MAX, parseTopology } from "../../../routing/topology-parser.ts";

const SEED = buildTopology({ cluster: "test", replicas: 3, regions: ["weur", "enam", "apac"], weights: [1, 1] });

function changed(topology: Topology, change: TopologyChange): Topology {
  const result = changedTopology(topology, change);
  if (!result.ok) throw new Error(result.problem);
  return result.topology;
}

function members(topology: Topology, shard: number): readonly string[] {
  const placement = topology.shards.find((candidate) => candidate.shard === shard);
  return (placement?.replicas ?? []).map(({ replica, generation, region }) => `${replica}.${generation}@${region}`);
}

const FIVE = changed(SEED, { kind: "set_replicas", replicas: 5, regions: ["oc", "sam"] });

describe("a change of the number of replicas", () => {
  test("adds new objects at the end, in regions that take turns from shard to shard", () => {
    expect(FIVE.epoch).toBe(1);
    expect(members(FIVE, 0)).toEqual(["0.1@weur", "1.1@enam", "2.1@apac", "3.2@oc", "4.2@sam"]);
    expect(members(FIVE, 1)).toEqual(["0.1@enam", "1.1@apac", "2.1@weur", "3.2@sam", "4.2@oc"]);
    expect(FIVE.shards[0]).toMatchObject({ since: 1, former: [] });
    expect(FIVE.slots).toBe(SEED.slots);
  });

  test("takes the last ones away, and keeps them findable", () => {
    const three = changed(FIVE, { kind: "set_replicas", replicas: 3 });
    expect(members(three, 0)).toEqual(members(SEED, 0));
    expect(three.shards[0]).toMatchObject({
      since: 2,
      former: [
        { replica: 3, generation: 2, region: "oc" },
        { replica: 4, generation: 2, region: "sam" },
      ],
    });
  });

  test("never uses an object again that was taken away", () => {
    const three = changed(FIVE, { kind: "set_replicas", replicas: 3 });
    const again = changed(three, { kind: "set_replicas", replicas: 5, regions: ["oc", "sam"] });
    expect(members(again, 0).slice(3)).toEqual(["3.4@oc", "4.4@sam"]);
  });

  test("of one shard leaves the others as they are", () => {
    const next = changed(SEED, { kind: "set_replicas", shard: 1, replicas: 5, regions: ["oc", "sam"] });
    expect(next.shards[0]).toBe(SEED.shards[0]);
    expect(members(next, 1)).toHaveLength(5);
  });
});

describe("a replacement", () => {
  test("gives the number to a new object in the wanted region, at the same place in the list", () => {
    const next = changed(SEED, { kind: "replace_replica", shard: 0, replica: 1, region: "me" });
    expect(members(next, 0)).toEqual(["0.1@weur", "1.2@me", "2.1@apac"]);
    expect(next.shards[0]?.former).toEqual([{ replica: 1, generation: 1, region: "enam" }]);
  });

  test("forgets the oldest former replicas, not the latest", () => {
    let topology = SEED;
    for (let epoch = 1; epoch <= FORMER_REPLICAS_MAX + 3; epoch++) {
      topology = changed(topology, { kind: "replace_replica", shard: 0, replica: 0, region: "me" });
    }
    const former = topology.shards[0]?.former ?? [];
    expect(former).toHaveLength(FORMER_REPLICAS_MAX);
    expect(former.at(-1)?.generation).toBe(FORMER_REPLICAS_MAX + 3);
    expect(parseTopology(topology)).toEqual({ ok: true, topology });
  });
});

describe("a change that makes no sense is refused, with what was expected:", () => {
  test.each<[string, TopologyChange, ChangeRefusalCode, RegExp]>([
    [
      "an unknown shard",
      { kind: "set_replicas", shard: 9, replicas: 5, regions: ["oc"] },
      "unknown_shard",
      /no shard 9/,
    ],
    [
      "an unknown replica",
      { kind: "replace_replica", shard: 0, replica: 7, region: "oc" },
      "invalid",
      /shard 0 has no replica 7/,
    ],
    ["an even number", { kind: "set_replicas", replicas: 4, regions: ["oc"] }, "invalid", /one of 1, 3, 5, got 4/],
    ["no replicas", { kind: "set_replicas", replicas: 0 }, "invalid", /expected one of 1, 3, 5, got 0/],
    [
      "no region for a new one",
      { kind: "set_replicas", replicas: 5 },
      "invalid",
      /expected a region for each or one for all, got 0/,
    ],
    ["too many regions", { kind: "set_replicas", replicas: 5, regions: ["oc", "me", "afr"] }, "invalid", /got 3/],
    ["a region for nobody", { kind: "set_replicas", replicas: 1, regions: ["oc"] }, "invalid", /gets no new replica/],
    ["nothing new", { kind: "set_replicas", replicas: 3 }, "nothing_to_change", /changes nothing/],
    [
      "a region that does not exist",
      { kind: "replace_replica", shard: 0, replica: 0, region: "mars" as Region },
      "unknown_region",
      /mars is no region: known are/,
    ],
    [
      "one region for two new replicas, without consent",
      { kind: "set_replicas", replicas: 5, regions: ["oc"] },
      "shared_regions",
      /5 replicas in 4 region\(s\); .* allowSharedRegions/,
    ],
    [
      "a replacement beside another replica, without consent",
      { kind: "replace_replica", shard: 0, replica: 0, region: "enam" },
      "shared_regions",
      /3 replicas in 2 region/,
    ],
  ])("%s", (_, change, code, problem) => {
    expect(changedTopology(SEED, change)).toEqual({ ok: false, code, problem: expect.stringMatching(problem) });
  });

  test("with consent, replicas may share a region", () => {
    const consented = { allowSharedRegions: true } as const;
    const grown = changed(SEED, { kind: "set_replicas", replicas: 5, regions: ["oc"], ...consented });
    expect(members(grown, 0).slice(3)).toEqual(["3.2@oc", "4.2@oc"]);
    const replaced = changed(SEED, { kind: "replace_replica", shard: 0, replica: 0, region: "enam", ...consented });
    expect(members(replaced, 0)).toEqual(["0.2@enam", "1.1@enam", "2.1@apac"]);
  });
});

describe("a successor", () => {
  const regions: readonly Region[] = ["oc", "sam", "me"];
  const changes = fc.oneof(
    fc.record({
      kind: fc.constant("set_replicas" as const),
      shard: fc.option(fc.nat(1), { nil: undefined }),
      replicas: fc.constantFrom(1, 3, 5),
      regions: fc.option(
        fc.constantFrom(...regions).map((region) => [region]),
        { nil: undefined },
      ),
      allowSharedRegions: fc.constant(true),
    }),
    fc.record({
      kind: fc.constant("replace_replica" as const),
      shard: fc.nat(1),
      replica: fc.nat(4),
      region: fc.constantFrom(...regions),
      allowSharedRegions: fc.boolean(),
    }),
  );

  test("made by a change is one, can be read, and no object is placed twice over any series of them", () => {
    fc.assert(
      fc.property(fc.array(changes, { maxLength: 20 }), (series) => {
        let topology = SEED;
        const placed = new Set<string>();
        for (const change of series) {
          const result = changedTopology(topology, change);
          if (!result.ok) continue;
          expect(successorProblem(topology, result.topology)).toBeUndefined();
          expect(parseTopology(result.topology)).toEqual({ ok: true, topology: result.topology });
          for (const { shard, replicas } of topology.shards) {
            for (const { replica, generation } of replicas) placed.add(`${shard}/${replica}.${generation}`);
          }
          for (const [index, { shard, replicas }] of result.topology.shards.entries()) {
            for (const { replica, generation } of replicas) {
              const was = topology.shards[index]?.replicas.some(
                (old) => old.replica === replica && old.generation === generation,
              );
              if (!was) expect(placed).not.toContain(`${shard}/${replica}.${generation}`);
            }
          }
          topology = result.topology;
        }
      }),
    );
  });

  test.each<[string, (next: Topology) => Topology, RegExp]>([
    ["skips an epoch", (next) => ({ ...next, epoch: 3 }), /^epoch: expected 2/],
    [
      "moves an object",
      (next) => spoiled(next, 0, { region: "afr" }),
      /^shards\.0\.replicas\.0\.region: an object never moves/,
    ],
    [
      "invents a generation",
      (next) => spoiled(next, 3, { generation: 9 }),
      /^shards\.0\.replicas\.3\.generation: expected 3/,
    ],
    ["brings an old object back", (next) => spoiled(next, 3, { generation: 2 }), /^shards\.0\.replicas\.3\.generation/],
    ["hides the change from old routers", (next) => withShard(next, { since: 0 }), /^shards\.0\.since: expected 2/],
    ["forgets who left", (next) => withShard(next, { former: [] }), /^shards\.0\.former: /],
  ])("that %s is none", (_, spoil, problem) => {
    const three = changed(SEED, { kind: "replace_replica", shard: 0, replica: 0, region: "me" });
    const next = changed(three, { kind: "set_replicas", shard: 0, replicas: 5, regions: ["oc", "sam"] });
    expect(successorProblem(three, next)).toBeUndefined();
    expect(successorProblem(three, spoil(next))).toMatch(problem);
  });

  function withShard(topology: Topology, fields: object): Topology {
    return {
      ...topology,
      shards: topology.shards.map((shard, index) => (index === 0 ? { ...shard, ...fields } : shard)),
    };
  }

  function spoiled(topology: Topology, at: number, fields: object): Topology {
    const replicas = (topology.shards[0]?.replicas ?? []).map((placed, index) =>
      index === at ? { ...placed, ...fields } : placed,
    );
    return withShard(topology, { replicas });
  }
});
