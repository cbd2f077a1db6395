// A short chaos run with a fixed seed on real processes, its history judged, and then the same history corrupted in ways
// that broken replication would show: a judge that misses those proves nothing by being content with the rest.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ClientOperation, parseHistory } from "../../checkers/client-operation.ts";
import { judge } from "../../checkers/judge.ts";
import { FaultNetwork } from "../../cluster/chaos/fault-network.ts";
import { Recorder } from "../../cluster/chaos/recorder.ts";
import { type ChaosFigures, faultsOf, figuresOf, tellViolations } from "../../cluster/chaos/report.ts";
import { type ChaosRun, CLIENTS_DEFAULT, KEYS_DEFAULT, runChaos } from "../../cluster/chaos/run.ts";
import type { FaultKind } from "../../cluster/chaos/schedule.ts";
import { describeCluster } from "../../cluster/status.ts";
import { type RegionCluster, startRegionCluster } from "../../cluster/supervisor.ts";
import { newToken } from "../../cluster/token.ts";
import { Command } from "./support/command.ts";

/** Its first seconds have eight kinds of fault, among them a region that is cut from its peers and goes on answering. */
const SEED = 21;
const FAULTS_MS = 16_000;
const KINDS: readonly FaultKind[] = ["kill", "kill_all", "kill_workerd", "freeze", "isolate", "cut_from_peers", "mute"];
const RUN_TIMEOUT_MS = 240_000;

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "halo-test-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("a chaos run", () => {
  let cluster: RegionCluster | undefined;
  let recorder: Recorder;
  let run: ChaosRun;
  let figures: ChaosFigures;
  let operations: readonly ClientOperation[];
  let begun = 0;
  let over = 0;

  beforeAll(async () => {
    recorder = await Recorder.open(historyFile());
    let network: FaultNetwork | undefined;
    cluster = await startRegionCluster({
      regions: ["weur", "enam", "apac"],
      shards: 3,
      token: newToken(),
      openNetwork: FaultNetwork.opener((opened) => {
        network = opened;
      }),
    });
    if (network === undefined) throw new Error("the cluster has opened no network");
    try {
      run = await runChaos(cluster, network, {
        seed: SEED,
        durationMs: FAULTS_MS,
        clients: CLIENTS_DEFAULT,
        keys: KEYS_DEFAULT,
        recorder,
        signal: new AbortController().signal,
        onFault: (_, what) => {
          if (what === "begins") begun += 1;
          else over += 1;
        },
      });
    } catch (error) {
      console.error(`seed ${SEED}`, cluster.runDir, await describeCluster(cluster), cluster.logTails());
      throw error;
    } finally {
      await recorder.close();
    }
    operations = recorder.operations;
    figures = figuresOf(SEED, run, operations);
  }, RUN_TIMEOUT_MS);

  afterAll(async () => {
    await cluster?.stop();
  });

  function historyFile(): string {
    return path.join(directory, "history.jsonl");
  }

  test("has begun and ended every fault of its schedule", () => {
    expect([begun, over]).toEqual([faultsOf(run).length, faultsOf(run).length]);
    for (const kind of KINDS) expect(figures.fault_counts).toHaveProperty(kind);
  });

  test("has a history of all operations at all levels", () => {
    for (const level of ["strong", "session", "bounded", "eventual"]) {
      expect(figures.outcomes[`${level} read ok`]).toBeGreaterThan(0);
    }
    for (const change of ["write", "cas", "delete"]) expect(figures.outcomes[`${change} ok`]).toBeGreaterThan(0);
  });

  test("ends with a good verdict: nothing lost, nothing stale, writes resumed", () => {
    expect(figures.problems, tellViolations(run.judgement)).toEqual([]);
    expect(figures.verdict).toBe("good");
  });

  test("leaves a file that says the same, for whoever wants to judge it again", async () => {
    expect(parseHistory(await readFile(historyFile(), "utf8"))).toEqual(operations);
    const checked = await checkHistory(historyFile());
    expect(checked).toEqual({ status: 0, output: expect.stringMatching(/^GOOD$/m) });
  });

  describe("whose history is corrupted", () => {
    /** Reads at the end whose value had been acknowledged before, and an acknowledged older value of the same key. */
    function lastRead(): { readonly at: number; readonly older: string } {
      for (let at = operations.length - 1; at >= 0; at -= 1) {
        const read = operations[at];
        if (read?.op !== "read" || read.level !== "strong" || read.outcome !== "ok") continue;
        const newest = operations.find((each) => each.key === read.key && each.value === read.result);
        const older = operations.find(
          ({ op, key, outcome, return_ns = Number.POSITIVE_INFINITY }) =>
            op === "write" && key === read.key && outcome === "ok" && return_ns < (newest?.call_ns ?? 0),
        );
        if (older?.value !== undefined && newest?.outcome === "ok") return { at, older: older.value };
      }
      throw new Error("no key was written twice and read at the end");
    }

    function changed(at: number, change: Partial<ClientOperation>): readonly ClientOperation[] {
      // Without its version: the value alone has to give it away.
      return operations.map((each, position) => (position === at ? { ...each, version: undefined, ...change } : each));
    }

    function objections(history: readonly ClientOperation[]): readonly string[] {
      return judge(history).violations.map(({ checker }) => checker);
    }

    test("is refused where a strong read shows an older value", () => {
      const { at, older } = lastRead();
      const found = objections(changed(at, { result: older }));
      expect(found).toContain("linearizability");
      expect(found).toContain("no acknowledged write lost");
    });

    test("is refused where an acknowledged value is gone at the end", () => {
      const key = operations.findLast(
        ({ op, level, outcome, result }) => op === "read" && level === "strong" && outcome === "ok" && result !== null,
      )?.key;
      const withoutDeletions = operations.filter((each) => each.key !== key || each.op !== "delete");
      const at = withoutDeletions.findLastIndex((each) => each.key === key && each.op === "read");
      const history = withoutDeletions.map((each, position) => (position === at ? { ...each, result: null } : each));
      expect(objections(history)).toContain("no acknowledged write lost");
    });

    test("is refused where a write that others saw was never sent, or was refused", () => {
      const seen = new Set(operations.filter(({ op }) => op === "read").map(({ result }) => result));
      const at = operations.findIndex(
        ({ op, outcome, value = "" }) => op === "write" && outcome === "ok" && seen.has(value),
      );
      expect(objections(operations.toSpliced(at, 1))).toContain("values come from writes");
      expect(objections(changed(at, { outcome: "fail", result: "unavailable" }))).toContain("values come from writes");
    });

    test("is refused where a session misses its own write", () => {
      const { at, older } = lastRead();
      const read = operations[at];
      const writer = operations.find(({ key, value }) => key === read?.key && value === read?.result)?.client;
      const found = objections(changed(at, { client: writer ?? "", level: "session", result: older }));
      expect(found).toContain("session guarantees");
    });

    test("is refused where a bounded read is staler than its bound", () => {
      const { at, older } = lastRead();
      const found = objections(changed(at, { client: "other", level: "bounded", bound_ms: 0, result: older }));
      expect(found).toContain("staleness bound");
    });

    test("is refused by the command too, which says why", async () => {
      const { at, older } = lastRead();
      const file = path.join(directory, "corrupted.jsonl");
      const lines = changed(at, { result: older }).map((each) => JSON.stringify(each));
      await writeFile(file, lines.join("\n"));
      const checked = await checkHistory(file);
      expect(checked).toEqual({ status: 1, output: expect.stringMatching(/^BAD: .*linearizability/m) });
      expect(checked.output).toContain(`ok ${older}`);
    });
  });
});

describe("the command", () => {
  let started: Command | undefined;

  afterEach(async () => {
    await started?.dispose();
  });

  test("that is ended by Ctrl-C in the middle of a fault leaves nothing behind", async () => {
    const history = path.join(directory, "ended.jsonl");
    const options = ["--minutes", "5", "--seed", String(SEED), "--history", history];
    started = new Command(process.execPath, ["cluster/chaos/main.ts", ...options]);
    await started.untilOutput(/ s {2}kill_all/);
    const [, url = "", runDir = ""] = /edge at (\S+), logs in (\S+)/.exec(started.output) ?? [];
    expect(existsSync(runDir)).toBe(true);
    started.pressCtrlC();
    expect(await started.untilEnd()).toBe(1);
    expect(started.output).toContain(`ended by SIGINT before the verdict; seed ${SEED}`);
    expect(existsSync(runDir)).toBe(false);
    await expect(fetch(url)).rejects.toThrow();
    // What it saw until then is kept, and good.
    expect(judge(parseHistory(await readFile(history, "utf8"))).violations).toEqual([]);
  });

  test("stops with one clear line at a time that is none", async () => {
    started = new Command(process.execPath, ["cluster/chaos/main.ts", "--minutes", "0"]);
    expect(await started.untilEnd()).toBe(1);
    expect(started.output).toBe('halo: --minutes is "0": expected a number above 0, up to 1440\n');
  });

  test("that checks a history says which line is none", async () => {
    const file = path.join(directory, "broken.jsonl");
    await writeFile(file, '{"client": 1}\n');
    const checked = await checkHistory(file);
    expect(checked).toEqual({ status: 1, output: expect.stringMatching(/broken\.jsonl: line 1: op: /) });
  });
});

async function checkHistory(file: string): Promise<{ status: number | NodeJS.Signals | null; output: string }> {
  const command = new Command(process.execPath, ["cluster/chaos/check-history.ts", file]);
  const status = await command.untilEnd();
  return { status, output: command.output };
}
