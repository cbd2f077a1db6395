// When a batch waits for company, and when it may overtake a commit.

import { describe, expect, test } from "vitest";
import { CommitPace } from "../../../durable/commit-pace.ts";

const NOBODY = 0;
/** A round trip. */
const NEAR_MS = 3;

describe("a batch", () => {
  test("never waits before the first commit, nor when the last batches had a single write", () => {
    const pace = new CommitPace();
    expect(pace.lingerMs(1, 0)).toBe(0);
    pace.noteCommit(1, NOBODY, NEAR_MS, 100);
    pace.noteArrival(1, 101);
    expect(pace.lingerMs(1, 101)).toBe(0);
    expect(pace.nextExpectedMs).toBeUndefined();
  });

  test("waits for as many writers as the last one had, and no longer once they are there or stop coming", () => {
    const pace = new CommitPace();
    pace.noteCommit(8, NOBODY, NEAR_MS, 100);
    pace.noteArrival(1, 110);
    const waitMs = pace.lingerMs(1, 110);
    expect(waitMs).toBeGreaterThan(0);
    expect(pace.lingerMs(8, 110)).toBe(0);
    expect(pace.lingerMs(1, 110 + waitMs)).toBe(0);
  });

  test("waits while they keep coming, up to a limit since the first of them", () => {
    const pace = new CommitPace();
    pace.noteCommit(100, NOBODY, NEAR_MS, 100);
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
    pace.noteCommit(8, NOBODY, NEAR_MS, 100);
    pace.noteArrival(1, 200);
    expect(pace.lingerMs(1, 200)).toBe(0);
  });

  test("waits for the many even when a straggler had a batch alone in between", () => {
    const pace = new CommitPace();
    pace.noteCommit(31, NOBODY, NEAR_MS, 100);
    pace.noteCommit(1, NOBODY, NEAR_MS, 110);
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
      pace.noteCommit(writes, waiting, NEAR_MS, commit * 10);
      hasMerged = writes === 20 && pace.lingerMs(31, commit * 10) > 0;
    }
    expect(hasMerged).toBe(true);
    expect(pace.lingerMs(32, 0)).toBe(0);
  });
});

describe("pipelining", () => {
  test("is for replicas that the network puts a round trip away, not for those whose disks are slow", () => {
    const pace = new CommitPace();
    expect(pace.intervalMs).toBe(Number.POSITIVE_INFINITY);
    pace.noteCommit(1, NOBODY, 3, 500);
    expect(pace.intervalMs).toBe(Number.POSITIVE_INFINITY);
    pace.noteCommit(1, NOBODY, 80, 600);
    expect(pace.intervalMs).toBe(20);
  });

  test("is not for replicas of which nobody knows how far they are", () => {
    const pace = new CommitPace();
    pace.noteCommit(1, NOBODY, Number.POSITIVE_INFINITY, 0);
    expect(pace.intervalMs).toBe(Number.POSITIVE_INFINITY);
  });
});
