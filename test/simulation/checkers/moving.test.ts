// The checkers of worlds in which slots move: the smallest history that breaks a promise, and one that keeps it. Shard 0 writes
// v1 and v2 and gives the slot away; shard 1 goes on with v3.

import { describe, expect, it } from "vitest";
import { encodeBatch } from "../../../durable/store/codec.ts";
import type { Mutation } from "../../../durable/store/command.ts";
import { slotBitmap } from "../../../durable/store/slots.ts";
import { slotOf } from "../../../routing/slots.ts";
import { buildTopology, type Topology } from "../../../routing/topology.ts";
import type { Operation, ReadOperation, WriteOperation } from "../history.ts";
import { bytesOf } from "../values.ts";
import { GroundTruth, type SharedTruth } from "./ground-truth.ts";
import { LogModel } from "./log-model.ts";
import { checkMovedHistory } from "./moved-history.ts";
import { PlacementChecker } from "./placement.ts";

const KEY = "k";
const SLOT = slotOf(KEY);
const MOVE = 5;

function put(value: string, ttlMs?: number): Mutation {
  return { kind: "put", slot: SLOT, key: KEY, value: bytesOf(value), contentType: "text/plain", ttlMs };
}

/** The logs of both shards: indexes of the source are 1 v1, 2 v2, 5 out; of the target 4 own, 5 v3. */
function logs({ ttlMs, outMs = 0 }: { readonly ttlMs?: number; readonly outMs?: number } = {}): GroundTruth[] {
  const shared: SharedTruth = { versions: new Map(), deletions: new Set(), firstOwners: new Map([[SLOT, 0]]) };
  const [source, target] = [0, 1].map((shard) => {
    const report = (message: string): never => {
      throw new Error(message);
    };
    // What rows are worth that come from elsewhere is not the model's to say.
    return new GroundTruth(shard, [KEY], report, new LogModel([], () => undefined), [], shared);
  });
  if (source === undefined || target === undefined) throw new Error("two shards were made");
  const append = (truth: GroundTruth, stampMs: number, ...mutations: readonly Mutation[]): void => {
    const data = encodeBatch({ stampMs, mutations });
    truth.append({ index: truth.lastIndex + 1, term: 1, kind: "batch", data }, 1);
  };
  const found = (slots: readonly number[]): Mutation => ({ kind: "found_slots", slots: slotBitmap(slots) });
  append(source, 0, put("v1"));
  append(source, 0, put("v2", ttlMs));
  append(source, 0, found([SLOT]), { kind: "move", step: "begin", slot: SLOT, move: MOVE, to: 1 });
  const { attempt = 0 } = source.slots.record(SLOT) ?? {};
  const id = { slot: SLOT, move: MOVE, attempt };
  append(source, 0, { kind: "move", step: "freeze", ...id });
  append(source, outMs, { kind: "move", step: "out", ...id });
  append(target, 0, found([]), { kind: "move", step: "import", from: 0, ...id });
  append(target, 0, { kind: "import", ...id, chunk: 1, rows: [], removals: [], records: [] });
  append(target, 0, { kind: "move", step: "seal", ...id, chunks: 1, rows: 0, digest: 0 });
  append(target, 0, { kind: "move", step: "own", ...id, revision: 100 });
  append(target, 0, put("v3"));
  source.acknowledgedMs.set(2, 50);
  target.acknowledgedMs.set(5, 80);
  return [source, target];
}

const VERSIONS: Readonly<Record<string, number>> = { v1: 1, v2: 2, v3: 101 };
const header = { id: 0, client: 0, key: KEY, shard: 0, invokedMs: 100, returnedMs: 110, outcome: "ok" } as const;
const from = (shard: number, index: number) => ({ shard, replica: 0, role: "follower", term: 1, index }) as const;

function read(
  shard: number,
  index: number,
  value: string | undefined,
  rest: Partial<ReadOperation> = {},
): ReadOperation {
  const seen = value === undefined ? undefined : { value, version: VERSIONS[value] ?? 0 };
  const level = "session" as const;
  return {
    ...header,
    kind: "read",
    level,
    met: level,
    afterIndex: 0,
    clockMs: 0,
    seen,
    from: from(shard, index),
    ...rest,
  };
}

function write(value: string, shard: number, index: number, rest: Partial<WriteOperation> = {}): WriteOperation {
  const result = { kind: "stored", version: VERSIONS[value] ?? 0, created: false } as const;
  return { ...header, kind: "put", value, result, from: from(shard, index), ...rest };
}

/** Which promises the history breaks; operations follow each other. */
function broken(operations: readonly Operation[], truths = logs()): readonly string[] {
  const reports: string[] = [];
  const note = (what: string) => () => void reports.push(what);
  const inTurn = operations.map((operation, at) => ({ ...operation, invokedMs: 100 + at, returnedMs: 100.5 + at }));
  checkMovedHistory(inTurn, truths, {
    bookmarks: note("bookmarks"),
    sessions: note("sessions"),
    staleness: note("staleness"),
    acknowledged: note("acknowledged"),
  });
  return reports;
}

describe("histories across moves", () => {
  it("are accepted where each owner shows what it has, and the next one goes on from there", () => {
    expect(
      broken([write("v2", 0, 2), read(0, 2, "v2"), read(1, 4, "v2"), write("v3", 1, 5), read(1, 5, "v3")]),
    ).toEqual([]);
    expect(broken([read(0, 1, "v1"), read(1, 5, "v3")])).toEqual([]);
  });

  it("are refused where a shard answers that has given the slot away, or has not got it yet", () => {
    expect(broken([read(0, 5, "v2")])).toEqual(["bookmarks"]);
    expect(broken([read(1, 3, undefined)])).toEqual(["bookmarks"]);
  });

  it("are refused where the new owner lacks what the old one had", () => {
    expect(broken([read(1, 4, undefined)])).toEqual(["bookmarks"]);
    expect(broken([read(1, 4, "v1")])).toEqual(["bookmarks"]);
  });

  it("are refused where a session sees less at one shard than it had seen at the other", () => {
    expect(broken([read(1, 5, "v3"), read(0, 2, "v2")])).toEqual(["sessions"]);
    expect(broken([write("v2", 0, 2), read(0, 1, "v1")])).toEqual(["sessions"]);
    expect(broken([read(1, 5, "v3"), write("v2", 0, 2)])).toEqual(["sessions"]);
    expect(broken([read(1, 5, "v3"), read(0, 2, "v2", { client: 1 })])).toEqual([]);
    expect(broken([read(1, 5, "v3"), read(0, 2, "v2", { level: "eventual" })])).toEqual([]);
  });

  it("are refused where a bounded read shows what was replaced at another shard before the bound", () => {
    // Asked at 100: v3 has been acknowledged for 20 ms.
    expect(broken([read(0, 2, "v2", { level: "bounded", boundMs: 30 })])).toEqual([]);
    expect(broken([read(0, 2, "v2", { level: "bounded", boundMs: 10 })])).toEqual(["staleness"]);
  });

  it("are refused where a write was acknowledged that no owner's log has, or from before itself", () => {
    expect(broken([write("v9", 0, 2)])).toEqual(["acknowledged"]);
    expect(broken([write("v2", 0, 1)])).toEqual(["bookmarks"]);
    // The new owner tells the outcome of the old one again.
    expect(broken([write("v2", 1, 4)])).toEqual([]);
  });

  it("are accepted where the old owner has found an entry expired, by its own clock", () => {
    expect(broken([read(1, 4, undefined)], logs({ ttlMs: 10, outMs: 20 }))).toEqual([]);
    expect(broken([read(1, 4, undefined)], logs({ ttlMs: 30, outMs: 20 }))).toEqual(["bookmarks"]);
  });
});

describe("placement", () => {
  const planned = (change: Partial<Topology>): readonly string[] => {
    const reports: string[] = [];
    const topology = buildTopology({ cluster: "c", replicas: 1, regions: ["weur"], weights: [1, 1, 1] });
    const slots = topology.slots.map((_, slot) => (slot === 0 ? 0 : 1));
    new PlacementChecker((message) => reports.push(message)).planned({ ...topology, epoch: MOVE, slots, ...change });
    return reports;
  };
  const drained = buildTopology({ cluster: "c", replicas: 1, regions: ["weur"], weights: [1, 1, 1] }).shards.map(
    (placement) => (placement.shard === 0 ? { ...placement, weight: 0 } : placement),
  );
  const move = { slot: 0, from: 0, to: 2, epoch: MOVE };

  it("accepts a plan that rids a drained shard of its slots", () => {
    expect(planned({ shards: drained, moves: [move] })).toEqual([]);
  });

  it("refuses a drained shard that keeps a slot, or is to get one", () => {
    expect(planned({ shards: drained })).toHaveLength(1);
    expect(planned({ shards: drained, moves: [move, { slot: 1, from: 1, to: 0, epoch: MOVE }] })).toHaveLength(1);
  });

  it("refuses a move from somebody who is not the owner, or to a shard that there is not", () => {
    expect(planned({ moves: [{ ...move, from: 1 }] })).toHaveLength(1);
    expect(planned({ moves: [{ ...move, to: 9 }] })).toHaveLength(1);
  });
});
