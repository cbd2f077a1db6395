// What a topology document remembers of removed shards, until their objects are wiped.

import { describe, expect, test } from "vitest";
import { isRetired, RETIRED_SHARDS_MAX, withWiped } from "../../../routing/retired-shards.ts";
import { withCompleted } from "../../../routing/slot-moves.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import { changedTopology, successorProblem, type TopologyChange } from "../../../routing/topology-change.ts";
import { parseTopology } from "../../../routing/topology-parser.ts";

const SEED = buildTopology({ cluster: "test", replicas: 3, regions: ["weur", "enam", "apac"], weights: [1, 1, 1] });

function changed(topology: Topology, change: TopologyChange): Topology {
  const result = changedTopology(topology, change);
  if (!result.ok) throw new Error(result.problem);
  const done = withCompleted(result.topology, result.topology.moves ?? []);
  if (!done.ok) throw new Error(done.problem);
  return done.topology;
}

const REPLACED = changed(SEED, { kind: "replace_replica", shard: 2, replica: 0, region: "oc" });
const DRAINED = changed(REPLACED, { kind: "drain_shard", shard: 2 });
const REMOVED = changed(DRAINED, { kind: "remove_shard", shard: 2 });
const OBJECTS = [
  { shard: 2, replica: 0, generation: 2 },
  { shard: 2, replica: 1, generation: 1 },
  { shard: 2, replica: 2, generation: 1 },
  { shard: 2, replica: 0, generation: 1 },
];

describe("a shard that is removed", () => {
  test("leaves the names of its objects behind, those included that were replaced before", () => {
    expect(REMOVED.retired).toMatchObject([
      { shard: 2, epoch: REMOVED.epoch, replicas: OBJECTS.map(({ shard: _, ...placed }) => placed) },
    ]);
    expect(OBJECTS.map((object) => isRetired(REMOVED, object))).toEqual([true, true, true, true]);
    expect(successorProblem(DRAINED, REMOVED)).toBeUndefined();
    expect(parseTopology(JSON.parse(JSON.stringify(REMOVED)))).toEqual({ ok: true, topology: REMOVED });
  });

  test("has no other objects that may be wiped, and none while it is there", () => {
    expect(isRetired(DRAINED, { shard: 2, replica: 1, generation: 1 })).toBe(false);
    for (const object of [
      { shard: 2, replica: 0, generation: 3 },
      { shard: 2, replica: 3, generation: 1 },
      { shard: 1, replica: 0, generation: 1 },
    ]) {
      expect(isRetired(REMOVED, object)).toBe(false);
    }
  });

  test("is not wiped under a number that means something again", () => {
    const back: Topology = { ...REMOVED, shards: DRAINED.shards };
    expect(OBJECTS.map((object) => isRetired(back, object))).toEqual([false, false, false, false]);
    const added = changed(REMOVED, { kind: "add_shard", replicas: 3, regions: ["weur", "enam", "apac"] });
    expect(added.shards.at(-1)).toMatchObject({ shard: 3 });
    expect(added.retired).toEqual(REMOVED.retired);
  });

  test("cannot be left off the list by an operator's document, nor can another be put on it", () => {
    const { retired = [], ...forgetful } = REMOVED;
    expect(successorProblem(DRAINED, forgetful)).toMatch(/^retired/);
    const [first] = retired;
    if (first === undefined) throw new Error("one shard is retired");
    const greedy = { ...REMOVED, retired: [first, { ...first, shard: 0 }] };
    expect(successorProblem(DRAINED, greedy)).toMatch(/^retired/);
    expect(successorProblem(SEED, { ...SEED, epoch: 1, retired: [{ ...first, shard: 0, epoch: 1 }] })).toMatch(
      /^retired/,
    );
  });

  test("is forgotten once all its objects were wiped, in any order, and as often as it is said", () => {
    const [one, ...others] = OBJECTS;
    if (one === undefined) throw new Error("a shard has objects");
    const first = withWiped(REMOVED, [one]);
    expect(first).toMatchObject({ epoch: REMOVED.epoch + 1, retired: [{ shard: 2, replicas: { length: 3 } }] });
    expect(withWiped(first, [one])).toBe(first);
    const last = withWiped(first, others);
    expect([last.epoch, "retired" in last]).toEqual([REMOVED.epoch + 2, false]);
    expect(withWiped(last, OBJECTS)).toBe(last);
  });

  test("waits while too many others have not been wiped", () => {
    const [retired] = REMOVED.retired ?? [];
    if (retired === undefined) throw new Error("one shard is retired");
    const full = { ...DRAINED, retired: new Array(RETIRED_SHARDS_MAX).fill(retired) };
    expect(changedTopology(full, { kind: "remove_shard", shard: 2 })).toMatchObject({ ok: false, code: "invalid" });
  });
});
