// What a failover run is judged by must itself be beyond doubt: that a lost write, a stale read and a gap are seen.

import { expect, test } from "vitest";
import { History, TrackedKey } from "../../../cluster/failover/history.ts";

function keyWith(ackedAt: readonly number[]): TrackedKey {
  const key = new TrackedKey("key", 0);
  for (const atMs of ackedAt) {
    key.sent += 1;
    key.acknowledge(atMs, `bookmark-${key.sent}`);
  }
  return key;
}

test("the highest value acknowledged at or before a time is found", () => {
  const key = keyWith([10, 20, 20, 30]);
  expect([5, 10, 19, 20, 29, 30, 99].map((timeMs) => key.ackedBefore(timeMs))).toEqual([0, 1, 1, 3, 3, 4, 4]);
});

test("a key remembers the last acknowledged value and its bookmark", () => {
  const key = keyWith([10, 20]);
  expect([key.acked, key.bookmark]).toEqual([2, "bookmark-2"]);
});

test("a strong read below what was acknowledged counts as stale", () => {
  const history = new History(1);
  history.checkRead("strong", keyWith([1, 2, 3]), 2, 3);
  expect(history.broken.staleStrongReads).toBe(1);
  expect(history.told).toEqual(["staleStrongReads: strong read of key returned 2, expected at least 3"]);
});

test("a session or bounded read below its floor counts apart from the strong ones", () => {
  const history = new History(1);
  history.checkRead("session", keyWith([1, 2]), 1, 2);
  history.checkRead("bounded", keyWith([1, 2]), 0, 1);
  expect([history.broken.staleLowerReads, history.broken.staleStrongReads]).toEqual([2, 0]);
});

test("a read may return the value under way but nothing beyond it, and nothing that is not a number", () => {
  const history = new History(1);
  const key = keyWith([1]);
  key.sent = 2;
  history.checkRead("eventual", key, 2, 0);
  expect(history.broken.inventedReads).toBe(0);
  history.checkRead("eventual", key, 3, 0);
  history.checkRead("eventual", key, Number.NaN, 0);
  expect(history.broken.inventedReads).toBe(2);
});

test("the longest gap reaches from the last success before the window to the first one in it", () => {
  const history = new History(1);
  for (const atMs of [100, 110, 300, 310, 320]) history.succeed(0, "write", atMs);
  expect(history.longestGap(0, "write", 150, 330)).toBe(190);
});

test("gaps before the window and after its end do not count", () => {
  const history = new History(1);
  for (const atMs of [0, 500, 510, 520, 530, 900]) history.succeed(0, "write", atMs);
  expect(history.longestGap(0, "write", 505, 535)).toBe(10);
});

test("a series that never succeeds again has a gap up to the end of the window", () => {
  const history = new History(2);
  history.succeed(1, "eventual", 40);
  expect(history.longestGap(1, "eventual", 50, 1_000)).toBe(960);
  expect(history.longestGap(0, "eventual", 50, 1_000)).toBe(950);
});
