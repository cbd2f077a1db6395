// Telemetry of the edge: what is counted, what a collector on this machine receives, and what a request's trace takes along.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { ReadRequest, ReplicaRole, WriteRequest } from "../../../../durable/protocol.ts";
import { parseTelemetry } from "../../../../durable/telemetry/telemetry-config.ts";
import { EdgeMetrics, SERIES_MAX } from "../../../../worker/telemetry/edge-metrics.ts";
import { EdgeTelemetry, LOG_LINES_PER_SECOND_MAX, UNSEEN } from "../../../../worker/telemetry/edge-telemetry.ts";
import { FamilySet } from "../../../../worker/telemetry/families.ts";
import { setUp } from "../fake-edge.ts";
import { connectionLost, from, readOk, stored } from "../fake-world.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

interface Received {
  readonly path: string;
  readonly headers: Record<string, unknown>;
  readonly body: OtlpBody;
}

interface OtlpBody {
  readonly resourceMetrics?: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue: string } }[] };
    readonly scopeMetrics: readonly { readonly metrics: readonly OtlpMetric[] }[];
  }[];
  readonly resourceSpans?: readonly { readonly scopeSpans: readonly { readonly spans: readonly object[] }[] }[];
}

interface OtlpMetric {
  readonly name: string;
  readonly sum?: {
    readonly isMonotonic: boolean;
    readonly aggregationTemporality: number;
    readonly dataPoints: object[];
  };
  readonly histogram?: { readonly dataPoints: { readonly count: number; readonly bucketCounts: number[] }[] };
}

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A collector on loopback that decodes what it gets. */
async function collector(status = 200) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as OtlpBody;
      received.push({ path: request.url ?? "", headers: request.headers, body });
      response.writeHead(status, { "Content-Type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, server };
}

function edge(variables: Record<string, string> = {}, fetchPush = fetch) {
  const lines: Record<string, unknown>[] = [];
  const work: Promise<unknown>[] = [];
  const points: object[] = [];
  const world = setUp(variables, {
    telemetry: {
      isolate: "an-isolate",
      version: "1.2.3",
      log: (line) => lines.push(JSON.parse(line)),
      background: (promise) => work.push(promise),
      fetch: (url, init) => fetchPush(url, init),
      analytics: { writeDataPoint: (point) => points.push(point) },
    },
  });
  world.port.onRead = () => readOk(from(0));
  world.port.onWrite = () => stored(from(0));
  return { ...world, lines, work, points };
}

async function metricsOf({ call }: Pick<ReturnType<typeof edge>, "call">): Promise<string> {
  return (await call("GET", "/metrics?replicas=none")).text();
}

describe("a push by OTLP", () => {
  test("comes once in an interval while there are requests, in the background, and carries the metrics", async () => {
    const { url, received } = await collector();
    const world = edge({
      HALO_OTLP_URL: `${url}/`,
      HALO_OTLP_HEADERS: "x-token=a%2Cb, x-other=c",
      HALO_OTLP_INTERVAL_SECONDS: "30",
    });
    await world.call("GET", "/v1/kv/missing");
    await world.clock.advance(29_999);
    await world.call("GET", "/v1/kv/missing");
    expect(world.work).toHaveLength(0);
    await world.clock.advance(1);
    await world.call("GET", "/v1/kv/missing");
    await world.call("GET", "/v1/kv/missing");
    expect(world.work).toHaveLength(1);
    await Promise.all(world.work);
    expect(received.map(({ path }) => path)).toEqual(["/v1/metrics"]);
    expect(received[0]?.headers).toMatchObject({
      "x-token": "a,b",
      "x-other": "c",
      "content-type": "application/json",
    });
    const [resource] = received[0]?.body.resourceMetrics ?? [];
    expect(resource?.resource.attributes).toContainEqual({
      key: "service.instance.id",
      value: { stringValue: "an-isolate" },
    });
    const metrics = new Map(resource?.scopeMetrics[0]?.metrics.map((metric) => [metric.name, metric]));
    expect(metrics.get("halo_edge_requests_total")?.sum).toMatchObject({
      isMonotonic: true,
      aggregationTemporality: 2,
      // The fourth came while the push was being made.
      dataPoints: [{ asDouble: 3, startTimeUnixNano: "1000000000000", timeUnixNano: "1030000000000" }],
    });
    const [duration] = metrics.get("halo_edge_request_duration_seconds")?.histogram?.dataPoints ?? [];
    expect([duration?.count, duration?.bucketCounts[0], duration?.bucketCounts.length]).toEqual([3, 3, 14]);
    expect(await metricsOf(world)).toContain(
      'halo_edge_exports_total{signal="metrics",result="ok",isolate="an-isolate"} 1',
    );
  });

  test.each([
    ["refuses it", async () => (await collector(503)).url],
    [
      "is not there",
      async () => {
        const { url, server } = await collector();
        await new Promise((resolve) => server.close(resolve));
        return url;
      },
    ],
  ])("to a collector that %s is counted as failed, and no request hears of it", async (_, start) => {
    const world = edge({ HALO_OTLP_URL: await start(), HALO_OTLP_INTERVAL_SECONDS: "1" });
    await world.call("GET", "/v1/kv/missing");
    await world.clock.advance(1_000);
    expect((await world.call("PUT", "/v1/kv/k", {}, "v")).status).toBe(201);
    await Promise.all(world.work);
    expect(await metricsOf(world)).toContain('{signal="metrics",result="failed",isolate="an-isolate"} 1');
  });

  test("waits for the one before it", async () => {
    let pushes = 0;
    const never = () => {
      pushes += 1;
      return new Promise<Response>(() => {});
    };
    const world = edge({ HALO_OTLP_URL: "https://collector.test", HALO_OTLP_INTERVAL_SECONDS: "1" }, never);
    for (let at = 0; at < 5; at++) {
      await world.call("GET", "/v1/kv/missing");
      await world.clock.advance(1_000);
    }
    expect(pushes).toBe(1);
  });

  test.each([
    ["HALO_OTLP_URL", "http://collector.test"],
    ["HALO_OTLP_URL", "https://user@collector.test"],
    ["HALO_OTLP_URL", "collector"],
    ["HALO_OTLP_HEADERS", "secret"],
    ["HALO_OTLP_HEADERS", "a b=secret"],
    ["HALO_OTLP_HEADERS", "a=secret%"],
    ["HALO_OTLP_INTERVAL_SECONDS", "0"],
    ["HALO_TRACE_SAMPLE", "2"],
    ["HALO_SERVER_TIMING", "maybe"],
    ["HALO_SLOW_MS", "-1"],
  ])("is configured with what it expects: %s=%s is not", (name, value) => {
    const read = parseTelemetry({ [name]: value });
    expect(read).toMatchObject({ ok: false, problem: expect.stringMatching(new RegExp(`^${name}.*expected`)) });
    expect(JSON.stringify(read)).not.toContain("secret");
  });
});

describe("a trace", () => {
  const sampled = { traceparent: `00-${TRACE_ID}-${PARENT}-01` };

  test("that is recorded goes with the calls to replicas, and its span to the collector and the log", async () => {
    const { url, received } = await collector();
    const world = edge({ HALO_OTLP_URL: url, HALO_OTLP_INTERVAL_SECONDS: "1", HALO_TRACE_SAMPLE: "0" });
    const reply = await world.call("GET", "/v1/kv/k", sampled);
    await world.call("PUT", "/v1/kv/k", sampled, "v");
    await world.clock.advance(1_000);
    await world.call("GET", "/v1/kv/k");
    await Promise.all(world.work);
    const traces = world.port.calls.map(({ request }) => (request as ReadRequest | WriteRequest).trace);
    expect(traces).toEqual([
      expect.stringMatching(`^00-${TRACE_ID}-[0-9a-f]{16}-01$`),
      expect.stringMatching(`^00-${TRACE_ID}-[0-9a-f]{16}-01$`),
      undefined,
    ]);
    expect(reply.headers.get("Server-Timing")).toBe(`e;dur=0, trace;desc=${TRACE_ID}`);
    const spans = received.find(({ path }) => path === "/v1/traces")?.body.resourceSpans?.[0]?.scopeSpans[0]?.spans;
    expect(spans).toMatchObject([
      {
        traceId: TRACE_ID,
        parentSpanId: PARENT,
        spanId: traces[0]?.slice(36, 52),
        name: "getValue",
        kind: 2,
        startTimeUnixNano: "1000000000000",
        attributes: expect.arrayContaining([{ key: "http.response.status_code", value: { intValue: 404 } }]),
      },
      { traceId: TRACE_ID, name: "putValue" },
    ]);
    expect(world.lines).toMatchObject([
      { event: "span", trace_id: TRACE_ID, parent_span_id: PARENT, name: "getValue" },
      { event: "span", trace_id: TRACE_ID, name: "putValue" },
    ]);
  });

  test("begins here for the share of requests that is configured, and not for those whose caller does not record", async () => {
    const world = edge({ HALO_TRACE_SAMPLE: "0.51" });
    // The world's random numbers are all 0.5.
    await world.call("GET", "/v1/kv/k");
    await world.call("GET", "/v1/kv/k", { traceparent: `00-${TRACE_ID}-${PARENT}-00` });
    const traced = world.port.calls.map(({ request }) => (request as ReadRequest).trace !== undefined);
    expect(traced).toEqual([true, false]);
  });

  test("is not followed where nothing says so", async () => {
    const world = edge();
    await world.call("GET", "/v1/kv/k", sampled);
    expect(world.port.calls[0]?.request).not.toHaveProperty("trace");
    expect(world.lines).toEqual([]);
  });
});

describe("a request", () => {
  test("is told the edge's time, unless that is switched off", async () => {
    // Of a reply that is the edge's own; one that is passed on has its replica's (app.test.ts).
    expect((await edge().call("GET", "/v1/kv/k")).headers.get("Server-Timing")).toBe("e;dur=0");
    for (const [path, headers] of [
      ["/v1/kv/k", { Authorization: "" }],
      ["/v1/kv/k", { Authorization: "Bearer another" }],
      ["/v1/nothing", {}],
      ["/openapi.json", {}],
      ["/healthz", {}],
    ] as const) {
      const reply = await edge().call("GET", path, headers);
      expect([path, reply.headers.get("Server-Timing")]).toEqual([path, "e;dur=0"]);
    }
    expect((await edge().call("PATCH", "/v1/kv/k")).headers.get("Server-Timing")).toBe("e;dur=0");
    const off = edge({ HALO_SERVER_TIMING: "off" });
    expect((await off.call("GET", "/v1/kv/k")).headers.has("Server-Timing")).toBe(false);
  });

  test("that is slow is logged without its key, and counted; its key is for the slow log", async () => {
    const world = edge({ HALO_SLOW_MS: "200" });
    world.port.onRead = async () => {
      world.clock.nowMs += 200;
      return readOk(from(0));
    };
    await world.call("GET", "/v1/kv/a%20secret", { "Halo-Namespace": "space" });
    expect(world.lines).toEqual([
      { event: "slow_request", operation: "getValue", ms: 200, shard: 0, status: 404, trace_id: null },
    ]);
    expect(await metricsOf(world)).toMatch(/halo_edge_slow_requests_total\S* 1\n/);
  });

  test("writes at most so many lines of log a second", async () => {
    const world = edge({ HALO_TRACE_SAMPLE: "1" });
    for (let at = 0; at < LOG_LINES_PER_SECOND_MAX + 5; at++) await world.call("GET", "/v1/kv/k");
    expect(world.lines).toHaveLength(LOG_LINES_PER_SECOND_MAX);
    await world.clock.advance(1_000);
    await world.call("GET", "/v1/kv/k");
    expect(world.lines).toHaveLength(LOG_LINES_PER_SECOND_MAX + 1);
  });

  test("is a data point where there is a data set", async () => {
    const world = edge();
    await world.call("GET", "/v1/kv/k", { "Halo-Consistency": "eventual" });
    expect(world.points).toEqual([
      { indexes: ["getValue"], blobs: ["getValue", "eventual", "leader", "404"], doubles: [0, 1] },
    ]);
  });

  test("whose handler throws is counted as a 500", async () => {
    const world = edge();
    world.port.onRead = () => readOk(from(0, "king" as ReplicaRole));
    expect((await world.call("GET", "/v1/kv/k")).status).toBe(500);
    expect(await metricsOf(world)).toMatch(/halo_edge_requests_total\{operation="getValue",status="500",[^}]*\} 1\n/);
  });

  test("whose handler throws before it waits for anything is counted, too", async () => {
    const read = parseTelemetry({});
    if (!read.ok) throw new Error(read.problem);
    const times = { now: () => 0, random: () => 0 };
    const telemetry = new EdgeTelemetry(
      { ...UNSEEN, ...times, config: read.config, cluster: "c" },
      () => ({ epoch: 0, breakers: [] }),
      () => ({ namespace: null, key: null }),
    );
    const throwing = () => {
      throw new TypeError("at once");
    };
    expect(() => telemetry.observe("getValue", new Request("http://halo/v1/kv/k"), throwing)).toThrow("at once");
    const requests = telemetry.families(0).find(({ name }) => name === "halo_edge_requests_total");
    expect(requests?.points).toEqual([{ labels: { operation: "getValue", status: "500" }, value: 1 }]);
  });

  test("counts its calls by why they were made", async () => {
    const world = edge();
    let isLost = true;
    world.port.onRead = () => {
      if (!isLost) return readOk(from(1));
      isLost = false;
      return connectionLost();
    };
    await world.call("GET", "/v1/kv/k");
    const text = await metricsOf(world);
    expect(text).toMatch(/halo_edge_calls_total\{kind="first",[^}]*\} 1\n/);
    expect(text).toMatch(/halo_edge_calls_total\{kind="retry",[^}]*\} 1\n/);
    expect(text).toMatch(/halo_edge_calls_failed_total\{kind="refused",[^}]*\} 1\n/);
    expect(text).toMatch(/halo_edge_breaker_state\{shard="0",replica="0",[^}]*\} 2\n/);
  });
});

describe("series", () => {
  test("are bounded: beyond them requests are counted as dropped", () => {
    const metrics = new EdgeMetrics();
    for (let at = 0; at < SERIES_MAX + 3; at++) metrics.noteRequest(`operation-${at}`, "", "", 200, 1);
    const set = new FamilySet();
    metrics.addTo(set, { nowMs: 0, epoch: 0, breakers: [] });
    const family = (name: string) => set.families.find((found) => found.name === name)?.points ?? [];
    expect(family("halo_edge_requests_total")).toHaveLength(SERIES_MAX);
    expect(family("halo_edge_series_dropped_total")).toEqual([{ labels: {}, value: 3 }]);
  });
});
