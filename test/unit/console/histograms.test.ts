// Quantiles of what came between two readings of /metrics.

import { describe, expect, test } from "vitest";
import { between, histograms, quantile, readSamples } from "../../../console/src/histograms.ts";

const NAME = "wait_seconds_bucket";

function series(...lines: string[]) {
  return histograms(readSamples(lines.join("\n"), new Set([NAME])));
}

describe("histograms in the text of /metrics", () => {
  test("are read by name and labels, whatever else is in the text", () => {
    const text = [
      '# HELP wait_seconds Of "everything" {there} is',
      `${NAME}{path="a\\"b,c}",le="0.5"} 3 1700000000`,
      `${NAME}{path="a\\"b,c}",le="+Inf"} 4`,
      'other_bucket{le="1"} 9',
      "",
    ].join("\n");
    expect(readSamples(text, new Set([NAME]))).toEqual([
      { name: NAME, labels: { path: 'a"b,c}', le: "0.5" }, value: 3 },
      { name: NAME, labels: { path: 'a"b,c}', le: "+Inf" }, value: 4 },
    ]);
  });

  test("of several series are added up; one that began anew, or was not there, is left out", () => {
    const before = series(
      `${NAME}{a="1",le="1"} 10`,
      `${NAME}{a="1",le="+Inf"} 10`,
      `${NAME}{a="2",le="1"} 50`,
      `${NAME}{a="2",le="+Inf"} 50`,
    );
    const after = series(
      ...[`${NAME}{a="1",le="1"} 14`, `${NAME}{a="1",le="+Inf"} 16`],
      ...[`${NAME}{a="2",le="1"} 7`, `${NAME}{a="2",le="+Inf"} 7`],
      ...[`${NAME}{a="3",le="1"} 99`, `${NAME}{a="3",le="+Inf"} 99`],
    );
    expect([...between(before, after)]).toEqual([
      [1, 4],
      [Number.POSITIVE_INFINITY, 6],
    ]);
  });

  test("have quantiles within a bucket, the last bound beyond it, and none where nothing came", () => {
    const histogram = new Map([
      [0.001, 0],
      [0.002, 50],
      [0.004, 100],
      [Number.POSITIVE_INFINITY, 102],
    ]);
    expect(quantile(histogram, 0.25)).toBeCloseTo(0.00151, 5);
    expect(quantile(histogram, 0.75)).toBeCloseTo(0.00306, 5);
    expect(quantile(histogram, 0.995)).toBe(0.004);
    expect(quantile(new Map([[1, 0]]), 0.5)).toBeNull();
  });
});
