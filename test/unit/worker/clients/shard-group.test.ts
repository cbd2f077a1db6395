import { describe, expect, it } from "vitest";
import { buildTopology } from "../../../../routing/topology.ts";
import { TopologyView } from "../../../../routing/topology-view.ts";
import { ShardGroup } from "../../../../worker/clients/shard-group.ts";
import { CLUSTER } from "../fake-world.ts";

const PLACE = { term: 2, index: 9 };

function viewOf(cluster: string) {
  const [shard] = new TopologyView(buildTopology({ ...CLUSTER, cluster })).shards;
  if (shard === undefined) throw new Error("no shard");
  return shard;
}

describe("what was acknowledged by a group", () => {
  it("outlives a new topology that leaves the group its replicas", () => {
    const group = new ShardGroup(viewOf("test"), 0);
    group.noteAcknowledged(PLACE);
    expect(new ShardGroup(viewOf("test"), 1, group).isAcknowledged(PLACE)).toBe(true);
  });

  it("says nothing of a shard of the same number that began anew", () => {
    const group = new ShardGroup(viewOf("test"), 0);
    group.noteAcknowledged(PLACE);
    expect(new ShardGroup(viewOf("other"), 1, group).isAcknowledged(PLACE)).toBe(false);
  });

  it("is never less than before", () => {
    const group = new ShardGroup(viewOf("test"), 0);
    group.noteAcknowledged(PLACE);
    for (const late of [
      { term: 2, index: 3 },
      { term: 1, index: 50 },
    ])
      group.noteAcknowledged(late);
    expect(group.isAcknowledged(PLACE)).toBe(true);
    group.noteAcknowledged({ term: 3, index: 10 });
    expect([group.isAcknowledged(PLACE), group.isAcknowledged({ term: 3, index: 10 })]).toEqual([false, true]);
  });
});
