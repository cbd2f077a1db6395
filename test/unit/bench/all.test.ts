import { describe, expect, it } from "vitest";
import { BARS, judge, verdictLine } from "../../../bench/all/bars.ts";
import { type Contender, Laps, rps } from "../../../bench/all/contender.ts";
import { findKnee } from "../../../bench/all/knee.ts";
import { parseAllOptions } from "../../../bench/all/main.ts";
import { kvPerMillion, moneyPerMillion } from "../../../bench/all/money.ts";
import { PARTS } from "../../../bench/all/parts/index.ts";
import { plots } from "../../../bench/all/plots.ts";
import { isGood, jsonOf, merged, type PartReport, parseReports, verdictsOf } from "../../../bench/all/results.ts";
import { tableMarkdown } from "../../../bench/all/table.ts";
import tried from "../../../bench/all/tried.json" with { type: "json" };
import { percentile } from "../../../bench/harness/statistics.ts";
import type { LoadResult } from "../../../bench/load/workload.ts";

const single = (value: number) => ({ median: value, min: value, max: value });

function reportOf(part: Partial<PartReport>): PartReport {
  const machine = { cpu: "c", cores: 2, memory_gib: 1, kernel: "k", load_average: 0, filesystem: "ext4", fsync_ms: 1 };
  const size = {
    ...{ rounds: 1, seconds: 1, warmupSeconds: 1, soakSeconds: 1, kills: 1, records: 1, manyKeys: 1, bisections: 1 },
    wakes: 1,
  };
  const facts = { machine, versions: { workerd: "1" }, commit: "abc", command: "npm run bench -- --all", size };
  return { ...facts, seconds: 1, errors: 0, error_samples: [], figures: {}, findings: {}, ...part };
}

function loadOf(rate: number): LoadResult {
  return {
    count: rate,
    errors: 0,
    errorSamples: [],
    seconds: 1,
    rps: rate,
    p50Ms: 1,
    p99Ms: 2,
    maxMs: 3,
    cpuSeconds: 0.1,
  };
}

describe("the bars", () => {
  it("are measured by parts that there are, and have one bound each", () => {
    const ids = PARTS.map(({ id }) => id);
    for (const { part, least, most } of BARS) {
      expect(ids).toContain(part);
      expect([least, most].filter((bound) => bound !== undefined)).toHaveLength(1);
    }
    expect(new Set(BARS.map(({ id }) => id)).size).toBe(BARS.length);
  });

  it("are met at the bar itself, missed beyond it, and neither without a figure", () => {
    const states = (findings: Parameters<typeof judge>[0]) =>
      Object.fromEntries(judge(findings).map(({ id, state }) => [id, state]));
    expect(states({ put_vs_naive: { value: single(4) }, bundle_kb: { value: single(300) } })).toMatchObject({
      put_vs_naive: "met",
      bundle_kb: "met",
      l1_hit_vs_constant: "not measured",
    });
    expect(states({ put_vs_naive: { value: single(3.9) }, bundle_kb: { value: single(300.1) } })).toMatchObject({
      put_vs_naive: "missed",
      bundle_kb: "missed",
    });
    expect(states({ put_vs_naive: { value: single(Number.NaN) }, bundle_kb: { reason: "no wrangler" } })).toMatchObject(
      {
        put_vs_naive: "not measured",
        bundle_kb: "not measured",
      },
    );
  });

  it("say what was found, what was asked for, and why there is nothing", () => {
    const [met] = judge({ l1_hit_vs_constant: { value: { median: 0.95, min: 0.9, max: 1 }, note: "99 % from L1" } });
    if (met === undefined) throw new Error("no bar");
    expect(verdictLine(met)).toEqual([
      "met",
      "L1 hit ÷ constant Worker",
      "0.95 (0.90–1) ×",
      "at least 0.9",
      "99 % from L1",
    ]);
    expect(verdictLine({ ...met, state: "not measured", finding: { reason: "no time" } }).at(-1)).toBe("no time");
  });
});

describe("the results", () => {
  const throughput = reportOf({ findings: { put_vs_naive: { value: single(5) } } });

  it("keep the parts that did not run again, and replace those that did", () => {
    const before = parseReports(
      jsonOf({ throughput, bundle: reportOf({ findings: { bundle_kb: { value: single(400) } } }) }),
    );
    const parts = merged(before, { bundle: reportOf({ findings: { bundle_kb: { value: single(200) } } }) });
    const bars = JSON.parse(jsonOf(parts)).bars;
    expect([bars.put_vs_naive.state, bars.put_vs_naive.median]).toEqual(["met", 5]);
    expect([bars.bundle_kb.state, bars.bundle_kb.median]).toEqual(["met", 200]);
    expect(bars.many_keys_get).toEqual({
      state: "not measured",
      least: 0.85,
      unit: "×",
      reason: 'part "million" did not run',
    });
  });

  it("are good without a missed bar, a wrong reply or a part that broke off", () => {
    expect(isGood({ throughput })).toBe(true);
    expect(isGood({ throughput: { ...throughput, errors: 1 } })).toBe(false);
    expect(isGood({ throughput: { ...throughput, failure: "no majority" } })).toBe(false);
    expect(isGood({ throughput: reportOf({ findings: { put_vs_naive: { value: single(1) } } }) })).toBe(false);
  });

  it("refuse a file that is something else", () => {
    expect(() => parseReports("{}")).toThrow("has no parts");
    expect(() => parseReports(jsonOf({ a: reportOf({ findings: { old_bar: { value: single(1) } } }) }))).toThrow(
      "old_bar",
    );
  });

  it("are drawn, each with its commit and command, and without what did not run", () => {
    const drawn = plots({ throughput: { ...throughput, figures: { paths: lapsOf([100], [50]).summary() } } });
    expect(Object.keys(drawn)).toEqual(["bars", "throughput"]);
    expect(drawn.throughput).toMatch(/^<svg/);
    expect(drawn.throughput).toContain("Halo, PUT");
    expect(drawn.bars).toContain("npm run bench -- --all");
    expect(verdictsOf({}).every(({ state }) => state === "not measured")).toBe(true);
  });
});

function contenderOf(id: string, title: string): Contender {
  const target = { host: "127.0.0.1", port: 1 };
  const workload = () => ({ next: () => undefined, check: () => undefined });
  return { id, title, target, pids: [], connections: 1, workload };
}

function lapsOf(own: readonly number[], others: readonly number[]): Laps {
  const laps = new Laps();
  for (const rate of own) laps.add(contenderOf("put", "Halo, PUT"), { load: loadOf(rate), cpuSeconds: rate / 1_000 });
  for (const rate of others) laps.add(contenderOf("row", "Row"), { load: loadOf(rate), cpuSeconds: rate / 1_000 });
  return laps;
}

describe("laps", () => {
  it("are compared within each round", () => {
    expect(lapsOf([100, 10], [50, 5]).ratio("put", "row", rps)).toEqual(single(2));
    expect(lapsOf([100], []).ratio("put", "row", rps)).toBeUndefined();
    expect(() => lapsOf([100, 10], [50]).ratio("put", "row", rps)).toThrow("every round");
  });
});

describe("the search for the knee", () => {
  /** Serves everything up to `capacity`, and what is beyond it late. */
  const server = (capacity: number) => async (ratePerSecond: number) => ({
    ratePerSecond,
    p99Ms: ratePerSecond <= capacity ? 5 : 5_000,
    achieved: Math.min(ratePerSecond, capacity),
  });

  it("doubles until a rate is not served in time, then halves the distance", async () => {
    const knee = await findKnee(server(1_000), { startPerSecond: 100, bisections: 5, maxPerSecond: 100_000 });
    expect(knee.attempts.slice(0, 5).map(({ ratePerSecond }) => ratePerSecond)).toEqual([100, 200, 400, 800, 1_600]);
    expect(knee.ratePerSecond).toBeGreaterThan(950);
    expect(knee.ratePerSecond).toBeLessThanOrEqual(1_000);
  });

  it("finds one below the first rate, and ends at the greatest rate whatever is served", async () => {
    const options = { startPerSecond: 100, bisections: 6, maxPerSecond: 400 };
    const low = await findKnee(server(30), options);
    expect(low.ratePerSecond).toBeGreaterThan(20);
    expect(low.ratePerSecond).toBeLessThanOrEqual(32);
    const high = await findKnee(server(Number.POSITIVE_INFINITY), options);
    expect([high.ratePerSecond, high.attempts.length]).toEqual([400, 3]);
  });

  it("takes a rate that fails once for a pause of the machine, and one that fails twice for beyond the knee", async () => {
    let calls = 0;
    const pausing = async (ratePerSecond: number) => {
      calls += 1;
      return { ratePerSecond, p99Ms: calls % 2 === 0 ? 5_000 : 5, achieved: ratePerSecond };
    };
    const knee = await findKnee(pausing, { startPerSecond: 100, bisections: 2, maxPerSecond: 400 });
    expect(knee.ratePerSecond).toBe(400);
  });

  it("takes a rate that is answered in time, but only in part, for not served", async () => {
    const shedding = async (ratePerSecond: number) => ({
      ratePerSecond,
      p99Ms: 5,
      achieved: Math.min(ratePerSecond, 150),
    });
    const knee = await findKnee(shedding, { startPerSecond: 100, bisections: 4, maxPerSecond: 10_000 });
    expect(knee.ratePerSecond).toBeLessThan(160);
  });
});

describe("the table", () => {
  const missed = { put_vs_naive: { value: single(3), note: "a | b" }, bundle_kb: { value: single(200) } };

  it("says of a missed bar what was tried, and of every part where and of what it was measured", () => {
    const markdown = tableMarkdown({ throughput: reportOf({ findings: missed }) }, { ...tried, put_vs_naive: "much" }, [
      "bars",
    ]);
    const row = (title: string) =>
      markdown
        .split("\n")
        .find((line) => line.includes(title))
        ?.split(/ +\|(?: +|$)/);
    expect(row("PUT, 3 replicas ÷ naive")).toEqual([
      "| PUT, 3 replicas ÷ naive replication",
      ...["at least 4", "3 ×", "**missed**", "a \\| b", "much", ""],
    ]);
    expect(row("Worker bundle")?.slice(2, 4)).toEqual(["200 kB", "met"]);
    expect(row("| throughput")?.slice(-3)).toEqual(["abc", "`npm run bench -- --all`", ""]);
    expect(markdown).toContain("\nc, 2 cores, 1 GiB, Linux k, ext4; workerd 1.\n");
    expect(markdown).toContain("![bars](bars.svg)");
  });

  it("knows of nothing that was tried for a bar that there is not", () => {
    expect(() => tableMarkdown({}, { faster: "x" }, [])).toThrow("faster");
    expect(() => tableMarkdown({}, tried, [])).not.toThrow();
  });
});

describe("the money", () => {
  it("adds up what the platform bills, by hand", () => {
    const money = moneyPerMillion({
      ...{ operations: 1_000, calls: 100, rowsWritten: 50, cpuSeconds: 0.5, awakeSeconds: 1, objects: 3 },
    });
    expect(money.worker).toBe(0.3);
    expect(money.cpu).toBeCloseTo(0.5 * 0.02);
    expect(money.objects).toBeCloseTo(1.1 * 0.15);
    expect(money.rows).toBeCloseTo(0.05);
    expect(money.duration).toBeCloseTo((3 * 0.128 * 12.5) / 1_000);
    expect(money.total).toBeCloseTo(0.3 + 0.01 + 0.165 + 0.05 + 0.0048);
    expect(kvPerMillion(0.05)).toBeCloseTo(0.3 + 0.475 + 0.25);
  });
});

describe("a percentile", () => {
  it("is the nearest rank: of 50 values the 99th is the greatest", () => {
    const values = Array.from({ length: 50 }, (_, at) => 50 - at);
    expect([percentile(values, 0.99), percentile(values, 0.5), percentile([], 0.5)]).toEqual([50, 25, Number.NaN]);
  });
});

describe("the command line of --all", () => {
  it("takes parts and sizes, and refuses what it does not know", () => {
    expect(parseAllOptions(["--all"])?.parts).toHaveLength(PARTS.length);
    expect(parseAllOptions(["--all", "--only", "rows,wake", "--kills", "50"])).toMatchObject({
      parts: [{ id: "rows" }, { id: "wake" }],
      size: { kills: 50 },
      minutes: 25,
    });
    expect(parseAllOptions(["--all", "--help"])).toBeUndefined();
    for (const argv of [["--only", "nothing"], ["--kills", "0"], ["--what"]]) {
      expect(() => parseAllOptions(["--all", ...argv])).toThrow(expect.objectContaining({ name: "UsageError" }));
    }
  });

  it("ends within its time on an idle machine, everything included", () => {
    const size = parseAllOptions(["--all"])?.size;
    if (size === undefined) throw new Error("no size");
    expect(PARTS.reduce((sum, part) => sum + part.estimate(size), 0)).toBeLessThan(25 * 60);
  });
});
