// What `halo top` and `--wait` make of the cluster's views.

import { describe, expect, test } from "vitest";
import { leftOf } from "../../../cli/settle.ts";
import { progressText } from "../../../cli/terminal/progress.ts";
import { type Moment, screenLines, viewLine } from "../../../cli/top/frame.ts";
import { ratesBetween, sumOf } from "../../../cli/top/rates.ts";
import { clusterView, replicaView, shardView } from "./view.ts";

const PLAIN = {
  title: (text: string) => text,
  bad: (text: string) => `!${text}!`,
  soso: (text: string) => `?${text}?`,
};

function countedView(seconds: number, counters: readonly (Record<string, number> | null)[]) {
  const replicas = counters.map((counted, replica) => replicaView({ replica, counters: counted }));
  return clusterView({ atMs: seconds * 1_000, shards: [shardView({ replicas })] });
}

describe("rates", () => {
  test("are what was counted between two views, over all replicas, per second", () => {
    const before = countedView(10, [{ reads: 100, mutations: 50, elections: 1 }, { reads: 10 }]);
    const after = countedView(12, [{ reads: 140, mutations: 60, elections: 1 }, { reads: 30 }]);
    expect(sumOf(ratesBetween(before, after))).toEqual({ reads: 30, writes: 5, elections: 0 });
  });

  test("of an object that woke between are what it has counted since, never negative", () => {
    const rates = ratesBetween(countedView(10, [{ reads: 1_000 }]), countedView(11, [{ reads: 7 }]));
    expect(sumOf(rates).reads).toBe(7);
  });

  test("are nothing before a second view, and where a replica did not answer", () => {
    const view = countedView(10, [{ reads: 5 }]);
    expect(sumOf(ratesBetween(undefined, view)).reads).toBe(0);
    expect(sumOf(ratesBetween(countedView(9, [null]), view)).reads).toBe(0);
    expect(sumOf(ratesBetween(view, view)).reads).toBe(0);
  });
});

describe("a screen", () => {
  const moment = (changed: Partial<Moment> = {}): Moment => {
    const view = changed.view ?? clusterView();
    return { view, rates: ratesBetween(undefined, view), changes: [], stale: undefined, ...changed };
  };

  test("shows each shard with its leader and how far its followers are behind", () => {
    const lines = screenLines(moment(), PLAIN, 24);
    expect(lines[0]).toBe("halo 0.1.0  epoch 0  2 shards  6/6 replicas  12:00:00");
    expect(lines.filter((line) => /active .* weur {4}enam \(0\) {2}apac \(0\)$/.test(line))).toHaveLength(2);
  });

  test("marks a replica that is in doubt, and says why what it shows is not the present", () => {
    const dead = replicaView({ replica: 2, health: "dead", error: "no answer", role: null, lag: null });
    const view = clusterView({ shards: [shardView({ replicas: [replicaView(), replicaView({ replica: 1 }), dead] })] });
    const lines = screenLines(moment({ view, stale: "\u001b[2Jgone" }), PLAIN, 24);
    expect(lines).toContainEqual(expect.stringContaining("!enam (0)  apac dead!"));
    expect(lines).toContain("!stale since 12:00:00: \\x1b[2Jgone!");
    expect(viewLine(moment({ view }))).toContain("in doubt: halo:halo:s0:r2:g1 dead");
  });

  test("tells a group that sleeps from one that has lost its leader", () => {
    const replicas = (quiesced: boolean) =>
      [0, 1, 2].map((replica) => replicaView({ replica, role: "follower", quiesced }));
    const sleeping = clusterView({ shards: [shardView({ replicas: replicas(true) })] });
    const headless = clusterView({ shards: [shardView({ replicas: replicas(false) })] });
    expect(screenLines(moment({ view: sleeping }), PLAIN, 24).join("\n")).toContain("?asleep?");
    expect(screenLines(moment({ view: headless }), PLAIN, 24).join("\n")).toContain("?none?");
    expect(viewLine(moment({ view: sleeping }))).not.toContain("without a leader");
    expect(viewLine(moment({ view: headless }))).toContain("1 shards without a leader");
  });

  test("is never higher than the terminal, and says what it leaves out", () => {
    const shards = Array.from({ length: 100 }, (_, shard) => shardView({ shard }));
    const changes = Array.from({ length: 100 }, (_, at) => ({ atMs: at, kind: "epoch" as const, text: `epoch ${at}` }));
    for (const height of [5, 10, 24, 50]) {
      const lines = screenLines(moment({ view: clusterView({ shards }), changes }), PLAIN, height);
      expect(lines.length).toBeLessThanOrEqual(height);
    }
    const lines = screenLines(moment({ view: clusterView({ shards }), changes }), PLAIN, 24);
    expect(lines.join("\n")).toMatch(/… \d+ more shards/);
    expect(lines.at(-1)).toContain("epoch 99");
  });
});

describe("a change", () => {
  const pair = { from: 0, to: 1, epoch: 5, slots: 3 };

  test("is not done while slots are to move, nor while those that were called off are to be confirmed", () => {
    expect(leftOf(clusterView({ epoch: 5, moves: { pending: [pair], cancelled: [pair] } }), 5)).toEqual({
      slots: 6,
      replicas: 0,
    });
    expect(leftOf(clusterView({ epoch: 6 }), 5)).toEqual({ slots: 0, replicas: 0 });
  });

  test("is not done by a view from before it", () => {
    expect(leftOf(clusterView({ epoch: 4 }), 5)).toBeUndefined();
  });

  test("of replicas is not done while one of those that are listed does not vote", () => {
    expect(leftOf(clusterView({ epoch: 5, underReplicated: [{ shard: 0, missing: ["new"] }] }), 5)?.replicas).toBe(1);
  });
});

test("progress says how far it is, how fast, and how long it will take", () => {
  expect(progressText({ done: 50, total: 200, elapsedMs: 5_000 }, "slots")).toBe(
    "[██████░░░░░░░░░░░░░░░░░░] 25 % 50 of 200 slots, 10/s, 15s left",
  );
  expect(progressText({ done: 0, total: 0, elapsedMs: 0 }, "slots")).toContain("100 %");
  expect(progressText({ done: 1_000, total: undefined, elapsedMs: 1_000 }, "entries")).toBe("1,000 entries, 1,000/s");
});
