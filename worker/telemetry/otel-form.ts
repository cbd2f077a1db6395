// Metrics in the form of the OpenTelemetry SDK, for its serialisers: the Prometheus text and OTLP are theirs, the registry is
// not. The SDK's own one looks up attributes by their sorted JSON on every record, which costs several times what counting does
// here, and brings 14 kB (compressed) for readers and views that a Worker has no use for; the serialisers are 5 kB.

import { type HrTime, ValueType } from "@opentelemetry/api";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { JsonMetricsSerializer } from "@opentelemetry/otlp-transformer";
import type { Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import { countOf, type HistogramReading } from "../../durable/telemetry/histogram.ts";
import { hrTime, resourceOf } from "../../durable/telemetry/span-form.ts";
import type { Family } from "./families.ts";

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const SCOPE = { name: "halo" };

export interface Period {
  readonly startMs: number;
  readonly endMs: number;
}

/** Without timestamps, scope and target: a scrape has its own. */
const prometheus = new PrometheusSerializer(undefined, false, undefined, true, true);

/** `constants`: labels of every point of the families. */
export function prometheusText(families: readonly Family[], constants: Readonly<Record<string, string>> = {}): string {
  // The serialiser has a text of its own for nothing at all, which is no metric.
  if (families.length === 0) return "";
  const labelled = families.map((family) => ({
    ...family,
    points: family.points.map(({ labels, value }) => ({ labels: { ...labels, ...constants }, value })),
  }));
  return prometheus.serialize(resourceMetrics(labelled, { startMs: 0, endMs: 0 }, resourceOf({})));
}

export function otlpMetrics(families: readonly Family[], period: Period, resource: Resource): Uint8Array {
  const bytes = JsonMetricsSerializer.serializeRequest(resourceMetrics(families, period, resource));
  if (bytes === undefined) throw new Error("halo: the metrics could not be serialised");
  return bytes;
}

function resourceMetrics(families: readonly Family[], period: Period, resource: Resource): ResourceMetrics {
  const metrics = families.map((family) => metricData(family, hrTime(period.startMs), hrTime(period.endMs)));
  return { resource, scopeMetrics: [{ scope: SCOPE, metrics }] };
}

function metricData({ name, help, kind, points }: Family, startTime: HrTime, endTime: HrTime): MetricData {
  const base = {
    descriptor: { name, description: help, unit: "", valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const pointsOf = <T>(read: (value: number | HistogramReading) => T) =>
    points.map(({ labels: attributes, value, startMs }) => {
      const since = startMs === undefined ? startTime : hrTime(startMs);
      return { startTime: since, endTime, attributes, value: read(value) };
    });
  switch (kind) {
    case "counter":
      return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: pointsOf(numberOf) };
    case "gauge":
      return { ...base, dataPointType: DataPointType.GAUGE, dataPoints: pointsOf(numberOf) };
    case "histogram":
      return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints: pointsOf(histogramOf) };
  }
}

function numberOf(value: number | HistogramReading): number {
  if (typeof value !== "number") throw new Error("halo: a histogram where a number is expected");
  return value;
}

function histogramOf(value: number | HistogramReading) {
  if (typeof value === "number") throw new Error("halo: a number where a histogram is expected");
  const { bounds, counts, sum } = value;
  return { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count: countOf(value) };
}
