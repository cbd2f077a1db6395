import { describe, expect, it } from "vitest";
import { SHARD_CLIENT_DEFAULTS } from "../../../worker/clients/shard-client.ts";
import { parseEdgeConfig, TOKEN_CHARS_MAX } from "../../../worker/config.ts";

const VARIABLES = { HALO_CLUSTER: "test", HALO_SHARDS: "4", HALO_REPLICAS: "3", HALO_REGIONS: "weur,enam,apac" };

describe("the edge's configuration", () => {
  it("has defaults for everything but the cluster's shape", () => {
    expect(parseEdgeConfig(VARIABLES)).toMatchObject({
      ok: true,
      config: { defaultConsistency: { level: "strong" }, deadlineMs: SHARD_CLIENT_DEFAULTS.deadlineMs, tokens: [] },
    });
  });

  it("reads the default level, the deadline and both tokens", () => {
    const variables = {
      ...VARIABLES,
      HALO_DEFAULT_CONSISTENCY: "bounded=500",
      HALO_DEADLINE_MS: "2000",
      HALO_TOKEN: "new\n",
      HALO_TOKEN_PREVIOUS: "old",
    };
    expect(parseEdgeConfig(variables)).toMatchObject({
      ok: true,
      config: { defaultConsistency: { level: "bounded", boundMs: 500 }, deadlineMs: 2_000, tokens: ["new", "old"] },
    });
  });

  it("is closed when only the previous token is left", () => {
    expect(parseEdgeConfig({ ...VARIABLES, HALO_TOKEN_PREVIOUS: "old" })).toMatchObject({ config: { tokens: [] } });
  });

  it("reads the policies of balancing: the deployment's, the namespaces' and the weights of the regions", () => {
    const variables = {
      ...VARIABLES,
      HALO_BALANCE: "p2c",
      HALO_REGION_WEIGHTS: "weur=5, enam=0",
      HALO_NAMESPACES: '{"sessions": {"balance": "weighted-round-robin"}, "other": {"ttlSeconds": 5}}',
    };
    expect(parseEdgeConfig(variables)).toMatchObject({
      ok: true,
      config: {
        balance: "p2c",
        regionWeights: new Map([
          ["weur", 5],
          ["enam", 0],
        ]),
        balanceOfNamespace: new Map([["sessions", "weighted-round-robin"]]),
      },
    });
    for (const HALO_BALANCE of ["", undefined]) {
      expect(parseEdgeConfig({ ...VARIABLES, HALO_BALANCE })).toMatchObject({ config: { balance: "nearest" } });
    }
  });

  it("replaces no replica unless it is told after how long", () => {
    for (const [HALO_REPLACE_AFTER_SECONDS, replaceAfterMs] of [
      [undefined, 0],
      ["", 0],
      ["0", 0],
      ["600", 600_000],
    ] as const) {
      expect(parseEdgeConfig({ ...VARIABLES, HALO_REPLACE_AFTER_SECONDS })).toMatchObject({
        config: { replaceAfterMs },
      });
    }
  });

  const bad: [string, Record<string, unknown>][] = [
    ["HALO_SHARDS", { HALO_SHARDS: "0" }],
    ["HALO_REGIONS", { HALO_REGIONS: "weur,atlantis,apac" }],
    ["HALO_DEFAULT_CONSISTENCY", { HALO_DEFAULT_CONSISTENCY: "fast" }],
    ["HALO_DEFAULT_CONSISTENCY", { HALO_DEFAULT_CONSISTENCY: 1 }],
    ["HALO_DEADLINE_MS", { HALO_DEADLINE_MS: "soon" }],
    ["HALO_DEADLINE_MS", { HALO_DEADLINE_MS: "10" }],
    ["HALO_DEADLINE_MS", { HALO_DEADLINE_MS: "1e9" }],
    ["HALO_REPLICA_REQUESTS_PER_SECOND", { HALO_REPLICA_REQUESTS_PER_SECOND: "many" }],
    ["HALO_REPLACE_AFTER_SECONDS", { HALO_REPLACE_AFTER_SECONDS: "59" }],
    ["HALO_REPLACE_AFTER_SECONDS", { HALO_REPLACE_AFTER_SECONDS: "never" }],
    ["HALO_REPLACE_AFTER_SECONDS", { HALO_REPLACE_AFTER_SECONDS: "1e9" }],
    ["HALO_REPLACE_AFTER_SECONDS", { HALO_REPLACE_AFTER_SECONDS: "-60" }],
    ["HALO_BALANCE", { HALO_BALANCE: "random" }],
    ["HALO_REGION_WEIGHTS", { HALO_REGION_WEIGHTS: "weur=fast" }],
    ["HALO_REGION_WEIGHTS", { HALO_REGION_WEIGHTS: "atlantis=1" }],
    ["HALO_REGION_WEIGHTS", { HALO_REGION_WEIGHTS: "weur=1,weur=2" }],
    ["HALO_REGION_WEIGHTS", { HALO_REGION_WEIGHTS: "weur=1001" }],
    ["HALO_REGION_WEIGHTS", { HALO_REGION_WEIGHTS: "weur=1," }],
    ["HALO_NAMESPACES", { HALO_NAMESPACES: '{"sessions": {"balance": "random"}}' }],
    ["HALO_TOKEN", { HALO_TOKEN: "two words" }],
    ["HALO_TOKEN", { HALO_TOKEN: "t".repeat(TOKEN_CHARS_MAX + 1) }],
    ["HALO_TOKEN", { HALO_TOKEN: 42 }],
  ];
  for (const [variable, change] of bad) {
    it(`names ${variable} in one line when it is ${JSON.stringify(Object.values(change)[0])?.slice(0, 30)}`, () => {
      const read = parseEdgeConfig({ ...VARIABLES, ...change });
      expect(read.ok).toBe(false);
      expect(read.ok ? "" : read.problem).toMatch(new RegExp(`^[^\\n]*${variable}[^\\n]*$`));
    });
  }

  it("does not repeat a token that it refuses", () => {
    const read = parseEdgeConfig({ ...VARIABLES, HALO_TOKEN: "my secret" });
    expect(read.ok ? "" : read.problem).not.toContain("my secret");
  });
});
