// The supervisor itself: a killed region stays down and comes back with its data, calls to it fail at once, and nothing
// that it started outlives it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { isAlive, killNow } from "../../cluster/processes.ts";
import { answeringReplicas, readStatus, untilAllAnswer } from "../../cluster/status.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";
import { until } from "../../cluster/until.ts";
import { Command } from "./support/command.ts";

const START_TIMEOUT_MS = 90_000;
const TEST_TIMEOUT_MS = 60_000;
/** Far below the 90 s after which Miniflare's dev registry would let a restarted Worker in by itself. */
const REACHABLE_TIMEOUT_MS = 20_000;

describe("a region cluster", () => {
  let cluster: RegionCluster;
  let dataDir: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), "halo-test-"));
    cluster = await startRegionCluster({ regions: ["weur", "enam", "apac"], shards: 1, dataDir, token: newToken() });
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await cluster?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  async function put(key: string, value: string): Promise<number> {
    const headers = { Authorization: `Bearer ${cluster.token}`, "Content-Type": "text/plain" };
    const response = await fetch(`${cluster.url}/v1/kv/${key}`, { method: "PUT", headers, body: value });
    await response.arrayBuffer();
    return response.status;
  }

  test("has a workerd of its own for every region and for the edge", () => {
    const workerds = cluster.pids().map(({ workerd }) => workerd);
    expect(new Set(workerds).size).toBe(4);
    expect(workerds.every(isAlive)).toBe(true);
  });

  test(
    "keeps a killed region down until it is restarted, with its data",
    async () => {
      expect(await put("before", "the kill")).toBeLessThan(300);
      const victim = cluster.pids().find(({ name }) => name.endsWith("weur"));
      await cluster.kill("weur");
      expect(cluster.isUp("weur")).toBe(false);
      expect([victim?.node, victim?.workerd].map((pid) => isAlive(pid ?? 0))).toEqual([false, false]);
      const whileDown = await readStatus(cluster);
      expect(answeringReplicas(whileDown).map((replica) => replica.region)).not.toContain("weur");

      await cluster.restart("weur");
      const after = await untilAllAnswer(cluster, REACHABLE_TIMEOUT_MS);
      const replica = answeringReplicas(after).find(({ region }) => region === "weur");
      expect(cluster.isUp("weur")).toBe(true);
      expect(replica?.lastIndex).toBeGreaterThan(0);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "has a workerd that was killed alone back by itself",
    async () => {
      const workerdOf = () => cluster.pids().find(({ name }) => name.endsWith("enam"))?.workerd;
      const before = workerdOf();
      await cluster.killWorkerdOnly("enam");
      expect(workerdOf()).not.toBe(before);
      await untilAllAnswer(cluster, REACHABLE_TIMEOUT_MS);
      expect(cluster.isUp("enam")).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "answers for the others while a region is frozen, and for all of them after the thaw",
    async () => {
      cluster.freeze("apac");
      expect(cluster.isUp("apac")).toBe(false);
      const frozen = await until("the frozen region is missed", () => missing("apac"), {
        timeoutMs: REACHABLE_TIMEOUT_MS,
      });
      expect(frozen).toEqual(["enam", "weur"]);
      cluster.thaw("apac");
      await untilAllAnswer(cluster, REACHABLE_TIMEOUT_MS);
      expect(cluster.isUp("apac")).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );

  async function missing(region: string): Promise<readonly string[] | undefined> {
    const answering = answeringReplicas(await readStatus(cluster)).map((replica) => replica.region);
    return answering.includes(region) ? undefined : answering.sort();
  }
});

describe("a cluster whose program was killed with -9", () => {
  let dataDir: string;
  let program: Command | undefined;
  let pids: readonly number[] = [];

  afterEach(async () => {
    await program?.dispose();
    for (const pid of pids) killNow(pid);
    await rm(dataDir, { recursive: true, force: true });
  });

  for (const kind of ["local", "regions"]) {
    test(
      `leaves no process behind (${kind})`,
      async () => {
        dataDir = await mkdtemp(path.join(tmpdir(), "halo-test-"));
        const fixture = fileURLToPath(new URL("support/hold-cluster.ts", import.meta.url));
        program = new Command(process.execPath, [fixture, kind, dataDir]);
        const [line] = await program.untilOutput(/^\{.*\}$/m);
        ({ pids } = JSON.parse(line) as { pids: readonly number[] });
        expect(pids.every(isAlive)).toBe(true);
        process.kill(program.pid, "SIGKILL");
        await until(`processes ${pids.join(", ")} gone`, () => !pids.some(isAlive), { timeoutMs: 10_000 });
        expect(pids.filter(isAlive)).toEqual([]);
      },
      START_TIMEOUT_MS,
    );
  }
});
