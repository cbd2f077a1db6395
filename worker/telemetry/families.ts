// Pure. Metrics as they are at a moment: what the edge and the replicas have counted, under the names of the catalogue. What
// becomes of them (text for Prometheus, a push by OTLP) is otel-form.ts.

import type { HistogramReading } from "../../durable/telemetry/histogram.ts";
import { type LabelsOf, METRICS, type Metric, type MetricName } from "./catalogue.ts";

export interface Point {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | HistogramReading;
  /** When whoever counts began to; absent: with everything else that is pushed. */
  readonly startMs?: number | undefined;
}

export interface Family extends Metric {
  readonly name: MetricName;
  readonly points: readonly Point[];
}

type ValueOf<Name extends MetricName> = (typeof METRICS)[Name]["kind"] extends "histogram" ? HistogramReading : number;

/** Collects points; a family without any is not there. */
export class FamilySet {
  /** Of the points that are added from now on. */
  startMs: number | undefined;
  readonly #points = new Map<MetricName, Point[]>();

  add<Name extends MetricName>(name: Name, labels: LabelsOf<Name>, value: ValueOf<Name> | undefined): void {
    if (value === undefined) return;
    const { startMs } = this;
    const point = startMs === undefined ? { labels, value } : { labels, value, startMs };
    const points = this.#points.get(name);
    if (points === undefined) this.#points.set(name, [point]);
    else points.push(point);
  }

  /** In the order of the catalogue. */
  get families(): readonly Family[] {
    return (Object.keys(METRICS) as MetricName[]).flatMap((name) => {
      const points = this.#points.get(name);
      return points === undefined ? [] : [{ ...METRICS[name], name, points }];
    });
  }
}

/** Milliseconds as what Prometheus wants. */
export function secondsOf({ bounds, counts, sum }: HistogramReading): HistogramReading {
  return { bounds: bounds.map((bound) => bound / 1_000), counts, sum: sum / 1_000 };
}
