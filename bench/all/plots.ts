// Pure. The results as SVG, drawn by ECharts without a browser. Each says of what commit and machine it is.

import * as echarts from "echarts";
import { verdictLine } from "./bars.ts";
import { type PartReport, type PartReports, verdictsOf } from "./results.ts";

const WIDTH = 900;
const ROW = 24;
const FRAME = 110;
const COLOURS = { met: "#4c9f70", missed: "#c8553d", "not measured": "#b0b4b8" } as const;

/** By file name. A plot whose part did not run is left out. */
export function plots(parts: PartReports): Record<string, string> {
  const whole = Object.fromEntries(Object.entries(parts).filter(([, { failure }]) => failure === undefined));
  const drawn: Record<string, string | undefined> = {
    bars: barsPlot(parts),
    throughput: pathsPlot(whole.throughput, "Requests a second, closed loop, 32 connections", "rps"),
    "cpu-beside-peers": pathsPlot(whole.peers, "CPU µs an operation, all processes of the system", "cpu_us_per_op"),
    mixes: pathsPlot(whole.mixes, "Requests a second by workload, closed loop, 32 connections", "rps"),
    knees: kneesPlot(whole.saturation),
    "failover-gaps": gapsPlot(whole.failover),
  };
  return Object.fromEntries(Object.entries(drawn).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** How far each figure is from its bar: 1 is the bar itself, above is better, whichever way round the bar is. */
function barsPlot(parts: PartReports): string | undefined {
  const [part] = Object.values(parts);
  const measured = verdictsOf(parts).flatMap((verdict) => {
    const { finding, least, most } = verdict;
    if ("reason" in finding || finding.value.median === 0 || most === 0) return [];
    const share = least === undefined ? (most ?? 1) / finding.value.median : finding.value.median / least;
    const [, title, value] = verdictLine(verdict);
    return [{ name: `${title}: ${value}`, share, colour: COLOURS[verdict.state] }];
  });
  if (part === undefined || measured.length === 0) return undefined;
  return horizontal(
    "Each bar of issue 7: 1 is the bar, more is better",
    measured.map(({ name, share, colour }) => ({ name, value: Math.round(share * 100) / 100, colour })),
    part,
  );
}

interface PathFigures {
  readonly title: string;
  readonly rate_per_s?: number;
  readonly rps: { readonly median: number };
  readonly cpu_us_per_op: { readonly median: number };
}

function pathsPlot(part: PartReport | undefined, title: string, figure: "rps" | "cpu_us_per_op"): string | undefined {
  if (part === undefined) return undefined;
  const { paths } = part.figures as { paths: Readonly<Record<string, PathFigures>> };
  const rows = Object.values(paths).map((path) => ({
    name: path.rate_per_s === undefined ? path.title : `${path.title} (at ${path.rate_per_s}/s)`,
    value: Math.round(path[figure].median),
    colour: path.title.startsWith("Halo") ? "#3b6ea5" : "#9aa5b1",
  }));
  return horizontal(title, rows, part);
}

function kneesPlot(part: PartReport | undefined): string | undefined {
  if (part === undefined) return undefined;
  const { knees } = part.figures as {
    knees: Readonly<Record<string, { attempts: readonly { rate_per_s: number; p99_ms: number | null }[] }>>;
  };
  const series = Object.entries(knees).map(([name, { attempts }]) => ({
    name,
    type: "line" as const,
    data: attempts
      .filter(({ p99_ms }) => p99_ms !== null)
      .map(({ rate_per_s, p99_ms }) => [rate_per_s, p99_ms])
      .sort(([one = 0], [other = 0]) => (one ?? 0) - (other ?? 0)),
  }));
  return render(
    {
      ...titled("p99 by rate, open loop: the knee of each path", part),
      legend: { top: 66, data: series.map(({ name }) => name) },
      grid: { left: 70, right: 40, top: 110, bottom: 50 },
      xAxis: { type: "log", name: "requests/s", nameLocation: "middle", nameGap: 30 },
      yAxis: { type: "log", name: "p99 ms" },
      series,
    },
    500,
  );
}

function gapsPlot(part: PartReport | undefined): string | undefined {
  if (part === undefined) return undefined;
  const { write_gaps_ms, lower_read_gaps_ms } = part.figures as {
    write_gaps_ms: readonly number[];
    lower_read_gaps_ms: readonly number[];
  };
  const sorted = (values: readonly number[]) => values.toSorted((one, other) => one - other);
  return render(
    {
      ...titled("Longest gap of each kill of the leading region, sorted", part),
      legend: { top: 66, data: ["writes", "reads below strong"] },
      grid: { left: 70, right: 40, top: 110, bottom: 50 },
      xAxis: { type: "category", data: write_gaps_ms.map((_, at) => String(at + 1)) },
      yAxis: { type: "value", name: "ms" },
      series: [
        { name: "writes", type: "bar", data: sorted(write_gaps_ms) },
        { name: "reads below strong", type: "bar", data: sorted(lower_read_gaps_ms) },
      ],
    },
    420,
  );
}

interface Row {
  readonly name: string;
  readonly value: number;
  readonly colour: string;
}

function horizontal(title: string, rows: readonly Row[], part: PartReport): string {
  return render(
    {
      ...titled(title, part),
      grid: { left: 400, right: 70, top: 60, bottom: 30 },
      xAxis: { type: "value" },
      yAxis: {
        type: "category",
        inverse: true,
        data: rows.map(({ name }) => name),
        axisLabel: { width: 390, overflow: "truncate" },
      },
      series: [
        {
          type: "bar",
          label: { show: true, position: "right" },
          data: rows.map(({ value, colour }) => ({ value, itemStyle: { color: colour } })),
        },
      ],
    },
    FRAME + rows.length * ROW,
  );
}

function titled(text: string, { machine, commit, versions, command }: PartReport) {
  const of = `${machine.cpu}, ${machine.cores} cores, load ${machine.load_average}, ${machine.filesystem}; workerd ${versions.workerd}; ${commit.slice(0, 12)}; ${command}`;
  return {
    title: { text, subtext: of, textStyle: { fontSize: 15 }, subtextStyle: { fontSize: 10 } },
    animation: false,
  };
}

function render(option: echarts.EChartsOption, height: number): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  chart.setOption({ ...option, backgroundColor: "#ffffff" });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
