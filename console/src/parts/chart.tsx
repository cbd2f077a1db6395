// A chart over time, drawn by uPlot on a canvas, with its last values in words and a table of the same for those who do not see it.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "../format.ts";
import { colour, theme } from "../theme.ts";

export interface Series {
  readonly name: string;
  /** Name of a colour of the style sheet. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
}

interface ChartProps {
  readonly label: string;
  readonly unit: string;
  /** Milliseconds since the Unix epoch. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number | null | undefined) => string;
  /** There is nothing between the whole numbers. */
  readonly isWhole?: boolean;
  readonly height?: number;
}

/** So many rows in the table: more says less. */
const ROWS_MAX = 12;
/** The span of an empty chart. */
const SPAN_S = 60;

export function Chart({ label, unit, times, series, format, isWhole = false, height = 180 }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const shape = `${theme.value} ${series.map(({ name, colour }) => `${name} ${colour}`).join()}`;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(
      options({ width: element.clientWidth, height, series, format, isWhole }),
      dataOf(times, series),
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, height]);

  useEffect(() => {
    plot.current?.setData(dataOf(times, series));
  }, [times, series]);

  return (
    <figure class="chart" aria-label={`${label}, ${unit}`}>
      <figcaption>
        <ul class="legend">
          {series.map(({ name, colour, values }) => (
            <li key={name}>
              <svg class={`swatch ${colour}`} viewBox="0 0 10 10" aria-hidden="true">
                <rect width="10" height="10" rx="2" />
              </svg>
              {name} <b>{format(values.at(-1))}</b>
            </li>
          ))}
          <li class="unit">{unit}</li>
        </ul>
      </figcaption>
      <div ref={box} class="plot" aria-hidden="true" />
      <ChartTable label={label} times={times} series={series} format={format} />
    </figure>
  );
}

function ChartTable({ label, times, series, format }: Pick<ChartProps, "label" | "times" | "series" | "format">) {
  const step = Math.max(1, Math.ceil(times.length / ROWS_MAX));
  const rows = times.flatMap((atMs, at) => ((times.length - 1 - at) % step === 0 ? [{ atMs, at }] : []));
  return (
    <details class="chart-table">
      <summary>Table</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard */}
      <section class="scroll" aria-label={`${label}, as a table`} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {series.map(({ name }) => (
                <th key={name} scope="col" class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ atMs, at }) => (
              <tr key={atMs}>
                <th scope="row">{clock(atMs)}</th>
                {series.map(({ name, values }) => (
                  <td key={name} class="number">
                    {format(values[at])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}

function dataOf(times: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [times.map((ms) => ms / 1_000), ...series.map(({ values }) => [...values])];
}

type PlotOptions = Required<Pick<ChartProps, "series" | "format" | "isWhole" | "height">> & { readonly width: number };

/** Steps of an axis of whole numbers: 1, 2, 5, 10, … */
const WHOLE_STEPS = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

function options({ width, height, series, format, isWhole }: PlotOptions): uPlot.Options {
  const quiet = colour("text-quiet");
  const grid = { stroke: colour("line-soft"), width: 1 };
  const axis = { stroke: quiet, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    padding: [8, 26, 0, 0],
    scales: {
      x: {
        // A new chart fills from the right.
        range: (_plot, min, max) => {
          const last = Number.isFinite(max) && max !== null ? max : Date.now() / 1_000;
          return [Math.min(min ?? last, last - SPAN_S), last];
        },
      },
      y: { range: (_plot, _min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, space: 70, values: (_plot, splits) => splits.map((at) => clock(at * 1_000)), size: 28 },
      {
        ...axis,
        values: (_plot, splits) => splits.map((value) => format(value)),
        size: 52,
        space: 34,
        ...(isWhole ? { incrs: WHOLE_STEPS } : {}),
      },
    ],
    series: [
      {},
      ...series.map(({ name, colour: named }) => ({
        label: name,
        stroke: colour(named),
        width: 1.5,
        points: { show: false },
      })),
    ],
  };
}
