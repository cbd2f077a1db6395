// The dashboard and the documentation against the catalogue of metrics: neither asks for what there is not, nor leaves out what
// matters. Queries are read by Prometheus' own grammar.

import { readFileSync } from "node:fs";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, test } from "vitest";
import { METRICS, type Metric, type MetricName } from "../../../worker/telemetry/catalogue.ts";

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const dashboard = JSON.parse(readFileSync("ops/grafana/halo.json", "utf8")) as { readonly panels: readonly Panel[] };
const targets = dashboard.panels.flatMap(({ title, targets: of = [] }) => of.map((target) => ({ title, ...target })));
const docs = readFileSync("docs/metrics.md", "utf8");

interface Query {
  readonly metrics: readonly string[];
  readonly labels: readonly string[];
  readonly isWhole: boolean;
}

/** What a query asks for. */
function read(expr: string): Query {
  // Grafana's own variable for a range.
  const text = expr.replaceAll("$__rate_interval", "5m");
  const metrics: string[] = [];
  const labels: string[] = [];
  let isWhole = true;
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      const said = text.slice(from, to);
      if (type.isError) isWhole = false;
      if (type.name === "Identifier" && node.parent?.name === "VectorSelector") metrics.push(said);
      if (type.name === "LabelName") labels.push(said);
    },
  });
  return { metrics, labels, isWhole };
}

function metricOf(name: string): Metric | undefined {
  const histogram = /^(.*)_(?:bucket|sum|count)$/.exec(name)?.[1] as MetricName | undefined;
  if (histogram !== undefined && METRICS[histogram]?.kind === "histogram") return METRICS[histogram];
  const metric: Metric | undefined = METRICS[name as MetricName];
  // Of a histogram alone there is nothing.
  return metric?.kind === "histogram" ? undefined : metric;
}

/** Without these a dashboard is not one. */
const IMPORTANT: readonly MetricName[] = [
  "halo_edge_requests_total",
  "halo_edge_request_duration_seconds",
  "halo_edge_reads_total",
  "halo_edge_calls_total",
  "halo_edge_breaker_state",
  "halo_edge_shed_total",
  "halo_replica_up",
  "halo_replica_role",
  "halo_replica_lag_entries",
  "halo_replica_commit_duration_seconds",
  "halo_replica_batch_size",
  "halo_replica_elections_total",
  "halo_replica_lease_renewals_total",
  "halo_replica_snapshot_parts_sent_total",
  "halo_replica_moves_pending",
  "halo_replica_rows_evicted_total",
  "halo_replica_purges_total",
  "halo_replica_hot_keys",
  "halo_replica_shed_total",
  "halo_replica_rpcs_sent_total",
  "halo_replica_rows_written_total",
  "halo_replica_active_seconds_total",
  "halo_replica_stored_bytes",
];

describe("the dashboard", () => {
  test("has queries", () => expect(targets.length).toBeGreaterThan(40));

  test.each(targets.map(({ title, expr, legendFormat }) => [title, expr, legendFormat] as const))(
    "%s: %s asks for what there is",
    (_, expr, legend) => {
      const { metrics, labels, isWhole } = read(expr);
      expect(isWhole).toBe(true);
      expect(metrics.length).toBeGreaterThan(0);
      const known = metrics.map(metricOf);
      expect(metrics.filter((__, at) => known[at] === undefined)).toEqual([]);
      const there = new Set([...known.flatMap((metric) => metric?.labels ?? []), "le"]);
      expect(labels.filter((label) => !there.has(label))).toEqual([]);
      const legends = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label ?? "");
      expect(legends.filter((label) => !there.has(label))).toEqual([]);
    },
  );

  test("leaves nothing important out", () => {
    const asked = new Set(targets.flatMap(({ expr }) => read(expr).metrics.map(metricOf)));
    expect(IMPORTANT.filter((name) => !asked.has(METRICS[name]))).toEqual([]);
  });

  test("would be caught with a metric or a label that does not exist", () => {
    expect(metricOf("halo_edge_request_total")).toBeUndefined();
    expect(metricOf("halo_replica_batch_size")).toBeUndefined();
    expect(read("sum(rate(a{b=").isWhole).toBe(false);
    expect(read('sum by (x) (rate(a{b="c"}[$__rate_interval]))')).toEqual({
      metrics: ["a"],
      labels: ["x", "b"],
      isWhole: true,
    });
  });
});

describe("the documentation", () => {
  test("lists every metric as it is, and no other", () => {
    const rows = docs
      .split("\n")
      .filter((line) => line.startsWith("| `halo_") && !line.includes("{"))
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim()),
      )
      .filter(([, kind]) => kind === "counter" || kind === "gauge" || kind === "histogram");
    expect(rows).toEqual(
      Object.entries(METRICS).map(([name, { kind, labels, help }]) => [
        `\`${name}\``,
        kind,
        labels.map((label) => `\`${label}\``).join(", "),
        help,
      ]),
    );
  });

  test("speaks in its alarms of metrics that there are", () => {
    const alarms = docs.slice(docs.indexOf("## Alarms to set"), docs.indexOf("## Metrics of an isolate"));
    const named = [...alarms.matchAll(/halo_(?:edge|replica)_[a-z_]+/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((name) => !(name in METRICS))).toEqual([]);
  });
});
