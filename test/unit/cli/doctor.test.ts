// What `halo doctor` finds: each check passes on a healthy cluster, and says what is wrong with one that is not.

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Check } from "../../../cli/doctor/check.ts";
import { type ClusterFindings, checkCluster } from "../../../cli/doctor/cluster.ts";
import { checkConfiguration } from "../../../cli/doctor/configuration.ts";
import type { ClusterView, ReplicaView } from "../../../worker/api/admin-schemas.ts";
import { clusterView, replicaView, shardView } from "./view.ts";

const MINUTE_MS = 60_000;

function findings(view: Partial<ClusterView> = {}, changed: Partial<ClusterFindings> = {}): ClusterFindings {
  const whole = clusterView(view);
  return {
    view: whole,
    askedMs: whole.atMs - 50,
    answeredMs: whole.atMs + 50,
    sweep: { atMs: whole.atMs - 5 * MINUTE_MS },
    local: {
      cluster: { cluster: "halo", replicas: 3, regions: ["weur", "enam", "apac"], weights: [1, 1] },
      hasSweep: true,
      storageBytesMax: 1_000,
    },
    localVersion: "0.1.0",
    ...changed,
  };
}

function check(name: string, view: Partial<ClusterView> = {}, changed: Partial<ClusterFindings> = {}): Check {
  const found = checkCluster(findings(view, changed)).find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no check ${name}`);
  return found;
}

function withReplica(changed: Partial<ReplicaView>): Partial<ClusterView> {
  const replicas = [replicaView(), replicaView({ replica: 1 }), replicaView({ replica: 2, ...changed })];
  return { shards: [shardView({ replicas }), shardView({ shard: 1 })] };
}

describe("a healthy cluster", () => {
  test("passes every check", () => {
    expect(checkCluster(findings()).filter(({ verdict }) => verdict !== "pass")).toEqual([]);
  });

  test("that sleeps passes too", () => {
    const replicas = [0, 1, 2].map((replica) => replicaView({ replica, role: "follower", quiesced: true, lag: null }));
    expect(check("leaders", { shards: [shardView({ replicas }), shardView({ shard: 1 })] })).toMatchObject({
      verdict: "pass",
      text: expect.stringContaining("1 of 2 shards sleep"),
    });
  });
});

describe("what is wrong", () => {
  const CASES: readonly [string, Partial<ClusterView>, Partial<ClusterFindings>, Check["verdict"], RegExp][] = [
    ["version", { version: "0.2.0" }, {}, "warn", /deployment is 0\.2\.0, this clone is 0\.1\.0/],
    ["shape", { cluster: "other" }, {}, "fail", /"other".*"halo"/],
    ["shape", { shards: [shardView()] }, {}, "fail", /1 shards, HALO_SHARDS here is 2/],
    ["shape", { shards: [shardView({ weight: 2 }), shardView({ shard: 1 })] }, {}, "fail", /HALO_WEIGHTS/],
    ["shape", withReplica({ region: "oc" }), {}, "fail", /HALO_REGIONS here is weur,enam,apac/],
    ["placement", withReplica({ region: "weur" }), {}, "warn", /shards 0 share a region/],
    ["replication", { underReplicated: [{ shard: 1, missing: ["r"] }] }, {}, "fail", /shard 1 lacks r/],
    [
      "replicas",
      withReplica({ health: "dead", error: "no answer" }),
      {},
      "fail",
      /5 of 6 are well; dead: .*r2:g1 \(no answer\)/,
    ],
    ["replicas", withReplica({ health: "suspect" }), {}, "warn", /in doubt/],
    ["replicas", withReplica({ error: "no answer" }), {}, "warn", /in doubt/],
    ["leaders", { shards: [shardView({ leader: null }), shardView({ shard: 1 })] }, {}, "fail", /shards 0 have none/],
    ["lag", withReplica({ lag: 1_001 }), {}, "warn", /1001 entries behind/],
    [
      "moves",
      { moves: { pending: [{ from: 0, to: 1, epoch: 1, slots: 9 }], cancelled: [] } },
      {},
      "warn",
      /9 slots are to move/,
    ],
    [
      "moves",
      {
        moves: {
          pending: [{ from: 0, to: 1, epoch: 1, slots: 9 }],
          cancelled: [],
          waiting: [
            { slot: 7, from: 0, to: 1, reason: "too much" },
            { slot: 8, from: 0, to: 1, reason: "too much" },
          ],
        },
      },
      {},
      "warn",
      /no room: slot 7 from shard 0 to 1: too much, and 1 more/,
    ],
    ["background", { background: { paused: true, untilMs: null } }, {}, "warn", /paused/],
    ["last sweep", {}, { sweep: { atMs: 0 } }, "warn", /ago/],
    ["last sweep", {}, { sweep: undefined }, "warn", /none yet/],
    ["last sweep", {}, { sweep: null }, "warn", /did not say/],
    ["room", { shards: [shardView({ bytes: 901 }), shardView({ shard: 1 })] }, {}, "warn", /901 B of 1000 B/],
    ["clock", {}, { askedMs: clusterView().atMs + 2_001 }, "warn", /2s apart/],
    ["clock", {}, { answeredMs: clusterView().atMs - 31_000 }, "fail", /31s apart/],
  ];
  for (const [name, view, changed, verdict, text] of CASES) {
    test(`${name}: ${text.source}, with what to do`, () => {
      expect(check(name, view, changed)).toMatchObject({
        verdict,
        text: expect.stringMatching(text),
        advice: expect.stringMatching(/./),
      });
    });
  }

  test("two replicas in one data centre are found where colos are observed", () => {
    const replicas = [0, 1, 2].map((replica) => replicaView({ replica, colo: replica === 0 ? "FRA" : "IAD" }));
    expect(check("placement", { shards: [shardView({ replicas }), shardView({ shard: 1 })] })).toMatchObject({
      verdict: "warn",
      text: expect.stringContaining("in one data centre"),
    });
  });

  test("variables that differ mean nothing once the Directory keeps the shape", () => {
    expect(check("shape", { epoch: 7, shards: [shardView()] }).verdict).toBe("pass");
  });
});

describe("the configuration", () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
    file = path.join(directory, "wrangler.toml");
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  async function verdicts(variables: string, rest = ""): Promise<Record<string, string>> {
    const bindings = ["REPLICA", "DIRECTORY"].map((name, at) => {
      const className = ["CacheReplica", "Directory"][at];
      return `[[durable_objects.bindings]]\nname = "${name}"\nclass_name = "${className}"\n`;
    });
    const head = 'name = "halo"\nmain = "index.ts"\ncompatibility_date = "2026-11-01"\n';
    await writeFile(file, `${head}${bindings.join("")}${rest}[vars]\nHALO_CLUSTER = "halo"\n${variables}`);
    const { checks } = await checkConfiguration(file);
    return Object.fromEntries(checks.map(({ name, verdict, text }) => [name, `${verdict}: ${text}`]));
  }

  const SHAPE = 'HALO_SHARDS = "2"\nHALO_REPLICAS = "3"\nHALO_REGIONS = "weur,enam,apac"\n';

  test("passes where it makes a cluster, and warns without a sweep", async () => {
    expect(await verdicts(SHAPE, '[triggers]\ncrons = ["*/10 * * * *"]\n')).toMatchObject({
      configuration: "pass: 2 shards × 3 replicas in weur, enam, apac",
      bindings: "pass: REPLICA, DIRECTORY",
      sweep: "pass: planned: */10 * * * *",
    });
    expect((await verdicts(SHAPE)).sweep).toMatch(/^warn: no \[triggers\] crons/);
  });

  test("fails with the Worker's own words where the variables make none", async () => {
    expect((await verdicts(SHAPE.replace('"3"', '"2"'))).configuration).toMatch(/^fail: HALO_REPLICAS is "2"/);
    expect((await verdicts(`${SHAPE}HALO_LEASE_MS = "no"\n`)).configuration).toMatch(/^fail: HALO_LEASE_MS/);
  });

  test("warns of one that a single failure stops", async () => {
    const one = 'HALO_SHARDS = "2"\nHALO_REPLICAS = "1"\nHALO_REGIONS = "weur"\n';
    expect((await verdicts(one)).configuration).toMatch(/^warn: .*one failure stops a shard/);
    expect((await verdicts(SHAPE.replace("weur,enam,apac", "weur"))).configuration).toMatch(
      /^warn: .*one region's failure/,
    );
  });

  test("fails in one line where it is no TOML, or not there", async () => {
    await writeFile(file, "name = \n[[[");
    expect((await checkConfiguration(file)).checks[0]?.verdict).toBe("fail");
    await rm(file);
    expect((await checkConfiguration(file)).checks[0]?.verdict).toBe("fail");
  });

  test("warns of secrets of development that others may read, and of a missing token", async () => {
    const secrets = path.join(directory, ".dev.vars");
    await writeFile(secrets, "HALO_TOKEN=abc\n", { mode: 0o600 });
    expect((await verdicts(SHAPE))["development secrets"]).toMatch(/^pass/);
    await chmod(secrets, 0o644);
    expect((await verdicts(SHAPE))["development secrets"]).toMatch(/^warn: others may read/);
    await writeFile(secrets, "OTHER=1\n");
    expect((await verdicts(SHAPE))["development secrets"]).toMatch(/^warn: .*no HALO_TOKEN/);
  });
});
