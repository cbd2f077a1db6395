// Metrics as OpenMetrics, against the rules of its specification, and who gets them.

import { describe, expect, test } from "vitest";
import { prefersOpenMetrics } from "../../../../worker/http/accept.ts";
import { METRICS, type MetricName } from "../../../../worker/telemetry/catalogue.ts";
import type { Family } from "../../../../worker/telemetry/families.ts";
import { openMetricsText } from "../../../../worker/telemetry/openmetrics.ts";
import { prometheusText } from "../../../../worker/telemetry/otel-form.ts";
import { statusOf } from "../api/statuses.ts";
import { setUp } from "../fake-edge.ts";
import { readOpenMetrics } from "./openmetrics-rules.ts";

const HISTOGRAM = { bounds: [0.0005, 0.5, 1, 2.5, 1_024], counts: [1, 0, 2, 0, 4, 3], sum: 1.5 };

/** Everything that there can be, with a point or two each. */
function everything(): readonly Family[] {
  return (Object.keys(METRICS) as MetricName[]).map((name) => {
    const { kind, labels } = METRICS[name];
    const points = ["0", 'odd\\ "one"\nof two lines'].map((value) => ({
      labels: Object.fromEntries(labels.map((label) => [label, value])),
      value: kind === "histogram" ? HISTOGRAM : 1.25,
    }));
    return { ...METRICS[name], name, points: labels.length === 0 ? points.slice(0, 1) : points };
  });
}

describe("the text of OpenMetrics", () => {
  test("keeps the rules of the specification for every metric of the catalogue", () => {
    const families = readOpenMetrics(openMetricsText([{ families: everything() }]));
    expect(families).toHaveLength(Object.keys(METRICS).length);
    for (const { name, type, help } of families) {
      const metric = METRICS[(type === "counter" ? `${name}_total` : name) as MetricName];
      expect([name, type, help]).toEqual([name, metric.kind, metric.help]);
    }
  });

  test("has the same samples as the older text, whose parsers read on after a change of the format", () => {
    const values = (text: string) =>
      text
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => line.replace(/\ble="([^"]+)"/, (_, le) => `le="${Number(le.replace("Inf", "Infinity"))}"`))
        .map((line) =>
          line
            .replaceAll(/[{,]([a-z_]+)="/g, '|$1="')
            .split("|")
            .sort()
            .join("|"),
        )
        .sort();
    const families = everything().map((family) => ({ ...family, points: family.points.slice(0, 1) }));
    expect(values(openMetricsText([{ families }]))).toEqual(values(prometheusText(families)));
  });

  test("names units where the name ends in one, and the labels that all points have", () => {
    const text = openMetricsText([{ families: everything(), constants: { isolate: "here" } }]);
    const families = new Map(readOpenMetrics(text).map((family) => [family.name, family]));
    expect(families.get("halo_replica_active_seconds")?.unit).toBe("seconds");
    expect(families.get("halo_replica_log_bytes")?.unit).toBe("bytes");
    expect(families.get("halo_replica_keys")?.unit).toBeUndefined();
    expect([...families.values()].flatMap(({ samples }) => samples.map(({ labels }) => labels.get("isolate")))).toEqual(
      [...families.values()].flatMap(({ samples }) => samples.map(() => "here")),
    );
  });

  test("of nothing is the end alone", () => {
    expect(openMetricsText([])).toBe("# EOF\n");
  });
});

describe("GET /metrics", () => {
  const PROMETHEUS =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," +
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

  test.each([
    [PROMETHEUS, true],
    ["application/openmetrics-text; version=1.0.0", true],
    ["application/openmetrics-text", true],
    ['Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', true],
    ["text/plain, application/openmetrics-text", true],
    ["text/plain;version=0.0.4, application/openmetrics-text;q=0.9", false],
    ["application/openmetrics-text;q=0", false],
    ["application/openmetrics-text;version=0.0.1", false],
    ["application/openmetrics-text;version=2.0.0", false],
    ["application/openmetrics-text;q=high", false],
    ["application/openmetrics-text;q=1.1", false],
    ["application/openmetrics-texture", false],
    ["text/plain", false],
    ["*/*", false],
    ["", false],
    [null, false],
    [`application/openmetrics-text,${"x".repeat(3_000)}`, false],
  ])("asked with Accept: %s gives OpenMetrics: %s", (accept, expected) => {
    expect(prefersOpenMetrics(accept)).toBe(expected);
  });

  test("gives both forms by what is asked for, and says which depends on Accept", async () => {
    const { call, port } = setUp();
    port.onStatus = (address) => statusOf(address);
    await call("GET", "/healthz");
    const open = await call("GET", "/metrics", { Accept: PROMETHEUS });
    expect(open.headers.get("Content-Type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const families = readOpenMetrics(await open.text()).map(({ name }) => name);
    expect(families).toEqual(expect.arrayContaining(["halo_edge_uptime_seconds", "halo_replica_up"]));
    const older = await call("GET", "/metrics");
    expect(older.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await older.text()).not.toContain("# EOF");
    expect([open.headers.get("Vary"), older.headers.get("Vary")]).toEqual(["Accept", "Accept"]);
  });
});
