// When a batch waits for company, and when it may overtake a commit.

import { describe, expect, test } from "vitest";
import { type Commit, CommitPace } from "../../../durable/commit-pace.ts";

const NOBODY = 0;
/** A round trip. */
const NEAR_MS = 3;
/** The farthest that anything is waited for. */
const LONG_MS = 1_000;

/** A commit that took no longer than the network. */
function near(writes: number, waiting = NOBODY): Commit {
  return { writes, waiting, tookMs: NEAR_MS, roundTripMs: NEAR_MS };
}

describe("a batch", () => {
  test("never waits before the first commit, nor when the last batches had a single write", () => {
    const pace = new CommitPace();
    expect(pace.lingerMs(1, 0)).toBe(0);
    pace.noteCommit(near(1), 100);
    pace.noteArrival(1, 101);
    expect(pace.lingerMs(1, 101)).toBe(0);
    expect(pace.nextExpectedMs).toBeUndefined();
  });

  test("waits for as many writers as the last one had, and no longer once they are there or stop coming", () => {
    const pace = new CommitPace();
    pace.noteCommit(near(8), 100);
    pace.noteArrival(1, 110);
    const waitMs = pace.lingerMs(1, 110);
    expect(waitMs).toBeGreaterThan(0);
    expect(pace.lingerMs(8, 110)).toBe(0);
    expect(pace.lingerMs(1, 110 + waitMs)).toBe(0);
  });

  test("waits while they keep coming, up to a limit since the first of them", () => {
    const pace = new CommitPace();
    pace.noteCommit(near(100), 100);
    let nowMs = 105;
    for (let waiting = 1; waiting < 100 && (waiting === 1 || pace.lingerMs(waiting, nowMs) > 0); waiting++) {
      nowMs++;
      pace.noteArrival(waiting, nowMs);
    }
    expect(nowMs).toBeGreaterThan(110);
    expect(nowMs).toBeLessThan(125);
  });

  test("does not wait for the company of long ago", () => {
    const pace = new CommitPace();
    pace.noteCommit(near(8), 100);
    pace.noteArrival(1, 200);
    expect(pace.lingerMs(1, 200)).toBe(0);
  });

  test("waits for the many even when a straggler had a batch alone in between", () => {
    const pace = new CommitPace();
    pace.noteCommit(near(31), 100);
    pace.noteCommit(near(1), 110);
    pace.noteArrival(1, 112);
    expect(pace.lingerMs(1, 112)).toBeGreaterThan(0);
    expect(pace.lingerMs(31, 112)).toBe(0);
  });

  test("brings two bands of writers that take turns together within a few commits", () => {
    const pace = new CommitPace();
    const bands = [20, 12] as const;
    let hasMerged = false;
    for (let commit = 0; commit < 10 && !hasMerged; commit++) {
      const [writes, waiting] = commit % 2 === 0 ? bands : [bands[1], NOBODY];
      pace.noteCommit(near(writes, waiting), commit * 10);
      hasMerged = writes === 20 && pace.lingerMs(31, commit * 10) > 0;
    }
    expect(hasMerged).toBe(true);
    expect(pace.lingerMs(32, 0)).toBe(0);
  });
});

describe("where commits take longer than the network", () => {
  /** So many commits of two writes, each so much beyond the round trip and twenty milliseconds after the last. */
  function busy(excessMs: number, writes = 2): { readonly pace: CommitPace; readonly nowMs: number } {
    const pace = new CommitPace();
    let nowMs = 0;
    for (let commit = 0; commit < 50; commit++) {
      nowMs += 20;
      pace.noteCommit({ ...near(commit === 45 ? 7 : writes), tookMs: NEAR_MS + excessMs }, nowMs);
    }
    return { pace, nowMs };
  }

  /** How long after the last commit so many that wait since then leave. */
  function leavesAfterMs({ pace, nowMs }: ReturnType<typeof busy>, waiting: number): number {
    let waitedMs = 0;
    while (waitedMs < LONG_MS && pace.lingerMs(waiting, nowMs + waitedMs) > 0) waitedMs++;
    return waitedMs;
  }

  test("a batch follows the later, the longer they take, so that it is thicker", () => {
    expect(leavesAfterMs(busy(0), 2)).toBe(0);
    const [little, much] = [leavesAfterMs(busy(2), 2), leavesAfterMs(busy(6), 2)];
    expect(little).toBeGreaterThan(2);
    expect(much).toBeGreaterThan(2 * little);
  });

  test("it waits no longer than writers take to come back, and not at all once all are there that are known", () => {
    expect(leavesAfterMs(busy(500), 2)).toBeLessThanOrEqual(32);
    expect(leavesAfterMs(busy(500), 6)).toBe(0);
  });

  test("it does not wait for more of them where it is thick as it is", () => {
    const pace = new CommitPace();
    pace.noteCommit({ ...near(40), tookMs: LONG_MS }, 0);
    for (let nowMs = 20; nowMs <= 60; nowMs += 20) pace.noteCommit({ ...near(6), tookMs: LONG_MS }, nowMs);
    expect(pace.lingerMs(6, 65)).toBeGreaterThan(0);
    expect(pace.lingerMs(12, 65)).toBe(0);
  });

  test("a writer alone waits for nobody", () => {
    const pace = new CommitPace();
    for (let commit = 1; commit < 50; commit++) {
      pace.noteCommit({ ...near(1), tookMs: 50 }, commit * 60);
      pace.noteArrival(1, commit * 60 + 1);
      expect(pace.lingerMs(1, commit * 60 + 1)).toBe(0);
    }
  });
});

describe("the next batch is expected", () => {
  test("where several write and batches follow each other, to tell what is committed", () => {
    const pace = new CommitPace();
    pace.noteCommit(near(2), 100);
    expect(pace.nextExpectedMs).toBeUndefined();
    pace.noteCommit(near(1), 110);
    expect(pace.nextExpectedMs).toBe(142);
    pace.noteCommit(near(2), 160);
    expect(pace.nextExpectedMs).toBeUndefined();
  });

  test("never of a writer alone, who may read next", () => {
    const pace = new CommitPace();
    for (let nowMs = 0; nowMs < 100; nowMs += 10) {
      pace.noteCommit(near(1), nowMs);
      expect(pace.nextExpectedMs).toBeUndefined();
    }
  });
});

describe("pipelining", () => {
  test("is for replicas that the network puts a round trip away, not for those whose disks are slow", () => {
    const pace = new CommitPace();
    expect(pace.intervalMs).toBe(Number.POSITIVE_INFINITY);
    pace.noteCommit(near(1), 500);
    expect(pace.intervalMs).toBe(Number.POSITIVE_INFINITY);
    pace.noteCommit({ ...near(1), tookMs: 80, roundTripMs: 80 }, 600);
    expect(pace.intervalMs).toBe(20);
  });

  test("is not for replicas of which nobody knows how far they are", () => {
    const pace = new CommitPace();
    pace.noteCommit({ ...near(1), roundTripMs: Number.POSITIVE_INFINITY }, 0);
    expect(pace.intervalMs).toBe(Number.POSITIVE_INFINITY);
  });
});
