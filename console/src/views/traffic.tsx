// What the cluster is doing: rates from the counters of two views, and the keys that are asked for most.

import { samples } from "../live.ts";
import { HotKeys } from "../parts/hot-keys.tsx";
import { LatencyPanels } from "../parts/latency-charts.tsx";
import { Panel } from "../parts/panel.tsx";
import { BatchChart, LagChart, ShardChart, TrafficChart } from "../parts/traffic-charts.tsx";

export function TrafficView() {
  const note = samples.value.length < 2 ? "collecting since this page was opened" : undefined;
  return (
    <>
      <Panel title="Traffic" note={note}>
        <TrafficChart />
      </Panel>
      <div class="columns even">
        <Panel title="Reads by shard">
          <ShardChart label="Reads by shard" of="reads" />
        </Panel>
        <Panel title="Writes by shard">
          <ShardChart label="Writes by shard" of="writes" />
        </Panel>
        <LatencyPanels />
        <Panel title="Group commit">
          <BatchChart />
        </Panel>
        <Panel title="Replication lag">
          <LagChart />
        </Panel>
      </div>
      <HotKeys />
    </>
  );
}
