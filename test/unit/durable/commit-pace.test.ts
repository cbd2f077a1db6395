// When a batch waits for company, and when it may overtake a commit.

import { describe, expect, test } from "vitest";
import { CommitPace } from "../../../durable/commit-pace.ts";

describe("a batch", () => {
  test("never waits before the first commit, nor when the last batch had a single write", () => {
    const pace = new CommitPace();
    expect(pace.lingerMs(1, 0)).toBe(0);
    pace.noteCommit(1, 5, 100);
    expect(pace.lingerMs(1, 100)).toBe(0);
    expect(pace.nextExpectedMs).toBeUndefined();
  });

  test("waits a little for as many writers as the last one had, and no longer once they are there", () => {
    const pace = new CommitPace();
    pace.noteCommit(8, 5, 100);
    const waitMs = pace.lingerMs(3, 100);
    expect(waitMs).toBeGreaterThan(0);
    expect(pace.lingerMs(8, 100)).toBe(0);
    expect(pace.lingerMs(3, 100 + waitMs)).toBe(0);
    expect(pace.nextExpectedMs).toBe(100 + waitMs);
  });
});

describe("pipelining", () => {
  test("is for replicas whose quickest commit takes a network round trip, whatever queueing makes of the others", () => {
    const near = new CommitPace();
    near.noteCommit(1, 3, 0);
    near.noteCommit(1, 500, 0);
    expect(near.intervalMs).toBe(Number.POSITIVE_INFINITY);
    const far = new CommitPace();
    far.noteCommit(1, 80, 0);
    far.noteCommit(1, 200, 0);
    expect(far.intervalMs).toBe(20);
  });

  test("follows replicas that have moved, once the old commits are forgotten", () => {
    const pace = new CommitPace();
    pace.noteCommit(1, 3, 0);
    for (let commit = 0; commit < 128; commit++) pace.noteCommit(1, 80, 0);
    expect(pace.intervalMs).toBe(20);
  });
});
