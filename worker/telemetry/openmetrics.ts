// Pure. Metrics in the text format of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/), for scrapers that ask
// for it. No library writes it without a registry of its own; beside the older text it wants: families named without `_total`, units,
// `le` in canonical form, no family twice, and `# EOF` at the end, by which a text that was cut is known.

import { countOf, type HistogramReading } from "../../durable/telemetry/histogram.ts";
import type { Family, Point } from "./families.ts";

export const OPENMETRICS_CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** By the last word of a name. */
const UNITS = ["seconds", "bytes"];
const TOTAL = "_total";

export interface LabelledFamilies {
  readonly families: readonly Family[];
  /** Labels of every point. */
  readonly constants?: Readonly<Record<string, string>>;
}

/** No family may be in two groups. */
export function openMetricsText(groups: readonly LabelledFamilies[]): string {
  const lines = groups.flatMap(({ families, constants = {} }) =>
    families.flatMap((family) => familyLines(family, constants)),
  );
  return `${[...lines, "# EOF"].join("\n")}\n`;
}

function familyLines({ name, kind, help, points }: Family, constants: Readonly<Record<string, string>>): string[] {
  const family = kind === "counter" && name.endsWith(TOTAL) ? name.slice(0, -TOTAL.length) : name;
  const unit = UNITS.find((word) => family.endsWith(`_${word}`));
  return [
    `# TYPE ${family} ${kind}`,
    ...(unit === undefined ? [] : [`# UNIT ${family} ${unit}`]),
    `# HELP ${family} ${escaped(help)}`,
    ...points.flatMap(({ labels, value }) => sampleLines(name, { labels: { ...labels, ...constants }, value })),
  ];
}

function sampleLines(name: string, { labels, value }: Point): string[] {
  if (typeof value === "number") return [`${name}${labelsOf(labels)} ${numberOf(value)}`];
  return [
    ...bucketsOf(value).map(([bound, count]) => `${name}_bucket${labelsOf({ ...labels, le: bound })} ${count}`),
    `${name}_count${labelsOf(labels)} ${countOf(value)}`,
    `${name}_sum${labelsOf(labels)} ${numberOf(value.sum)}`,
  ];
}

/** Each holds what is in the ones before it; the last holds all. */
function bucketsOf({ bounds, counts }: HistogramReading): readonly (readonly [bound: string, count: number])[] {
  let sum = 0;
  return counts.map((count, at) => {
    sum += count;
    const bound = bounds[at];
    return [bound === undefined ? "+Inf" : canonical(bound), sum] as const;
  });
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function numberOf(value: number): string {
  if (Number.isFinite(value)) return `${value}`;
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

/** So that a bound is the same label whoever writes it: `1.0`, and never `1`. Halo has none of a million or more. */
function canonical(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : `${bound}`;
}
