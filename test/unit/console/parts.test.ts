// The console's pure parts: rates of two views, the ring as paths, numbers for people.

import { describe, expect, test } from "vitest";
import * as format from "../../../console/src/format.ts";
import { sampleBetween } from "../../../console/src/rates.ts";
import { gridPath, ringPath, runsByOwner, sharesOf } from "../../../console/src/slots.ts";
import type { ClusterView, ReplicaView } from "../../../worker/api/admin-schemas.ts";

function replica(name: string, counters: Record<string, number> | null, lag: number | null = 0): ReplicaView {
  return { name, counters, lag } as ReplicaView;
}

function viewAt(atMs: number, ...replicas: ReplicaView[]): ClusterView {
  return { atMs, shards: [{ shard: 0, replicas }] } as unknown as ClusterView;
}

describe("rates between two views", () => {
  test("are of the time between them: reads of all replicas, writes once, since all apply the same", () => {
    const before = viewAt(
      1_000,
      replica("a", { reads: 10, mutations: 5, batches: 2 }),
      replica("b", { reads: 0, mutations: 5, batches: 0 }),
    );
    const after = viewAt(
      3_000,
      replica("a", { reads: 30, mutations: 25, batches: 12 }),
      replica("b", { reads: 4, mutations: 21, batches: 0 }, 4),
    );
    expect(sampleBetween(before, after)).toMatchObject({ reads: 12, writes: 10, batches: 5, lagMax: 4 });
  });

  test("leave out a replica that has started anew, that did not answer, or that was not there", () => {
    const before = viewAt(0, replica("a", { reads: 1_000, mutations: 900 }), replica("b", null));
    const after = viewAt(
      1_000,
      replica("a", { reads: 3, mutations: 2 }),
      replica("b", { reads: 7, mutations: 7 }),
      replica("c", { reads: 5 }, null),
    );
    expect(sampleBetween(before, after)).toMatchObject({ reads: 0, writes: 0, lagMax: 0 });
  });
});

describe("the ring", () => {
  test("has a shard's neighbouring slots as one stretch, and all slots once", () => {
    const runs = runsByOwner([0, 0, 1, 1, 1, 0, 2]);
    expect(Object.fromEntries(runs)).toEqual({
      0: [
        { from: 0, to: 2 },
        { from: 5, to: 6 },
      ],
      1: [{ from: 2, to: 5 }],
      2: [{ from: 6, to: 7 }],
    });
  });

  test("starts at the top and goes clockwise", () => {
    expect(ringPath([{ from: 0, to: 1 }], 4, { inner: 1, outer: 2 })).toBe("M0 -2A2 2 0 0 1 2 0L1 0A1 1 0 0 0 0 -1Z");
  });

  test("is whole where one shard owns everything", () => {
    const path = ringPath(runsByOwner(Array(8).fill(0)).get(0) ?? [], 8, { inner: 1, outer: 2 });
    expect(path.match(/M/g)).toHaveLength(2);
  });
});

describe("shares and cells", () => {
  const runs = runsByOwner([0, 1, 0, 1, 1, 1, 0, 1]);

  test("put a shard's slots together, one shard after the other, with a place for its name in the middle", () => {
    const shares = sharesOf(runs, 8, { inner: 1, outer: 3 });
    expect(shares.map(({ run }) => run)).toEqual([
      { from: 0, to: 3 },
      { from: 3, to: 8 },
    ]);
    expect(shares[0]?.middle).toEqual([1.85, -0.77]);
  });

  test("have every slot in its row and column", () => {
    expect(gridPath(runs.get(0) ?? [], 4)).toBe("M0 0h.88v.88h-.88zM2 0h.88v.88h-.88zM2 1h.88v.88h-.88z");
  });
});

describe("numbers for people", () => {
  test("are short, have units, and say when they are not known", () => {
    expect([format.count(1234567), format.count(0), format.count(null)]).toEqual(["1,234,567", "0", "–"]);
    expect([format.rate(0), format.rate(0.5), format.rate(123.4), format.rate(123_456)]).toEqual([
      "0",
      "0.5",
      "123",
      "123k",
    ]);
    expect([format.bytes(0), format.bytes(1023), format.bytes(1536), format.bytes(5 * 2 ** 30)]).toEqual([
      "0 B",
      "1023 B",
      "1.5 KiB",
      "5.0 GiB",
    ]);
    expect([format.milliseconds(0.25), format.milliseconds(250), format.milliseconds(90_000)]).toEqual([
      "0.25 ms",
      "250 ms",
      "90 s",
    ]);
    expect([format.compact(999), format.compact(12_345), format.compact(2_500_000)]).toEqual(["999", "12k", "2.5M"]);
  });
});
