// The linearizability checker on histories that are known to be good and known to be bad.

import { describe, expect, it } from "vitest";
import { registerModel } from "../../../checkers/register-model.ts";
import { checkLinearizability } from "../../../checkers/wing-gong-lowe.ts";
import type { Operation, Seen } from "../history.ts";

const OPEN = Number.POSITIVE_INFINITY;
const header = { id: 0, client: 0, key: "k", shard: 0 };

function seenOf(value: string | undefined): Seen | undefined {
  return value === undefined ? undefined : { value, version: Number(value.slice(1)) };
}

function read(invokedMs: number, returnedMs: number, value: string | undefined): Operation {
  const outcome = "ok";
  const seen = seenOf(value);
  return {
    ...header,
    kind: "read",
    level: "strong",
    met: "strong",
    afterIndex: 0,
    outcome,
    seen,
    invokedMs,
    returnedMs,
  };
}

function put(invokedMs: number, returnedMs: number, value: string, created?: boolean): Operation {
  const isOpen = returnedMs === OPEN;
  const result =
    isOpen || created === undefined
      ? undefined
      : ({ kind: "stored", version: Number(value.slice(1)), created } as const);
  return { ...header, kind: "put", value, outcome: isOpen ? "unknown" : "ok", result, invokedMs, returnedMs };
}

function cas(invokedMs: number, returnedMs: number, from: string, value: string, isStored: boolean): Operation {
  const version = Number(value.slice(1));
  const result = isStored
    ? ({ kind: "stored", version, created: false } as const)
    : ({ kind: "precondition_failed", version: 99 } as const);
  return { ...header, kind: "cas", value, expected: seenOf(from), outcome: "ok", result, invokedMs, returnedMs };
}

function judge(...history: readonly Operation[]): string {
  const timed = history.map((op) => ({ op, invokedMs: op.invokedMs, returnedMs: op.returnedMs }));
  return checkLinearizability(timed, registerModel(new Map())).kind;
}

describe("linearizability", () => {
  it.each<[string, readonly Operation[]]>([
    ["nothing at all", []],
    ["a read of nothing before the first write", [read(0, 1, undefined), put(2, 3, "v1", true)]],
    ["a read that overlaps a write and sees the old value", [put(0, 1, "v1"), put(2, 9, "v2"), read(3, 4, "v1")]],
    ["a read that overlaps a write and sees the new value", [put(0, 1, "v1"), put(2, 9, "v2"), read(3, 4, "v2")]],
    ["two overlapping writes in either order", [put(0, 9, "v1"), put(0, 9, "v2"), read(10, 11, "v1")]],
    ["an open write that took effect late", [put(0, 1, "v1"), put(2, OPEN, "v2"), read(5, 6, "v1"), read(8, 9, "v2")]],
    ["an open write that never took effect", [put(0, 1, "v1"), put(2, OPEN, "v2"), read(5, 6, "v1")]],
    [
      "a swap that succeeded and one that failed",
      [put(0, 1, "v1"), cas(2, 3, "v1", "v2", true), cas(4, 5, "v1", "v3", false)],
    ],
    ["a write between two swaps", [put(0, 1, "v1"), cas(2, 9, "v2", "v3", true), put(3, 8, "v2"), read(10, 11, "v3")]],
  ])("accepts %s", (_, history) => {
    expect(judge(...history)).toBe("linearizable");
  });

  it.each<[string, readonly Operation[]]>([
    ["a stale read after a write has returned", [put(0, 1, "v1"), put(2, 3, "v2"), read(4, 5, "v1")]],
    ["a read of nothing after a write has returned", [put(0, 1, "v1"), read(2, 3, undefined)]],
    ["a value that nobody has written", [put(0, 1, "v1"), read(2, 3, "v7")]],
    [
      "reads that go backwards during one write",
      [put(0, 1, "v1"), put(2, 20, "v2"), read(3, 4, "v2"), read(5, 6, "v1")],
    ],
    [
      "two readers who see two writes in different orders",
      [put(0, 20, "v1"), put(0, 20, "v2"), read(1, 2, "v1"), read(3, 4, "v2"), read(5, 6, "v1")],
    ],
    ["an open write seen before it began", [read(0, 1, "v2"), put(2, OPEN, "v2")]],
    ["two swaps from the same value", [put(0, 1, "v1"), cas(2, 9, "v1", "v2", true), cas(2, 9, "v1", "v3", true)]],
    ["a swap that failed although the value was there all the time", [put(0, 1, "v1"), cas(2, 3, "v1", "v2", false)]],
    ["a write that says it created what was there", [put(0, 1, "v1", true), put(2, 3, "v2", true)]],
  ])("refuses %s", (_, history) => {
    expect(judge(...history)).toBe("violation");
  });

  it("judges a long history with many open writes in a moment", () => {
    const history: Operation[] = [];
    for (let n = 1; n <= 400; n++) {
      history.push(put(n * 10, n * 10 + 5, `v${n}`), read(n * 10 + 6, n * 10 + 9, `v${n}`));
      if (n % 20 === 0) history.push(put(n * 10, OPEN, `v${1_000 + n}`));
    }
    expect(judge(...history)).toBe("linearizable");
  });

  it("says so when it gives the search up", () => {
    const history = Array.from({ length: 30 }, (_, n) => put(0, 100, `v${n + 1}`));
    const timed = [...history, read(200, 201, "v99")].map((op) => ({
      op,
      invokedMs: op.invokedMs,
      returnedMs: op.returnedMs,
    }));
    expect(checkLinearizability(timed, registerModel(new Map()), 1_000).kind).toBe("undecided");
  });
});
