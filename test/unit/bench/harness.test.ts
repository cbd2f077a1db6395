import { describe, expect, it } from "vitest";
import { filesystemOf, isRealDisk } from "../../../bench/harness/environment.ts";
import { Complaints, countersMoved, loadDataSet, type Measured } from "../../../bench/harness/measure.ts";
import { parseBenchOptions } from "../../../bench/harness/options.ts";
import { PATHS } from "../../../bench/harness/paths.ts";
import { cpuSecondsFrom, cpuSecondsOf, cpuSecondsOfThreads } from "../../../bench/harness/process-cpu.ts";
import { barLines, jsonOf, judge, summarize, tableOf } from "../../../bench/harness/report.ts";
import { median, ratioSpread, spread } from "../../../bench/harness/statistics.ts";
import { rowsOf, type System, sumCounters } from "../../../bench/harness/system.ts";
import type { LoadResult } from "../../../bench/load/workload.ts";
import { DataSet } from "../../../bench/workloads.ts";
import { httpServer } from "./servers.ts";

const SYSTEM: System = {
  name: "none",
  url: "http://127.0.0.1:1",
  target: { host: "127.0.0.1", port: 1 },
  workerdPids: [],
  logFile: "",
  inspectorUrl: undefined,
  dataSet: new DataSet({ isLoaded: true }),
  startsEmpty: false,
  stop: async () => undefined,
};

function loadOf(rps: number): LoadResult {
  return { count: rps, errors: 0, errorSamples: [], seconds: 1, rps, p50Ms: 1, p99Ms: 2, maxMs: 3, cpuSeconds: 0.1 };
}

/** Two rounds of one path; every request costs 1 ms of CPU, and 10 of them share a batch of 3 rows and 2 RPCs. */
function measuredAt(id: string, rates: readonly number[]): Measured {
  const path = PATHS.find((each) => each.id === id);
  if (path === undefined) throw new Error(`no path ${id}`);
  const samples = rates.map((rps) => ({
    load: loadOf(rps),
    serverCpuSeconds: rps / 1_000,
    counters: path.byConstruction ? undefined : { batches: rps / 10, rpcs_sent: rps / 5, rows_written: (rps / 10) * 3 },
  }));
  return { path, system: SYSTEM, samples, openLoops: [loadOf(10)], rowsPerPut: undefined };
}

describe("statistics", () => {
  it("take the middle value, or the mean of the two in the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([10, 9])).toBe(9.5);
    expect(median([])).toBeNaN();
  });

  it("give median, least and greatest", () => {
    expect(spread([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9 });
  });

  it("take ratios within a round, so that a machine that slows down for both changes nothing", () => {
    expect(ratioSpread([200, 20, 2], [100, 10, 1])).toEqual({ median: 2, min: 2, max: 2 });
    expect(() => ratioSpread([1, 2], [1])).toThrow("every round");
  });
});

describe("the report", () => {
  const measured = [
    measuredAt("bare_row_write", [1_000, 500]),
    measuredAt("put", [1_100, 700]),
    measuredAt("naive_put", [400, 200]),
    measuredAt("bare_read", [4_000, 4_000]),
    measuredAt("strong_get", [3_000, 3_000]),
  ];

  it("calls a bar met by the median of the rounds' ratios", () => {
    expect(judge(measured).map(({ id, ratio, isMet }) => [id, ratio?.median, isMet])).toEqual([
      ["put_vs_bare_row_write", expect.closeTo(1.25), true],
      ["put_vs_naive", expect.closeTo(3.125), true],
      ["strong_get_vs_bare_read", 0.75, false],
    ]);
    expect(
      barLines(judge(measured))
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ).toEqual(["met", "met", "missed"]);
  });

  it("calls a bar missed that was not measured", () => {
    expect(judge(measured.slice(0, 1)).every(({ isMet, ratio }) => !isMet && ratio === undefined)).toBe(true);
  });

  it("divides CPU time, RPCs and rows by the requests", () => {
    const put = summarize(measured).find(({ id }) => id === "put");
    expect(put?.cpuUs).toBeCloseTo(1_000);
    expect(put).toMatchObject({ rpcs: expect.closeTo(0.2), rows: expect.closeTo(0.3), putsPerBatch: 10 });
    expect(tableOf(summarize(measured)).split("\n")).toHaveLength(measured.length + 1);
  });

  it("writes the promised keys", () => {
    const machine = {
      cpu: "c",
      cores: 2,
      memory_gib: 1,
      kernel: "k",
      load_average: 0.1,
      filesystem: "ext4",
      fsync_ms: 1,
    };
    const facts = {
      machine,
      versions: {},
      commit: "abc",
      command: "npm run bench --",
      rounds: 2,
      seconds: 1,
      connections: 32,
      open_loop_rates: { get: 1, put: 1 },
      errors: 0,
    };
    expect(JSON.parse(jsonOf(summarize(measured), judge(measured), facts))).toMatchObject({
      ratios: { put_vs_bare_row_write: 1.25, put_vs_naive: 3.125, strong_get_vs_bare_read: 0.75 },
      cpu_us: { put: 1_000, bare_row_write: 1_000 },
      rows_per_put: 0.3,
      rpcs_per_put: 0.2,
      machine,
      commit: "abc",
      rounds: 2,
    });
  });
});

describe("what is measured beside the load", () => {
  it("reads the CPU time of a process whose name is made to confuse", () => {
    expect(cpuSecondsFrom("7 (a) S 1 (b) R 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0")).toBe(3);
    expect(() => cpuSecondsFrom("7 (a) R 1")).toThrow("not as expected");
  });

  it("reads the CPU time of this very process, which has used some", () => {
    expect(cpuSecondsOf([process.pid])).toBeGreaterThan(0);
  });

  it("adds up the replicas' counters and refuses one that went backwards", () => {
    expect(sumCounters([{ a: 1 }, { a: 2, b: 3 }])).toEqual({ a: 3, b: 3 });
    expect(countersMoved({ a: 1 }, { a: 3, b: 2 })).toEqual({ a: 2, b: 2 });
    expect(() => countersMoved({ a: 3 }, { a: 1 })).toThrow("restarted");
  });

  it("counts rows that are owed like rows that are written, so that a checkpoint changes nothing", () => {
    const before = { counters: { rows_written: 100 }, dirtyKeys: 40, firstIndex: 1, lastIndex: 10 };
    const after = { counters: { rows_written: 100 + 40 + 8 }, dirtyKeys: 0, firstIndex: 9, lastIndex: 10 };
    expect(rowsOf(after)).toBe(rowsOf(before));
    expect(rowsOf({ ...before, dirtyKeys: undefined })).toBeNaN();
  });

  it("finds the file system of a directory by its deepest mount point", () => {
    const mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/sda /mnt/my\\040disk xfs rw 0 0\n";
    expect(filesystemOf("/home/halo", mounts)).toBe("ext4");
    expect(filesystemOf("/tmp/halo", mounts)).toBe("tmpfs");
    expect(filesystemOf("/tmporary", mounts)).toBe("ext4");
    expect(filesystemOf("/mnt/my disk/halo", mounts)).toBe("xfs");
    expect([isRealDisk("ext4"), isRealDisk("tmpfs")]).toEqual([true, false]);
  });

  it("collects what went wrong from all runs", () => {
    const complaints = new Complaints();
    complaints.add("put", { ...loadOf(1), errors: 7, errorSamples: ["status 500"] });
    complaints.add("get", loadOf(1));
    expect([complaints.count, complaints.samples]).toEqual([7, ["put: status 500"]]);
  });
});

describe("the CPU time of a process's threads", () => {
  it("grows with what it does, and is no more than the process has used", () => {
    const before = cpuSecondsOfThreads([process.pid]);
    const own = process.cpuUsage();
    while (process.cpuUsage(own).user < 20_000) Math.sqrt(2);
    const after = cpuSecondsOfThreads([process.pid]);
    expect(after - before).toBeGreaterThan(0.01);
    const { user, system } = process.cpuUsage();
    expect(before).toBeLessThanOrEqual((user + system) / 1e6);
  });
});

describe("loading", () => {
  it("goes on with fewer at a time where the system sheds, until every key is written", async () => {
    let [underWay, mostTaken, shed] = [0, 0, 0];
    const target = await httpServer((request, response) => {
      underWay += 1;
      const isTaken = underWay <= 20;
      if (isTaken) mostTaken = Math.max(mostTaken, underWay);
      else shed += 1;
      request.resume().on("end", () =>
        setImmediate(() => {
          underWay -= 1;
          response.writeHead(isTaken ? 201 : 503, { "Retry-After": "0" }).end();
        }),
      );
    });
    const dataSet = new DataSet({ isLoaded: false });
    await loadDataSet({ name: "shedding", target, dataSet });
    expect(dataSet.isLoaded).toBe(true);
    expect(shed).toBeGreaterThan(0);
    expect(mostTaken).toBeGreaterThan(4);
  });
});

describe("the command line", () => {
  it("has at least five rounds and 32 connections unless told otherwise", () => {
    expect(parseBenchOptions([])).toMatchObject({ isQuick: false, rounds: 5, connections: 32 });
    expect(parseBenchOptions(["--quick", "--json", "f"])).toMatchObject({ isQuick: true, jsonFile: "f" });
    expect(parseBenchOptions(["--quick", "--rounds", "7", "--paths", "put,naive_put"])).toMatchObject({
      rounds: 7,
      paths: ["put", "naive_put"],
    });
    expect(parseBenchOptions(["--help"])).toBeUndefined();
  });

  it.each([["--rounds", "0"], ["--rounds", "1.5"], ["--seconds", "x"], ["--unknown"]])("refuses %s %s", (...argv) => {
    expect(() => parseBenchOptions(argv)).toThrow(expect.objectContaining({ name: "UsageError" }));
  });
});
