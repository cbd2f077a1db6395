// The checkers of the data model's workload on histories that are known to be good and known to be bad.

import { describe, expect, it } from "vitest";
import { checkLinearizability } from "../../../checkers/wing-gong-lowe.ts";
import type { KeyMutation, Mutation, Outcome, PurgeScope } from "../../../durable/store/command.ts";
import { slotOf } from "../../../routing/slots.ts";
import { bytesOf } from "../values.ts";
import type { CommandOperation, FillGrant, PurgeOperation } from "../workload/history.ts";
import { CELLS_MODEL, type CellCommand, type CellOperation, type Cells, EVICTABLE_CELL_MODEL } from "./cells-model.ts";
import { checkFills } from "./fills.ts";
import { checkLargeValues } from "./large-values.ts";
import { checkLifetimes } from "./lifetimes.ts";
import { checkLock } from "./locks.ts";
import { LogModel } from "./log-model.ts";
import { checkRateLimit } from "./rate-limits.ts";
import type { Report } from "./report.ts";
import { checkScan } from "./scans.ts";

const OPEN = Number.POSITIVE_INFINITY;

function reportsOf(run: (report: Report) => void): readonly string[] {
  const reports: string[] = [];
  run((message) => reports.push(message));
  return reports;
}

const at = { slot: 0, key: "k" };

function put(value: string, more: Partial<Extract<KeyMutation, { kind: "put" }>> = {}) {
  return { kind: "put", ...at, value: bytesOf(value), contentType: "", ...more } as const;
}

function stored(version: number, expiresMs?: number, created = true): Outcome {
  return { kind: "stored", version, created, expiresMs };
}

function operation(
  invokedMs: number,
  returnedMs: number,
  command: CommandOperation["command"],
  told?: Outcome,
  more: Partial<CommandOperation> = {},
): CommandOperation {
  const outcome = returnedMs === OPEN ? "unknown" : "ok";
  return { client: 0, object: "o", command, invokedMs, returnedMs, outcome, told, ...more };
}

// --- cells ---

type Step = readonly [number, number, CellCommand, Outcome?];

function judge(...steps: readonly Step[]): string {
  const timed = steps.map(([invokedMs, returnedMs, command, told]) => ({
    op: { command, told } satisfies CellOperation,
    invokedMs,
    returnedMs,
  }));
  return checkLinearizability(timed, CELLS_MODEL).kind;
}

const counter = { slot: 0, key: "n" };
const list = { slot: 0, key: "l" };
const add = (by: number, more = {}) => ({ kind: "increment", ...counter, by: String(by), ...more }) as const;
const sum = (value: number, created = false): Outcome => ({
  kind: "number",
  value: String(value),
  version: 1,
  created,
});
const append = (text: string) => ({ kind: "append", ...list, value: bytesOf(text), contentType: "" }) as const;
const read = (key: string) => ({ kind: "get", slot: 0, key }) as const;
const found = (text?: string): Outcome => ({
  kind: "value",
  found: text === undefined ? undefined : { version: 1, value: bytesOf(text), contentType: "" },
});
const both = (...onSuccess: readonly (ReturnType<typeof add> | ReturnType<typeof append>)[]) =>
  ({ kind: "transaction", ...counter, compare: [], onSuccess, onFailure: [] }) as const;

describe("cells", () => {
  it.each<[string, readonly Step[]]>([
    [
      "a sum of acknowledged increments",
      [
        [0, 1, add(1), sum(1, true)],
        [2, 3, add(2), sum(3)],
        [4, 5, read("n"), found("3")],
      ],
    ],
    [
      "a sum with an unknown increment in it",
      [
        [0, 1, add(1), sum(1, true)],
        [2, OPEN, add(2)],
        [4, 5, read("n"), found("3")],
      ],
    ],
    [
      "a sum without the unknown increment",
      [
        [0, 1, add(1), sum(1, true)],
        [2, OPEN, add(2)],
        [4, 5, read("n"), found("1")],
      ],
    ],
    [
      "a sum of halves",
      [
        [0, 1, add(1.5, { isFloat: true }), sum(1.5, true)],
        [2, 3, add(-0.5, { isFloat: true }), sum(1)],
        [4, 5, add(2), sum(3)],
      ],
    ],
    [
      "a whole increment of a sum that is none",
      [
        [0, 1, add(1.5, { isFloat: true }), sum(1.5, true)],
        [2, 3, add(1), { kind: "not_a_number", version: 1 }],
      ],
    ],
    ["an increment that stops at its bound", [[0, 1, add(9, { max: "5", clamps: true }), sum(5, true)]]],
    ["an increment that is refused at its bound", [[0, 1, add(9, { max: "5" }), { kind: "out_of_range", value: "0" }]]],
    [
      "two appends at a time, in the order that the reads agree on",
      [
        [0, 9, append("a"), stored(1)],
        [0, 9, append("b"), stored(2, undefined, false)],
        [10, 11, read("l"), found("ab")],
      ],
    ],
    [
      "a transaction that failed whole",
      [
        [
          0,
          1,
          both(append("a"), add(9, { max: "5" })),
          { kind: "transaction_failed", at: 1, outcome: { kind: "out_of_range", value: "0" } },
        ],
        [2, 3, read("l"), found()],
      ],
    ],
    [
      "a value that is written once, by its own version",
      [
        [0, 1, put("v1", { sourceVersion: 2 }), stored(1)],
        [2, 3, put("v0", { sourceVersion: 1 }), { kind: "precondition_failed", version: 1, sourceVersion: 2 }],
        [
          4,
          5,
          put("v2", { returnPrevious: true, ifValue: bytesOf("v1") }),
          {
            kind: "stored",
            version: 3,
            created: false,
            previous: { version: 1, value: bytesOf("v1"), contentType: "" },
          },
        ],
      ],
    ],
  ])("accept %s", (_name, steps) => expect(judge(...steps)).toBe("linearizable"));

  it.each<[string, readonly Step[]]>([
    [
      "an increment that is counted twice",
      [
        [0, 1, add(1), sum(1, true)],
        [2, 3, read("n"), found("2")],
      ],
    ],
    [
      "an unknown increment that is counted twice",
      [
        [0, OPEN, add(1)],
        [2, 3, read("n"), found("2")],
      ],
    ],
    [
      "an acknowledged increment that is lost",
      [
        [0, 1, add(1), sum(1, true)],
        [2, 3, add(2), sum(2, true)],
      ],
    ],
    [
      "an append that is there twice",
      [
        [0, 1, append("a"), stored(1)],
        [2, 3, read("l"), found("aa")],
      ],
    ],
    [
      "two reads that see two orders",
      [
        [0, 9, append("a"), stored(1)],
        [0, 9, append("b"), stored(2, undefined, false)],
        [10, 11, read("l"), found("ab")],
        [12, 13, read("l"), found("ba")],
      ],
    ],
    [
      "half of a transaction that failed",
      [
        [
          0,
          1,
          both(append("a"), add(9, { max: "5" })),
          { kind: "transaction_failed", at: 1, outcome: { kind: "out_of_range", value: "0" } },
        ],
        [2, 3, read("l"), found("a")],
      ],
    ],
    [
      "half of a transaction whose fate is open",
      [
        [0, OPEN, both(append("a"), add(1))],
        [2, 3, read("l"), found("a")],
        [4, 5, read("n"), found()],
      ],
    ],
    [
      "an older version of the caller's that replaces a newer one",
      [
        [0, 1, put("v1", { sourceVersion: 2 }), stored(1)],
        [2, 3, put("v0", { sourceVersion: 1 }), stored(2, undefined, false)],
      ],
    ],
    ["a touch of nothing", [[0, 1, { kind: "touch", ...at }, { kind: "touched", version: 1 }]]],
  ])("refuse %s", (_name, steps) => expect(judge(...steps)).toBe("violation"));
});

describe("a cell that may be evicted", () => {
  const evictable = (...steps: readonly Step[]) => {
    const timed = steps.map(([invokedMs, returnedMs, command, told]) => ({
      op: { command, told },
      invokedMs,
      returnedMs,
    }));
    return checkLinearizability<Cells, CellOperation>(timed, EVICTABLE_CELL_MODEL).kind;
  };

  it("may be gone at any time, and never comes back", () => {
    expect(evictable([0, 1, put("v1"), stored(1)], [2, 3, read("k"), found()])).toBe("linearizable");
    expect(evictable([0, 1, put("v1"), stored(1)], [2, 3, put("v2"), stored(2)])).toBe("linearizable");
    const back: Step = [4, 5, read("k"), found("v1")];
    expect(evictable([0, 1, put("v1"), stored(1)], [2, 3, read("k"), found()], back)).toBe("violation");
    expect(evictable([0, 1, put("v1"), stored(1)], [2, 3, put("v2"), stored(2)], back)).toBe("violation");
  });
});

// --- locks ---

const acquire = (from: number, to: number, token: number, untilMs: number, ttlMs = 100) =>
  operation(from, to, put("", { ttlMs, ifNoneMatch: "any" }), stored(token, untilMs));
const renew = (from: number, to: number, token: number, untilMs: number, ttlMs = 100) =>
  operation(
    from,
    to,
    { kind: "touch", ...at, ttlMs, ifMatch: [token] },
    { kind: "touched", version: token, expiresMs: untilMs },
  );
const release = (from: number, to: number, token: number) =>
  operation(from, to, { kind: "delete", ...at, ifMatch: [token] }, { kind: "deleted", existed: true });

describe("locks", () => {
  const lock = (...operations: readonly CommandOperation[]) =>
    reportsOf((report) => checkLock("l", operations, report));

  it.each<[string, readonly CommandOperation[]]>([
    ["a holder after another's time", [acquire(0, 1, 1, 100), acquire(101, 102, 2, 200)]],
    ["a holder after a release", [acquire(0, 1, 1, 100), release(10, 11, 1), acquire(20, 21, 2, 120)]],
    [
      "a holder after a release whose fate is open",
      [acquire(0, 1, 1, 100), release(10, OPEN, 1), acquire(20, 21, 2, 120)],
    ],
    ["a holder after a renewed time", [acquire(0, 1, 1, 100), renew(50, 51, 1, 150), acquire(151, 152, 2, 251)]],
    [
      "a holder after a time that was made shorter",
      [acquire(0, 1, 1, 100), renew(50, 51, 1, 60, 10), acquire(70, 71, 2, 170)],
    ],
  ])("accept %s", (_name, operations) => expect(lock(...operations)).toEqual([]));

  it.each<[string, readonly CommandOperation[]]>([
    ["two holders at a time", [acquire(0, 1, 1, 100), acquire(50, 51, 2, 150)]],
    [
      "two holders at a time, one of them renewed",
      [acquire(0, 1, 1, 100), renew(90, 91, 1, 190), acquire(150, 151, 2, 250)],
    ],
    ["a token that is given twice", [acquire(0, 1, 1, 100), acquire(101, 102, 1, 200)]],
    ["a token that falls", [acquire(0, 1, 2, 100), acquire(101, 102, 1, 200)]],
    ["a renewal of what is over", [acquire(0, 1, 1, 100), renew(120, 121, 1, 220)]],
    ["a renewal under a successor", [acquire(0, 1, 1, 100), acquire(101, 102, 2, 200), renew(110, 111, 1, 250)]],
  ])("refuse %s", (_name, operations) => expect(lock(...operations)).not.toEqual([]));
});

// --- rate limits ---

describe("rate limits", () => {
  const allowed = (resetMs: number, cost = 1, isAllowed = true) =>
    operation(
      0,
      1,
      { kind: "limit", ...at, limit: 2, windowMs: 100, cost, algorithm: "fixed_window" },
      { kind: "limited", isAllowed, remaining: 0, resetMs },
    );
  const limit = (...operations: readonly CommandOperation[]) =>
    reportsOf((report) => checkRateLimit("l", operations, report));

  it("accept what is within the limit of each window", () => {
    expect(limit(allowed(100), allowed(100), allowed(100, 1, false), allowed(200, 2))).toEqual([]);
  });

  it("refuse one more, and a cost that is one too high", () => {
    expect(limit(allowed(100), allowed(100), allowed(100))).toHaveLength(1);
    expect(limit(allowed(100), allowed(100, 2))).toHaveLength(1);
  });
});

// --- fills and purges ---

const KEY = "\u0001cache\u0001a1";

function fills(
  commands: readonly CommandOperation[],
  grants: readonly FillGrant[] = [],
  purges: readonly PurgeOperation[] = [],
): readonly string[] {
  const history = { commands, grants, purges, shardOf: () => 0, stampAt: (_shard: number, index: number) => index };
  return reportsOf((report) => checkFills(history, report));
}

function grant(invokedMs: number, returnedMs: number, token: number, untilMs: number, leaseMs = 100): FillGrant {
  return { client: 0, key: KEY, token, leaseMs, untilMs, invokedMs, returnedMs };
}

const ALL: PurgeScope = { kind: "prefix", namespace: "cache", prefix: "" };
const RED: PurgeScope = { kind: "tag", namespace: "cache", tag: "red" };

function purge(invokedMs: number, returnedMs: number, scope = ALL, isSoft = false): PurgeOperation {
  const outcome = returnedMs === OPEN ? "unknown" : "ok";
  return { client: 0, shard: 0, scope, isSoft, invokedMs, returnedMs, outcome, index: returnedMs };
}

const from = (index: number) => ({ from: { shard: 0, replica: 0, role: "leader", term: 1, index } }) as const;
const write = (invokedMs: number, returnedMs: number, value: string, more = {}) =>
  operation(
    invokedMs,
    returnedMs,
    put(value, { key: KEY, ...more }),
    returnedMs === OPEN ? undefined : stored(1),
    from(returnedMs),
  );
const get = (invokedMs: number, value: string, more: Partial<CommandOperation> = {}) =>
  operation(invokedMs, invokedMs + 1, { kind: "get", slot: 0, key: KEY }, found(value), {
    met: "strong",
    ...from(invokedMs),
    ...more,
  });

describe("fills and purges", () => {
  it.each<[string, readonly string[]]>([
    [
      "a fill that is stored and read",
      fills([write(10, 11, "v", { fillToken: 1 }), get(20, "v")], [grant(0, 1, 1, 100)]),
    ],
    [
      "a fill that began after a purge",
      fills([write(30, 31, "v", { fillToken: 1 }), get(40, "v")], [grant(20, 21, 1, 121)], [purge(5, 6)]),
    ],
    ["a purge of another tag", fills([write(0, 1, "v", { tags: ["blue"] }), get(40, "v")], [], [purge(5, 6, RED)])],
    ["a purge whose fate is open", fills([write(0, 1, "v"), get(40, "v")], [], [purge(5, OPEN)])],
    ["a second right after the first one's time", fills([], [grant(0, 1, 1, 100), grant(101, 102, 2, 201)])],
    ["a second right after a purge", fills([], [grant(0, 1, 1, 100), grant(50, 51, 2, 150)], [purge(20, 21)])],
    [
      "a second right after the first was given back",
      fills(
        [
          operation(
            20,
            21,
            { kind: "release_fill", slot: 0, key: KEY, token: 1 },
            { kind: "fill_released", existed: true },
          ),
        ],
        [grant(0, 1, 1, 100), grant(50, 51, 2, 150)],
      ),
    ],
    [
      "a stale value after a soft purge",
      fills([write(0, 1, "v"), get(40, "v", { entry: { stale: "accepted" } as never })], [], [purge(5, 6, ALL, true)]),
    ],
    [
      "an eventual read from before a purge",
      fills([write(0, 1, "v"), get(40, "v", { met: "eventual", ...from(3) })], [], [purge(5, 6)]),
    ],
  ])("accept %s", (_name, reports) => expect(reports).toEqual([]));

  it.each<[string, readonly string[]]>([
    ["two rights at a time", fills([], [grant(0, 1, 1, 100), grant(50, 51, 2, 150)])],
    [
      "a fill that is stored after a purge",
      fills([write(30, 31, "v", { fillToken: 1 })], [grant(0, 1, 1, 100)], [purge(5, 6)]),
    ],
    [
      "a fill that is stored after a write",
      fills([write(5, 6, "w"), write(30, 31, "v", { fillToken: 1 })], [grant(0, 1, 1, 100)]),
    ],
    ["a fill that is stored after its lease", fills([write(130, 131, "v", { fillToken: 1 })], [grant(0, 1, 1, 100)])],
    [
      "a fill of open fate that shows after a purge",
      fills([write(30, OPEN, "v", { fillToken: 1 }), get(40, "v")], [grant(0, 1, 1, 100)], [purge(5, 6)]),
    ],
    [
      "a value that shows after a purge of its tag",
      fills([write(0, 1, "v", { tags: ["red"] }), get(40, "v")], [], [purge(5, 6, RED)]),
    ],
    [
      "a value that shows fresh after a soft purge",
      fills([write(0, 1, "v"), get(40, "v")], [], [purge(5, 6, ALL, true)]),
    ],
    [
      "an eventual read that knows of the purge and shows the value",
      fills([write(0, 1, "v"), get(40, "v", { met: "eventual" })], [], [purge(5, 6)]),
    ],
    ["a value that nobody wrote", fills([get(40, "v")])],
  ])("refuse %s", (_name, reports) => expect(reports).not.toEqual([]));
});

// --- scans ---

describe("scans", () => {
  const rows = [1, 2, 3].map((number) => ({ key: `k${number}`, slot: slotOf(`k${number}`) }));
  const inOrder = [...rows].sort((a, b) => a.slot - b.slot);
  const item = (row: { readonly key: string; readonly slot: number }) =>
    ({ ...row, version: 1, contentType: "", size: 1, modifiedMs: 0 }) as const;
  const scan = (shown: readonly (typeof rows)[number][], level: "strong" | "eventual" = "strong") =>
    reportsOf((report) => {
      const commands = rows.map(({ key }) => operation(0, 1, put("v", { key }), stored(1)));
      const history = { commands, keys: rows.map(({ key }) => key), shardOf: () => 0, versionAt: () => 1 };
      const page = { start: undefined, next: undefined, items: shown.map(item), invokedMs: 5, from: [from(9).from] };
      checkScan({ client: 0, namespace: "", level, pages: [page], invokedMs: 5, returnedMs: 6 }, history, report);
    });

  it("accept all that is there, in order", () => expect(scan(inOrder)).toEqual([]));

  it("refuse one that is missing", () => {
    expect(scan(inOrder.slice(1))).toHaveLength(2);
    expect(scan(inOrder.slice(1), "eventual")).toHaveLength(1);
  });

  it("refuse one that is shown twice", () => {
    expect(scan(inOrder.flatMap((row) => [row, row]))).toHaveLength(3);
  });
});

// --- large values ---

describe("large values", () => {
  const upload = {
    name: "u",
    count: 2,
    texts: new Map([
      [0, "a"],
      [1, "b"],
    ]),
  };
  const parts = { upload: "u", count: 2, bytes: 2 };
  const large = (texts: readonly (string | undefined)[], size = 2, uploads = [upload], isGone = true) =>
    reportsOf((report) => {
      const commands = [operation(0, 1, put("", { parts }), stored(1))];
      checkLargeValues({ commands, uploads, largeReads: [{ upload: "u", size, texts, isGone }] }, report);
    });

  it("accept a whole one, and one that went while it was read", () => {
    expect(large(["a", "b"])).toEqual([]);
    expect(large(["a", undefined])).toEqual([]);
  });

  it("refuse parts of something else, of another size, and a value that was never sent whole", () => {
    expect(large(["a", "x"])).toHaveLength(1);
    expect(large(["a", "b"], 3)).toHaveLength(1);
    expect(large(["a", undefined], 2, [upload], false)).toHaveLength(1);
    expect(large(["a", undefined], 2, [{ ...upload, texts: new Map([[0, "a"]]) }])).toHaveLength(1);
  });
});

// --- lifetimes ---

describe("lifetimes", () => {
  const from = { shard: 0, replica: 0, role: "leader", term: 1, index: 1 } as const;
  const broken = (...commands: readonly CommandOperation[]) =>
    reportsOf((report) => checkLifetimes({ commands, defaultTtlMs: 1_000, stampAt: () => 50 }, report));
  const written = (more: Parameters<typeof put>[1], expiresMs: number | undefined) =>
    operation(0, 1, put("v", more), stored(1, expiresMs), { from });
  const seen = (metadata: string | undefined) => {
    const times = { modifiedMs: 0, expiresMs: undefined };
    const entry = { version: 1, contentType: "", value: bytesOf("v"), size: 1, ...times, extras: { metadata } };
    return operation(2, 3, { kind: "get", ...at }, undefined, { from, entry });
  };

  it("accept what is written with a lifetime of its own, or without one, and shown with what it was written with", () => {
    expect(broken(written({}, 1_050))).toEqual([]);
    expect(broken(written({ ttlMs: 10 }, 60))).toEqual([]);
    expect(broken(written({ slidingMs: 10 }, 61))).toEqual([]);
    expect(broken(written({ metadata: "m", ttlMs: 10 }, 60), seen("m"))).toEqual([]);
  });

  it("refuse what has got no lifetime, a sliding one that is too short, and somebody else's metadata", () => {
    expect(broken(written({}, undefined))).toHaveLength(1);
    expect(broken(written({ slidingMs: 10 }, 59))).toHaveLength(1);
    expect(broken(written({ metadata: "m", ttlMs: 10 }, 60), seen(undefined))).toHaveLength(1);
  });
});

// --- the log ---

describe("what the log means", () => {
  const batch = (...mutations: readonly Mutation[]) => ({ stampMs: 5, mutations });
  const model = (report: Report) => new LogModel(["k"], report);

  it("accepts outcomes as the naive model has them, and knows what is there at each index", () => {
    const reports = reportsOf((report) => {
      const log = model(report);
      log.append(3, batch(put("v", { ttlMs: 10 })), [stored(1, 15)]);
      log.append(5, batch({ kind: "delete", ...at }), [{ kind: "deleted", existed: true }]);
      expect([2, 3, 4, 5].map((index) => log.versionAt("k", index, 0))).toEqual([undefined, 1, 1, undefined]);
      expect(log.versionAt("k", 4, 15)).toBeUndefined();
      log.append(6, batch(put("u", { ttlMs: 10, staleWhileRevalidateMs: 20, staleIfErrorMs: 40 })), [stored(3, 55)]);
      expect([14, 34, 35].map((clockMs) => log.versionAt("k", 6, clockMs))).toEqual([3, 3, undefined]);
      expect(log.mayBeLogged(put("v"))).toBe(true);
      expect(log.mayBeLogged(put("w"))).toBe(false);
    });
    expect(reports).toEqual([]);
  });

  it("refuses any other outcome", () => {
    expect(reportsOf((report) => model(report).append(1, batch(put("v")), [stored(2)]))).toHaveLength(1);
    expect(reportsOf((report) => model(report).append(1, batch(put("v")), [{ kind: "not_found" }]))).toHaveLength(1);
  });
});
