// The judge of client histories on histories that are known to be good and known to be bad, checker by checker.

import { describe, expect, test } from "vitest";
import { type ClientOperation, HistoryError } from "../../../checkers/client-operation.ts";
import { judge } from "../../../checkers/judge.ts";
import { read, remove, swap, write } from "./histories.ts";

type Named = readonly [string, readonly ClientOperation[]];

const other = { client: 2 };
const lower = (level: "session" | "bounded" | "eventual", bound_ms?: number) => ({ level, bound_ms });

function checkersThatObject(history: readonly ClientOperation[]): readonly string[] {
  return [...new Set(judge(history).violations.map(({ checker }) => checker))];
}

describe("a good history", () => {
  test.each<Named>([
    ["a write and the read that sees it", [write(0, 1, "a", { result: "created" }), read(2, 3, "a")]],
    ["an open write that nobody saw", [write(0, 1, "a"), write(2, undefined, "b"), read(5, 6, "a")]],
    [
      "an open write that took effect late",
      [write(0, 1, "a"), write(2, undefined, "b"), read(5, 6, "a"), read(7, 8, "b")],
    ],
    ["an open deletion that took effect", [write(0, 1, "a"), remove(2, undefined), read(5, 6, "a"), read(7, 8, null)]],
    ["an open swap that took effect", [write(0, 1, "a"), swap(2, undefined, "a", "b"), read(7, 8, "b")]],
    ["a swap of nothing for something", [swap(0, 1, null, "a", { result: "swapped" }), read(2, 3, "a")]],
    [
      "a swap that met something else",
      [write(0, 1, "a"), swap(2, 3, "z", "b", { outcome: "fail", result: "mismatch" }), read(4, 5, "a")],
    ],
    [
      "a refused write that did nothing",
      [write(0, 1, "a", { outcome: "fail", result: "unavailable" }), read(2, 3, null)],
    ],
    [
      "an eventual read of the past",
      [write(0, 1, "a"), write(2, 3, "b"), read(90, 91, "a", { ...other, ...lower("eventual") })],
    ],
    [
      "a bounded read within its bound",
      [write(0, 1, "a"), write(50, 60, "b"), read(150, 151, "a", { ...other, ...lower("bounded", 100) })],
    ],
    [
      "a session that has seen nothing of a later write",
      [write(0, 1, "a"), write(2, 3, "b", other), read(4, 5, "a", lower("session"))],
    ],
  ])("has no violation: %s", (_, history) => {
    expect(judge(history)).toMatchObject({ isGood: true, violations: [], undecided: [] });
  });

  test("is not one without an operation", () => {
    expect(judge([]).isGood).toBe(false);
  });

  test("may have hundreds of open writes that nobody saw on one key", () => {
    const history = Array.from({ length: 400 }, (_, n) => [
      write(n * 10, n * 10 + 5, `v${n}`, { result: n === 0 ? "created" : "replaced" }),
      write(n * 10 + 1, undefined, `open${n}`),
      read(n * 10 + 6, n * 10 + 9, `v${n}`),
    ]).flat();
    expect(judge(history).isGood).toBe(true);
  });
});

describe("a bad history", () => {
  test.each<readonly [string, string, readonly ClientOperation[]]>([
    ["linearizability", "a stale strong read", [write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a"), read(6, 7, "b")]],
    [
      "linearizability",
      "two swaps of one value",
      [write(0, 1, "a"), swap(2, 9, "a", "b"), swap(2, 9, "a", "c", other)],
    ],
    [
      "linearizability",
      "a swap that failed although the value was there",
      [write(0, 1, "a"), swap(2, 3, "a", "b", { outcome: "fail", result: "mismatch" })],
    ],
    [
      "linearizability",
      "a swap that found nothing although something was there",
      [write(0, 1, "a"), swap(2, 3, "z", "b", { outcome: "fail", result: "absent" })],
    ],
    [
      "linearizability",
      "a write that says it created what was there",
      [write(0, 1, "a"), write(2, 3, "b", { result: "created" })],
    ],
    [
      "linearizability",
      "a deletion that found nothing where something was",
      [write(0, 1, "a"), remove(2, 3, { result: "absent" })],
    ],
    [
      "no acknowledged write lost",
      "the last read misses a write",
      [write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a")],
    ],
    ["no acknowledged write lost", "the last read finds nothing", [write(0, 1, "a"), read(4, 5, null)]],
    ["no acknowledged write lost", "a deletion is undone", [write(0, 1, "a"), remove(2, 3), read(4, 5, "a")]],
    ["values come from writes", "a value that nobody wrote", [read(0, 1, "a", lower("eventual"))]],
    [
      "values come from writes",
      "a value whose write was refused",
      [write(0, 1, "a", { outcome: "fail", result: "unavailable" }), read(2, 3, "a", lower("eventual"))],
    ],
    [
      "values come from writes",
      "a value that is seen before it is sent",
      [read(0, 1, "a", lower("eventual")), write(2, 3, "a")],
    ],
    [
      "values come from writes",
      "a value with two versions",
      [write(0, 1, "a", { version: 1 }), read(2, 3, "a", { ...lower("eventual"), version: 2 })],
    ],
    [
      "session guarantees",
      "a session misses its own write",
      [write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a", lower("session"))],
    ],
    [
      "session guarantees",
      "a session sees what its own deletion removed",
      [write(0, 1, "a"), remove(2, 3), read(4, 5, "a", lower("session"))],
    ],
    [
      "session guarantees",
      "a session goes back behind what it saw",
      [
        write(0, 1, "a", other),
        write(2, 3, "b", other),
        read(4, 5, "b", lower("eventual")),
        read(6, 7, "a", lower("session")),
      ],
    ],
    [
      "session guarantees",
      "a session goes back between two writes that overlapped",
      [
        write(0, 9, "a", { ...other, version: 1 }),
        write(0, 9, "b", { client: 3, version: 2 }),
        read(10, 11, "b", { ...lower("session"), version: 2 }),
        read(12, 13, "a", { ...lower("session"), version: 1 }),
      ],
    ],
    [
      "staleness bound",
      "a bounded read is staler than asked",
      [write(0, 1, "a"), write(2, 3, "b"), read(150, 151, "a", { ...other, ...lower("bounded", 100) })],
    ],
    [
      "monotonic bookmarks",
      "a strong read from before an acknowledged write",
      [write(0, 1, "a", { shard: 0, index: 7 }), read(2, 3, "a", { shard: 0, index: 6 })],
    ],
    [
      "monotonic bookmarks",
      "a session read from before its bookmark",
      [read(0, 1, null, { ...lower("session"), shard: 0, index: 4, after_index: 5 })],
    ],
    [
      "monotonic bookmarks",
      "a bookmark that comes back smaller",
      [read(0, 1, null, { ...lower("session"), shard: 0, index: 9, after_index: 5, bookmark_index: 4 })],
    ],
    ["the level that was asked for", "a strong read answered by a follower", [read(0, 1, null, { met: "eventual" })]],
  ])("breaks %s: %s", (checker, _, history) => {
    expect(checkersThatObject(history)).toContain(checker);
    expect(judge(history).isGood).toBe(false);
  });

  test("says what it was seen in", () => {
    const [found] = judge([write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a")]).violations;
    expect(found?.evidence.join("\n")).toContain("write k b");
    expect(found?.evidence.join("\n")).toContain("read k: ok a");
  });

  test("is one whose search was given up", () => {
    const history = [...Array.from({ length: 30 }, (_, n) => write(0, 100, `v${n}`)), read(200, 201, null)];
    expect(judge(history, 1_000)).toMatchObject({ isGood: false, undecided: ["k"] });
  });

  test("cannot be judged where one value is written twice", () => {
    expect(() => judge([write(0, 1, "a"), write(2, 3, "a")])).toThrow(HistoryError);
  });
});

test("keys are judged apart", () => {
  const history = [write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a"), read(4, 5, null, { key: "other" })];
  expect(
    judge(history)
      .violations.map(({ message }) => message)
      .join(),
  ).not.toContain("other");
});

test("a key whose last write no strong read followed is named", () => {
  expect(judge([read(0, 1, null), write(2, 3, "a")]).notReadBack).toEqual(["k"]);
  expect(judge([write(2, 3, "a"), read(4, 5, "a")]).notReadBack).toEqual([]);
});
