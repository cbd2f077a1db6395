// GET /metrics: what this isolate has counted, and what every replica says of itself, in the text format of Prometheus, or in that
// of OpenMetrics for whoever asks for it. The edge's numbers are this isolate's alone, whichever answers, and have its name as a
// label; the replicas' are the cluster's.
//
// The replicas are asked in parallel and within a deadline, as for the status. Being asked loads an object that hibernates, and
// keeps it in memory for ten seconds more (docs/metrics.md, "What a scrape costs"); `replicas=none` asks nobody.

import { readQuery } from "../api/request-body.ts";
import { metricsQuerySchema } from "../api/schemas.ts";
import { prefersOpenMetrics } from "../http/accept.ts";
import type { EdgeTelemetry } from "../telemetry/edge-telemetry.ts";
import { FamilySet } from "../telemetry/families.ts";
import { OPENMETRICS_CONTENT_TYPE, openMetricsText } from "../telemetry/openmetrics.ts";
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from "../telemetry/otel-form.ts";
import { addReplicas } from "../telemetry/replica-metrics.ts";
import { problemReply } from "./replies.ts";
import { type StatusDeps, shardReports } from "./status.ts";

export const METRICS_PATH = "/metrics";

export interface MetricsDeps extends StatusDeps {
  readonly telemetry: EdgeTelemetry;
  now(): number;
}

export async function handleMetrics(deps: MetricsDeps, request: Request): Promise<Response> {
  const query = readQuery(request.url, metricsQuerySchema);
  if (!query.ok) return problemReply(query.problem);
  const { telemetry } = deps;
  const replicas = new FamilySet();
  if (query.value.replicas !== "none") addReplicas(replicas, await shardReports(deps));
  const edge = { families: telemetry.families(deps.now()), constants: { isolate: telemetry.isolate } };
  const isOpen = prefersOpenMetrics(request.headers.get("Accept"));
  const text = isOpen
    ? openMetricsText([edge, replicas])
    : `${prometheusText(edge.families, edge.constants)}${prometheusText(replicas.families)}`;
  return new Response(text, {
    headers: {
      "Content-Type": isOpen ? OPENMETRICS_CONTENT_TYPE : PROMETHEUS_CONTENT_TYPE,
      Vary: "Accept",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    },
  });
}
