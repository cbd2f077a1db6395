// Charts over the samples of this page.

import { count, rate } from "../format.ts";
import { samples } from "../live.ts";
import type { ShardRates } from "../rates.ts";
import { shardColour } from "../theme.ts";
import { Chart } from "./chart.tsx";

/** More lines than that are a tangle: the busiest are shown. */
const SHARDS_MAX = 8;

export function TrafficChart() {
  const list = samples.value;
  return (
    <Chart
      label="Traffic"
      unit="per second"
      times={list.map(({ atMs }) => atMs)}
      format={rate}
      height={220}
      series={[
        { name: "Reads", colour: "chart-1", values: list.map(({ reads }) => reads) },
        { name: "Writes", colour: "chart-2", values: list.map(({ writes }) => writes) },
      ]}
    />
  );
}

export function BatchChart() {
  const list = samples.value;
  return (
    <Chart
      label="Writes in a batch"
      unit="on average"
      times={list.map(({ atMs }) => atMs)}
      format={rate}
      series={[
        {
          name: "Writes per log entry",
          colour: "chart-2",
          values: list.map(({ writes, batches }) => (batches === 0 ? null : writes / batches)),
        },
      ]}
    />
  );
}

export function LagChart() {
  const list = samples.value;
  return (
    <Chart
      label="Replication lag"
      unit="entries"
      times={list.map(({ atMs }) => atMs)}
      format={count}
      isWhole
      series={[{ name: "Most behind", colour: "chart-3", values: list.map(({ lagMax }) => lagMax) }]}
    />
  );
}

export function ShardChart({ label, of }: { readonly label: string; readonly of: "reads" | "writes" }) {
  const list = samples.value;
  const busiest = (list.at(-1)?.shards ?? [])
    .toSorted((one, other) => other[of] - one[of])
    .slice(0, SHARDS_MAX)
    .map(({ shard }) => shard)
    .sort((one, other) => one - other);
  const figureOf = (shards: readonly ShardRates[], shard: number) =>
    shards.find((found) => found.shard === shard)?.[of] ?? null;
  return (
    <Chart
      label={label}
      unit="per second"
      times={list.map(({ atMs }) => atMs)}
      format={rate}
      series={busiest.map((shard) => ({
        name: `Shard ${shard}`,
        colour: shardColour(shard),
        values: list.map(({ shards }) => figureOf(shards, shard)),
      }))}
    />
  );
}
