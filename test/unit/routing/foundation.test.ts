// What is said of variables that make another epoch 0 than the one with which a cluster was founded.

import { describe, expect, test } from "vitest";
import { parseClusterConfig } from "../../../routing/cluster-config.ts";
import { type Foundation, foundationOf, foundationProblem, parseFoundation } from "../../../routing/foundation.ts";

const VARIABLES = { HALO_CLUSTER: "test", HALO_SHARDS: "4", HALO_REPLICAS: "3", HALO_REGIONS: "weur,enam,apac" };

function founded(variables: object): Foundation {
  const parsed = parseClusterConfig({ ...VARIABLES, ...variables });
  if (!parsed.ok) throw new Error(parsed.problem);
  return foundationOf(parsed.config);
}

describe("variables", () => {
  test("that make the same epoch 0 are no problem, however they are written", () => {
    const same = founded({ HALO_SHARDS: 4, HALO_WEIGHTS: "1, 1,1,1", HALO_REGIONS: " weur, enam,apac" });
    expect(foundationProblem(founded({}), same)).toBeUndefined();
    expect(parseFoundation(JSON.parse(JSON.stringify(same)))).toEqual(founded({}));
  });

  test.each([
    [{ HALO_SHARDS: "5" }, "HALO_SHARDS was 4 and is 5; HALO_WEIGHTS was 1,1,1,1 and is 1,1,1,1,1"],
    [{ HALO_WEIGHTS: "1,1,1,2" }, "HALO_WEIGHTS was 1,1,1,1 and is 1,1,1,2"],
    [
      { HALO_REPLICAS: "5", HALO_REGIONS: "weur" },
      "HALO_REPLICAS was 3 and is 5; HALO_REGIONS was weur,enam,apac and is weur",
    ],
    [{ HALO_REGIONS: "enam,weur,apac" }, "HALO_REGIONS was weur,enam,apac and is enam,weur,apac"],
  ])("that are edited to %j are named, with what to do instead", (edited, differences) => {
    const problem = foundationProblem(founded({}), founded(edited));
    expect(problem).toContain(`${differences}. `);
    expect(problem).toContain("halo shard add");
  });

  test.each([null, {}, { replicas: 3, regions: [], weights: [1] }, "4"])("%j are no foundation", (junk) => {
    expect(parseFoundation(junk)).toBeUndefined();
  });
});
