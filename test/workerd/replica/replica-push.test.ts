// The cron trigger with a collector: it is given the metrics of every replica, and no group is woken for them.

import { createScheduledController, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import worker, { type Env } from "../../../worker/index.ts";
import { put, shardOf, statusesOf, topologyView, until } from "./cluster.ts";

afterEach(async () => {
  vi.unstubAllGlobals();
  await reset();
});

interface Metric {
  readonly name: string;
  readonly gauge?: { readonly dataPoints: readonly { readonly asDouble?: number; readonly asInt?: number }[] };
  readonly sum?: { readonly dataPoints: readonly { readonly startTimeUnixNano: string; readonly asDouble: number }[] };
}

test("the cron trigger pushes the metrics of all replicas, and those that sleep sleep on", async () => {
  await put("sleepy", "there");
  const used = shardOf("sleepy");
  const before = await until(
    () => statusesOf(used),
    (all) => all.every(({ quiesced }) => quiesced),
  );
  const pushed: { readonly url: string; readonly metrics: readonly Metric[] }[] = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const { resourceMetrics } = JSON.parse(new TextDecoder().decode(init.body as Uint8Array));
    pushed.push({ url, metrics: resourceMetrics[0].scopeMetrics[0].metrics });
    return new Response(null, { status: 200 });
  });
  const controller = createScheduledController({ scheduledTime: new Date(), cron: "*/10 * * * *" });
  const withCollector = { ...(env as unknown as Env), HALO_OTLP_URL: "https://collector.example/otlp" };
  await worker.scheduled(controller, withCollector);

  expect(pushed.map(({ url }) => url)).toEqual(["https://collector.example/otlp/v1/metrics"]);
  const metrics = new Map(pushed[0]?.metrics.map((metric) => [metric.name, metric]));
  const replicas = topologyView().shards.flatMap((shard) => shard.replicas).length;
  expect(metrics.get("halo_replica_up")?.gauge?.dataPoints).toHaveLength(replicas);
  const requests = metrics.get("halo_replica_requests_total")?.sum?.dataPoints ?? [];
  // One that did not answer in the sweep's time, on a busy machine, is not in it.
  expect(requests.length).toBeGreaterThan(0);
  for (const { startTimeUnixNano } of requests) expect(BigInt(startTimeUnixNano)).toBeGreaterThan(0n);

  const after = await statusesOf(used);
  expect(after.map(({ quiesced, term }) => [quiesced, term])).toEqual(before.map(({ term }) => [true, term]));
});
