// GET /metrics on real objects, read by a parser that is not ours.

import { reset } from "cloudflare:test";
import parsePrometheus from "parse-prometheus-text-format";
import { afterEach, describe, expect, test } from "vitest";
import { METRICS, type MetricName } from "../../../worker/telemetry/catalogue.ts";
import { call, ignore, jsonOf } from "./edge.ts";

afterEach(async () => {
  await reset();
});

interface Sample {
  readonly labels?: Record<string, string>;
  readonly value?: string;
}

interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly metrics: readonly Sample[];
}

interface Scrape {
  readonly families: ReadonlyMap<string, ParsedFamily>;
  readonly samples: readonly (Sample & { readonly name: string })[];
  readonly text: string;
}

async function scrape(query = ""): Promise<Scrape> {
  const reply = await call("GET", `/metrics${query}`);
  expect(reply.status).toBe(200);
  expect(reply.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await reply.text();
  const families: readonly ParsedFamily[] = parsePrometheus(text);
  // The parser makes one of all histograms of a family; without their type it leaves their samples as they are.
  const plain: readonly ParsedFamily[] = parsePrometheus(text.replaceAll(/^# TYPE (\S+) histogram$/gm, ""));
  const samples = plain.flatMap(({ name, metrics }) => metrics.map((sample) => ({ name, ...sample })));
  return { families: new Map(families.map((family) => [family.name, family])), samples, text };
}

/** Of a histogram: how many values. */
function sum({ samples }: Scrape, name: MetricName, labels: Record<string, string> = {}): number {
  const suffix = METRICS[name].kind === "histogram" ? "_count" : "";
  return samples
    .filter((sample) => sample.name === `${name}${suffix}`)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels?.[label] === value))
    .reduce((total, { value }) => total + Number(value), 0);
}

describe("GET /metrics", () => {
  test("counts what was asked for, at the edge and at the replicas", async () => {
    const before = await scrape();
    await ignore(await call("PUT", "/v1/kv/a", { body: "1" }));
    await ignore(await call("PUT", "/v1/kv/a", { body: "2" }));
    await ignore(await call("GET", "/v1/kv/a"));
    await ignore(await call("GET", "/v1/kv/missing"));
    await jsonOf(await call("POST", "/v1/purge", { json: { tags: ["t"] } }));
    const after = await scrape();
    const grown = (name: MetricName, labels: Record<string, string>) =>
      sum(after, name, labels) - sum(before, name, labels);
    expect(grown("halo_edge_requests_total", { operation: "putValue", status: "201" })).toBe(1);
    expect(grown("halo_edge_requests_total", { operation: "putValue", status: "204" })).toBe(1);
    expect(grown("halo_edge_reads_total", { result: "hit" })).toBe(1);
    expect(grown("halo_edge_reads_total", { result: "miss" })).toBe(1);
    const reads = { operation: "getValue", level: "strong", role: "leader", class: "2xx" };
    expect(grown("halo_edge_request_duration_seconds", reads)).toBe(1);
    expect(grown("halo_edge_calls_total", { kind: "first" })).toBeGreaterThanOrEqual(5);
    // New objects: their counters begin at 0.
    expect(sum(after, "halo_replica_reads_total", { result: "hit" })).toBe(1);
    expect(sum(after, "halo_replica_reads_total", { result: "miss" })).toBe(1);
    // A tag may be anywhere: every shard was asked.
    expect(sum(after, "halo_replica_purges_total")).toBe(4);
    expect(sum(after, "halo_replica_elections_total")).toBeGreaterThanOrEqual(1);
    expect(sum(after, "halo_replica_lease_renewals_total")).toBeGreaterThanOrEqual(1);
    expect(sum(after, "halo_replica_commit_duration_seconds")).toBeGreaterThanOrEqual(2);
    expect(sum(after, "halo_replica_batch_size")).toBe(sum(after, "halo_replica_commit_duration_seconds"));
    expect(sum(after, "halo_replica_rows_written_total")).toBeGreaterThan(0);
    expect(sum(after, "halo_replica_rows_read_total")).toBeGreaterThan(0);
    expect(sum(after, "halo_replica_rpcs_sent_total")).toBeGreaterThan(0);
    expect(sum(after, "halo_replica_requests_total")).toBeGreaterThan(sum(after, "halo_replica_client_requests_total"));
    expect(sum(after, "halo_replica_active_seconds_total")).toBeGreaterThan(0);
  });

  test("has nothing that the catalogue does not have, and the labels that it says", async () => {
    await ignore(await call("PUT", "/v1/kv/secret-key", { body: "1", headers: { "Halo-Namespace": "secret-space" } }));
    const { families, samples, text } = await scrape();
    expect(new Set(families.keys())).toEqual(new Set(Object.keys(METRICS)));
    for (const [name, { type, help }] of families) {
      const metric = METRICS[name as MetricName];
      expect([name, type, help]).toEqual([name, metric.kind.toUpperCase(), metric.help]);
    }
    for (const { name, labels = {} } of samples) {
      const family = METRICS[name.replace(/(?:_bucket|_count|_sum)$/, "") as MetricName] ?? METRICS[name as MetricName];
      const constant = name.startsWith("halo_edge_") ? ["isolate"] : [];
      const bucket = name.endsWith("_bucket") ? ["le"] : [];
      expect(new Set(Object.keys(labels))).toEqual(new Set([...family.labels, ...constant, ...bucket]));
    }
    expect(text).not.toMatch(/secret/);
  });

  test("lists every replica, and with replicas=none asks none", async () => {
    await ignore(await call("PUT", "/v1/kv/a", { body: "1" }));
    const { families } = await scrape();
    expect(families.get("halo_replica_up")?.metrics.map(({ value }) => value)).toEqual(new Array(12).fill("1"));
    const { families: without } = await scrape("?replicas=none");
    expect([...without.keys()].filter((name) => !name.startsWith("halo_edge_"))).toEqual([]);
    expect(without.size).toBeGreaterThan(5);
  });

  test("wants a token, and knows its one query", async () => {
    const closed = await call("GET", "/metrics", { headers: { Authorization: "Bearer wrong" } });
    expect(await jsonOf(closed, 401)).toMatchObject({ type: "/problems/unauthorized" });
    expect(await jsonOf(await call("GET", "/metrics?replicas=some"), 400)).toMatchObject({
      type: "/problems/malformed-query",
    });
  });
});
