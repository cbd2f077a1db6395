// History files: what is a line, what is none, and the message that says which line is wrong.

import { describe, expect, test } from "vitest";
import { HistoryError, parseHistory } from "../../../checkers/client-operation.ts";
import { linesOf, read, swap, write } from "./histories.ts";

const GOOD = {
  client: "a",
  op: "read",
  key: "k",
  level: "strong",
  call_ns: 1,
  return_ns: 2,
  outcome: "ok",
  result: null,
};

describe("a history file", () => {
  test("is read as it was written, empty lines skipped", () => {
    const history = [write(0, 1, "a"), read(2, 3, "a"), swap(4, undefined, null, "b")];
    expect(parseHistory(`\n${linesOf(history)}\n`)).toEqual(history);
  });

  test.each<readonly [string, object, RegExp]>([
    ["an unknown operation", { op: "increment" }, /line 2: op/],
    ["an unknown level", { level: "weak" }, /line 2: level/],
    ["a time that is no number", { call_ns: "1" }, /line 2: call_ns/],
    ["a read without a result", { result: undefined }, /line 2: a read needs a result/],
    ["a write without a value", { op: "write" }, /line 2: a write needs a value/],
    ["a swap that does not say what it expects", { op: "cas", value: "x" }, /line 2: a cas needs the expected value/],
    ["a bounded read without its bound", { level: "bounded" }, /line 2: a bounded read needs bound_ms/],
    ["an outcome without its time", { return_ns: undefined }, /line 2: an outcome "ok" needs return_ns/],
    ["a time for what is not known", { outcome: "unknown" }, /line 2: an unknown outcome has no return_ns/],
    ["an end before its beginning", { return_ns: 0 }, /line 2: return_ns is before call_ns/],
  ])("is refused with the number of the line that has %s", (_, change, message) => {
    const text = `${JSON.stringify(GOOD)}\n${JSON.stringify({ ...GOOD, ...change })}\n`;
    expect(() => parseHistory(text)).toThrow(HistoryError);
    expect(() => parseHistory(text)).toThrow(message);
  });

  test("is refused where a line is not JSON", () => {
    expect(() => parseHistory("{")).toThrow(/line 1 is not JSON/);
  });
});
