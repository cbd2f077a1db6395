import { describe, expect, test } from "vitest";
import { type ClusterVariables, parseClusterConfig } from "../../../routing/cluster-config.ts";

const DEFAULTS: ClusterVariables = {
  HALO_CLUSTER: "halo",
  HALO_SHARDS: "4",
  HALO_REPLICAS: "3",
  HALO_REGIONS: "weur,enam,apac",
  HALO_WEIGHTS: "",
};

describe("good variables", () => {
  test("become the cluster's shape, all weights 1 when none is given", () => {
    expect(parseClusterConfig(DEFAULTS)).toEqual({
      ok: true,
      config: { cluster: "halo", replicas: 3, regions: ["weur", "enam", "apac"], weights: [1, 1, 1, 1] },
    });
    expect(parseClusterConfig({ ...DEFAULTS, HALO_WEIGHTS: undefined }).ok).toBe(true);
  });

  test.each<[string, ClusterVariables, object]>([
    ["spaces around list items", { HALO_REGIONS: " weur, enam ,apac " }, { regions: ["weur", "enam", "apac"] }],
    ["numbers without quotes", { HALO_SHARDS: 2, HALO_REPLICAS: 3 }, { weights: [1, 1] }],
    ["one region for all", { HALO_REGIONS: "oc" }, { regions: ["oc"] }],
    ["one replica", { HALO_REPLICAS: "1", HALO_REGIONS: "me" }, { replicas: 1, regions: ["me"] }],
    [
      "five replicas in three regions",
      { HALO_REPLICAS: "5", HALO_REGIONS: "weur,weur,enam,enam,apac-ne" },
      { replicas: 5, regions: ["weur", "weur", "enam", "enam", "apac-ne"] },
    ],
    ["weights", { HALO_WEIGHTS: "1, 2,0,0.5" }, { weights: [1, 2, 0, 0.5] }],
    ["the most shards", { HALO_SHARDS: "256" }, { weights: new Array(256).fill(1) }],
  ])("may have %s", (_, change, expected) => {
    expect(parseClusterConfig({ ...DEFAULTS, ...change })).toMatchObject({ ok: true, config: expected });
  });
});

describe("bad variables", () => {
  test.each<[ClusterVariables, string]>([
    [{ HALO_CLUSTER: "" }, 'HALO_CLUSTER is "": expected 1 to 32 lower-case letters, digits or hyphens'],
    [{ HALO_CLUSTER: "a:b" }, 'HALO_CLUSTER is "a:b": expected 1 to 32 lower-case letters, digits or hyphens'],
    [{ HALO_CLUSTER: undefined }, 'HALO_CLUSTER is "": expected 1 to 32 lower-case letters, digits or hyphens'],
    [{ HALO_SHARDS: "0" }, 'HALO_SHARDS is "0": expected a whole number from 1 to 256'],
    [{ HALO_SHARDS: "257" }, 'HALO_SHARDS is "257": expected a whole number from 1 to 256'],
    [{ HALO_SHARDS: "-1" }, 'HALO_SHARDS is "-1": expected a whole number from 1 to 256'],
    [{ HALO_SHARDS: "4.5" }, 'HALO_SHARDS is "4.5": expected a whole number from 1 to 256'],
    [{ HALO_SHARDS: "1e2" }, 'HALO_SHARDS is "1e2": expected a whole number from 1 to 256'],
    [{ HALO_SHARDS: undefined }, 'HALO_SHARDS is "": expected a whole number from 1 to 256'],
    [{ HALO_REPLICAS: "2" }, 'HALO_REPLICAS is "2": expected one of 1, 3, 5'],
    [
      { HALO_REGIONS: "weur,enam" },
      "HALO_REGIONS has 2 regions while HALO_REPLICAS is 3: expected 3, one for each replica, or 1 for all of them",
    ],
    [{ HALO_REPLICAS: "1" }, "HALO_REGIONS has 3 regions while HALO_REPLICAS is 1: expected exactly 1"],
    [
      { HALO_REGIONS: "" },
      "HALO_REGIONS has 0 regions while HALO_REPLICAS is 3: expected 3, one for each replica, or 1 for all of them",
    ],
    [
      { HALO_REGIONS: "weur,mars,apac" },
      'HALO_REGIONS has an unknown region "mars": known are wnam, enam, sam, weur, eeur, apac, apac-ne, apac-se, oc, afr, me',
    ],
    [{ HALO_WEIGHTS: "1,1" }, "HALO_WEIGHTS has 2 weights while HALO_SHARDS is 4: expected 4, or none for all equal"],
    [{ HALO_WEIGHTS: "1,1,x,1" }, 'HALO_WEIGHTS has the weight "x": expected a number from 0 to 8'],
    [{ HALO_WEIGHTS: "1,1,,1" }, 'HALO_WEIGHTS has the weight "": expected a number from 0 to 8'],
    [{ HALO_WEIGHTS: "1,1,-1,1" }, 'HALO_WEIGHTS has the weight "-1": expected a number from 0 to 8'],
    [{ HALO_WEIGHTS: "1,1,9,1" }, 'HALO_WEIGHTS has the weight "9": expected a number from 0 to 8'],
    [
      { HALO_WEIGHTS: "0,0,0,0" },
      "HALO_WEIGHTS has only zeros: expected at least one weight above 0, to own the slots",
    ],
  ])("%o are refused in one line that says what was expected", (change, problem) => {
    expect(parseClusterConfig({ ...DEFAULTS, ...change })).toEqual({ ok: false, problem });
  });
});
