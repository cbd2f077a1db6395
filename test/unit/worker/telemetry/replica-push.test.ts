// Metrics of replicas by OTLP: what the sweep has heard is what the collector gets, and nobody is asked for more.

import { describe, expect, test } from "vitest";
import type { SweepRecord } from "../../../../durable/health-protocol.ts";
import { type SweepPorts, sweep } from "../../../../durable/health-sweep.ts";
import { buildTopology } from "../../../../routing/topology.ts";
import { Overheard, pushReplicas, SHARDS_PER_PUSH } from "../../../../worker/telemetry/replica-push.ts";
import { statusOf } from "../api/statuses.ts";

const NOW_MS = 1_700_000_000_000;
const STARTED_MS = NOW_MS - 5_000;

interface Pushed {
  readonly resourceMetrics: readonly {
    readonly resource: {
      readonly attributes: readonly { readonly key: string; readonly value: { stringValue: string } }[];
    };
    readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[];
  }[];
}

interface Metric {
  readonly name: string;
  readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: readonly DataPoint[] };
  readonly gauge?: { readonly dataPoints: readonly DataPoint[] };
}

interface DataPoint {
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
  readonly startTimeUnixNano: string;
  readonly asDouble: number;
}

/** `silent`: number of a replica of every shard that does not answer. */
function swept(shards: number, silent?: number) {
  const topology = buildTopology({
    cluster: "c",
    replicas: 3,
    regions: ["weur", "enam", "apac"],
    weights: Array.from({ length: shards }, () => 1),
  });
  const asked: string[] = [];
  const ports: SweepPorts = {
    now: () => NOW_MS,
    topology: async () => topology,
    lastRecord: async (): Promise<SweepRecord | undefined> => undefined,
    record: async () => undefined,
    status: async (replica) => {
      asked.push(replica.name);
      if (replica.replica === silent) return undefined;
      return statusOf({ ...replica, shard: 0 }, { counters: { elections: 7 }, startedMs: STARTED_MS, nowMs: NOW_MS });
    },
    reaches: async () => false,
    replace: async () => undefined,
    wipe: async () => false,
    settleWiped: async () => undefined,
    rouse: async () => undefined,
  };
  const heard = new Overheard(ports);
  return { heard, asked, done: sweep(heard.ports, { replaceAfterMs: 0 }) };
}

function collector(status = 200) {
  const pushes: { readonly url: string; readonly body: Pushed; readonly bytes: number }[] = [];
  const deps = {
    otlp: { url: "https://collector.example", headers: { "X-Key": "k" }, intervalMs: 60_000 },
    cluster: "c",
    version: "1",
    fetch: async (url: string, init: RequestInit) => {
      const bytes = init.body as Uint8Array;
      pushes.push({ url, body: JSON.parse(new TextDecoder().decode(bytes)), bytes: bytes.byteLength });
      return new Response(null, { status });
    },
  };
  return { deps, pushes, metrics: () => pushes.flatMap(({ body }) => body.resourceMetrics.flatMap(metricsOf)) };
}

function metricsOf({ scopeMetrics }: Pushed["resourceMetrics"][number]): readonly Metric[] {
  return scopeMetrics.flatMap(({ metrics }) => metrics);
}

function labelsOf({ attributes }: DataPoint): string {
  return attributes
    .map(({ key, value }) => `${key}=${value.stringValue}`)
    .sort()
    .join();
}

describe("a push of the replicas' metrics", () => {
  test("has what each has said of itself to the sweep, since that one began to count", async () => {
    const { heard, asked, done } = swept(2);
    await done;
    const { deps, pushes, metrics } = collector();
    expect(await pushReplicas(deps, heard.reports, NOW_MS)).toBe(true);
    expect(asked).toHaveLength(6);
    expect(pushes.map(({ url }) => url)).toEqual(["https://collector.example/v1/metrics"]);
    const elections = metrics().find(({ name }) => name === "halo_replica_elections_total")?.sum;
    expect(elections?.isMonotonic).toBe(true);
    expect(elections?.dataPoints.map(labelsOf)).toEqual([
      "replica=0,shard=0",
      "replica=1,shard=0",
      "replica=2,shard=0",
      "replica=0,shard=1",
      "replica=1,shard=1",
      "replica=2,shard=1",
    ]);
    for (const { asDouble, startTimeUnixNano } of elections?.dataPoints ?? []) {
      expect([asDouble, startTimeUnixNano]).toEqual([7, `${STARTED_MS}000000`]);
    }
    const { attributes } = pushes[0]?.body.resourceMetrics[0]?.resource ?? { attributes: [] };
    expect(attributes.map(({ key, value }) => [key, value.stringValue])).toContainEqual([
      "service.name",
      "halo-replicas",
    ]);
  });

  test("says of one that has not answered that it is down, and nothing else", async () => {
    const { heard, done } = swept(1, 1);
    await done;
    const { deps, metrics } = collector();
    await pushReplicas(deps, heard.reports, NOW_MS);
    const up = metrics().find(({ name }) => name === "halo_replica_up")?.gauge?.dataPoints ?? [];
    expect(up.map(({ asDouble }) => asDouble)).toEqual([1, 0, 1]);
    const terms = metrics().find(({ name }) => name === "halo_replica_term")?.gauge?.dataPoints ?? [];
    expect(terms.map(labelsOf)).toEqual(["replica=0,shard=0", "replica=2,shard=0"]);
  });

  test("comes in pieces that are small enough, with every shard in one of them", async () => {
    const { heard, done } = swept(SHARDS_PER_PUSH + 1);
    await done;
    const { deps, pushes, metrics } = collector();
    await pushReplicas(deps, heard.reports, NOW_MS);
    expect(pushes).toHaveLength(2);
    const points = metrics().flatMap(({ name, gauge }) =>
      name === "halo_replica_up" ? (gauge?.dataPoints ?? []) : [],
    );
    expect(new Set(points.map(labelsOf)).size).toBe(3 * (SHARDS_PER_PUSH + 1));
  });

  test("that the collector does not take is told, and nothing is thrown", async () => {
    const { heard, done } = swept(1);
    await done;
    expect(await pushReplicas(collector(503).deps, heard.reports, NOW_MS)).toBe(false);
    const { deps } = collector();
    const broken = { ...deps, fetch: () => Promise.reject(new Error("no way there")) };
    expect(await pushReplicas(broken, heard.reports, NOW_MS)).toBe(false);
  });
});
