// Latencies, where the deployment has metrics.

import { useEffect } from "preact/hooks";
import { milliseconds } from "../format.ts";
import { type Latencies, latencies, watchLatencies } from "../latencies.ts";
import { hasRoute } from "../routes.ts";
import { Chart } from "./chart.tsx";
import { Empty, Panel } from "./panel.tsx";

export function LatencyPanels() {
  const isThere = hasRoute("/metrics");
  useEffect(() => (isThere === true ? watchLatencies() : undefined), [isThere]);
  if (isThere !== true) {
    return (
      <Panel title="Latency">
        <Empty>{isThere === undefined ? "Reading" : "Not available in this deployment."}</Empty>
      </Panel>
    );
  }
  return (
    <>
      <LatencyPanel title="Read latency" note="at the edge isolate that answers" of="reads" />
      <LatencyPanel title="Write latency" note="at the edge isolate that answers" of="writes" />
      <LatencyPanel title="Commit latency" note="from proposal to applied, all leaders" of="commits" />
    </>
  );
}

interface LatencyPanelProps {
  readonly title: string;
  readonly note: string;
  readonly of: Exclude<keyof Latencies, "atMs">;
}

function LatencyPanel({ title, note, of }: LatencyPanelProps) {
  const list = latencies.value;
  return (
    <Panel title={title} note={note}>
      <Chart
        label={title}
        unit="milliseconds"
        times={list.map(({ atMs }) => atMs)}
        format={milliseconds}
        series={[
          { name: "median", colour: "chart-1", values: list.map((point) => point[of].p50) },
          { name: "99th percentile", colour: "chart-4", values: list.map((point) => point[of].p99) },
        ]}
      />
    </Panel>
  );
}
