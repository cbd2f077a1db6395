// Long values are streamed from one replica through the edge to the client. The process of that replica is killed while many
// are on their way: every one of them arrives whole.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answeringReplicas, readStatus } from "../../cluster/status.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";
import { until } from "../../cluster/until.ts";

const REGIONS = ["weur", "enam", "apac"] as const;
const START_TIMEOUT_MS = 90_000;
const TEST_TIMEOUT_MS = 60_000;
/** In one row, and more than a call carries. */
const VALUE = Buffer.alloc(1_000_000, "long value ");
const LANES = 12;
/** Replies that each lane has got whole before the kill, and gets after it. */
const REPLIES_AROUND = 3;

let cluster: RegionCluster;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), "halo-test-"));
  cluster = await startRegionCluster({ regions: REGIONS, shards: 1, dataDir, token: newToken() });
}, START_TIMEOUT_MS);

afterAll(async () => {
  await cluster?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function request(method: string, consistency: string, body?: Buffer): Promise<Buffer> {
  const headers = { Authorization: `Bearer ${cluster.token}`, "Halo-Consistency": consistency };
  const response = await fetch(`${cluster.url}/v1/kv/long`, { method, headers, body });
  const reply = Buffer.from(await response.arrayBuffer());
  if (method === "GET") expect(response.headers.get("Content-Length")).toBe(String(VALUE.byteLength));
  if (!response.ok) throw new Error(`status ${response.status}: ${reply.toString().slice(0, 200)}`);
  return reply;
}

test(
  "every reply is whole, also those that were on their way when their replica's process was killed",
  async () => {
    await request("PUT", "strong", VALUE);
    const status = answeringReplicas(await readStatus(cluster)).find(({ role }) => role === "leader");
    const leader = REGIONS.find((region) => region === status?.region);
    if (leader === undefined) throw new Error("nobody leads");
    const whole = new Array<number>(LANES).fill(0);
    let stopsAt = Number.POSITIVE_INFINITY;
    const lanes = whole.map(async (_, lane) => {
      while ((whole[lane] ?? 0) < stopsAt) {
        const reply = await request("GET", lane % 2 === 0 ? "strong" : "eventual");
        expect(reply.equals(VALUE)).toBe(true);
        whole[lane] = (whole[lane] ?? 0) + 1;
      }
    });
    await until("every lane has got some", () => whole.every((count) => count >= REPLIES_AROUND), {
      timeoutMs: TEST_TIMEOUT_MS,
    });
    await cluster.kill(leader);
    stopsAt = Math.max(...whole) + REPLIES_AROUND;
    await Promise.all(lanes);
    expect(Math.min(...whole)).toBe(stopsAt);
  },
  TEST_TIMEOUT_MS,
);
